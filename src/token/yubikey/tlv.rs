//! Tags, lengths and values as the applets write them (ISO 7816-4, annex E, simple tags): a tag of one byte; a length of
//! one byte, or `81` and one, or `82` and two; then the value.

use crate::token::{Result, TokenError};

/// One after the other, from a card's answer. What does not fit is an error, and the last item.
pub struct Items<'a>(&'a [u8]);

/// The items of an answer.
pub const fn items(bytes: &[u8]) -> Items<'_> {
    Items(bytes)
}

/// That the card's answer is not what its protocol says.
pub fn malformed(what: &str) -> TokenError {
    TokenError::Failed(format!("the card's answer is not as it should be: {what}"))
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (item, rest) = match split(self.0) {
            Some((tag, value, rest)) => (Ok((tag, value)), rest),
            None => (Err(malformed("a length goes over its end")), &[][..]),
        };
        self.0 = rest;
        Some(item)
    }
}

/// The first item, its tag and value, and what is behind it; none where its length goes over the end.
pub(super) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = match bytes.get(1..)? {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, len, rest @ ..] | [len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((bytes[0], value, rest))
}

/// The value of the one item of an answer, which must have this tag.
///
/// # Errors
/// When there is another, or more.
pub fn only(bytes: &[u8], tag: u8) -> Result<&[u8]> {
    let mut items = items(bytes);
    match (items.next().transpose()?, items.next()) {
        (Some((found, value)), None) if found == tag => Ok(value),
        _ => Err(malformed(&format!("one item of tag {tag:02x} was expected"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_one_two_and_three_bytes_are_read() {
        let long = [&[0x72, 0x81, 0x80][..], &[7; 0x80]].concat();
        let longer = [&[0x72, 0x82, 0x01, 0x00][..], &[7; 0x100]].concat();
        assert_eq!(only(&[0x71, 2, 5, 6], 0x71).unwrap(), [5, 6]);
        assert_eq!(only(&long, 0x72).unwrap(), [7; 0x80]);
        assert_eq!(only(&longer, 0x72).unwrap(), [7; 0x100]);
        let two = [&[0x71, 0][..], &long].concat();
        let tags: Vec<_> = items(&two).map(|item| item.unwrap().0).collect();
        assert_eq!(tags, [0x71, 0x72]);
    }

    #[test]
    fn a_length_that_lies_is_an_error_and_the_end() {
        for bytes in [
            &[0x71][..],
            &[0x71, 1],
            &[0x71, 0x81],
            &[0x71, 0x82, 1],
            &[0x71, 0x80],
            &[0x71, 0x83, 0, 0, 0],
        ] {
            let mut items = items(bytes);
            assert!(items.next().unwrap().is_err(), "{bytes:?}");
            assert!(items.next().is_none());
            assert!(only(bytes, 0x71).is_err());
        }
        assert!(only(&[], 0x71).is_err());
        assert!(only(&[0x71, 0, 0x71, 0], 0x71).is_err());
        assert!(only(&[0x72, 0], 0x71).is_err());
    }
}
