//! The functions of the language. Each is total: bytes in, bytes out, or an error that names the function.

use std::borrow::Cow;

use base64ct::Encoding as _;
use percent_encoding::percent_decode;
use sha2::{Sha256, Sha512};

use super::{place::encode, template::Expr};
use crate::{
    error::{Result, bad_input},
    json::{Json, members, quote},
};

/// A function of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// The 32 bytes of SHA-256.
    Sha256,
    /// The 64 bytes of SHA-512.
    Sha512,
    /// The 16 bytes of MD5.
    Md5,
    /// Lower-case hex.
    Hex,
    /// Base64 with padding (RFC 4648, section 4).
    Base64,
    /// Base64 for URLs, without padding (RFC 4648, section 5).
    Base64Url,
    /// ASCII letters raised.
    Upper,
    /// ASCII letters lowered.
    Lower,
    /// RFC 3986: all but unreserved characters as `%XX`.
    PercentEncode,
    /// `%XX` undone.
    PercentDecode,
    /// `%XX` undone, and `+` as a space.
    FormDecode,
    /// The arguments joined.
    Join,
    /// Fields of the arguments, sorted by name.
    Sort,
    /// The rest joined, where the first is not empty.
    When,
    /// The second without the first in front.
    After,
    /// Two whole numbers added.
    Plus,
    /// A member of a JSON object.
    Field,
    /// JSON objects as sorted, percent-encoded fields, the second argument's field in front of each.
    Form,
    /// A JSON object as sorted fields, not encoded.
    RawForm,
    /// A JSON object as percent-encoded fields in its order, or a form as it is; the second argument joins them, the
    /// third stands behind the names of lists.
    Pairs,
    /// Fields with `%XX` undone, joined by the second argument; refused where that could be read in two ways.
    PlainFields,
    /// A JSON object without the named members.
    Omit,
    /// JSON with the members of its objects sorted by name, at every depth, compact.
    SortedJson,
    /// Names and values sorted and joined without separators, as crypto.com wants.
    Flatten,
    /// JSON as base64, anything else as it is.
    Payload,
    /// A JSON number where a member's template is this alone.
    Number,
    /// Decimal digits as they are; anything else is refused.
    Digits,
    /// Letters, digits and `-_.` as they are; anything else is refused.
    Word,
}

const TABLE: [(&str, Function); 28] = [
    ("sha256", Function::Sha256),
    ("sha512", Function::Sha512),
    ("md5", Function::Md5),
    ("hex", Function::Hex),
    ("base64", Function::Base64),
    ("base64url", Function::Base64Url),
    ("upper", Function::Upper),
    ("lower", Function::Lower),
    ("percent_encode", Function::PercentEncode),
    ("percent_decode", Function::PercentDecode),
    ("form_decode", Function::FormDecode),
    ("join", Function::Join),
    ("sort", Function::Sort),
    ("when", Function::When),
    ("after", Function::After),
    ("plus", Function::Plus),
    ("field", Function::Field),
    ("form", Function::Form),
    ("raw_form", Function::RawForm),
    ("pairs", Function::Pairs),
    ("plain_fields", Function::PlainFields),
    ("omit", Function::Omit),
    ("sorted_json", Function::SortedJson),
    ("flatten", Function::Flatten),
    ("payload", Function::Payload),
    ("number", Function::Number),
    ("digits", Function::Digits),
    ("word", Function::Word),
];

impl Function {
    /// The function of that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(have, _)| *have == name)
            .map(|(_, function)| *function)
    }

    /// All names, for errors.
    pub(crate) fn names() -> String {
        TABLE.map(|(name, _)| name).join(", ")
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        TABLE
            .iter()
            .find(|(_, function)| *function == self)
            .map_or("", |(name, _)| name)
    }

    /// Refuses a wrong number of arguments.
    pub(crate) fn check(self, arguments: &[Expr]) -> Result<()> {
        let (least, most, takes) = match self {
            Self::After | Self::Plus | Self::Field => (2, 2, "2"),
            Self::Form | Self::PlainFields => (1, 2, "1 or 2"),
            Self::Pairs => (1, 3, "1 to 3"),
            Self::When | Self::Omit => (2, usize::MAX, "2 or more"),
            Self::SortedJson => (1, 1, "1"),
            _ => return Ok(()),
        };
        let fits = (least..=most).contains(&arguments.len());
        if fits {
            return Ok(());
        }
        Err(bad_input(format!(
            "`{}` takes {takes} arguments, not {}",
            self.name(),
            arguments.len()
        )))
    }

    /// Whether what it makes still shows its arguments one after the other, so that seams between them stay seams.
    pub(crate) const fn is_transparent(self) -> bool {
        matches!(
            self,
            Self::Upper
                | Self::Lower
                | Self::PercentDecode
                | Self::FormDecode
                | Self::PlainFields
                | Self::Join
                | Self::When
                | Self::After
                | Self::Number
        )
    }

    /// Whether it is a hash: the arguments meet inside it.
    pub(crate) const fn is_hash(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha512 | Self::Md5)
    }

    /// Computes it. Functions of one argument have theirs joined.
    pub(crate) fn apply(self, arguments: &[Cow<'_, [u8]>]) -> Result<Vec<u8>> {
        let joined = || arguments.concat();
        let at = |index: usize| arguments.get(index).map_or(&b""[..], |argument| &**argument);
        let separator = if arguments.len() > 1 { at(1) } else { b"&" };
        Ok(match self {
            Self::Sha256 => hash::<Sha256>(arguments),
            Self::Sha512 => hash::<Sha512>(arguments),
            Self::Md5 => hash::<md5::Md5>(arguments),
            Self::Hex => base16ct::lower::encode_string(&joined()).into_bytes(),
            Self::Base64 => base64ct::Base64::encode_string(&joined()).into_bytes(),
            Self::Base64Url => base64ct::Base64UrlUnpadded::encode_string(&joined()).into_bytes(),
            Self::Upper => joined().to_ascii_uppercase(),
            Self::Lower => joined().to_ascii_lowercase(),
            Self::PercentEncode => encode(&joined(), false).into_bytes(),
            Self::PercentDecode => percent_decode(&joined()).collect(),
            Self::FormDecode => form_decode(&joined()),
            Self::Join | Self::Number => joined(),
            Self::Digits => only(joined(), "digits", u8::is_ascii_digit)?,
            Self::Word => only(joined(), "letters, digits and -_.", |byte| {
                byte.is_ascii_alphanumeric() || b"-_.".contains(byte)
            })?,
            Self::Sort => sort(arguments),
            Self::When if at(0).is_empty() => Vec::new(),
            Self::When => arguments[1..].concat(),
            Self::After => at(1).strip_prefix(at(0)).unwrap_or(at(1)).to_vec(),
            Self::Plus => plus(at(0), at(1))?,
            Self::Field => field(at(0), at(1))?,
            Self::Form => form(at(0), at(1))?,
            Self::RawForm => raw_form(at(0))?,
            Self::Pairs => pairs(at(0), separator, at(2))?,
            Self::PlainFields => plain_fields(at(0), separator)?,
            Self::Omit => omit(at(0), &arguments[1..])?,
            Self::SortedJson => match json(at(0))? {
                Some(value) => sorted(value).to_compact().into_bytes(),
                None => at(0).to_vec(),
            },
            Self::Flatten => match json(at(0))? {
                Some(value) => flatten(&value).into_bytes(),
                None => at(0).to_vec(),
            },
            Self::Payload if is_json(at(0)) => base64ct::Base64::encode_string(at(0)).into_bytes(),
            Self::Payload => at(0).to_vec(),
        })
    }
}

fn hash<H: sha2::Digest>(arguments: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let mut hash = H::new();
    for argument in arguments {
        hash.update(argument);
    }
    hash.finalize().to_vec()
}

/// `%XX` undone, and `+` as a space: a field of a form as a server reads it.
pub(crate) fn form_decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

/// Sorts by the field's name alone: `price=1` stands before `price2=1`, although `2` is before `=` in ASCII.
fn sort(arguments: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = arguments
        .iter()
        .flat_map(|argument| argument.split(|byte| *byte == b'&'))
        .filter(|field| !field.is_empty())
        .collect();
    fields.sort_by_key(|field| field.split(|byte| *byte == b'=').next());
    fields.join(&b'&')
}

fn plus(a: &[u8], b: &[u8]) -> Result<Vec<u8>> {
    let number = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    number(a)
        .zip(number(b))
        .and_then(|(a, b)| a.checked_add(b))
        .map(|sum| sum.to_string().into_bytes())
        .ok_or_else(|| bad_input("`plus` can add only whole numbers of at most 64 bits"))
}

/// The text, if it has no other characters: what stands beside it in a message cannot be read as part of it then.
fn only(text: Vec<u8>, what: &str, fits: impl Fn(&u8) -> bool) -> Result<Vec<u8>> {
    if text.iter().all(fits) {
        return Ok(text);
    }
    let shown: String = String::from_utf8_lossy(&text).chars().take(40).collect();
    Err(bad_input(format!("{shown:?} has other characters than {what}"))
        .fix("it is signed beside other text, and could be read as part of that"))
}

/// Whether it begins as a JSON object or list.
pub(crate) fn is_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn json(text: &[u8]) -> Result<Option<Json>> {
    if is_json(text) {
        Json::parse_bytes(text).map(Some)
    } else {
        Ok(None)
    }
}

fn field(body: &[u8], name: &[u8]) -> Result<Vec<u8>> {
    let Some(body) = json(body)? else {
        return Ok(Vec::new());
    };
    let value = std::str::from_utf8(name).ok().and_then(|name| body.get(name));
    Ok(value.map(|value| plain(value).into_bytes()).unwrap_or_default())
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_compact(),
    }
}

/// The object's fields; lists repeat the name.
fn fields(object: &Json) -> Vec<(&str, String)> {
    let Json::Object(members) = object else {
        return Vec::new();
    };
    members
        .iter()
        .flat_map(|(name, value)| {
            let values = match value {
                Json::List(items) => items.iter().map(plain).collect(),
                other => vec![plain(other)],
            };
            values.into_iter().map(move |value| (name.as_str(), value))
        })
        .collect()
}

fn form(body: &[u8], first: &[u8]) -> Result<Vec<u8>> {
    let objects = match json(body)? {
        Some(Json::List(items)) => items,
        Some(object) => vec![object],
        None => {
            return Ok([first, body]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(&b'&'));
        }
    };
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for object in &objects {
        if !first.is_empty() {
            parts.push(first.to_vec());
        }
        let mut fields = fields(object);
        fields.sort_by_key(|(name, _)| *name);
        let encoded = |(name, value): (&str, String)| {
            format!(
                "{}={}",
                encode(name.as_bytes(), false),
                encode(value.as_bytes(), false)
            )
            .into_bytes()
        };
        parts.extend(fields.into_iter().map(encoded));
    }
    Ok(parts.join(&b'&'))
}

fn raw_form(body: &[u8]) -> Result<Vec<u8>> {
    let Some(object) = json(body)? else {
        return Ok(body.to_vec());
    };
    let Json::Object(mut members) = object else {
        return Ok(Vec::new());
    };
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let fields: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect();
    Ok(fields.join("&").into_bytes())
}

fn pairs(body: &[u8], separator: &[u8], mark: &[u8]) -> Result<Vec<u8>> {
    let Some(object) = json(body)? else {
        return Ok(body.to_vec());
    };
    let Json::Object(members) = &object else {
        return Ok(Vec::new());
    };
    let mut pairs: Vec<Vec<u8>> = Vec::new();
    let mut push = |name: &str, mark: &[u8], value: &str| {
        let (name, value) = (encode(name.as_bytes(), false), encode(value.as_bytes(), false));
        pairs.push([name.as_bytes(), mark, b"=", value.as_bytes()].concat());
    };
    for (name, value) in members {
        match value {
            Json::List(items) => items.iter().for_each(|item| push(name, mark, &plain(item))),
            other => push(name, b"", &plain(other)),
        }
    }
    Ok(pairs.join(separator))
}

/// Fields with their escapes undone. A server that takes the text apart must find the same fields in it.
fn plain_fields(text: &[u8], separator: &[u8]) -> Result<Vec<u8>> {
    let decode = |part: &[u8]| percent_decode(part).collect::<Vec<u8>>();
    let has = |text: &[u8], what: &[u8]| text.windows(what.len().max(1)).any(|part| part == what);
    let mut fields = Vec::new();
    for field in text.split(|byte| *byte == b'&').filter(|field| !field.is_empty()) {
        let (name, value) = match field.iter().position(|byte| *byte == b'=') {
            Some(at) => (&field[..at], Some(&field[at + 1..])),
            None => (field, None),
        };
        let (name, value) = (decode(name), value.map(decode));
        let joins = |text: &[u8]| has(text, separator) || has(text, b"&");
        if joins(&name) || has(&name, b"=") || value.as_deref().is_some_and(joins) {
            let shown: String = String::from_utf8_lossy(&name).chars().take(40).collect();
            return Err(bad_input(format!(
                "the exchange signs fields without their encoding, and `{shown}` could then be read as more than one"
            ))
            .fix(format!(
                "leave {:?} and `&` out of its value, and `=` out of names",
                String::from_utf8_lossy(separator)
            )));
        }
        fields.push(match value {
            Some(value) => [name.as_slice(), b"=", &value].concat(),
            None => name,
        });
    }
    Ok(fields.join(separator))
}

/// An object's members but those named, with the values' own text.
fn omit(text: &[u8], names: &[Cow<'_, [u8]>]) -> Result<Vec<u8>> {
    if !is_json(text) {
        return Ok(text.to_vec());
    }
    let text = std::str::from_utf8(text).map_err(|_| bad_input("the JSON is not UTF-8"))?;
    let mut out = String::from("{");
    for (name, value) in members(text)? {
        if names.iter().any(|omitted| **omitted == *name.as_bytes()) {
            continue;
        }
        if out.len() > 1 {
            out.push(',');
        }
        quote(&name, &mut out);
        out.push(':');
        out.push_str(value.get());
    }
    out.push('}');
    Ok(out.into_bytes())
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Object(mut members) => {
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name, sorted(value)))
                    .collect(),
            )
        }
        Json::List(items) => Json::List(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn flatten(value: &Json) -> String {
    match value {
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name);
            members
                .iter()
                .fold(String::new(), |all, (name, value)| all + name + &flatten(value))
        }
        Json::List(items) => items.iter().map(flatten).collect(),
        other => plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(name: &str, arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| Cow::Borrowed(argument.as_bytes()))
            .collect();
        String::from_utf8(Function::of(name).unwrap().apply(&arguments).unwrap()).unwrap()
    }

    #[test]
    fn sort_goes_by_the_name_and_not_by_the_field() {
        assert_eq!(
            apply("sort", &["price2=1&price=2&a=3&a=1", "b=0"]),
            "a=3&a=1&b=0&price=2&price2=1"
        );
    }

    #[test]
    fn when_after_and_plus() {
        assert_eq!(apply("when", &["", "?", "x"]), "");
        assert_eq!(apply("when", &["q", "?", "q"]), "?q");
        assert_eq!(
            apply("after", &["/derivatives", "/derivatives/api/v3/x"]),
            "/api/v3/x"
        );
        assert_eq!(apply("after", &["/derivatives", "/api"]), "/api");
        assert_eq!(apply("plus", &["1700000000", "120"]), "1700000120");
        assert!(
            Function::Plus
                .apply(&[Cow::Borrowed(b"x"), Cow::Borrowed(b"1")])
                .is_err()
        );
    }

    #[test]
    fn json_becomes_fields() {
        let body = r#"{"b":[1,2],"a":"x y","c":true}"#;
        assert_eq!(apply("form", &[body, "i=o"]), "i=o&a=x%20y&b=1&b=2&c=true");
        assert_eq!(apply("form", &[r#"[{"a":1},{"a":2}]"#, "i=o"]), "i=o&a=1&i=o&a=2");
        assert_eq!(apply("form", &["", "i=o"]), "i=o");
        assert_eq!(apply("raw_form", &[body]), "a=x y&b=[1,2]&c=true");
        assert_eq!(apply("pairs", &[body]), "b=1&b=2&a=x%20y&c=true");
        assert_eq!(apply("pairs", &["x=1&y=2"]), "x=1&y=2");
        assert_eq!(apply("pairs", &[body, "&", "[]"]), "b[]=1&b[]=2&a=x%20y&c=true");
        assert_eq!(
            apply("omit", &[r#"{"a": 1.0 ,"b":{"c": 2},"d":3}"#, "a", "d"]),
            r#"{"b":{"c": 2}}"#
        );
        assert_eq!(
            apply("sorted_json", &[r#"{"b": [{"d":1.0,"c":null}], "a":"x"}"#]),
            r#"{"a":"x","b":[{"c":null,"d":1.0}]}"#
        );
        assert_eq!(apply("field", &[body, "a"]), "x y");
        assert_eq!(apply("field", &[body, "no"]), "");
        assert_eq!(
            apply("flatten", &[r#"{"b":["x",1.0],"a":{"d":1,"c":null}}"#]),
            "acnulld1bx1.0"
        );
        assert_eq!(apply("payload", &["{}"]), "e30=");
        assert_eq!(apply("payload", &["e30="]), "e30=");
    }

    #[test]
    fn plain_fields_keep_apart_what_their_encoding_kept_apart() {
        let refused = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments
                .iter()
                .map(|text| Cow::Borrowed(text.as_bytes()))
                .collect();
            Function::PlainFields.apply(&arguments).is_err()
        };
        assert_eq!(
            apply("plain_fields", &["a=x%20y&b=%C3%A9&c=d=e&f"]),
            "a=x y&b=é&c=d=e&f"
        );
        assert_eq!(apply("plain_fields", &["a=1&b=2%3D3", ","]), "a=1,b=2=3");
        assert_eq!(apply("plain_fields", &["", ","]), "");
        for ambiguous in ["a=1%26b=2", "a%3D1=2", "a%26b=1"] {
            assert!(refused(&[ambiguous]), "{ambiguous}");
        }
        assert!(refused(&["a=1%2Cb=2", ","]));
        assert!(!refused(&["a=1%2Cb=2"]));
    }

    #[test]
    fn digits_and_words_are_nothing_else() {
        let refused = |name: &str, text: &str| {
            let function = Function::of(name).unwrap();
            function.apply(&[Cow::Borrowed(text.as_bytes())]).is_err()
        };
        assert_eq!(apply("digits", &["0", "17"]), "017");
        assert_eq!(apply("digits", &[""]), "");
        assert_eq!(apply("word", &["spot.orders_v2", "-A"]), "spot.orders_v2-A");
        for text in ["-1", "1.0", "1 ", "１", "a"] {
            assert!(refused("digits", text), "{text}");
        }
        for text in ["a/b", "a b", "a\n", "é", "a=b", "a&b"] {
            assert!(refused("word", text), "{text}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_standards() {
        assert_eq!(
            base16ct::lower::encode_string(
                &Function::Sha256
                    .apply(&[Cow::Borrowed(b"ab"), Cow::Borrowed(b"c")])
                    .unwrap()
            ),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(apply("hex", &["\u{1}", "a"]), "0161");
        assert_eq!(apply("form_decode", &["a+b%2B"]), "a b+");
        assert_eq!(apply("percent_decode", &["a+b%2B"]), "a+b+");
        assert_eq!(apply("percent_encode", &["a b+~é"]), "a%20b%2B~%C3%A9");
    }
}
