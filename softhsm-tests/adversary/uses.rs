//! Using the key otherwise than it is for.

use cryptoki_sys::*;

use crate::{
    bare::{Inside, bare, plain},
    mechanisms::with,
    robbery::{ROOM, Robbery},
};

impl Robbery<'_> {
    /// The key in a hash, alone and behind something known, and what the module saves of that.
    pub fn digests(&mut self) {
        for hash in self.claimed(CKF_DIGEST) {
            for before in [0, 1, 55, 63, 64, 111, 127] {
                let aside = self.inside.aside();
                let mut known = vec![7_u8; before];
                let begun = bare!(aside, C_DigestInit(aside.session, &mut plain(hash)))
                    .and_then(|()| match before {
                        0 => Ok(()),
                        _ => bare!(
                            aside,
                            C_DigestUpdate(aside.session, known.as_mut_ptr(), before as CK_ULONG)
                        ),
                    })
                    .and_then(|()| bare!(aside, C_DigestKey(aside.session, self.victim)));
                if begun.is_ok() {
                    self.saved(&aside, &format!("C_DigestKey with {hash:#x}"));
                    let (mut digest, mut len) = ([0; 128], 128);
                    if bare!(aside, C_DigestFinal(aside.session, digest.as_mut_ptr(), &mut len)).is_ok() {
                        self.take(format!("C_DigestKey with {hash:#x}"), &digest[..len as usize]);
                    }
                }
                aside.close();
            }
        }
    }

    /// What the module saves of the operation that is active.
    fn saved(&mut self, aside: &Inside, after: &str) {
        let (mut state, mut len) = (vec![0; ROOM], ROOM as CK_ULONG);
        if bare!(
            aside,
            C_GetOperationState(aside.session, state.as_mut_ptr(), &mut len)
        )
        .is_ok()
        {
            self.grant(format!("C_GetOperationState after {after}"));
            self.take(format!("C_GetOperationState after {after}"), &state);
        }
    }

    /// Signatures with every mechanism that makes any; only the key's own may.
    pub fn signs(&mut self) {
        for mechanism in self.claimed(CKF_SIGN | CKF_SIGN_RECOVER | CKF_VERIFY) {
            let own = self.own.contains(&mechanism);
            let (victim, means) = (self.victim, self.means(0));
            let aside = self.inside.aside();
            let begun = with(mechanism, means, |how| {
                bare!(aside, C_SignInit(aside.session, how, victim))
            });
            if begun.is_ok() && !own {
                self.grant(format!("C_SignInit with {mechanism:#x}"));
            }
            // SoftHSM crashes where it made a beginning with a key of another kind.
            if begun.is_ok() && own {
                let mut message = [1; 32];
                let (mut made, mut len) = (vec![0; ROOM], ROOM as CK_ULONG);
                let signed = bare!(
                    aside,
                    C_Sign(
                        aside.session,
                        message.as_mut_ptr(),
                        32,
                        made.as_mut_ptr(),
                        &mut len
                    )
                );
                if signed.is_ok() {
                    self.take(format!("C_Sign with {mechanism:#x}"), &made[..len as usize]);
                }
            }
            aside.close();
            if own {
                let aside = self.inside.aside();
                let mut message = [1; 100];
                let begun = with(mechanism, means, |how| {
                    bare!(aside, C_SignInit(aside.session, how, victim))
                })
                .and_then(|()| bare!(aside, C_SignUpdate(aside.session, message.as_mut_ptr(), 100)));
                if begun.is_ok() {
                    self.saved(&aside, &format!("C_SignUpdate with {mechanism:#x}"));
                }
                aside.close();
            }
            let aside = self.inside.aside();
            let recover = with(mechanism, means, |how| {
                bare!(aside, C_SignRecoverInit(aside.session, how, victim))
            });
            let verify = with(mechanism, means, |how| {
                bare!(aside, C_VerifyInit(aside.session, how, victim))
            });
            for (call, answer) in [("C_SignRecoverInit", recover), ("C_VerifyInit", verify)] {
                if answer.is_ok() {
                    self.grant(format!("{call} with {mechanism:#x}"));
                }
            }
            aside.close();
        }
    }

    /// The key as a cipher's key.
    pub fn other_uses(&mut self) {
        for mechanism in self.claimed(CKF_ENCRYPT | CKF_DECRYPT) {
            let (victim, means) = (self.victim, self.means(0));
            for decrypt in [false, true] {
                let aside = self.inside.aside();
                let begun = with(mechanism, means, |how| {
                    if decrypt {
                        bare!(aside, C_DecryptInit(aside.session, how, victim))
                    } else {
                        bare!(aside, C_EncryptInit(aside.session, how, victim))
                    }
                });
                if begun.is_ok() {
                    self.grant(format!(
                        "a cipher's key with {mechanism:#x}, decrypting {decrypt}"
                    ));
                }
                aside.close();
            }
        }
    }
}
