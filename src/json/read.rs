//! Reading JSON as it is spelt. `serde_json` sees that a text is JSON, all of it; it is then taken apart by the few
//! characters that part its values, once.

use std::{borrow::Cow, collections::HashSet};

use serde_json::value::RawValue;

use super::Json;
use crate::error::{Error, Result, bad_input};

/// How deep lists and objects may stand in each other; what is signed by exchanges stays under ten.
const DEPTH: usize = 64;

/// How many members are looked through one by one.
const FEW: usize = 16;

/// A value of a text that is JSON, as it is spelt there, without white space around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'t>(&'t str);

/// The members of an object.
pub(crate) type Members<'t> = Vec<(Cow<'t, str>, Piece<'t>)>;

impl<'t> Piece<'t> {
    /// The value of a JSON text (RFC 8259), which may have white space around it.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn of(text: &'t str) -> Result<Self> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| unusable(&error))?;
        Ok(Self(raw.get()))
    }

    /// How it is spelt.
    pub const fn get(self) -> &'t str {
        self.0
    }

    /// The members of an object, in their order.
    ///
    /// # Errors
    /// When it is none, or names a member twice.
    pub fn members(self) -> Result<Members<'t>> {
        if !self.0.starts_with('{') {
            let kind = self.value().map_or("something else", |value| value.kind());
            return Err(bad_input(format!("this must be a JSON object, and is {kind}")));
        }
        let mut walk = Walk { text: self.0, at: 1 };
        walk.members(Walk::piece)
    }

    /// The value.
    ///
    /// # Errors
    /// When it names a member twice, is nested deeper than 64, or has half of a surrogate pair in a string.
    pub fn value(self) -> Result<Json> {
        Walk { text: self.0, at: 0 }.value(DEPTH)
    }
}

/// A place in a text that is JSON. Where it were none after all, the next step is an error.
struct Walk<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Walk<'t> {
    /// The next character that is no white space.
    fn next(&mut self) -> Result<u8> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let white = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        let blanks = rest.iter().take_while(|byte| white(byte)).count();
        self.at += blanks;
        rest.get(blanks)
            .copied()
            .ok_or_else(|| unusable(&"it ends too early"))
    }

    /// Steps over a character that stands next, if it does.
    fn takes(&mut self, wanted: u8) -> Result<bool> {
        let there = self.next()? == wanted;
        self.at += usize::from(there);
        Ok(there)
    }

    /// The text from `begin` up to here.
    fn since(&self, begin: usize) -> Result<&'t str> {
        self.text
            .get(begin..self.at)
            .ok_or_else(|| unusable(&"a value has no end"))
    }

    /// Steps over the string that begins here, and says whether something in it is escaped.
    fn skip_string(&mut self) -> Result<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let inner = rest
                .iter()
                .take_while(|byte| !matches!(byte, b'"' | b'\\'))
                .count();
            match rest.get(inner) {
                Some(b'"') => {
                    self.at += inner + 1;
                    return Ok(escaped);
                }
                Some(_) => {
                    self.at += inner + 2;
                    escaped = true;
                }
                None => return Err(unusable(&"a string has no end")),
            }
        }
    }

    /// The string that begins here.
    fn string(&mut self) -> Result<Cow<'t, str>> {
        let begin = self.at;
        let escaped = self.skip_string()?;
        let quoted = self.since(begin)?;
        if escaped {
            return serde_json::from_str(quoted)
                .map(Cow::Owned)
                .map_err(|error| unusable(&error));
        }
        Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    /// Steps over a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<&'t str> {
        let begin = self.at;
        let rest = &self.text.as_bytes()[begin..];
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        self.at += rest.iter().take_while(|byte| part(byte)).count();
        if self.at == begin {
            return Err(unusable(&"a value is missing"));
        }
        self.since(begin)
    }

    /// The value that comes next, taken apart.
    fn value(&mut self, depth: usize) -> Result<Json> {
        let inner = || {
            depth
                .checked_sub(1)
                .ok_or_else(|| bad_input(format!("the JSON is nested deeper than {DEPTH}")))
        };
        Ok(match self.next()? {
            b'{' => {
                let inner = inner()?;
                self.at += 1;
                Json::Object(self.members(|walk| walk.value(inner))?)
            }
            b'[' => {
                let inner = inner()?;
                self.at += 1;
                let mut items = Vec::new();
                while !self.takes(b']')? {
                    self.takes(b',')?;
                    items.push(self.value(inner)?);
                }
                Json::List(items)
            }
            b'"' => Json::String(self.string()?.into_owned()),
            _ => match self.word()? {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => Json::Number(number.to_owned()),
            },
        })
    }

    /// The value that comes next, as it is spelt.
    fn piece(&mut self) -> Result<Piece<'t>> {
        let first = self.next()?;
        let begin = self.at;
        match first {
            b'"' => {
                self.skip_string()?;
            }
            b'{' | b'[' => {
                let mut open = 0_usize;
                loop {
                    match self.text.as_bytes().get(self.at) {
                        Some(b'"') => {
                            self.skip_string()?;
                            continue;
                        }
                        Some(b'{' | b'[') => open += 1,
                        Some(b'}' | b']') => open -= 1,
                        Some(_) => {}
                        None => return Err(unusable(&"it ends too early")),
                    }
                    self.at += 1;
                    if open == 0 {
                        break;
                    }
                }
            }
            _ => {
                self.word()?;
            }
        }
        self.since(begin).map(Piece)
    }

    /// The members of the object that was entered, up to its end.
    fn members<N: AsRef<str> + From<Cow<'t, str>>, V>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<V>,
    ) -> Result<Vec<(N, V)>> {
        let mut members: Vec<(N, V)> = Vec::with_capacity(8);
        let mut seen = HashSet::new();
        while !self.takes(b'}')? {
            self.takes(b',')?;
            self.next()?;
            let name = self.string()?;
            // A few names are compared faster than they are hashed.
            let twice = if members.len() < FEW {
                members.iter().any(|(other, _)| *other.as_ref() == *name)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(name, _)| name.as_ref().to_owned()));
                }
                !seen.insert(name.clone().into_owned())
            };
            if twice {
                return Err(unusable(&format_args!("{name:?} is named twice")));
            }
            self.takes(b':')?;
            members.push((N::from(name), value(self)?));
        }
        Ok(members)
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Error {
    bad_input(format!("this is not JSON that can be used: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON text, with white space and escapes wherever they may stand.
    fn texts() -> impl Strategy<Value = String> {
        let blank = || prop::sample::select(vec!["", "", " ", "\n\t", "\r"]);
        let string = prop::collection::vec(
            prop::sample::select(vec![
                "a",
                "b",
                "é",
                "\u{10ffff}",
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                " ",
                "\\\"",
                "\\\\",
                "\\u0061",
                "\\ud83d\\ude00",
                "\\n",
            ]),
            0..6,
        )
        .prop_map(|parts| format!("\"{}\"", parts.concat()));
        let number = prop::sample::select(vec![
            "0",
            "-0",
            "1.0",
            "0.10",
            "1e5",
            "1E+2",
            "-12.5e-3",
            "12345678901234567890123",
        ]);
        let leaf = prop_oneof![
            string.clone(),
            number.prop_map(str::to_owned),
            prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let list = (
                prop::collection::vec((blank(), inner.clone(), blank()), 0..5),
                blank(),
            )
                .prop_map(|(items, empty)| {
                    let items: Vec<_> = items
                        .into_iter()
                        .map(|(a, item, b)| format!("{a}{item}{b}"))
                        .collect();
                    if items.is_empty() {
                        format!("[{empty}]")
                    } else {
                        format!("[{}]", items.join(","))
                    }
                });
            let object =
                prop::collection::vec((blank(), string.clone(), blank(), blank(), inner, blank()), 0..5)
                    .prop_map(|members| {
                        let members: Vec<_> = members
                            .into_iter()
                            .enumerate()
                            // A number before the name keeps names apart.
                            .map(|(at, (a, name, b, c, value, d))| {
                                format!("{a}\"{at}{}{b}:{c}{value}{d}", &name[1..])
                            })
                            .collect();
                        format!("{{{}}}", members.join(","))
                    });
            prop_oneof![list, object]
        })
    }

    /// The same value by a parser that does not keep the spelling of numbers.
    fn plain(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => serde_json::from_str(number).unwrap(),
            Json::String(text) => Value::String(text.clone()),
            Json::List(items) => Value::Array(items.iter().map(plain).collect()),
            Json::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), plain(value)))
                    .collect(),
            ),
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_another_parser_reads(text in texts()) {
            let json = Piece::of(&text).unwrap().value().unwrap();
            prop_assert_eq!(plain(&json), serde_json::from_str::<Value>(&text).unwrap());
            if let Json::Object(members) = &json {
                let pieces = Piece::of(&text).unwrap().members().unwrap();
                let read: Vec<_> = pieces.iter().map(|(name, piece)| (name.clone().into_owned(), piece.value().unwrap())).collect();
                prop_assert_eq!(&read, members);
                prop_assert!(pieces.iter().all(|(_, piece)| piece.get() == piece.get().trim()));
            }
        }

        #[test]
        fn nothing_but_json_is_read_as_such(text in "[\\[\\]{}:,\"\\\\ a0-9.eE+tnu-]{0,12}") {
            let valid = serde_json::from_str::<&RawValue>(&text).is_ok();
            prop_assert_eq!(Piece::of(&text).is_ok(), valid);
            if let Ok(piece) = Piece::of(&text) {
                let _ = (piece.value(), piece.members());
            }
        }
    }
}
