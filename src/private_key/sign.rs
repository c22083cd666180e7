//! Signing in software, for the test rows of scheme files, whose keys are nobody's.

use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use ed25519_dalek::Signer as _;

use super::{Numbers, PrivateKey};
use crate::{
    error::{Error, Result, failed},
    public_key::encoded,
};

impl PrivateKey {
    /// A signature made in software: Ed25519, ECDSA with the nonce of RFC 6979 as r‖s, or PKCS #1 v1.5; the latter two
    /// with SHA-256. Not for keys that matter: what it computes with is not all wiped.
    ///
    /// # Errors
    /// When the key's numbers do not belong together.
    pub fn sign_in_software(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = match self.numbers()? {
            Numbers::Seed(seed) => {
                let seed = seed.try_into().map_err(|_| odd())?;
                ed25519_dalek::SigningKey::from_bytes(seed)
                    .sign(message)
                    .to_bytes()
                    .to_vec()
            }
            Numbers::Scalar(scalar) => {
                let key = p256::ecdsa::SigningKey::from_slice(scalar).map_err(|_| odd())?;
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Numbers::Rsa(key) => {
                let modulus = key.modulus.as_bytes();
                let size = u32::try_from(modulus.len() * 8).map_err(|_| odd())?;
                let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, size).map_err(|_| odd());
                let n = Option::<Odd<BoxedUint>>::from(Odd::new(number(modulus)?)).ok_or_else(odd)?;
                let base = BoxedMontyForm::new(
                    number(&encoded(message, modulus.len()))?,
                    &BoxedMontyParams::new_vartime(n),
                );
                base.pow(&number(key.private_exponent.as_bytes())?)
                    .retrieve()
                    .to_be_bytes()
                    .to_vec()
            }
        };
        if !self.public.verifies(message, &signature) {
            return Err(odd());
        }
        Ok(signature)
    }
}

fn odd() -> Error {
    failed("the numbers of the private key do not belong together")
}
