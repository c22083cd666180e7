//! JSON that keeps what it was given: numbers as they were spelt, members in their order, no name twice.

mod read;

use serde::Deserialize;

pub(crate) use self::read::{Members, Piece};
use crate::error::{Result, bad_input};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was spelt.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    List(Vec<Json>),
    /// An object, members in their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one JSON text (RFC 8259), white space around it allowed.
    ///
    /// # Errors
    /// When it is not JSON, names a member twice or is nested deeper than 64.
    pub fn parse(text: &str) -> Result<Self> {
        Piece::of(text)?.value()
    }

    /// As [`Json::parse`], of bytes that ought to be UTF-8.
    ///
    /// # Errors
    /// As [`Json::parse`], and when the bytes are not UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| bad_input("the JSON is not UTF-8"))?)
    }

    /// The shortest text of the value: no white space, numbers as they were spelt, only what must be escaped escaped.
    pub fn to_compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::String(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The value for a person to read: a member a line, two spaces a level, numbers as they were spelt, and no character
    /// that a terminal would act on.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(&mut out, 0);
        let control = |char: char| char.is_control() && char != '\n';
        if !out.contains(control) {
            return out;
        }
        let escape = |char: char| {
            if control(char) {
                format!("\\u{:04x}", u32::from(char))
            } else {
                char.to_string()
            }
        };
        out.chars().map(escape).collect()
    }

    fn write_pretty(&self, out: &mut String, level: usize) {
        let line = |out: &mut String, level: usize, more: bool| {
            out.push_str(if more { ",\n" } else { "\n" });
            out.push_str(&"  ".repeat(level));
        };
        match self {
            Self::List(items) if !items.is_empty() => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    line(out, level + 1, index > 0);
                    item.write_pretty(out, level + 1);
                }
                line(out, level, false);
                out.push(']');
            }
            Self::Object(members) if !members.is_empty() => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    line(out, level + 1, index > 0);
                    quote(name, out);
                    out.push_str(": ");
                    value.write_pretty(out, level + 1);
                }
                line(out, level, false);
                out.push('}');
            }
            small => small.write(out),
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// How the value stands in a query or form: a string's text, a number as it was spelt, `true` or `false`; nothing
    /// for null, lists and objects.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// What kind of value it is, as errors name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Appends the text as a JSON string.
pub fn quote(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(at) = odd(rest.as_bytes()) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte stands that a JSON string must escape. Whole chunks are looked at first, since a compiler makes
/// that a few instructions.
fn odd(bytes: &[u8]) -> Option<usize> {
    let is_odd = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let clean = bytes
        .chunks_exact(16)
        .take_while(|chunk| !chunk.iter().fold(false, |odd, byte| odd | is_odd(byte)))
        .count()
        * 16;
    bytes[clean..].iter().position(is_odd).map(|at| clean + at)
}

/// The version that a file of ours says it has. Read before the rest, since what a newer one has besides is not known here.
pub(crate) fn version(file: &[u8]) -> serde_json::Result<u32> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    Ok(serde_json::from_slice::<Version>(file)?.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_spelling() {
        let text = r#"{"a":1.0,"b":0.10,"c":1e5,"d":123456789012345678901234567890,"e":-0}"#;
        assert_eq!(Json::parse(text).unwrap().to_compact(), text);
    }

    #[test]
    fn members_keep_their_order_and_white_space_goes() {
        assert_eq!(
            Json::parse(" { \"b\" : [ 1 , true , null ] , \"a\" : \"\\u00e9\\n\" } ")
                .unwrap()
                .to_compact(),
            "{\"b\":[1,true,null],\"a\":\"é\\n\"}"
        );
    }

    #[test]
    fn what_a_person_reads_is_indented_and_harmless() {
        let json = Json::parse(r#"{"a":[1.0,{"b":"\u001b[2J\u009b\u007f"},[],{}],"c":null}"#).unwrap();
        assert_eq!(
            json.to_pretty(),
            "{\n  \"a\": [\n    1.0,\n    {\n      \"b\": \"\\u001b[2J\\u009b\\u007f\"\n    },\n    [],\n    {}\n  ],\n  \"c\": null\n}"
        );
        assert_eq!(Json::parse(&json.to_pretty()).unwrap(), json);
    }

    #[test]
    fn a_name_may_not_stand_twice_however_it_is_spelt() {
        let many: String = (0..40).map(|count| format!("\"n{count}\":1,")).collect();
        let (near, far) = (
            format!("{{{many}\"a\":1,\"a\":2}}"),
            format!("{{\"a\":1,{many}\"a\":2}}"),
        );
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#, &near, &far] {
            let error = Json::parse(text).unwrap_err();
            assert!(error.message().contains("\"a\" is named twice"), "{error}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "{}x",
            "{} {}",
            "nul",
            "01",
            "\"\\ud800\"",
            "{'a':1}",
            "[1,]",
            "\u{feff}{}",
        ] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
        assert!(Json::parse_bytes(b"\"\xff\"").is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&deep(64)).is_ok());
        assert!(Json::parse(&deep(65)).is_err());
        assert!(Json::parse(&deep(100_000)).is_err());
    }
}
