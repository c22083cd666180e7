//! Where a request goes and what it carries, decoded: what rules look at.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::place::{cut_at, decoded};
use crate::json::Json;

/// A request as rules see it.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// The method; `WS` for a WebSocket login.
    pub method: String,
    /// The host, with a port where it is not the usual one.
    pub host: String,
    /// The path as it goes on the wire; empty for a WebSocket login that has none.
    pub path: String,
    /// The path percent-decoded, in lower case, without slashes at its end.
    pub plain_path: String,
    /// Whether it is a WebSocket login.
    pub websocket: bool,
}

/// The path as rules compare it.
pub(crate) fn plain(path: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    let whole = path.len() > 1 && path.starts_with('/') && !path.ends_with('/');
    if whole && path.bytes().all(stays) && !path.as_bytes().windows(2).any(|two| two == b"//") {
        return path.to_ascii_lowercase();
    }
    plainly(path)
}

/// The same of a path that may be spelled in any way.
fn plainly(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut plain = String::with_capacity(path.len() + 1);
    for segment in decoded
        .split('/')
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
    {
        plain.push('/');
        if segment.is_ascii() {
            let begin = plain.len();
            plain.push_str(segment);
            plain[begin..].make_ascii_lowercase();
        } else {
            plain.push_str(&segment.to_lowercase());
        }
    }
    if plain.is_empty() {
        plain.push('/');
    }
    plain
}

/// Names and values that were found in a text.
pub(crate) type Found<'t> = Vec<(Cow<'t, str>, Cow<'t, str>)>;

/// The fields of a query or form, and of the JSON that stands in it.
///
/// A piece is split at `&` and at `;`, since some servers do the latter; what begins as JSON anywhere is read as JSON
/// too. Reading too much here only makes a rule see more.
pub(crate) fn collect<'t>(text: &'t str, found: &mut Found<'t>) {
    let begins = |text: &str| text.bytes().position(|byte| matches!(byte, b'{' | b'['));
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.bytes().position(|byte| matches!(byte, b'&' | b';'));
        let piece = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or("", |end| &rest[end + 1..]);
        if piece.is_empty() {
            continue;
        }
        let (name, value) = cut_at(piece, b'=');
        let (name, value) = (decoded(name), decoded(value.unwrap_or_default()));
        if let Some(at) = begins(&value) {
            collect_json(&value[at..], found);
        }
        found.push((name, value));
    }
    if let Some(at) = begins(text) {
        collect_json(&text[at..], found);
    }
}

/// The members of JSON at any depth; nothing where it is not JSON.
fn collect_json(text: &str, found: &mut Found<'_>) {
    if let Ok(value) = Json::parse(text) {
        let mut all = Vec::new();
        collect_value(&value, &mut all);
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        found.extend(all.into_iter().map(|(name, value)| (owned(name), owned(value))));
    }
}

/// The same of JSON that was read.
pub(crate) fn collect_value<'t>(value: &'t Json, found: &mut Found<'t>) {
    let may_be_json = |text: &str| text.trim_start().starts_with(['{', '[']);
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                let text = match value.scalar() {
                    Some(text) => Cow::Borrowed(text),
                    None => Cow::Owned(value.to_compact()),
                };
                if let Json::String(text) = value
                    && may_be_json(text)
                {
                    collect_json(text, found);
                }
                found.push((name.into(), text));
                collect_value(value, found);
            }
        }
        Json::List(items) => {
            for item in items {
                match item {
                    Json::String(text) if may_be_json(text) => collect_json(text, found),
                    item => collect_value(item, found),
                }
            }
        }
        _ => {}
    }
}

/// The object or list that a text holds as JSON, however often it was made a string or percent-encoded on its way.
pub(crate) fn inner(text: &str) -> Option<Json> {
    let mut text = Cow::Borrowed(text);
    loop {
        let next = match text.trim_start().as_bytes().first()? {
            b'{' | b'[' => return Json::parse(&text).ok(),
            b'"' => match Json::parse(&text).ok()? {
                Json::String(next) => next,
                _ => return None,
            },
            b'%' => percent_decode_str(text.trim_start())
                .decode_utf8()
                .ok()?
                .into_owned(),
            _ => return None,
        };
        // Each step takes something off.
        if next.len() >= text.len() {
            return None;
        }
        text = Cow::Owned(next);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_wherever_they_hide() {
        let mut fields = Vec::new();
        collect(
            "a=1&%61ddress=x;b=2&batch=%5B%7B%22c%22%3A%22%7B%5C%22d%5C%22%3A1%7D%22%7D%5D&{\"e\":[{\"f\":1}]}",
            &mut fields,
        );
        for name in ["a", "address", "b", "c", "d", "e", "f"] {
            assert!(fields.iter().any(|(have, _)| have == name), "{name}: {fields:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_path_is_what_any_other_becomes(path in "[/aB.% é2f\u{a0}]{0,8}") {
            prop_assert_eq!(plain(&path), plainly(&path));
        }
    }

    #[test]
    fn paths_are_compared_decoded_lowered_and_without_slashes_at_the_end() {
        assert_eq!(plain("/0/Private/%57ithdraw/"), "/0/private/withdraw");
    }
}
