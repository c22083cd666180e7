//! Encoding fields and putting them where the exchange wants them, with the bytes that were given left as they are.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{
    functions::form_decode,
    params::{Lists, Params},
    plan::{AddAt, Place},
};
use crate::{
    error::{Result, bad_input},
    json::{Json, Members, Piece, quote},
};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes as RFC 3986 does, or with `+` for a space.
pub(crate) fn encode(text: &[u8], plus: bool) -> String {
    let mut out = String::with_capacity(text.len());
    encode_onto(&mut out, text, plus);
    out
}

/// As [`encode`], behind what is there.
fn encode_onto(out: &mut String, text: &[u8], plus: bool) {
    let stays = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if let (true, Ok(text)) = (text.iter().all(stays), std::str::from_utf8(text)) {
        return out.push_str(text);
    }
    for piece in percent_encode(text, RESERVED) {
        out.push_str(if plus && piece == "%20" { "+" } else { piece });
    }
}

/// Names and values as a query or form.
pub(crate) fn form(pairs: &[(String, Json)], params: Option<&Params>) -> Result<String> {
    let plus = params.is_some_and(|params| params.plus_for_space);
    let lists = params.map_or(Lists::Repeat, |params| params.lists);
    let mut out = String::with_capacity(16 * pairs.len());
    let mut push = |name: &str, mark: &str, value: &str| {
        if !out.is_empty() {
            out.push('&');
        }
        encode_onto(&mut out, name.as_bytes(), plus);
        out.push_str(mark);
        out.push('=');
        encode_onto(&mut out, value.as_bytes(), plus);
    };
    for (name, value) in pairs {
        match value {
            Json::List(items) if lists == Lists::Brackets => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| scalar(name, item))
                    .collect::<Result<_>>()?;
                push(name, "", &format!("[{}]", items.join(",")));
            }
            Json::List(items) => {
                let mark = if lists == Lists::RepeatMarked { "[]" } else { "" };
                for item in items {
                    push(name, mark, scalar(name, item)?);
                }
            }
            value => push(name, "", scalar(name, value)?),
        }
    }
    Ok(out)
}

fn scalar<'a>(name: &str, value: &'a Json) -> Result<&'a str> {
    value.scalar().ok_or_else(|| {
        let error = bad_input(format!(
            "`{name}` is {}, which a query or form cannot hold",
            value.kind()
        ));
        match value {
            Json::Null => error.fix("leave the field out, or give \"\""),
            _ => error.fix("give its JSON as a string, where the exchange wants that"),
        }
    })
}

/// The call's parameters as they go into a place.
pub(crate) fn params(pairs: &[(String, Json)], place: Place, params: &Params) -> Result<String> {
    let mut sorted;
    let mut pairs = pairs;
    if params.sorted.contains(&place) {
        sorted = pairs.to_vec();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs = &sorted;
    }
    if place != Place::Json {
        return form(pairs, Some(params));
    }
    if let Some((name, _)) = pairs.iter().enumerate().find_map(|(index, pair)| {
        pairs[..index]
            .iter()
            .any(|(other, _)| *other == pair.0)
            .then_some(pair)
    }) {
        return Err(bad_input(format!(
            "`params` names {name:?} twice, which JSON cannot hold"
        )));
    }
    Ok(Json::Object(pairs.to_vec()).to_compact())
}

/// The fields of a query or form with their exact text; empty ones, as behind a last `&`, are passed over.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    let pieces = std::iter::from_fn(move || {
        let (piece, more) = cut_at(rest?, b'&');
        rest = more;
        Some(piece)
    });
    let named = |piece| {
        let (name, value) = cut_at(piece, b'=');
        (name, value.unwrap_or_default())
    };
    pieces.filter(|piece| !piece.is_empty()).map(named)
}

/// A text in front of a mark, and behind it where there is one. Names and values are short: the general search costs more.
pub(crate) fn cut_at(text: &str, mark: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == mark) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// A name or value of a query or form as a server reads it.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.into();
    }
    String::from_utf8_lossy(&form_decode(text.as_bytes()))
        .into_owned()
        .into()
}

/// Puts fields, already encoded, into a query or form.
pub(crate) fn insert(text: &str, added: &[(String, String)], at: &AddAt) -> String {
    if added.is_empty() {
        return text.to_owned();
    }
    let join = |out: &mut String| {
        for (index, (name, value)) in added.iter().enumerate() {
            if index > 0 {
                out.push('&');
            }
            for part in [name, "=", value] {
                out.push_str(part);
            }
        }
    };
    let sizes = added.iter().map(|(name, value)| name.len() + value.len() + 2);
    let mut out = String::with_capacity(text.len() + sizes.sum::<usize>());
    let named = |wanted: &str| spots(text).find(|(_, piece)| name_of(piece) == wanted);
    match at {
        _ if text.is_empty() => join(&mut out),
        AddAt::First => {
            join(&mut out);
            out.push('&');
            out.push_str(text);
        }
        AddAt::Before(name) if named(name).is_some() => {
            let start = named(name).map_or(0, |(start, _)| start);
            out.push_str(&text[..start]);
            join(&mut out);
            out.push('&');
            out.push_str(&text[start..]);
        }
        AddAt::After(name) if named(name).is_some() => {
            let end = named(name).map_or(0, |(start, piece)| start + piece.len());
            out.push_str(&text[..end]);
            out.push('&');
            join(&mut out);
            out.push_str(&text[end..]);
        }
        AddAt::Last | AddAt::Behind | AddAt::Before(_) | AddAt::After(_) => {
            out.push_str(text);
            if *at != AddAt::Last || !text.ends_with('&') {
                out.push('&');
            }
            join(&mut out);
        }
        AddAt::Sorted => {
            out.push_str(text);
            for (name, value) in added {
                let behind = spots(&out).find(|(_, piece)| name_of(piece) > name.as_str());
                match behind.map(|(start, _)| start) {
                    Some(start) => out.insert_str(start, &format!("{name}={value}&")),
                    None => out = insert(&out, &[(name.clone(), value.clone())], &AddAt::Last),
                }
            }
        }
    }
    out
}

/// The pieces of a query or form, with where each begins.
fn spots(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split('&').map(move |piece| {
        let at = start;
        start += piece.len() + 1;
        (at, piece)
    })
}

fn name_of(piece: &str) -> &str {
    piece.split('=').next().unwrap_or_default()
}

/// Puts members, their values already JSON, into an object, whose own characters stay as they are.
pub(crate) fn insert_json(text: &str, added: &[(String, String)], at: &AddAt) -> Result<String> {
    if added.is_empty() {
        return Ok(text.to_owned());
    }
    let member = |(name, value): &(String, String)| {
        let mut out = String::new();
        quote(name, &mut out);
        out.push(':');
        out.push_str(value);
        out
    };
    let new = added.iter().map(member).collect::<Vec<_>>().join(",");
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return Err(bad_input(
            "the exchange wants fields added to the body, and a JSON list cannot take them",
        )
        .fix("give the body as a JSON object"));
    };
    if inner.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Ok(format!("{{{new}}}"));
    }
    let named = |members: &Members<'_>, wanted: &str| members.iter().position(|(name, _)| name == wanted);
    match at {
        AddAt::First => Ok(format!("{{{new},{inner}}}")),
        AddAt::Last | AddAt::Behind => Ok(format!("{{{inner},{new}}}")),
        AddAt::Before(name) => {
            let members = Piece::of(text)?.members()?;
            let at = named(&members, name).unwrap_or(members.len());
            Ok(insert_member(text, &members, at, &new))
        }
        AddAt::After(name) => {
            let members = Piece::of(text)?.members()?;
            let at = named(&members, name).map_or(members.len(), |at| at + 1);
            Ok(insert_member(text, &members, at, &new))
        }
        AddAt::Sorted => added.iter().try_fold(text.to_owned(), |text, pair| {
            let members = Piece::of(&text)?.members()?;
            let behind = members.iter().position(|(name, _)| **name > *pair.0);
            let at = behind.unwrap_or(members.len());
            Ok(insert_member(&text, &members, at, &member(pair)))
        }),
    }
}

/// Puts text in front of the member of that number, or behind the last; the object has one at least.
fn insert_member(text: &str, members: &Members<'_>, at: usize, new: &str) -> String {
    let Some((_, value)) = at.checked_sub(1).and_then(|before| members.get(before)) else {
        return format!("{{{new},{}", &text[1..]);
    };
    let value = value.get();
    let end = value.as_ptr().addr() - text.as_ptr().addr() + value.len();
    format!("{},{new}{}", &text[..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn given_bytes_stay_and_the_added_stand_where_they_should() {
        let new = added(&[("n", "1")]);
        let before = AddAt::Before("b".into());
        let after = AddAt::After("b".into());
        assert_eq!(insert("", &new, &AddAt::First), "n=1");
        assert_eq!(insert("a=%2f&", &new, &AddAt::Last), "a=%2f&n=1");
        assert_eq!(
            insert("a=%2f&", &new, &AddAt::Behind),
            "a=%2f&&n=1",
            "what was signed ends in &"
        );
        assert_eq!(insert("a=1", &new, &AddAt::First), "n=1&a=1");
        assert_eq!(insert("a=1&z=2", &new, &AddAt::Sorted), "a=1&n=1&z=2");
        assert_eq!(insert("a=1&b=2", &new, &AddAt::Sorted), "a=1&b=2&n=1");
        assert_eq!(insert("a=1&b=2", &new, &before), "a=1&n=1&b=2");
        assert_eq!(insert("a=1&b=2&c=3", &new, &after), "a=1&b=2&n=1&c=3");
        assert_eq!(insert("b=2", &new, &after), "b=2&n=1");
        assert_eq!(insert("a=1&bb=2", &new, &after), "a=1&bb=2&n=1");
        let new = added(&[("n", "\"1\"")]);
        let json = |text, at| insert_json(text, &new, at).unwrap();
        assert_eq!(json("{}", &AddAt::First), r#"{"n":"1"}"#);
        assert_eq!(json(" {\"a\": 1.0 }", &AddAt::First), r#"{"n":"1","a": 1.0 }"#);
        assert_eq!(json("{\"a\": 1.0 }", &AddAt::Last), r#"{"a": 1.0 ,"n":"1"}"#);
        assert_eq!(json(r#"{"a":1, "b":2}"#, &before), r#"{"a":1,"n":"1", "b":2}"#);
        assert_eq!(
            json(r#"{ "\u0062" : 2 }"#, &before),
            r#"{"n":"1", "\u0062" : 2 }"#
        );
        assert_eq!(json(r#"{"a":1 }"#, &before), r#"{"a":1,"n":"1" }"#);
        assert_eq!(
            json(r#"{"a":1, "b" : 2.0 , "\u00fc":3}"#, &after),
            r#"{"a":1, "b" : 2.0,"n":"1" , "\u00fc":3}"#
        );
        assert_eq!(
            json(r#"{"\u0061":[ 1 ], "z":2}"#, &AddAt::Sorted),
            r#"{"\u0061":[ 1 ],"n":"1", "z":2}"#
        );
        assert_eq!(json(r#"{ "z":2 }"#, &AddAt::Sorted), r#"{"n":"1", "z":2 }"#);
        assert_eq!(json(r#"{"a":1}"#, &after), r#"{"a":1,"n":"1"}"#);
        assert!(insert_json("[]", &new, &AddAt::First).is_err());
        assert!(insert_json("[]", &new, &AddAt::Sorted).is_err());
    }

    #[test]
    fn what_need_not_be_encoded_stays() {
        for byte in 0..=u8::MAX {
            let whole: String = percent_encode(&[byte], RESERVED).collect();
            assert_eq!(encode(&[byte], false), whole);
        }
    }

    #[test]
    fn fields_are_encoded_as_rfc_3986_says() {
        let pairs = [
            ("a b".to_owned(), Json::String("x+y&z é".into())),
            ("n".to_owned(), Json::Number("0.10".into())),
            (
                "l".to_owned(),
                Json::List(vec![Json::Bool(true), Json::Number("1".into())]),
            ),
        ];
        assert_eq!(
            form(&pairs, None).unwrap(),
            "a%20b=x%2By%26z%20%C3%A9&n=0.10&l=true&l=1"
        );
        assert!(form(&[("n".to_owned(), Json::Null)], None).is_err());
        assert!(form(&[("n".to_owned(), Json::Object(vec![]))], None).is_err());
    }
}
