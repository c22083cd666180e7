//! Requests that walk their road again: since a passphrase came for them, or their key was rotated while they were on their
//! way and the pair that is in force is another.

use std::sync::Arc;

use super::{
    Front,
    flights::{Again, Client, Flight, Work},
};
use crate::{
    agent::asked::Hmac,
    error::Error,
    keyring::{Pair, Record},
    policy::Caller,
    secret::Secret,
    token::KeyRef,
};

/// A passphrase that came from a token.
pub struct Fetched {
    /// As it was when it was asked for.
    pub record: Arc<Record>,
    /// The passphrase.
    pub secret: Secret,
}

impl Fetched {
    /// Whether it belongs to the pair that is in force by this record.
    pub fn is_of(&self, record: &Record) -> bool {
        passphrases(&self.record.current).eq(passphrases(&record.current))
    }
}

/// Where the passphrase of a pair is: ids are random, and each pair has its own.
fn passphrases(pair: &Pair) -> impl Iterator<Item = Option<&KeyRef>> {
    let copies = pair.copies.iter();
    copies.map(|copy| copy.objects.get("passphrase").map(|material| &material.key))
}

impl Front {
    /// Walks the road of a request again, from the reading of its key; refuses it where nobody waits for it any more.
    pub(super) fn begin_anew(&mut self, mut flight: Flight, why: &Error) {
        let whose = flight.client;
        let Some(caller) = self.caller_of(whose) else {
            return self.refuse_flight(flight, why);
        };
        self.road.record(flight.note.take(), Some(why));
        let id = flight.id.take();
        match (flight.work, flight.request) {
            (Work::Sign(_), Some(mut request)) => {
                request.id = id;
                request.counted = true;
                self.sign_as(whose, &caller, request, None);
            }
            (Work::Hmac(key), _) => {
                let hmac = Hmac {
                    id,
                    key: key.record.name.clone(),
                    message: flight.part.1,
                    algorithm: None,
                    counted: true,
                };
                self.hmac(whose, &caller, hmac);
            }
            (Work::Passphrase(waiting), _) => self.walk_again(whose, &caller, waiting.1),
            _ => self.refuse(whose, id.as_ref(), why),
        }
    }

    /// Walks the road of a request that waited for its passphrase.
    pub(super) fn walk_again(&mut self, client: Client, caller: &Caller, again: Again) {
        match again {
            Again::Sign(request, said) => self.sign_as(client, caller, request, said),
            Again::Hmac(hmac) => self.hmac(client, caller, *hmac),
        }
    }

    /// Who asks on a connection; none where that has ended.
    pub(super) fn caller_of(&mut self, whose: Client) -> Option<Caller> {
        let client = self.client(whose.index)?;
        (client.generation == whose.generation).then(|| client.caller.clone())
    }
}
