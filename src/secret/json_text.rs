//! JSON strings (RFC 8259, section 7), unescaped from locked memory into locked memory.

use super::Secret;
use crate::error::Result;

impl Secret {
    /// What the inner part of a JSON string stands for; none where an escape is not one.
    ///
    /// # Errors
    /// As [`Secret::with_capacity`].
    pub fn from_json_string(inner: &[u8]) -> Result<Option<Self>> {
        let mut out = Self::with_capacity(inner.len())?;
        let mut rest = inner;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first != b'\\' {
                out.push(&[first]);
            } else if unescape(&mut rest, &mut out).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(out))
    }
}

/// Reads what follows a backslash.
fn unescape(rest: &mut &[u8], out: &mut Secret) -> Option<()> {
    let (&kind, after) = rest.split_first()?;
    *rest = after;
    let plain = match kind {
        b'"' | b'\\' | b'/' => kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let mut bytes = [0; 4];
            out.push(code_point(rest)?.encode_utf8(&mut bytes).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    out.push(&[plain]);
    Some(())
}

/// Reads the digits behind `\u`, of both halves where there are two (RFC 8259, section 7).
fn code_point(rest: &mut &[u8]) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    let second = unit(rest).filter(|unit| (0xdc00..0xe000).contains(unit))?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

/// Four hexadecimal digits.
fn unit(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    digits
        .iter()
        .try_fold(0, |number, byte| Some(number << 4 | digit(byte)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_escape_of_json_is_none() {
        let read = |inner: &str| Secret::from_json_string(inner.as_bytes()).unwrap();
        let text = read(r"a\/\u002b\u00E9\ud83d\ude00\n").unwrap();
        assert_eq!(text.expose(), "a/+é😀\n".as_bytes());
        for odd in [
            r"\ud83d",
            r"\ud83d\ufe00",
            r"\ud83d\u0041",
            r"\ud83dx",
            r"\ude00",
            r"\u+041",
            r"\u 41",
            r"\u41",
            r"\x41",
            "\\",
        ] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }
}
