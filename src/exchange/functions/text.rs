//! Functions of text: hashes, fields of queries and forms, numbers.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::{
    error::{Result, bad_input},
    exchange::place::encode,
};

pub(super) fn hash<H: sha2::Digest>(arguments: &[Cow<'_, [u8]>]) -> Vec<u8> {
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
pub(super) fn sort(arguments: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = arguments
        .iter()
        .flat_map(|argument| argument.split(|byte| *byte == b'&'))
        .filter(|field| !field.is_empty())
        .collect();
    fields.sort_by_key(|field| field.split(|byte| *byte == b'=').next());
    fields.join(&b'&')
}

/// Fields whose names and values are encoded anew, as by a server that reads a query and then writes it to verify.
pub(super) fn encoded_fields(text: &[u8]) -> Vec<u8> {
    let anew = |part: &[u8]| encode(&form_decode(part), false);
    let fields = text.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
    let fields = fields.map(|field| match field.iter().position(|byte| *byte == b'=') {
        Some(at) => [&anew(&field[..at]), "=", &anew(&field[at + 1..])].concat(),
        None => anew(field),
    });
    fields.collect::<Vec<_>>().join("&").into_bytes()
}

pub(super) fn plus(a: &[u8], b: &[u8]) -> Result<Vec<u8>> {
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
pub(super) fn only(text: Vec<u8>, what: &str, fits: impl Fn(&u8) -> bool) -> Result<Vec<u8>> {
    if text.iter().all(fits) {
        return Ok(text);
    }
    let shown: String = String::from_utf8_lossy(&text).chars().take(40).collect();
    Err(bad_input(format!("{shown:?} has other characters than {what}"))
        .fix("it is signed beside other text, and could be read as part of that"))
}

/// Fields with their escapes undone. A server that takes the text apart must find the same fields in it.
pub(super) fn plain_fields(text: &[u8], separator: &[u8]) -> Result<Vec<u8>> {
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
