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

/// Reads the digits behind `\u`, of both halves where there are two.
fn code_point(rest: &mut &[u8]) -> Option<char> {
    let mut unit = || {
        let (digits, after) = rest.split_at_checked(4)?;
        *rest = after;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let high = unit()?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    let low = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low.checked_sub(0xdc00)?)
}
