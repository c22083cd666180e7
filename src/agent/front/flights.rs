//! Requests on their way: composed, at a token, and back.

use std::{sync::Arc, time::Instant};

use self_cell::self_cell;

use super::questions::{Answer, Question};
use crate::{
    audit::{Due, Entry},
    error::{Code, Error, Result},
    exchange::Composed,
    json::Json,
    request::Request,
    signer::{Message, ReadyKey},
};

type MaybeComposed<'k> = Option<Composed<'k>>;

self_cell!(
    /// A composed request with the key that it borrows from.
    pub struct Composing {
        owner: Arc<ReadyKey>,
        #[not_covariant]
        dependent: MaybeComposed,
    }
);

impl Composing {
    /// Composes.
    ///
    /// # Errors
    /// As `compose`.
    pub fn begin(
        key: Arc<ReadyKey>,
        compose: impl for<'k> FnOnce(&'k ReadyKey) -> Result<Composed<'k>>,
    ) -> Result<Self> {
        Self::try_new(key, |key| compose(key).map(Some))
    }
}

/// Whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's number.
    pub index: u32,
    /// And its generation.
    pub generation: u32,
    /// The place of the line among its others.
    pub place: u64,
}

/// A line that is not answered yet.
pub struct Flight {
    /// Whose it is.
    pub client: Client,
    /// The caller's own mark.
    pub id: Option<Json>,
    /// What is to come of it.
    pub work: Work,
    /// The request that is signed, for another try.
    pub request: Option<Box<Request>>,
    /// When it came.
    pub began: Instant,
    /// When a token was asked last.
    pub asked: Instant,
    /// The token that has it, by number.
    pub worker: Option<usize>,
    /// Whether that token was told.
    pub told: bool,
    /// The tokens that were tried, by number.
    pub tried: Vec<usize>,
    /// Why tokens did not, by their names.
    pub refusals: Vec<(String, Error)>,
    /// The slot that is asked for, and the message.
    pub part: (String, Vec<u8>),
    /// What the log is to say of it.
    pub note: Option<Box<Entry>>,
    /// The messages that were signed, where the client wants them.
    pub explained: Option<Vec<Message>>,
}

impl Flight {
    /// Takes note that a token did not.
    pub fn refused(&mut self, token: &str, error: Error) {
        if !self.refusals.iter().any(|(name, _)| name == token) {
            self.refusals.push((token.to_owned(), error));
        }
    }

    /// Whether each token that did not was away, so that it may be back in a moment. What is locked stays so.
    pub fn all_missed(&self) -> bool {
        self.refusals
            .iter()
            .all(|(_, error)| matches!(error.code(), Code::TokenMissing | Code::TokenBusy))
    }
}

/// What is to come of a line.
pub enum Work {
    /// A signed request.
    Sign(Box<Composing>),
    /// A raw MAC.
    Hmac(Arc<ReadyKey>),
    /// A passphrase, and then the request again.
    Passphrase(Box<(Arc<crate::keyring::Record>, Again)>),
    /// Whatever the worker answers: the members of a JSON object, or nothing.
    Worker,
    /// As that; whoever did it is not needed again.
    Errand,
    /// Nobody waits: the front wants to know for itself.
    Probe,
    /// A request that a person is asked about.
    Question(Box<Question>),
    /// A seal of the log, with the name of the token that makes it.
    Seal(Box<(Due, String)>),
    /// That a token keeps how far the log is sealed.
    Mark,
}

/// What waits for a passphrase.
pub enum Again {
    /// A request, with what a person said of it.
    Sign(Box<Request>, Option<Answer>),
    /// A raw MAC.
    Hmac(Box<crate::agent::asked::Hmac>),
}

/// Flights by number. A number is used again, with another generation.
#[derive(Default)]
pub struct Flights {
    slots: Vec<(u32, Option<Flight>)>,
    free: Vec<u32>,
}

impl Flights {
    /// Keeps one, and answers its number.
    pub fn put(&mut self, flight: Flight) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.0 = slot.0.wrapping_add(1);
        slot.1 = Some(flight);
        u64::from(index) | u64::from(slot.0) << 32
    }

    /// Looks at one.
    pub fn get(&self, id: u64) -> Option<&Flight> {
        let (generation, flight) = self.slots.get(usize::try_from(id & 0xffff_ffff).ok()?)?;
        flight.as_ref().filter(|_| u64::from(*generation) == id >> 32)
    }

    /// Takes one out.
    pub fn take(&mut self, id: u64) -> Option<Flight> {
        let index = u32::try_from(id & 0xffff_ffff).ok()?;
        let slot = self.slots.get_mut(index as usize)?;
        if u64::from(slot.0) != id >> 32 {
            return None;
        }
        let flight = slot.1.take()?;
        self.free.push(index);
        Some(flight)
    }

    /// Keeps the message of a flight, for another token.
    pub fn keep_message(&mut self, id: u64, message: Vec<u8>) {
        let index = usize::try_from(id & 0xffff_ffff).unwrap_or(usize::MAX);
        if let Some((_, Some(flight))) = self.slots.get_mut(index) {
            flight.part.1 = message;
        }
    }

    /// The numbers of those that a worker has.
    pub fn of_worker(&self, worker: usize) -> Vec<u64> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, (_, flight))| {
                flight
                    .as_ref()
                    .is_some_and(|flight| flight.worker == Some(worker))
            })
            .map(|(index, (generation, _))| index as u64 | u64::from(*generation) << 32)
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
