//! Whether bytes that came out of a token hold a private key. The proof is a signature made with them.

use crypto_bigint::{
    BoxedUint, NonZero, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use pkcs1::RsaPublicKeyRef;
use pkcs8::der::Decode as _;

use super::PrivateKey;
use crate::{
    algorithm::SignatureAlgorithm,
    public_key::{PublicKey, encoded},
};

const MESSAGE: &[u8] = b"made with what came out of the token";

/// Whether somewhere in these bytes stands the private half of this key: the seed or the scalar; a prime of an RSA key,
/// as in every structure that has one; or these bytes are its private exponent.
pub fn is_recovered(public: &PublicKey, bytes: &[u8]) -> bool {
    let whole = |window: &[u8]| window.iter().any(|byte| *byte != 0);
    match public.algorithm() {
        SignatureAlgorithm::Ed25519 => bytes
            .windows(32)
            .filter(|window| whole(window))
            .any(|seed| signs(PrivateKey::from_seed(seed, None).ok(), public)),
        SignatureAlgorithm::P256 => bytes
            .windows(32)
            .filter(|window| whole(window))
            .any(|scalar| signs(PrivateKey::from_scalar(scalar, None).ok(), public)),
        _ => rsa(public, bytes).unwrap_or(false),
    }
}

fn signs(key: Option<PrivateKey>, public: &PublicKey) -> bool {
    key.filter(|key| key.public_key() == public).is_some_and(|key| {
        key.sign_in_software(MESSAGE)
            .is_ok_and(|signature| public.verifies(MESSAGE, &signature))
    })
}

fn rsa(public: &PublicKey, bytes: &[u8]) -> Option<bool> {
    let key = RsaPublicKeyRef::from_der(public.raw()).ok()?;
    let modulus = key.modulus.as_bytes();
    let size = u32::try_from(modulus.len() * 8).ok()?;
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, size).ok();
    let n = number(modulus)?;
    let e = number(key.public_exponent.as_bytes())?;
    let proves = |exponent: &BoxedUint| {
        let params = BoxedMontyParams::new_vartime(Option::<Odd<BoxedUint>>::from(Odd::new(n.clone()))?);
        let message = number(&encoded(MESSAGE, modulus.len()))?;
        let signature = BoxedMontyForm::new(message, &params).pow(exponent).retrieve();
        Some(public.verifies(MESSAGE, &signature.to_be_bytes()))
    };
    let exponent = bytes.len() <= modulus.len() && bytes.len() + 2 >= modulus.len();
    if exponent && proves(&number(bytes)?) == Some(true) {
        return Some(true);
    }
    let by_prime = |window: &[u8]| {
        let p = Option::<NonZero<BoxedUint>>::from(NonZero::new(number(window)?))?;
        let (q, rest) = n.div_rem_vartime(&p);
        let one = BoxedUint::one_with_precision(size);
        if rest.is_zero().into() && *p > one && q > one {
            let phi = (&*p - &one).wrapping_mul(&(&q - &one));
            let phi = Option::<NonZero<BoxedUint>>::from(NonZero::new(phi))?;
            return proves(&Option::<BoxedUint>::from(e.invert_mod(&phi))?);
        }
        None
    };
    // A prime is odd, and as long as half the modulus, for all keys that tokens make or take.
    let found = bytes
        .windows(modulus.len() / 2)
        .filter(|window| window[0] != 0 && window[window.len() - 1] & 1 == 1)
        .any(|window| by_prime(window) == Some(true));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn read(pem: &str) -> PrivateKey {
        PrivateKey::read(&Secret::take(&mut pem.as_bytes().to_vec()).unwrap(), false).unwrap()
    }

    fn around(bytes: &[u8]) -> Vec<u8> {
        [b"what is before it", bytes, b"what is behind it"].concat()
    }

    #[test]
    fn a_seed_or_scalar_is_known_wherever_it_stands() {
        for key in [
            PrivateKey::from_seed(&[7; 32], None).unwrap(),
            PrivateKey::from_scalar(&[7; 32], None).unwrap(),
        ] {
            let public = key.public_key();
            assert!(is_recovered(public, &[7; 32]));
            assert!(is_recovered(public, &around(&[7; 32])));
            assert!(!is_recovered(public, &around(&[7; 31])));
            assert!(!is_recovered(public, &[0; 64]));
            assert!(!is_recovered(public, b""));
        }
    }

    #[test]
    fn a_prime_or_exponent_of_an_rsa_key_is_known() {
        let key = read(include_str!("../../softhsm-tests/data/keys/rsa2048.pem"));
        let other = read(include_str!("../../softhsm-tests/data/keys/rsa4096.pem"));
        let public = key.public_key();
        let crate::private_key::Numbers::Rsa(numbers) = key.numbers().unwrap() else {
            panic!("an RSA key");
        };
        for part in [&numbers.prime1, &numbers.prime2, &numbers.private_exponent] {
            assert!(is_recovered(public, part.as_bytes()));
        }
        assert!(is_recovered(public, &around(numbers.prime2.as_bytes())));
        assert!(is_recovered(public, key.secret.expose()), "RSAPrivateKey");
        for part in [&numbers.modulus, &numbers.public_exponent] {
            assert!(!is_recovered(public, part.as_bytes()));
        }
        assert!(!is_recovered(public, other.secret.expose()));
        assert!(!is_recovered(other.public_key(), key.secret.expose()));
    }
}
