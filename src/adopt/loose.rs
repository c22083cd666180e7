//! Programs, and settings in formats of which only the lines are known.

use super::{
    recognise::{Found, recognise},
    scalar::{Form, Scalar},
    words::{Role, role, words},
};
use crate::{error::Result, exchange::Catalogue};

/// The secrets that lines seem to set, each by itself: the same may stand there twice, as in a comment.
pub(super) fn seen(text: &[u8], catalogue: &Catalogue) -> Result<Vec<Found>> {
    let (secrets, others): (Vec<_>, Vec<_>) = assignments(text).into_iter().partition(is_secret);
    let mut found = Vec::new();
    for secret in secrets {
        let scalars = [&others[..], &[secret]].concat();
        found.extend(recognise(text, &scalars, catalogue, None)?.0);
    }
    Ok(found)
}

fn is_secret(scalar: &Scalar) -> bool {
    role(&words(scalar.leaf())).is_some_and(|(role, _)| role == Role::Secret)
}

/// Names to which a program sets a text in quotes: `name = "text"`, `"name": 'text'`. A text before them that says an
/// exchange, as in `ccxt.kraken({`, stands for the names above them, and so does a section's name. So are settings without
/// quotes in a line of their own, also in a comment: `# name = text`.
fn assignments(text: &[u8]) -> Vec<Scalar> {
    let mut all = Vec::new();
    let mut above = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if let Some(at) = line.windows(5).position(|window| window == b"ccxt.") {
            let name = line[at + 5..]
                .split(|byte| !byte.is_ascii_alphanumeric())
                .find(|name| !name.is_empty() && *name != b"pro");
            above = name
                .map(|name| vec![String::from_utf8_lossy(name).into_owned()])
                .unwrap_or_default();
        }
        if let Some(name) = section(line) {
            above = vec![name];
        }
        let bare = bare(line).map(|(span, name)| (start + span.start..start + span.end, name));
        if let Some((span, name)) = bare {
            let path = [above.clone(), vec![name]].concat();
            all.push(Scalar {
                path,
                span,
                form: Form::Plain,
            });
        }
        let mut from = 0;
        while let Some((span, name)) = assignment(line, from) {
            from = span.end + 1;
            if role(&words(&name)).is_some() || span.len() <= 40 {
                let path = [above.clone(), vec![name]].concat();
                all.push(Scalar {
                    path,
                    span: start + span.start..start + span.end,
                    form: Form::Plain,
                });
            }
        }
        start += line.len();
    }
    // A secret in a program is told by its form too: long, and without blanks.
    all.retain(|scalar| {
        let raw = scalar.raw(text);
        !is_secret(scalar)
            || (raw.len() >= 16 && raw.iter().all(|byte| byte.is_ascii_graphic()))
            || raw.starts_with(b"-----BEGIN")
    });
    all
}

/// The next `name = "text"` of a line from here on: where the text is, and the name.
fn assignment(line: &[u8], from: usize) -> Option<(std::ops::Range<usize>, String)> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let mut at = from;
    loop {
        let sign = at
            + line
                .get(at..)?
                .iter()
                .position(|byte| matches!(byte, b'=' | b':'))?;
        at = sign + 1;
        let left = line[..sign].trim_ascii_end();
        let left = left.strip_suffix(b"]").unwrap_or(left);
        let left = left
            .strip_suffix(b"\"")
            .or_else(|| left.strip_suffix(b"'"))
            .unwrap_or(left);
        let length = left.iter().rev().take_while(|byte| is_name(byte)).count();
        let right = line[at..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'='))
            .count()
            + at;
        let Some(&quote) = line.get(right).filter(|byte| matches!(byte, b'"' | b'\'' | b'`')) else {
            continue;
        };
        let Some(text) = line[right + 1..].iter().position(|&byte| byte == quote) else {
            continue;
        };
        if length > 0 {
            let name = String::from_utf8_lossy(&left[left.len() - length..]);
            let name = name.rsplit('.').next().unwrap_or_default().to_owned();
            return Some((right + 1..right + 1 + text, name));
        }
    }
}

/// The name of a section: `[kraken]`, and of `[exchange.kraken]` its last.
fn section(line: &[u8]) -> Option<String> {
    let name = line.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let name = std::str::from_utf8(name).ok()?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_-. ".contains(letter);
    (!name.is_empty() && name.chars().all(is_name))
        .then(|| name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// A line that sets a name to a text without quotes, which is as long as secrets are: where the text is, and the name.
fn bare(line: &[u8]) -> Option<(std::ops::Range<usize>, String)> {
    let skipped = line
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'#' | b';' | b'-'))
        .count();
    let sign = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    let name = line.get(skipped..sign)?.trim_ascii();
    let name = name.strip_prefix(b"export ").unwrap_or(name).trim_ascii();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let rest = &line[sign + 1..];
    let text = rest.trim_ascii();
    let fits = !name.is_empty()
        && name.iter().all(is_name)
        && text.len() >= 16
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte));
    let from = sign + 1 + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    fits.then(|| {
        (
            from..from + text.len(),
            String::from_utf8_lossy(name).into_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_programs_set_are_found_with_their_names() {
        let text = concat!(
            "exchange = ccxt.kraken({\n",
            "  'apiKey': 'abc', 'secret': 'kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSU',\n",
            "os.environ[\"BINANCE_SECRET\"] = \"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP\"\n",
            "if a == \"b\": secret = 'short'\n",
            "[exchange.kraken]\n",
            "# secret = kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSU\r\n",
            "secret: short\n",
        );
        let read: Vec<_> = assignments(text.as_bytes())
            .iter()
            .filter(|scalar| role(&words(scalar.leaf())).is_some())
            .map(|scalar| scalar.path.join("."))
            .collect();
        let wanted = [
            "kraken.apiKey",
            "kraken.secret",
            "kraken.BINANCE_SECRET",
            "kraken.secret",
        ];
        assert_eq!(read, wanted);
    }
}
