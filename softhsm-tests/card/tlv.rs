//! Tags, lengths and values as the applets write them: a tag of one byte, a length of one, or of 81 and one, 82 and two.

/// One.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len();
    let mut out = vec![tag];
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(value);
    out
}

/// The first, and what is behind it.
pub fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (len, rest) = rest.split_at_checked(2)?;
            (usize::from(len[0]) << 8 | usize::from(len[1]), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

/// The value of the first with this tag.
pub fn find(mut bytes: &[u8], tag: u8) -> Option<&[u8]> {
    while let Some((other, value, rest)) = next(bytes) {
        if other == tag {
            return Some(value);
        }
        bytes = rest;
    }
    None
}
