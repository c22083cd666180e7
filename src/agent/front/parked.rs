//! Requests that every token of their key has just missed: a device that was pulled out and put back is found again in a
//! moment, and the request is signed then.

use std::time::{Duration, Instant};

use super::{
    Front,
    flights::{Flight, Work},
};
use crate::error::Error;

/// How long a request waits for a token of several to be there again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon the tokens are asked again.
pub const AGAIN: Duration = Duration::from_millis(50);

/// Those that wait, and when their tokens are asked again.
#[derive(Default)]
pub struct Parked {
    flights: Vec<Flight>,
    due: Option<Instant>,
}

impl Parked {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.flights.len()
    }
}

impl Front {
    /// Refuses a request that every token missed; or keeps it for another try, where it is likely that one will do. A key on
    /// one token waits for nothing: its owner hears at once that it is away.
    pub(super) fn refuse_or_park(&mut self, mut flight: Flight, error: &Error) {
        let copies = match &flight.work {
            Work::Sign(composing) => composing.borrow_owner().record.current.copies.len(),
            Work::Hmac(key) => key.record.current.copies.len(),
            _ => 0,
        };
        if copies < 2 || self.stopping.is_some() || flight.began + PATIENCE < self.now {
            return self.refuse_flight(flight, error);
        }
        flight.tried.clear();
        flight.refusals.clear();
        self.parked.flights.push(flight);
        self.parked.due.get_or_insert(self.now + AGAIN);
    }

    /// Asks the tokens of those that wait again, when that is due.
    pub(super) fn take_up_parked(&mut self) {
        if self
            .parked
            .due
            .is_none_or(|due| due > self.now && self.stopping.is_none())
        {
            return;
        }
        self.parked.due = None;
        for flight in std::mem::take(&mut self.parked.flights) {
            self.dispatch(flight);
        }
    }
}
