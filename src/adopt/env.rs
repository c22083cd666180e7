//! `.env` files, as python-dotenv, docker and shells read them: `NAME=value`, `export NAME="value"`.

use super::scalar::{BOM, Form, Scalar};

/// Where the values are. Lines that set nothing are passed over.
pub(super) fn scalars(text: &[u8]) -> Vec<Scalar> {
    let mut found = Vec::new();
    let mut at = if text.starts_with(BOM) { BOM.len() } else { 0 };
    while at < text.len() {
        let end = line_end(text, at);
        match setting(&text[at..end]) {
            Some((name, offset)) => {
                let (scalar, next) = value(text, at + offset, name);
                found.push(scalar);
                at = line_end(text, next) + 1;
            }
            None => at = end + 1,
        }
    }
    found
}

fn line_end(text: &[u8], at: usize) -> usize {
    text.iter()
        .skip(at)
        .position(|&byte| byte == b'\n')
        .map_or(text.len(), |length| at + length)
}

/// The name that a line sets, and where its value begins.
pub(super) fn setting(line: &[u8]) -> Option<(String, usize)> {
    let equals = line.iter().position(|&byte| byte == b'=')?;
    let left = line[..equals].trim_ascii();
    let name = left.strip_prefix(b"export ").map_or(left, <[u8]>::trim_ascii);
    let fits = name
        .first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let blanks = line[equals + 1..]
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    fits.then(|| (String::from_utf8_lossy(name).into_owned(), equals + 1 + blanks))
}

/// The value that begins here, and where it ends. One in quotes may go over several lines.
fn value(text: &[u8], at: usize, name: String) -> (Scalar, usize) {
    let path = name.split("__").map(str::to_owned).collect();
    let quote = text.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    if let Some(quote) = quote
        && let Some(end) = closing(text, at + 1, quote)
    {
        let form = if quote == b'"' { Form::Shell } else { Form::Plain };
        return (
            Scalar {
                path,
                span: at + 1..end,
                form,
            },
            end,
        );
    }
    let end = line_end(text, at);
    let line = &text[at..end];
    let comment = (1..line.len()).find(|&at| line[at] == b'#' && line[at - 1].is_ascii_whitespace());
    let length = line[..comment.unwrap_or(line.len())].trim_ascii_end().len();
    (
        Scalar {
            path,
            span: at..at + length,
            form: Form::Plain,
        },
        end,
    )
}

fn closing(text: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    loop {
        match *text.get(at)? {
            byte if byte == quote => return Some(at),
            b'\\' if quote == b'"' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_dotenv_reads_them() {
        let text = concat!(
            "\u{feff}Z=first\r\n",
            "# KRAKEN_SECRET=no\n",
            "A=plain # comment\n",
            "export B=\"two \\\"words\\\"\" # comment\r\n",
            "C = 'it # is'\n",
            "D=a#b\r\n",
            "just words\n",
            "E=\"-----BEGIN\nlines\nEND\"\n",
            "F__G__H=x\n",
            "I=\n",
            "J=\"open\n",
        );
        let read: Vec<_> = scalars(text.as_bytes())
            .iter()
            .map(|scalar| (scalar.path.join("/"), scalar.public(text.as_bytes()).unwrap()))
            .collect();
        let wanted = [
            ("Z", "first"),
            ("A", "plain"),
            ("B", "two \"words\""),
            ("C", "it # is"),
            ("D", "a#b"),
            ("E", "-----BEGIN\nlines\nEND"),
            ("F/G/H", "x"),
            ("I", ""),
            ("J", "\"open"),
        ];
        assert_eq!(
            read,
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
