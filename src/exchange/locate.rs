//! Where in a file's text an error lies, from the keys that the error names.

use toml::de::{DeTable, DeValue};

use crate::error::Error;

/// The error with line and column in front; the beginning of the text where nothing of it is to blame, as where
/// something is missing.
pub fn located(text: &str, error: Error) -> Error {
    let at = find(text, error.message()).unwrap_or(0);
    error.within(line_and_column(text, at))
}

/// The byte at which the value begins that an error is about; within a template the character that it names.
fn find(text: &str, message: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut found = None;
    for token in message.split(": ") {
        let Some(value) = named(table, token) else { break };
        found = Some(value.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    // A key of the table that the words name is nearer to it than the table.
    let nearer = || {
        let (_, rest) = message.split_once('`')?;
        let key = rest.split_once('`')?.0;
        // Of `withdrawal.fields` that are missing, the table is there.
        let table_of = || get(table, key.rsplit_once('.')?.0);
        get(table, key).or_else(table_of).map(toml::Spanned::span)
    };
    let inside =
        |inner: &std::ops::Range<usize>| found.as_ref().is_none_or(|outer| outer.start <= inner.start);
    let found = nearer().filter(inside).or(found)?;
    Some(match character(message) {
        Some(at) => within(&text[found.clone()], at).map_or(found.start, |at| found.start + at),
        None => found.start,
    })
}

/// What a token of an error names: a key, the number of a `[[form]]`, or the name of a `[[test]]`.
fn named<'a, 'i>(table: &'a DeTable<'i>, token: &str) -> Option<&'a toml::Spanned<DeValue<'i>>> {
    let list = |name: &str| get(table, name)?.get_ref().as_array();
    if let Some(at) = token
        .strip_prefix("form ")
        .and_then(|at| at.parse::<usize>().ok())
    {
        return list("form")?.get(at.checked_sub(1)?);
    }
    if let Some(shown) = token.strip_prefix("test ") {
        let is_it = |test: &&toml::Spanned<DeValue<'i>>| {
            let name = test
                .get_ref()
                .get("name")
                .and_then(|name| name.get_ref().as_str());
            name.is_some_and(|name| format!("{name:?}") == shown)
        };
        return list("test")?.iter().find(is_it);
    }
    // A socket's message stands without the word `signature`.
    get(table, token).or_else(|| get(table, token.strip_prefix("signature.")?))
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

/// A TOML error with its line and column.
pub(crate) fn place(source: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', " ");
    match error.span() {
        Some(span) => format!("{}: {message}", line_and_column(source, span.start)),
        None => message,
    }
}

/// Where a byte of a text is, for a person.
pub(crate) fn line_and_column(source: &str, byte: usize) -> String {
    let before = source.get(..byte).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    format!("line {line}, column {column}")
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
                "{api_key}{timestamp}{sort(query)}",
                "{api_key}{moment}{sort(query)}",
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
    fn a_fault_in_a_table_is_placed_at_its_key_and_what_is_missing_at_the_table() {
        let broken = |from: &str, to: &str, fault: &str| {
            let text = builtin("okx").unwrap().replacen(from, to, 1);
            let error = Scheme::parse(&text, "x.toml").unwrap_err();
            let place = line_and_column(&text, text.find(fault).unwrap());
            assert!(
                error.message().starts_with(&format!("x.toml: {place}: ")),
                "{error}"
            );
        };
        broken("POST /api", "PUST /api", "[\n    \"PUST");
        broken(
            "not = [\"0\"], text = \"msg\"",
            "text = \"msg\"",
            "[\n    { field",
        );
        broken("unit = \"ms\" }", "units = \"ms\" }", "\"ms\" }");
        broken("signature = {", "signatures = {", "signatures");
    }
}
