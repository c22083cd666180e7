//! Where a text stands in a file, and how it is written there.

use std::ops::Range;

use crate::{
    error::{Result, bad_input},
    secret::{Secret, traceless},
};

/// What some editors put at the beginning of a file in UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A text in a file.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// The names that lead to it, the outermost first; its own is the last. Places in lists are numbers.
    pub path: Vec<String>,
    /// Its bytes in the file, without quotes.
    pub span: Range<usize>,
    /// How they are written.
    pub form: Form,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// With the escapes of JSON, which YAML's double quotes share.
    Json,
    /// In YAML's single quotes: a quote is doubled.
    Single,
    /// In the double quotes of a shell: a backslash stands before what it quotes, `\n` is a line feed.
    Shell,
    /// A block of YAML: lines that lose this indent.
    Block(usize),
}

impl Scalar {
    /// The bytes as they stand in the file.
    pub fn raw<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.span.clone()]
    }

    /// Its own name.
    pub fn leaf(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The names above it.
    pub fn parent(&self) -> &[String] {
        &self.path[..self.path.len().saturating_sub(1)]
    }

    /// The line that it begins in, from 1.
    pub fn line(&self, text: &[u8]) -> usize {
        1 + text[..self.span.start]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
    }

    /// The text that it stands for.
    ///
    /// # Errors
    /// When an escape is not one, or there is no locked memory.
    pub fn secret(&self, text: &[u8]) -> Result<Secret> {
        let raw = self.raw(text);
        let read = traceless(|| match self.form {
            Form::Plain => copied(raw.iter().copied()),
            Form::Json => Secret::from_json_string(raw),
            Form::Single => copied(undoubled(raw)),
            Form::Shell => shell(raw),
            Form::Block(indent) => block(raw, indent),
        })?;
        read.ok_or_else(|| {
            bad_input(format!(
                "line {}: {} has an escape that is not one",
                self.line(text),
                self.leaf()
            ))
        })
    }

    /// The text that it stands for, where that is no secret: an API key, an exchange's name.
    ///
    /// # Errors
    /// As [`Scalar::secret`], or when it is not UTF-8.
    pub fn public(&self, text: &[u8]) -> Result<String> {
        String::from_utf8(self.secret(text)?.expose().to_vec())
            .map_err(|_| bad_input(format!("line {}: {} is not UTF-8", self.line(text), self.leaf())))
    }
}

fn copied(bytes: impl Iterator<Item = u8> + Clone) -> Result<Option<Secret>> {
    let mut out = Secret::with_capacity(bytes.clone().count())?;
    for byte in bytes {
        out.push(&[byte]);
    }
    Ok(Some(out))
}

/// Without every second quote of those that stand together.
fn undoubled(raw: &[u8]) -> impl Iterator<Item = u8> + Clone {
    let mut quoted = false;
    raw.iter().copied().filter(move |&byte| {
        quoted = byte == b'\'' && !quoted;
        byte != b'\'' || !quoted
    })
}

fn shell(raw: &[u8]) -> Result<Option<Secret>> {
    let mut out = Secret::with_capacity(raw.len())?;
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(other) => other,
                None => return Ok(None),
            },
            other => other,
        };
        out.push(&[plain]);
    }
    Ok(Some(out))
}

fn block(raw: &[u8], indent: usize) -> Result<Option<Secret>> {
    let mut out = Secret::with_capacity(raw.len())?;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        let blanks = line.iter().take_while(|&&byte| byte == b' ').count();
        out.push(&line[blanks.min(indent)..]);
    }
    while out.expose().last().is_some_and(u8::is_ascii_whitespace) {
        out.truncate(out.len() - 1);
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_stands_for_its_text() {
        for (form, raw, wanted) in [
            (Form::Plain, r"a\n'b", r"a\n'b"),
            (Form::Json, r"a\/b\u00e9", "a/bé"),
            (Form::Single, "it''s", "it's"),
            (Form::Shell, r#"a\nb\"c\$"#, "a\nb\"c$"),
            (Form::Block(2), "  a\n   b\n\n", "a\n b"),
        ] {
            let scalar = Scalar {
                path: vec!["x".to_owned()],
                span: 0..raw.len(),
                form,
            };
            assert_eq!(scalar.public(raw.as_bytes()).unwrap(), wanted, "{form:?}");
        }
    }

    #[test]
    fn an_error_names_line_and_field_and_shows_nothing() {
        let text = b"\n\nhush\\u12";
        let scalar = Scalar {
            path: vec!["secret".to_owned()],
            span: 2..text.len(),
            form: Form::Json,
        };
        let error = scalar.secret(text).unwrap_err();
        assert_eq!(error.message(), "line 3: secret has an escape that is not one");
    }
}
