//! What the OATH applet answers, read: nothing of an answer is believed that does not fit to its end.

use crate::{
    algorithm::MacAlgorithm,
    token::{
        Mac, Result,
        yubikey::tlv::{items, malformed, only},
    },
};

const NAME: u8 = 0x71;
const LISTED: u8 = 0x72;
const CHALLENGE: u8 = 0x74;
const RESPONSE: u8 = 0x75;
const TRUNCATED: u8 = 0x76;
const VERSION: u8 = 0x79;
const ALGORITHM: u8 = 0x7b;
/// The time-based type, whose challenge is the caller's.
const TOTP: u8 = 0x20;

/// What the applet says when it is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The firmware's version.
    pub version: [u8; 3],
    /// The applet's id, made anew when it is reset.
    pub id: Vec<u8>,
    /// What it wants answered with its access code; none where no code is set.
    pub challenge: Option<Vec<u8>>,
}

impl Selected {
    /// Reads the answer to SELECT.
    ///
    /// # Errors
    /// When it is not one of this applet, or wants an access code of a kind that is not known.
    pub fn parse(answer: &[u8]) -> Result<Self> {
        let (mut version, mut id, mut challenge) = (None, None, None);
        for item in items(answer) {
            let (tag, value) = item?;
            match tag {
                VERSION => version = value.first_chunk().copied(),
                NAME if (1..=16).contains(&value.len()) => id = Some(value.to_vec()),
                CHALLENGE if (1..=64).contains(&value.len()) => challenge = Some(value.to_vec()),
                NAME | CHALLENGE => return Err(malformed("an id or challenge of no sound length")),
                // HMAC-SHA1, the one that there is.
                ALGORITHM if !matches!(value, [kind] if kind & 0x0f == 1) => {
                    return Err(malformed("an access code of a kind that is not known"));
                }
                // Later firmware may say more.
                _ => {}
            }
        }
        match (version, id) {
            (Some(version), Some(id)) => Ok(Self {
                version,
                id,
                challenge,
            }),
            _ => Err(malformed("the applet tells no version or no id")),
        }
    }
}

/// A credential as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, 1 to 64 bytes.
    pub name: Vec<u8>,
    /// What it computes of a caller's message; none where it is of another kind, as codes that count.
    pub algorithm: Option<MacAlgorithm>,
}

/// Reads the answer to LIST.
///
/// # Errors
/// When an item is not a credential.
pub fn list(answer: &[u8]) -> Result<Vec<Listed>> {
    let each = items(answer).map(|item| match item? {
        (LISTED, [kind, name @ ..]) if (1..=64).contains(&name.len()) => Ok(Listed {
            name: name.to_vec(),
            algorithm: [MacAlgorithm::HmacSha256, MacAlgorithm::HmacSha512]
                .into_iter()
                .find(|algorithm| kind_of(*algorithm) == Some(*kind)),
        }),
        _ => Err(malformed("a list has what is no credential")),
    });
    each.collect()
}

/// The type and hash of a credential for an algorithm, as one byte; none where the applet has no such hash.
pub(super) const fn kind_of(algorithm: MacAlgorithm) -> Option<u8> {
    match algorithm {
        MacAlgorithm::HmacSha256 => Some(TOTP | 2),
        MacAlgorithm::HmacSha384 => None,
        MacAlgorithm::HmacSha512 => Some(TOTP | 3),
    }
}

/// Reads the answer to CALCULATE: a byte of digits, and the MAC whole. None where it is a code of some digits, as tokens
/// give that know no other answer.
///
/// # Errors
/// When it is neither.
pub fn mac(answer: &[u8], algorithm: MacAlgorithm) -> Result<Option<Mac>> {
    if answer.first() == Some(&TRUNCATED) {
        only(answer, TRUNCATED)?;
        return Ok(None);
    }
    match only(answer, RESPONSE)? {
        [_, mac @ ..] if mac.len() == algorithm.output_len() => Ok(Mac::new(mac)),
        _ => Err(malformed("the MAC is not as long as its hash")),
    }
}

/// Reads the answer to VALIDATE: the applet's proof that it knows the code too.
///
/// # Errors
/// When it is none.
pub fn proof(answer: &[u8]) -> Result<&[u8]> {
    only(answer, RESPONSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_read_with_and_without_a_code() {
        let open = [0x79, 3, 5, 7, 4, 0x71, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        let selected = Selected::parse(&open).unwrap();
        assert_eq!((selected.version, selected.challenge), ([5, 7, 4], None));
        let locked = [&open[..], &[0x74, 2, 9, 9, 0x7b, 1, 1]].concat();
        assert_eq!(Selected::parse(&locked).unwrap().challenge, Some(vec![9, 9]));
        for wrong in [
            &open[..5],
            &open[5..],
            &[0x79, 2, 5, 7, 0x71, 1, 1],
            &[&open[..], &[0x74, 1, 9, 0x7b, 1, 2]].concat(),
            &[&open[..], &[0x74, 0]].concat(),
            &[&open[..], &[0x74]].concat(),
        ] {
            assert!(Selected::parse(wrong).is_err(), "{wrong:02x?}");
        }
    }

    /// Of a real key, firmware 5.4.3, which answered a credential of six digits.
    #[test]
    fn a_whole_mac_is_told_from_a_code_and_from_nonsense() {
        let algorithm = MacAlgorithm::HmacSha256;
        let whole = [&[0x75, 0x21, 6][..], &[7; 32]].concat();
        assert_eq!(mac(&whole, algorithm).unwrap().unwrap().as_bytes(), [7; 32]);
        assert_eq!(mac(&[0x76, 5, 6, 1, 2, 3, 4], algorithm).unwrap(), None);
        assert!(mac(&whole, MacAlgorithm::HmacSha512).is_err());
        assert!(mac(&whole[..34], algorithm).is_err());
        assert!(mac(&[0x77, 1, 6], algorithm).is_err());
        assert!(mac(&[], algorithm).is_err());
    }

    #[test]
    fn a_list_names_what_its_credentials_compute() {
        let listed = list(&[0x72, 2, 0x22, b'a', 0x72, 2, 0x13, b'b', 0x72, 2, 0x23, b'c']).unwrap();
        let algorithms: Vec<_> = listed.iter().map(|one| one.algorithm).collect();
        assert_eq!(
            algorithms,
            [
                Some(MacAlgorithm::HmacSha256),
                None,
                Some(MacAlgorithm::HmacSha512)
            ]
        );
        assert!(list(&[0x72, 1, 0x22]).is_err());
        assert!(list(&[0x72, 0]).is_err());
        assert!(list(&[0x71, 2, 0x22, b'a']).is_err());
        assert!(list(&[]).unwrap().is_empty());
    }
}
