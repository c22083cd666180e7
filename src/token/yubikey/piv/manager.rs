//! Proving to the applet that we may change its keys, by its management key: the factory's, or one that is kept on the key
//! behind the PIN, as `ykman piv access change-management-key --protect` does.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use des::TdesEde3;

use super::applet::{Applet, Refused};
use crate::{
    error::failed,
    secret::{Secret, traceless},
    token::{
        Result, TokenError,
        yubikey::tlv::{malformed, only},
    },
};

const SLOT: u8 = 0x9b;
/// What every new key has.
const FACTORY: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];
/// The object in which a protected management key is kept, "printed information".
const PROTECTED: [u8; 3] = [0x5f, 0xc1, 0x09];
const WITNESS: u8 = 0x80;
const CHALLENGE: u8 = 0x81;
const RESPONSE: u8 = 0x82;

/// What the management key is, before it is used.
pub(super) enum Manager {
    /// The factory's, with its algorithm.
    Factory(u8),
    /// One that is behind the PIN, or that we do not have.
    Own(u8),
}

impl Applet<'_, '_> {
    /// Looks what the management key is.
    pub fn manager(&self) -> Result<Manager> {
        let metadata = self
            .metadata(SLOT)?
            .ok_or_else(|| malformed("there is no management key"))?;
        Ok(match metadata.default {
            true => Manager::Factory(metadata.algorithm),
            false => Manager::Own(metadata.algorithm),
        })
    }

    /// Authenticates by it. One that is kept behind the PIN is read; the PIN was given before.
    pub fn authenticate_as(&self, manager: &Manager) -> Result<()> {
        match manager {
            Manager::Factory(algorithm) => {
                let key = Secret::take(&mut FACTORY.clone())?;
                self.prove_manager(*algorithm, &key)
            }
            Manager::Own(algorithm) => {
                let key = self.protected()?.ok_or_else(|| TokenError::Locked {
                    what: "the PIV management key is not the factory's, and is not kept behind the PIN"
                        .to_owned(),
                    fix: "let the key keep it: ykman piv access change-management-key --generate --protect"
                        .to_owned(),
                })?;
                self.prove_manager(*algorithm, &key)
            }
        }
    }

    fn protected(&self) -> Result<Option<Secret>> {
        let Some(mut data) = self.data(PROTECTED)? else {
            return Ok(None);
        };
        let found = only(&data, 0x88).and_then(|inner| Ok(only(inner, 0x89)?.to_vec()));
        zeroize::Zeroize::zeroize(&mut data);
        found.ok().map(|mut key| Ok(Secret::take(&mut key)?)).transpose()
    }

    /// Mutual authentication (SP 800-73-4, part 2, appendix A.1): we decrypt the applet's witness, it encrypts our
    /// challenge.
    fn prove_manager(&self, algorithm: u8, key: &Secret) -> Result<()> {
        let refused = |refused: Refused| refused.told("take its management key");
        let answer = self.authenticate(algorithm, &[(WITNESS, &[])]).map_err(refused)?;
        let witness = only(&answer, WITNESS)?;
        let opened = cipher(algorithm, key, witness, Way::Decrypt)?;
        let mut challenge = vec![0; witness.len()];
        getrandom::fill(&mut challenge).map_err(|_| failed("the system gave no random bytes"))?;
        let answer = match self.authenticate(algorithm, &[(WITNESS, &opened), (CHALLENGE, &challenge)]) {
            Err(Refused::Status(0x6982 | 0x6a80)) => {
                return Err(TokenError::Locked {
                    what: "the PIV applet does not take its management key".to_owned(),
                    fix: "let the key keep it anew: ykman piv access change-management-key --generate --protect".to_owned(),
                });
            }
            other => other.map_err(refused)?,
        };
        if only(&answer, RESPONSE)? == cipher(algorithm, key, &challenge, Way::Encrypt)? {
            return Ok(());
        }
        Err(malformed(
            "the card does not prove that it knows its management key",
        ))
    }
}

#[derive(Clone, Copy)]
enum Way {
    Encrypt,
    Decrypt,
}

/// One block under the management key: 3DES (3), AES-128 (8), AES-192 (A), AES-256 (C).
fn cipher(algorithm: u8, key: &Secret, block: &[u8], way: Way) -> Result<Vec<u8>> {
    fn run<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(
        key: &[u8],
        block: &[u8],
        way: Way,
    ) -> Option<Vec<u8>> {
        let cipher = C::new_from_slice(key).ok()?;
        let mut block = Block::<C>::try_from(block).ok()?;
        match way {
            Way::Encrypt => cipher.encrypt_block(&mut block),
            Way::Decrypt => cipher.decrypt_block(&mut block),
        }
        Some(block.to_vec())
    }
    let done = traceless(|| match algorithm {
        0x03 => run::<TdesEde3>(key.expose(), block, way),
        0x08 => run::<Aes128>(key.expose(), block, way),
        0x0a => run::<Aes192>(key.expose(), block, way),
        0x0c => run::<Aes256>(key.expose(), block, way),
        _ => None,
    });
    done.ok_or_else(|| malformed("a management key or witness of no known kind"))
}
