//! Objects that a module may have kept although it said that it failed.
//!
//! SoftHSM 2.6.1, where a write in the middle of storing an object fails, answers CKR_GENERAL_ERROR and keeps the object's
//! file; it shows the object only when it was started over. So after such an answer nobody knows what is on the token
//! until then: neither who stored the object by a plainer template, nor who takes away what was begun.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cryptoki_sys::*;

use super::{Pkcs11Token, find, module::Answer, sweep};
use crate::token::{KeyRef, Result, Token as _, TokenError};

/// How many such answers this process got.
static UNCLEAR: AtomicU64 = AtomicU64::new(0);

/// Counts the answer of a call that stores something, where it leaves in doubt whether it did.
pub(super) fn note<T>(answer: Answer<T>) -> Answer<T> {
    answer.inspect_err(|refused| {
        let unclear = matches!(
            refused.code,
            CKR_GENERAL_ERROR | CKR_FUNCTION_FAILED | CKR_DEVICE_ERROR | CKR_DEVICE_MEMORY | CKR_HOST_MEMORY
        );
        if unclear {
            UNCLEAR.fetch_add(1, Relaxed);
        }
    })
}

/// How many such answers there were.
pub(super) fn count() -> u64 {
    UNCLEAR.load(Relaxed)
}

impl Pkcs11Token {
    /// Starts over where there was such an answer since that was done last, and the token is SoftHSM's: it may be behind
    /// another module. NSS answers so to a template that it does not take, and others show at once what they have. Says
    /// whether it did.
    pub(super) fn see_clearly(&self) -> Result<bool> {
        let count = count();
        let softhsm = self.identity.model.to_lowercase().contains("softhsm");
        if self.clear_until.load(Relaxed) == count || !softhsm {
            return Ok(false);
        }
        self.reopen()?;
        self.clear_until.store(count, Relaxed);
        Ok(true)
    }

    /// That an object which was just stored is the only one with its id. What else was begun and is half-written goes.
    pub(super) fn alone(&self, key: &KeyRef) -> Result<()> {
        if !self.see_clearly()? {
            return Ok(());
        }
        let (class, id) = key.object()?;
        let there = self.run_in_turn(|opened| {
            opened.writing(|session| {
                sweep::sweep_half_written(&opened.module, session)?;
                Ok(find::by_id(&opened.module, session, class, id, 2)?)
            })
        })?;
        if there.len() < 2 {
            return Ok(());
        }
        Err(TokenError::Failed(
            "the token answered that it cannot store the object, and kept it: nothing is stored now; try again"
                .to_owned(),
        ))
    }
}
