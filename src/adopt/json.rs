//! JSON, with the comments and trailing commas that freqtrade allows in its configuration.

use super::scalar::{Form, Scalar};
use crate::error::{Error, Result, bad_input};

/// How deep objects and lists may stand in each other.
const DEPTH: usize = 64;

/// Where the strings are.
///
/// # Errors
/// When it is not JSON; the error says the line and shows nothing of it.
pub(super) fn scalars(text: &[u8]) -> Result<Vec<Scalar>> {
    let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut reader = Reader {
        text,
        at: start,
        path: Vec::new(),
        found: Vec::new(),
    };
    reader.value()?;
    reader.blanks()?;
    if reader.at < text.len() {
        return Err(reader.wrong("there is more behind its end"));
    }
    Ok(reader.found)
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    path: Vec<String>,
    found: Vec<Scalar>,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> Error {
        let line = 1 + self.text[..self.at.min(self.text.len())]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        bad_input(format!("line {line} is not JSON: {what}"))
    }

    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes over blanks and comments.
    fn blanks(&mut self) -> Result<()> {
        loop {
            let rest = &self.text[self.at..];
            let length = match rest {
                [byte, ..] if byte.is_ascii_whitespace() => 1,
                [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => {
                    let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                    end.ok_or_else(|| self.wrong("a comment has no end"))? + 4
                }
                _ => return Ok(()),
            };
            self.at += length;
        }
    }

    /// Whether this sign is next; it is passed over then.
    fn takes(&mut self, sign: u8) -> Result<bool> {
        self.blanks()?;
        let there = self.next() == Some(sign);
        self.at += usize::from(there);
        Ok(there)
    }

    fn value(&mut self) -> Result<()> {
        self.blanks()?;
        if self.path.len() > DEPTH {
            return Err(self.wrong("it is nested too deep"));
        }
        match self.next() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => {
                let span = self.string()?;
                self.found.push(Scalar {
                    path: self.path.clone(),
                    span,
                    form: Form::Json,
                });
                Ok(())
            }
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => {
                while self
                    .next()
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
                {
                    self.at += 1;
                }
                Ok(())
            }
            _ => Err(self.wrong("a value is missing")),
        }
    }

    fn object(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            if self.takes(b'}')? {
                return Ok(());
            }
            if self.next() != Some(b'"') {
                return Err(self.wrong("a name in quotes is missing"));
            }
            let name = self.string()?;
            self.path
                .push(String::from_utf8_lossy(&self.text[name]).into_owned());
            if !self.takes(b':')? {
                return Err(self.wrong("a colon is missing"));
            }
            self.value()?;
            self.path.pop();
            if !self.takes(b',')? {
                return if self.takes(b'}')? {
                    Ok(())
                } else {
                    Err(self.wrong("a comma or brace is missing"))
                };
            }
        }
    }

    fn list(&mut self) -> Result<()> {
        self.at += 1;
        for place in 0_usize.. {
            if self.takes(b']')? {
                break;
            }
            self.path.push(place.to_string());
            self.value()?;
            self.path.pop();
            if !self.takes(b',')? {
                return if self.takes(b']')? {
                    Ok(())
                } else {
                    Err(self.wrong("a comma or bracket is missing"))
                };
            }
        }
        Ok(())
    }

    /// The inner part of a string.
    fn string(&mut self) -> Result<std::ops::Range<usize>> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(b'\n') | None => return Err(self.wrong("a string has no end")),
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(start..at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let told = |scalar: &Scalar| (scalar.path.join("."), scalar.public(text.as_bytes()).unwrap());
        scalars(text.as_bytes()).unwrap().iter().map(told).collect()
    }

    #[test]
    fn strings_are_found_by_their_path_over_comments_and_trailing_commas() {
        let text = "\u{feff}{ // one\n\"a\": {\"b\": \"x\\\"y\", /* \"c\": 1 */ \"d\": [1.5e3, \"z\", null,],},\n \"e\": true,}\n";
        assert_eq!(
            read(text),
            [
                ("a.b".to_owned(), "x\"y".to_owned()),
                ("a.d.1".to_owned(), "z".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line_and_no_text() {
        for text in [
            "",
            "{\n\"hush\" 1}",
            "{\"a\":\"hush",
            "{\"a\":\"hush\"",
            "[\"hush\"",
            "{} hush",
            "/* hush",
            "{\"a\":\"hush\\",
        ] {
            let error = scalars(text.as_bytes()).unwrap_err();
            assert!(error.message().starts_with("line "), "{text}: {error}");
            assert!(!error.to_string().contains("hush"), "{text}: {error}");
        }
        assert!(scalars("[".repeat(100_000).as_bytes()).is_err());
    }
}
