//! What the tokens of a process were given.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::error::{Code, Error};

/// How many PINs were given, and of which tokens a person gave no right one.
#[derive(Debug, Default)]
pub struct Tally {
    given: AtomicU64,
    missed: Mutex<BTreeMap<String, Error>>,
}

impl Tally {
    /// How many PINs were given.
    pub fn count(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Whether a person gave no right PIN of some token, and such an error came of it.
    pub fn has_missed(&self, code: Code) -> bool {
        self.of_persons().values().any(|error| error.code() == code)
    }

    pub(super) fn given(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn missed(&self, token: &str) -> Option<Error> {
        self.of_persons().get(token).cloned()
    }

    pub(super) fn miss(&self, token: &str, error: &Error) {
        self.of_persons().insert(token.to_owned(), error.clone());
    }

    fn of_persons(&self) -> MutexGuard<'_, BTreeMap<String, Error>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
