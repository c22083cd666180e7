//! Where in a file's text an error lies, from the keys that the error names.

use toml::de::{DeTable, DeValue};

use super::scheme::line_and_column;
use crate::error::Error;

/// The error with line and column in front, where they can be found.
pub(crate) fn located(text: &str, error: Error) -> Error {
    match find(text, error.message()) {
        Some(at) => error.within(line_and_column(text, at)),
        None => error,
    }
}

/// The byte at which the value begins that an error is about; within a template the character that it names.
fn find(text: &str, message: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut found = None;
    for token in message.split(": ") {
        let value = match token
            .strip_prefix("form ")
            .and_then(|at| at.parse::<usize>().ok())
        {
            Some(at) => {
                let forms = table.iter().find(|(name, _)| name.get_ref() == "form")?;
                forms.1.get_ref().as_array()?.get(at.checked_sub(1)?)
            }
            // A socket's message stands without the word `signature`.
            None => get(table, token).or_else(|| get(table, token.strip_prefix("signature.")?)),
        };
        let Some(value) = value else { break };
        found = Some(value.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    let found = found.or_else(|| {
        let (_, rest) = message.split_once('`')?;
        get(table, rest.split_once('`')?.0).map(toml::Spanned::span)
    })?;
    Some(match character(message) {
        Some(at) => within(&text[found.clone()], at).map_or(found.start, |at| found.start + at),
        None => found.start,
    })
}

/// The value of a key, of which dots may lead into tables.
fn get<'a, 'i>(table: &'a DeTable<'i>, path: &str) -> Option<&'a toml::Spanned<DeValue<'i>>> {
    let value = |name: &str| {
        let mut all = table.iter();
        all.find(|(have, _)| have.get_ref() == name)
            .map(|(_, value)| value)
    };
    value(path).or_else(|| {
        path.match_indices('.').find_map(|(at, _)| {
            let inner = value(&path[..at])?.get_ref().as_table()?;
            get(inner, &path[at + 1..])
        })
    })
}

/// The character of a template that a message names, counted from 1.
fn character(message: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once("character ")?;
    let end = rest
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Where in the source of a string its character stands: behind the quote, with each escape as one.
fn within(source: &str, character: usize) -> Option<usize> {
    let quote = source.chars().next()?;
    if !matches!(quote, '"' | '\'') || source.starts_with("\"\"\"") || source.starts_with("'''") {
        return None;
    }
    let mut at = 1;
    for _ in 1..character {
        let rest = source.get(at..)?;
        at += match (quote, rest.as_bytes()) {
            ('"', [b'\\', b'u', ..]) => 6,
            ('"', [b'\\', b'U', ..]) => 10,
            ('"', [b'\\', ..]) => 2,
            _ => rest.chars().next()?.len_utf8(),
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::line_and_column;
    use crate::exchange::{Scheme, builtin};

    #[test]
    fn every_fault_says_its_line_and_column() {
        // What is put in place of what, and where in that the fault lies.
        for (exchange, from, to, fault) in [
            ("kraken", "{path}{sha256", "{pat}{sha256", "pat}{sha256"),
            (
                "kraken",
                "API-Sign = \"{signature}\"",
                "API-Sign = \"{signatur}\"",
                "signatur}",
            ),
            (
                "kraken",
                "{ unit = \"us\"",
                "{ unit = \"min\"",
                "{ unit = \"min\"",
            ),
            (
                "kraken",
                "{ algorithm = \"hmac-sha512\"",
                "{ algorithm = \"md5\"",
                "{ algorithm = \"md5\"",
            ),
            ("kraken", "\"first\"", "\"front\"", "\"front\""),
            (
                "kraken",
                "[\"form\", \"json\"]",
                "[\"form\", \"text\"]",
                "[\"form\", \"text\"]",
            ),
            (
                "mexc",
                "{api_key}{timestamp}{query}",
                "{api_key}{moment}{query}",
                "moment}",
            ),
            ("gate", "{word(field", "{ward(field", "ward("),
            ("deribit", "\\n{method}", "\\n{metod}", "metod}"),
            ("coinone", "{api_key}\", nonce", "{apikey}\", nonce", "apikey}"),
            ("bitvavo", "window = \"10000\" }", "window = 5 }", "5 }"),
        ] {
            let text = builtin(exchange).unwrap();
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from}");
            let error = Scheme::parse(&broken, "x.toml").unwrap_err();
            let place = line_and_column(&broken, broken.find(fault).unwrap());
            let wanted = format!("x.toml: {place}: ");
            assert!(error.message().starts_with(&wanted), "{wanted} {error}");
        }
    }

    #[test]
    fn a_fault_in_a_table_names_the_table() {
        let text = builtin("okx").unwrap().replacen("POST /api", "PUST /api", 1);
        let error = Scheme::parse(&text, "x.toml").unwrap_err();
        let line = text.lines().position(|line| line == "[withdrawal]").unwrap() + 1;
        assert!(
            error.message().contains(&format!("line {line}, column 1: ")),
            "{error}"
        );
    }
}
