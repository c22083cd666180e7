//! Functions of JSON: its members, and the fields that exchanges make of it.

use std::borrow::Cow;

use crate::{
    error::{Result, bad_input},
    exchange::place::encode,
    json::{Json, Piece, quote},
};

/// Whether it begins as a JSON object or list.
pub(super) fn is_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn json(text: &[u8]) -> Result<Option<Json>> {
    if is_json(text) {
        Json::parse_bytes(text).map(Some)
    } else {
        Ok(None)
    }
}

pub(super) fn field(body: &[u8], name: &[u8]) -> Result<Vec<u8>> {
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

pub(super) fn form(body: &[u8], first: &[u8]) -> Result<Vec<u8>> {
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

pub(super) fn raw_form(body: &[u8]) -> Result<Vec<u8>> {
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

pub(super) fn pairs(body: &[u8], separator: &[u8], mark: &[u8]) -> Result<Vec<u8>> {
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

/// An object's members but those named, with the values' own text.
pub(super) fn omit(text: &[u8], names: &[Cow<'_, [u8]>]) -> Result<Vec<u8>> {
    if !is_json(text) {
        return Ok(text.to_vec());
    }
    let text = std::str::from_utf8(text).map_err(|_| bad_input("the JSON is not UTF-8"))?;
    let mut out = String::from("{");
    for (name, value) in Piece::of(text)?.members()? {
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

/// JSON with the members of its objects in order, compact; other text as it is.
pub(super) fn sorted_json(text: &[u8]) -> Result<Vec<u8>> {
    Ok(match json(text)? {
        Some(value) => sorted(value).to_compact().into_bytes(),
        None => text.to_vec(),
    })
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

/// Names and values one after the other, sorted by name; other text as it is.
/// The same, of what may be no JSON.
pub(crate) fn run_together(text: &str) -> String {
    Json::parse(text).map_or_else(|_| text.to_owned(), |value| flat(&value))
}

pub(super) fn flatten(text: &[u8]) -> Result<Vec<u8>> {
    Ok(match json(text)? {
        Some(value) => flat(&value).into_bytes(),
        None => text.to_vec(),
    })
}

fn flat(value: &Json) -> String {
    match value {
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name);
            members
                .iter()
                .fold(String::new(), |all, (name, value)| all + name + &flat(value))
        }
        Json::List(items) => items.iter().map(flat).collect(),
        other => plain(other),
    }
}
