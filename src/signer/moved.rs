//! Keys that are rotated or removed between the reading of their record and the token's answer.

use std::sync::Arc;

use super::{ReadyKey, Road};
use crate::{
    error::{Code, Error, Result},
    keyring::Record,
    token::KeyRef,
};

impl Road {
    /// Whether a key that a token missed lies elsewhere now than its record said when it was read: it was rotated meanwhile.
    ///
    /// # Errors
    /// `unknown-key` where it was removed meanwhile.
    pub fn has_moved(&self, record: &Record, missed: &Error) -> Result<bool> {
        if missed.code() != Code::TokenMissing {
            return Ok(false);
        }
        let now = self.keyring().get(&record.name)?;
        Ok(!places(&now).eq(places(record)))
    }

    /// Does what is done with a key; once more, from the beginning, where the key went elsewhere meanwhile. The work is told
    /// whether it was counted already.
    pub(super) fn follow<T>(
        &self,
        mut work: impl FnMut(bool) -> Result<(Arc<ReadyKey>, Result<T>)>,
    ) -> Result<T> {
        let (key, done) = work(false)?;
        match done {
            Err(missed) if self.has_moved(&key.record, &missed)? => work(true)?.1,
            done => done,
        }
    }
}

/// Where the objects of the pair in force are.
fn places(record: &Record) -> impl Iterator<Item = (&str, &KeyRef)> {
    let copies = record.current.copies.iter();
    copies.flat_map(|copy| {
        copy.objects
            .values()
            .map(|object| (copy.token.as_str(), &object.key))
    })
}

/// What to tell where the work cannot begin anew by itself.
pub fn has_gone_elsewhere(record: &Record) -> Error {
    Error::new(
        Code::TokenBusy,
        format!(
            "the key {} was rotated while this was on its way, and nothing was signed",
            record.name
        ),
    )
    .fix("try again")
}
