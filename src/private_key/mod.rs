//! A private key on its way to a token: read from the text that an exchange or a tool gave, straight from locked memory
//! into locked memory, and held as the numbers that a token takes. No error shows any of it.

mod der;
mod pem;
mod recovered;
mod sign;
#[cfg(test)]
mod tests;

use std::fmt;

use base64ct::Encoding as _;
use pkcs1::RsaPrivateKeyRef;
use pkcs8::der::Decode as _;

use crate::{
    algorithm::SignatureAlgorithm,
    error::{Error, Result, bad_input, failed},
    public_key::PublicKey,
    secret::Secret,
};

pub use pem::is_pem;
pub use recovered::is_recovered;

/// A private key with its public half, which was derived from it or compared with it.
pub struct PrivateKey {
    /// The seed (RFC 8032), the scalar in 32 bytes, or RSAPrivateKey (RFC 8017).
    secret: Secret,
    public: PublicKey,
}

/// The numbers of a private key, big-endian, as a token wants them.
pub enum Numbers<'a> {
    /// The 32 bytes that an Ed25519 key is made from (RFC 8032, section 5.1.5).
    Seed(&'a [u8]),
    /// The scalar of a key on P-256, 32 bytes.
    Scalar(&'a [u8]),
    /// The eight of an RSA key, without zeros in front.
    Rsa(Box<RsaPrivateKeyRef<'a>>),
}

impl PrivateKey {
    /// Reads the text of a key: a PEM block (PKCS #8, SEC 1 or PKCS #1), in which line feeds may be written as `\n`, or
    /// what stands between its lines, alone; or base64 of the 32 bytes of an Ed25519 seed, or of seed and public key; or
    /// base58 of the same, where `base58` says so or `ed25519:` stands in front.
    ///
    /// # Errors
    /// When it is none of these, is encrypted, is not whole, or its halves do not belong together; or when there is no
    /// locked memory.
    pub fn read(text: &Secret, base58: bool) -> Result<Self> {
        if is_pem(text.expose()) {
            let (label, der) = pem::decode(text.expose())?;
            return der::read(label, &der);
        }
        let prefixed = text.expose().strip_prefix(b"ed25519:");
        let bytes = match prefixed {
            Some(rest) => decode_base58(rest)?,
            None if base58 => decode_base58(text.expose())?,
            None => decode_base64(text.expose())?,
        };
        match bytes.expose() {
            seed if seed.len() == 32 => return Self::from_seed(seed, None),
            both if both.len() == 64 => return Self::from_seed(&both[..32], Some(&both[32..])),
            _ => {}
        }
        let label = der::label(bytes.expose()).ok_or_else(|| {
            bad_input(format!(
                "the private key has {} bytes, and an Ed25519 key has 32, or 64 with its public key",
                bytes.len()
            ))
            .fix("see that it was copied whole; give other private keys as a PEM block")
        })?;
        der::read(label, &bytes)
    }

    /// Of the 32 bytes that an Ed25519 key is made from.
    pub(crate) fn from_seed(seed: &[u8], public: Option<&[u8]>) -> Result<Self> {
        let mut secret = Secret::with_capacity(32)?;
        secret.push(seed);
        let seed: &[u8; 32] = secret
            .expose()
            .try_into()
            .map_err(|_| bad_input("an Ed25519 key has 32 bytes"))?;
        let derived = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        Self::with(secret, PublicKey::ed25519(derived.as_bytes()), public)
    }

    /// Of a scalar of at most 32 bytes.
    pub(crate) fn from_scalar(scalar: &[u8], public: Option<&[u8]>) -> Result<Self> {
        let odd = || bad_input("the private key's number does not fit the curve P-256");
        let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
        let digits = &scalar[zeros..];
        let mut secret = Secret::with_capacity(32)?;
        secret.push(&[0; 32][..32_usize.checked_sub(digits.len()).ok_or_else(odd)?]);
        secret.push(digits);
        let key = p256::SecretKey::from_slice(secret.expose()).map_err(|_| odd())?;
        let point = p256::Sec1Point::from(key.public_key());
        // What is given may be the point's short form, which begins with 2 or 3.
        let short = point.compress();
        let public = public.filter(|public| *public != short.as_bytes());
        Self::with(secret, PublicKey::p256(point.as_bytes()), public)
    }

    /// Of RSAPrivateKey.
    fn from_rsa(der: &[u8]) -> Result<Self> {
        let key = RsaPrivateKeyRef::from_der(der)
            .map_err(|_| broken().fix("an RSA key of more than two primes is not taken"))?;
        let bits = crate::public_key::bits(key.modulus.as_bytes());
        let public = PublicKey::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes());
        if public.is_none() {
            return Err(
                bad_input(format!("the RSA key has {bits} bits")).fix("use a key of 2048, 3072 or 4096 bits")
            );
        }
        let mut secret = Secret::with_capacity(der.len())?;
        secret.push(der);
        Self::with(secret, public, None)
    }

    /// With the public half that was derived, and the one that stood beside it.
    fn with(secret: Secret, derived: Option<PublicKey>, given: Option<&[u8]>) -> Result<Self> {
        let public =
            derived.ok_or_else(|| failed("the public key cannot be derived from the private one"))?;
        if given.is_some_and(|given| given != public.raw()) {
            return Err(
                bad_input("the private key and the public key beside it do not belong together")
                    .fix("copy the key again, whole"),
            );
        }
        Ok(Self { secret, public })
    }

    /// What the key computes.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.public.algorithm()
    }

    /// Its public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Its numbers.
    ///
    /// # Errors
    /// Never for a key that was read; the type of the library asks for it.
    pub fn numbers(&self) -> Result<Numbers<'_>> {
        let secret = self.secret.expose();
        Ok(match self.algorithm() {
            SignatureAlgorithm::Ed25519 => Numbers::Seed(secret),
            SignatureAlgorithm::P256 => Numbers::Scalar(secret),
            _ => Numbers::Rsa(Box::new(
                RsaPrivateKeyRef::from_der(secret).map_err(|_| broken())?,
            )),
        })
    }

    /// What a person may have chosen of it: a seed or a scalar, not the numbers of an RSA key.
    pub fn chosen(&self) -> Option<&[u8]> {
        (!self.algorithm().is_rsa()).then(|| self.secret.expose())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, …)", self.algorithm())
    }
}

fn broken() -> Error {
    bad_input("the private key cannot be read: it is not whole, or no key of its kind")
        .fix("copy it again, whole")
}

fn decode_base64(text: &[u8]) -> Result<Secret> {
    let mut decoded = Secret::with_capacity(text.len() / 4 * 3 + 3)?;
    let len = base64ct::Base64::decode(text, decoded.spare_mut())
        .map_err(|_| {
            bad_input("the private key is neither a PEM block nor base64 as exchanges issue it").fix(
                "give the whole block, from -----BEGIN … PRIVATE KEY----- to -----END … PRIVATE KEY-----, or the text as the exchange shows it",
            )
        })?
        .len();
    decoded.grow(len);
    Ok(decoded)
}

fn decode_base58(text: &[u8]) -> Result<Secret> {
    let mut decoded = Secret::with_capacity(text.len())?;
    let len = bs58::decode(text).onto(decoded.spare_mut()).map_err(|_| {
        bad_input("the private key is neither a PEM block nor base58 as the exchange issues it")
            .fix("give it as the exchange shows it, with or without ed25519: in front")
    })?;
    decoded.grow(len);
    Ok(decoded)
}
