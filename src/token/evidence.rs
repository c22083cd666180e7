//! How a key is known when it comes out of its token.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha384, Sha512};

use crate::{
    algorithm::{Algorithm, MacAlgorithm},
    private_key::is_recovered,
    public_key::PublicKey,
};

/// What only the key itself can have made, or be part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Of a MAC key.
    Mac(MacEvidence),
    /// Of a private key, its public half.
    Public(PublicKey),
}

/// A message and its MAC: whoever makes the MAC has the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacEvidence {
    /// What the key computes.
    pub algorithm: MacAlgorithm,
    /// The message, lower-case hex.
    #[serde(with = "hex")]
    pub message: Vec<u8>,
    /// Its MAC, lower-case hex.
    #[serde(with = "hex")]
    pub mac: Vec<u8>,
}

impl Evidence {
    /// What the key computes.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Mac(mac) => Algorithm::Mac(mac.algorithm),
            Self::Public(public) => Algorithm::Signature(public.algorithm()),
        }
    }

    /// How many bytes the key has: a hash's block, or a seed, a scalar, a modulus.
    pub fn size(&self) -> usize {
        match self {
            Self::Mac(mac) => mac.algorithm.block_len(),
            Self::Public(public) => public.size(),
        }
    }

    /// Whether these bytes are the key.
    pub fn fits(&self, key: &[u8]) -> bool {
        match self {
            Self::Mac(mac) => mac.fits(key),
            Self::Public(public) => is_recovered(public, key),
        }
    }

    /// Whether the key stands somewhere in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Mac(mac) => {
                mac.fits(bytes)
                    || bytes
                        .windows(mac.algorithm.block_len())
                        .any(|window| mac.fits(window))
            }
            Self::Public(public) => is_recovered(public, bytes),
        }
    }
}

impl MacEvidence {
    /// Whether these bytes are the key.
    pub fn fits(&self, key: &[u8]) -> bool {
        fn compute<M: KeyInit + Mac>(key: &[u8], message: &[u8], mac: &[u8]) -> bool {
            <M as KeyInit>::new_from_slice(key)
                .is_ok_and(|hmac| hmac.chain_update(message).verify_slice(mac).is_ok())
        }
        match self.algorithm {
            MacAlgorithm::HmacSha256 => compute::<Hmac<Sha256>>(key, &self.message, &self.mac),
            MacAlgorithm::HmacSha384 => compute::<Hmac<Sha384>>(key, &self.message, &self.mac),
            MacAlgorithm::HmacSha512 => compute::<Hmac<Sha512>>(key, &self.message, &self.mac),
        }
    }
}

mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base16ct::lower::encode_string(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        base16ct::lower::decode_vec(text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_mac_wherever_it_stands() {
        let evidence = Evidence::Mac(MacEvidence {
            algorithm: MacAlgorithm::HmacSha256,
            message: b"what do ya want for nothing?".to_vec(),
            mac: base16ct::lower::decode_vec(
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            )
            .unwrap(),
        });
        let mut block = b"Jefe".to_vec();
        assert!(evidence.is_in(&block));
        block.resize(64, 0);
        assert!(evidence.is_in(&[b"before".as_slice(), &block, b"behind"].concat()));
        block[3] ^= 1;
        assert!(!evidence.is_in(&[b"before".as_slice(), &block, b"behind"].concat()));
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }
}
