use std::time::Duration;

use super::{AHEAD, FAR, Nonces, implied_rate, state::State};
use crate::{
    error::{Error, Result, bad_input},
    keyring::KeyName,
};

/// Nonces that are given out and not yet written down: none may leave the process before [`Lease::finish`].
///
/// It holds one key's file at a time, so that two processes never wait for each other.
pub struct Lease<'a> {
    pub(super) nonces: &'a Nonces,
    pub(super) state: Option<State<'a>>,
    pub(super) failed: Option<Error>,
}

impl<'a> Lease<'a> {
    /// As [`Nonces::next`].
    ///
    /// # Errors
    /// As [`Nonces::next`].
    pub fn next(&mut self, key: &KeyName, clock: u64, per_second: u64) -> Result<u64> {
        let state = self.state(key)?;
        let nonce = clock.max(state.after()?);
        state.note(nonce, per_second);
        Ok(nonce)
    }

    /// As [`Nonces::raise`].
    ///
    /// # Errors
    /// As [`Nonces::raise`].
    pub fn raise(&mut self, key: &KeyName, nonce: u64, now: Duration) -> Result<()> {
        let rate = implied_rate(nonce);
        if nonce / rate > (now + FAR).as_secs() {
            return Err(bad_input(format!("the nonce {nonce} lies more than a day ahead"))
                .fix("it would make every later nonce too small for the exchange; use the clock, or let hsmsign make it"));
        }
        let state = self.state(key)?;
        if nonce > state.last() {
            state.note(nonce, rate);
        }
        Ok(())
    }

    /// Writes down what was given out.
    ///
    /// # Errors
    /// When a file could not be written: then nothing with any of these nonces may be signed.
    pub fn finish(mut self) -> Result<()> {
        self.store();
        self.failed.map_or(Ok(()), Err)
    }

    fn state(&mut self, key: &KeyName) -> Result<&mut State<'a>> {
        if self.state.as_ref().is_some_and(|state| state.key() != key) {
            self.store();
        }
        let state = match self.state.take() {
            Some(state) => state,
            None => self.nonces.open(key)?,
        };
        Ok(self.state.insert(state))
    }

    fn store(&mut self) {
        if let Some(mut state) = self.state.take()
            && let Err(error) = state.store()
        {
            self.failed.get_or_insert(error);
        }
    }
}

/// How far a reservation reaches, in steps.
pub(super) fn reservation(per_second: u64) -> u64 {
    per_second.saturating_mul(AHEAD.as_secs()).max(1000)
}
