//! The algorithms a key can have. A key has one for life.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, bad_input};

/// A keyed hash, HMAC as in RFC 2104 over a SHA-2 of FIPS 180-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MacAlgorithm {
    /// HMAC-SHA256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC-SHA384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC-SHA512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

impl MacAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// The hash's block in bytes: the size of a key as it goes to a token (RFC 2104, section 2, B).
    pub const fn block_len(self) -> usize {
        match self {
            Self::HmacSha256 => 64,
            Self::HmacSha384 | Self::HmacSha512 => 128,
        }
    }

    /// The MAC's size in bytes (RFC 2104, section 2, L).
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// The name used in files, requests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

/// A signature with a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// Ed25519, RFC 8032; 64 bytes.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5); r‖s, 64 bytes.
    #[serde(rename = "p256")]
    P256,
    /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256 (RFC 8017); 256 bytes.
    #[serde(rename = "rsa2048")]
    Rsa2048,
    /// RSA of 3072 bits, PKCS #1 v1.5 with SHA-256; 384 bytes.
    #[serde(rename = "rsa3072")]
    Rsa3072,
    /// RSA of 4096 bits, PKCS #1 v1.5 with SHA-256; 512 bytes.
    #[serde(rename = "rsa4096")]
    Rsa4096,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ed25519,
        Self::P256,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The name used in files, requests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
        }
    }

    /// RSA with a modulus of so many bits; none for a size that is not among them.
    pub const fn rsa_of(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// Whether it is one of the RSA sizes.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Algorithm {
    /// A MAC under a shared secret.
    Mac(MacAlgorithm),
    /// A signature with a private key.
    Signature(SignatureAlgorithm),
}

impl Algorithm {
    /// Every algorithm, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Mac(MacAlgorithm::HmacSha256),
        Self::Mac(MacAlgorithm::HmacSha384),
        Self::Mac(MacAlgorithm::HmacSha512),
        Self::Signature(SignatureAlgorithm::Ed25519),
        Self::Signature(SignatureAlgorithm::P256),
        Self::Signature(SignatureAlgorithm::Rsa2048),
        Self::Signature(SignatureAlgorithm::Rsa3072),
        Self::Signature(SignatureAlgorithm::Rsa4096),
    ];

    /// The name used in files, requests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mac(mac) => mac.name(),
            Self::Signature(signature) => signature.name(),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                bad_input(format!("there is no algorithm {name:?}")).fix(format!("use one of {known}"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse::<Algorithm>().unwrap(), algorithm);
        }
        assert!("HMAC-SHA256".parse::<Algorithm>().is_err());
    }
}
