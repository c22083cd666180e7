//! Public keys: read from a token or a private key, written as exchanges want them pasted, and asked whether a
//! signature is theirs.

use base64ct::Encoding as _;
use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use ed25519_dalek::Verifier as _;
use pkcs1::RsaPublicKeyRef;
use pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{
        Decode as _, Encode as _,
        asn1::{AnyRef, BitStringRef, UintRef},
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::algorithm::SignatureAlgorithm;

/// id-Ed25519 (RFC 8410).
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// id-ecPublicKey (RFC 5480).
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// The curve secp256r1, also called P-256 and prime256v1 (RFC 5480).
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// rsaEncryption (RFC 8017).
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// What precedes a SHA-256 in a PKCS #1 v1.5 signature (RFC 8017, section 9.2, note 1).
pub(crate) const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// A public key, SubjectPublicKeyInfo in DER (RFC 5280). In files it is the base64 of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    der: Vec<u8>,
}

/// How a public key is written where it is pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicForm {
    /// A PEM block, `-----BEGIN PUBLIC KEY-----` (RFC 7468).
    Pem,
    /// Base64 of the key itself (RFC 4648, section 4): 32 bytes for Ed25519.
    Base64,
    /// Lower-case hex of the key itself.
    Hex,
    /// Base58 of the key itself, with Bitcoin's alphabet.
    Base58,
    /// The same with `ed25519:` in front.
    PrefixedBase58,
}

impl PublicKey {
    /// From 32 bytes (RFC 8032, section 5.1.2); none if they are no point of the curve.
    pub fn ed25519(point: &[u8]) -> Option<Self> {
        ed25519_dalek::VerifyingKey::from_bytes(point.try_into().ok()?).ok()?;
        Self::build(SignatureAlgorithm::Ed25519, ED25519, None, point)
    }

    /// From an uncompressed point, 65 bytes (SEC 1, section 2.3.3); none if it is not on the curve.
    pub fn p256(point: &[u8]) -> Option<Self> {
        if point.len() != 65 {
            return None;
        }
        p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
        Self::build(SignatureAlgorithm::P256, EC, Some(AnyRef::from(&P256)), point)
    }

    /// From modulus and exponent, big-endian; none for a modulus of another size than 2048, 3072 or 4096 bits.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RsaPublicKeyRef {
            modulus: UintRef::new(modulus).ok()?,
            public_exponent: UintRef::new(exponent).ok()?,
        };
        let algorithm = SignatureAlgorithm::rsa_of(bits(key.modulus.as_bytes()))?;
        let mut room = [0; 640];
        let len = key.encode_to_slice(&mut room).ok()?.len();
        Self::build(algorithm, RSA, Some(AnyRef::NULL), &room[..len])
    }

    /// From SubjectPublicKeyInfo; none where it is not whole, or no key of these algorithms.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
        let key = info.subject_public_key.as_bytes()?;
        let curve = || info.algorithm.parameters_oid().ok();
        let read = match info.algorithm.oid {
            ED25519 => Self::ed25519(key),
            EC if curve() == Some(P256) => Self::p256(key),
            RSA => {
                let key = RsaPublicKeyRef::from_der(key).ok()?;
                Self::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
            }
            _ => None,
        };
        read.filter(|read| read.der == der)
    }

    fn build(
        algorithm: SignatureAlgorithm,
        oid: ObjectIdentifier,
        parameters: Option<AnyRef<'_>>,
        key: &[u8],
    ) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(key).ok()?,
        };
        let mut room = [0; 720];
        let der = info.encode_to_slice(&mut room).ok()?.to_vec();
        Some(Self { algorithm, der })
    }

    /// What the key verifies.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// SubjectPublicKeyInfo.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The key itself: 32 bytes for Ed25519, the uncompressed point for P-256, RSAPublicKey for RSA.
    pub fn raw(&self) -> &[u8] {
        let info = SubjectPublicKeyInfoRef::from_der(&self.der).ok();
        info.and_then(|info| info.subject_public_key.as_bytes())
            .unwrap_or_default()
    }

    /// How many bytes the private half has: a seed or a scalar, or an RSA key's exponent, which is as long as its modulus.
    pub fn size(&self) -> usize {
        match self.algorithm {
            SignatureAlgorithm::Ed25519 | SignatureAlgorithm::P256 => 32,
            SignatureAlgorithm::Rsa2048 => 256,
            SignatureAlgorithm::Rsa3072 => 384,
            SignatureAlgorithm::Rsa4096 => 512,
        }
    }

    /// As text in one of the forms; a PEM block without the line feed at its end.
    pub fn text(&self, form: PublicForm) -> String {
        match form {
            PublicForm::Pem => pem("PUBLIC KEY", &self.der),
            PublicForm::Base64 => base64ct::Base64::encode_string(self.raw()),
            PublicForm::Hex => base16ct::lower::encode_string(self.raw()),
            PublicForm::Base58 => bs58::encode(self.raw()).into_string(),
            PublicForm::PrefixedBase58 => format!("ed25519:{}", self.text(PublicForm::Base58)),
        }
    }

    /// Whether the signature is this key's of the message: r‖s for P-256, with SHA-256 for it and RSA.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            SignatureAlgorithm::Ed25519 => {
                let key = <&[u8; 32]>::try_from(self.raw())
                    .ok()
                    .and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(key).ok());
                let signature = ed25519_dalek::Signature::from_slice(signature).ok();
                key.zip(signature)
                    .is_some_and(|(key, signature)| key.verify_strict(message, &signature).is_ok())
            }
            SignatureAlgorithm::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(self.raw()).ok();
                let signature = p256::ecdsa::Signature::from_slice(signature).ok();
                key.zip(signature)
                    .is_some_and(|(key, signature)| key.verify(message, &signature).is_ok())
            }
            _ => self.rsa_verifies(message, signature).unwrap_or(false),
        }
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.2): the encoded message is made anew and compared whole.
    fn rsa_verifies(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let key = RsaPublicKeyRef::from_der(self.raw()).ok()?;
        let modulus = key.modulus.as_bytes();
        if signature.len() != modulus.len() {
            return None;
        }
        let size = u32::try_from(modulus.len() * 8).ok()?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, size).ok();
        let (n, s) = (number(modulus)?, number(signature)?);
        if s >= n {
            return None;
        }
        let e = BoxedUint::from_be_slice_vartime(key.public_exponent.as_bytes());
        let params = BoxedMontyParams::new_vartime(Option::<Odd<BoxedUint>>::from(Odd::new(n))?);
        let found = BoxedMontyForm::new(s, &params).pow(&e).retrieve();
        Some(found.to_be_bytes()[..] == encoded(message, modulus.len()))
    }
}

/// A PEM block (RFC 7468) of what has this label, without the line feed at its end.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64ct::Base64::encode_string(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----"));
    pem
}

/// EMSA-PKCS1-v1_5 of a message's SHA-256 (RFC 8017, section 9.2), `len` bytes of at least 62.
pub(crate) fn encoded(message: &[u8], len: usize) -> Vec<u8> {
    encoded_hash(&Sha256::digest(message).into(), len)
}

/// The same of a SHA-256.
pub(crate) fn encoded_hash(hash: &[u8; 32], len: usize) -> Vec<u8> {
    let padding = len - 3 - DIGEST_INFO.len() - hash.len();
    [&[0, 1][..], &vec![0xff; padding], &[0], &DIGEST_INFO, hash].concat()
}

/// How many bits a big-endian number has.
pub(crate) fn bits(number: &[u8]) -> usize {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    let number = &number[start..];
    number.len() * 8 - number.first().map_or(0, |first| first.leading_zeros() as usize)
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        base64ct::Base64::encode_string(&key.der)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let der = base64ct::Base64::decode_vec(&text).ok();
        der.and_then(|der| Self::from_der(&der))
            .ok_or("a public key is the base64 of SubjectPublicKeyInfo, Ed25519, P-256 or RSA")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    const POINT: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn hex(text: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(text).unwrap()
    }

    #[test]
    fn an_ed25519_key_is_written_in_every_form_and_read_back() {
        let key = PublicKey::ed25519(&hex(POINT)).unwrap();
        assert_eq!(key.text(PublicForm::Hex), POINT);
        assert_eq!(
            key.text(PublicForm::Base64),
            "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
        );
        // By Python's base58 2.1.1.
        let base58 = "586Z7H2vpX9qNhN2T4e9Utugie3ogjbxzGaMtM3E6HR5";
        assert_eq!(key.text(PublicForm::Base58), base58);
        assert_eq!(key.text(PublicForm::PrefixedBase58), format!("ed25519:{base58}"));
        assert_eq!(
            key.text(PublicForm::Pem),
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----"
        );
        assert_eq!(PublicKey::from_der(key.as_der()), Some(key));
    }

    #[test]
    fn an_ed25519_signature_is_told_from_others() {
        let key = PublicKey::ed25519(&hex(POINT)).unwrap();
        let good = hex(SIGNATURE);
        assert!(key.verifies(&[0x72], &good));
        assert!(!key.verifies(&[0x73], &good));
        assert!(!key.verifies(&[0x72], &good[1..]));
        assert!(!key.verifies(&[0x72], &[]));
    }

    /// RFC 6979, section A.2.5: P-256, SHA-256, "sample".
    #[test]
    fn a_p256_signature_is_told_from_others() {
        let point = hex(
            "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        );
        let key = PublicKey::p256(&point).unwrap();
        let mut signature = hex(
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        );
        assert!(key.verifies(b"sample", &signature));
        signature[40] ^= 1;
        assert!(!key.verifies(b"sample", &signature));
        assert_eq!(PublicKey::from_der(key.as_der()), Some(key));
        let mut off = point;
        off[64] ^= 1;
        assert_eq!(PublicKey::p256(&off), None);
    }

    #[test]
    fn no_signature_verifies_under_a_modulus_that_is_none() {
        for modulus in [vec![0xff; 256], [&[0x80][..], &[0; 255]].concat()] {
            let key = PublicKey::rsa(&modulus, &[1, 0, 1]).unwrap();
            assert!(!key.verifies(b"m", &[0; 256]) && !key.verifies(b"m", &vec![0xff; 256]));
            assert_eq!(PublicKey::from_der(key.as_der()), Some(key));
        }
        assert_eq!(PublicKey::rsa(&[0xff; 128], &[1, 0, 1]), None);
    }

    #[test]
    fn what_is_no_public_key_is_not_read() {
        assert_eq!(PublicKey::from_der(&[]), None);
        assert_eq!(PublicKey::ed25519(&[2; 31]), None);
        assert!(PublicKey::try_from("MCow".to_owned()).is_err());
        let key = PublicKey::ed25519(&hex(POINT)).unwrap();
        let longer = [key.as_der(), &[0]].concat();
        assert_eq!(PublicKey::from_der(&longer), None);
    }
}
