//! The PIN that somebody handed over, for the next opening of a worker's token.

use std::sync::{Mutex, PoisonError};

use crate::{
    ask,
    error::{Code, Error, Result, failed},
    process::tell,
    secret::Secret,
};

/// Who is asked for a PIN in a worker: nobody, but for the one that was handed over.
#[derive(Default)]
pub(super) struct Handed(Mutex<Option<Secret>>);

impl Handed {
    pub fn take(&self, pin: Secret) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
    }

    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ask::Ask for Handed {
    fn present(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn secret(&self, _prompt: &str) -> Result<Secret> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| {
                Error::new(Code::TokenLocked, "its PIN is needed").fix("unlock it: hsmsign unlock")
            })
    }

    fn line(&self, _prompt: &str) -> Result<String> {
        Err(failed("the agent asks nobody"))
    }

    fn tell(&self, text: &str) {
        tell(text);
    }

    fn asks_again(&self) -> bool {
        true
    }

    fn nobody(&self, token: &str, what: &str, _: &str) -> Error {
        Error::new(Code::TokenLocked, format!("nobody gave its {what} yet"))
            .fix(format!("unlock it: hsmsign unlock {token}"))
    }
}
