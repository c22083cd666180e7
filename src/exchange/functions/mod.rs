//! The functions of the language. Each is total: bytes in, bytes out, or an error that names the function.

pub(crate) mod json;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

use base64ct::Encoding as _;
use percent_encoding::percent_decode;
use sha2::{Sha256, Sha512};

pub(crate) use self::text::form_decode;
use self::{
    json::{field, flatten, form, is_json, omit, pairs, raw_form, sorted_json},
    text::{encoded_fields, hash, only, plain_fields, plus, sort},
};
use super::{place::encode, template::Expr};
use crate::error::{Result, bad_input};

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
    /// Fields with their names and values percent-encoded anew.
    EncodedFields,
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

const TABLE: [(&str, Function); 29] = [
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
    ("encoded_fields", Function::EncodedFields),
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
            Self::EncodedFields => encoded_fields(&joined()),
            Self::Omit => omit(at(0), &arguments[1..])?,
            Self::SortedJson => sorted_json(at(0))?,
            Self::Flatten => flatten(at(0))?,
            Self::Payload if is_json(at(0)) => base64ct::Base64::encode_string(at(0)).into_bytes(),
            Self::Payload => at(0).to_vec(),
        })
    }
}
