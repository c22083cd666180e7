//! What the PIV applet answers, read.

use crate::{
    algorithm::SignatureAlgorithm,
    public_key::PublicKey,
    token::{
        Result,
        yubikey::tlv::{items, malformed, only},
    },
};

/// What the applet tells of a key (Yubico, GET METADATA).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The algorithm, as the applet numbers them.
    pub algorithm: u8,
    /// Its public half, as the applet writes it; none for the management key.
    pub public: Option<Vec<u8>>,
    /// Whether it is the one that every new key has.
    pub default: bool,
}

impl Metadata {
    /// Reads the answer to GET METADATA.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(answer: &[u8]) -> Result<Self> {
        let mut metadata = Self::default();
        for item in items(answer) {
            match item? {
                (1, [algorithm]) => metadata.algorithm = *algorithm,
                (4, public) => metadata.public = Some(public.to_vec()),
                (5, [default]) => metadata.default = *default != 0,
                // Policies, origin, tries; later firmware may say more.
                _ => {}
            }
        }
        match metadata.algorithm {
            0 => Err(malformed("a key without an algorithm")),
            _ => Ok(metadata),
        }
    }
}

/// The applet's number of an algorithm.
pub(super) const fn number(algorithm: SignatureAlgorithm) -> u8 {
    match algorithm {
        SignatureAlgorithm::Rsa2048 => 0x07,
        SignatureAlgorithm::Rsa3072 => 0x05,
        SignatureAlgorithm::Rsa4096 => 0x16,
        SignatureAlgorithm::P256 => 0x11,
        SignatureAlgorithm::Ed25519 => 0xe0,
    }
}

/// A public key as the applet writes it: a point, or modulus and exponent.
///
/// # Errors
/// When it is no key of this algorithm.
pub fn public_key(written: &[u8], algorithm: SignatureAlgorithm) -> Result<PublicKey> {
    let key = match algorithm {
        SignatureAlgorithm::Ed25519 => PublicKey::ed25519(only(written, 0x86)?),
        SignatureAlgorithm::P256 => PublicKey::p256(only(written, 0x86)?),
        _ => {
            let (mut modulus, mut exponent) = (None, None);
            for item in items(written) {
                match item? {
                    (0x81, value) => modulus = Some(value),
                    (0x82, value) => exponent = Some(value),
                    _ => return Err(malformed("a public key with a part that is not known")),
                }
            }
            modulus
                .zip(exponent)
                .and_then(|(modulus, exponent)| PublicKey::rsa(modulus, exponent))
        }
    };
    key.filter(|key| key.algorithm() == algorithm)
        .ok_or_else(|| malformed("the public key is none of its algorithm"))
}

/// An ECDSA signature as r‖s, from the sequence of two integers that the applet answers (RFC 3279, section 2.2.3).
///
/// # Errors
/// When it is not one.
pub fn r_and_s(der: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; 64];
    let mut numbers = items(only(der, 0x30)?);
    for half in out.chunks_exact_mut(32) {
        let number = match numbers.next().transpose()? {
            Some((2, number)) => &number[number.iter().take_while(|byte| **byte == 0).count()..],
            _ => return Err(malformed("a signature without its two numbers")),
        };
        // Neither number of a signature is zero (FIPS 186-5, section 6.4.2).
        let at = half
            .len()
            .checked_sub(number.len())
            .filter(|_| !number.is_empty())
            .ok_or_else(|| malformed("a number that is zero or over the curve's size"))?;
        half[at..].copy_from_slice(number);
    }
    match numbers.next() {
        None => Ok(out),
        Some(_) => Err(malformed("a signature with more than two numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_whatever_zeros_its_numbers_have() {
        let number = |bytes: &[u8]| [&[2, bytes.len() as u8][..], bytes].concat();
        let sequence = |parts: &[Vec<u8>]| {
            let parts = parts.concat();
            [&[0x30, parts.len() as u8][..], &parts].concat()
        };
        let high = [&[0][..], &[0xff; 32]].concat();
        let read = r_and_s(&sequence(&[number(&high), number(&[5])])).unwrap();
        assert_eq!(read, [&[0xff; 32][..], &[0; 31], &[5]].concat());
        for wrong in [
            sequence(&[number(&[1])]),
            sequence(&[number(&[1]), number(&[1]), number(&[1])]),
            sequence(&[number(&[1; 33]), number(&[1])]),
            sequence(&[number(&[0; 5]), number(&[1])]),
            sequence(&[number(&[1]), number(&[])]),
            vec![0x30, 5, 2],
            Vec::new(),
        ] {
            assert!(r_and_s(&wrong).is_err(), "{wrong:02x?}");
        }
    }

    #[test]
    fn metadata_tells_algorithm_public_key_and_whether_it_is_the_factorys() {
        let read = Metadata::parse(&[1, 1, 0x0a, 2, 2, 0, 1, 5, 1, 1]).unwrap();
        assert_eq!(
            read,
            Metadata {
                algorithm: 0x0a,
                public: None,
                default: true
            }
        );
        assert!(Metadata::parse(&[2, 2, 0, 1]).is_err());
        assert!(Metadata::parse(&[1, 2, 0x0a]).is_err());
    }

    #[test]
    fn a_public_key_of_another_kind_is_refused() {
        assert!(public_key(&[0x86, 2, 4, 4], SignatureAlgorithm::P256).is_err());
        assert!(public_key(&[0x86, 0], SignatureAlgorithm::Ed25519).is_err());
        assert!(public_key(&[0x81, 1, 9], SignatureAlgorithm::Rsa2048).is_err());
        assert!(public_key(&[], SignatureAlgorithm::Rsa2048).is_err());
    }
}
