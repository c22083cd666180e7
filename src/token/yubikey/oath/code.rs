//! The access code of the OATH applet: what a person types, and what is made of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::{
    error::{Result, failed},
    secret::{Secret, traceless},
};

/// How many rounds the applet's makers chose; it is not ours to change.
const ROUNDS: usize = 1000;
const LENGTH: usize = 16;

/// The key that a code stands for on one applet: PBKDF2 (RFC 8018) with HMAC-SHA1, 1000 rounds, the applet's id as salt,
/// the first 16 bytes.
///
/// # Errors
/// When the system gives no locked memory.
pub(super) fn derive(code: &Secret, id: &[u8]) -> Result<Secret> {
    let mut key = Secret::with_capacity(LENGTH)?;
    traceless(|| {
        let keyed = Hmac::<Sha1>::new_from_slice(code.expose()).map_err(|_| failed("a MAC of no key"))?;
        let round = |message: &[&[u8]]| -> [u8; 20] {
            let mut mac = keyed.clone();
            message.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().into()
        };
        let mut last = round(&[id, &1_u32.to_be_bytes()]);
        let mut sum = last;
        for _ in 1..ROUNDS {
            last = round(&[&last]);
            sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
        }
        key.push(&sum[..LENGTH]);
        Ok(key)
    })
}

/// HMAC-SHA1 of a challenge with the key of a code.
///
/// # Errors
/// Never for such a key; the type of the library asks for it.
pub(super) fn respond(key: &Secret, challenge: &[u8]) -> Result<[u8; 20]> {
    traceless(|| {
        let mac = Hmac::<Sha1>::new_from_slice(key.expose()).map_err(|_| failed("a MAC of no key"))?;
        Ok(mac.chain_update(challenge).finalize().into_bytes().into())
    })
}

/// Whether this is that HMAC; in time that does not depend on where it differs.
///
/// # Errors
/// As [`respond`].
pub(super) fn is_response(key: &Secret, challenge: &[u8], response: &[u8]) -> Result<bool> {
    traceless(|| {
        let mac = Hmac::<Sha1>::new_from_slice(key.expose()).map_err(|_| failed("a MAC of no key"))?;
        Ok(mac.chain_update(challenge).verify_slice(response).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: &[u8]) -> Secret {
        Secret::take(&mut bytes.to_vec()).unwrap()
    }

    /// Python: hashlib.pbkdf2_hmac("sha1", b"code", bytes(range(8)), 1000, 16)
    #[test]
    fn a_code_becomes_the_key_that_others_make_of_it() {
        let id: Vec<u8> = (0..8).collect();
        let key = derive(&secret(b"code"), &id).unwrap();
        assert_eq!(
            base16ct::lower::encode_string(key.expose()),
            "02cf7ab849b7edb096d145ad9fded298"
        );
    }

    /// RFC 2202, test case 2.
    #[test]
    fn a_response_is_hmac_sha1() {
        let mac = respond(&secret(b"Jefe"), b"what do ya want for nothing?").unwrap();
        assert_eq!(
            base16ct::lower::encode_string(&mac),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
    }
}
