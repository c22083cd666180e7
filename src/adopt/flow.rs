//! YAML's flow collections: `{apiKey: abc, secret: "…"}`, in one line or several, with others inside.

use super::{
    scalar::{Form, Scalar},
    yaml::text_in,
};

/// Reads the collection that begins here. Its texts go to `found`, below these names; answers where it ends. None where it is
/// not written as it should be: what was found up to there stands.
pub(super) fn collection(
    text: &[u8],
    at: usize,
    path: &mut Vec<String>,
    found: &mut Vec<Scalar>,
) -> Option<usize> {
    let (is_mapping, close) = match text.get(at)? {
        b'{' => (true, b'}'),
        b'[' => (false, b']'),
        _ => return None,
    };
    let mut at = blanks(text, at + 1);
    let mut place = 0;
    // No configuration is nested so deeply; a file that is would overflow the stack.
    if path.len() > 64 {
        return None;
    }
    while *text.get(at)? != close {
        if is_mapping {
            let (span, end) = one(text, at, true)?;
            path.push(String::from_utf8_lossy(&text[span]).into_owned());
            at = blanks(text, end);
            at = blanks(text, at + usize::from(text.get(at) == Some(&b':')));
        } else {
            path.push(place.to_string());
            place += 1;
        }
        at = match text.get(at)? {
            b'{' | b'[' => collection(text, at, path, found)?,
            b',' | b'}' | b']' => at,
            _ => value(text, at, path, found)?,
        };
        path.pop();
        at = blanks(text, at);
        match *text.get(at)? {
            b',' => at = blanks(text, at + 1),
            byte if byte == close => {}
            _ => return None,
        }
    }
    Some(at + 1)
}

/// A text, quoted or plain; answers where it ends.
fn value(text: &[u8], at: usize, path: &[String], found: &mut Vec<Scalar>) -> Option<usize> {
    let (span, end) = one(text, at, false)?;
    let form = match text[at] {
        b'"' => Form::Json,
        b'\'' => Form::Single,
        _ => Form::Plain,
    };
    found.push(Scalar {
        path: path.to_vec(),
        span,
        form,
    });
    Some(end)
}

/// Where a text or a name stands, without its quotes, and where it ends with them.
fn one(text: &[u8], at: usize, is_name: bool) -> Option<(std::ops::Range<usize>, usize)> {
    if matches!(text.get(at)?, b'"' | b'\'') {
        let (span, _) = text_in(&text[at..])?;
        return Some((at + span.start..at + span.end, at + span.end + 1));
    }
    let ends = |at: usize| match text[at] {
        b',' | b'{' | b'}' | b'[' | b']' | b'\n' => true,
        b':' => {
            is_name
                && text
                    .get(at + 1)
                    .is_none_or(|byte| byte.is_ascii_whitespace() || b",}]".contains(byte))
        }
        b'#' => text[at - 1].is_ascii_whitespace(),
        _ => false,
    };
    let end = (at..text.len()).find(|&at| ends(at))?;
    let length = text[at..end].trim_ascii_end().len();
    (length > 0).then_some((at..at + length, end))
}

/// The next byte that is neither blank nor of a comment.
fn blanks(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        if *byte == b'#' && text[at - 1].is_ascii_whitespace() {
            at += text[at..].iter().take_while(|&&byte| byte != b'\n').count();
        } else if byte.is_ascii_whitespace() {
            at += 1;
        } else {
            break;
        }
    }
    at
}
