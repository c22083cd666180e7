//! Requests whose key was rotated while they were on their way: they begin anew with the pair that is in force.

use super::{
    Front,
    flights::{Again, Flight, Work},
};
use crate::{agent::asked::Hmac, error::Error};

impl Front {
    /// Walks the road of a request again, from the reading of its key; refuses it where nobody waits for it any more.
    pub(super) fn begin_anew(&mut self, mut flight: Flight, why: &Error) {
        let whose = flight.client;
        let caller = self
            .client(whose.index)
            .filter(|client| client.generation == whose.generation)
            .map(|client| client.caller.clone());
        let Some(caller) = caller else {
            return self.refuse_flight(flight, why);
        };
        self.road.record(flight.note.take(), Some(why));
        let id = flight.id.take();
        match (flight.work, flight.request) {
            (Work::Sign(_), Some(mut request)) => {
                request.id = id;
                self.sign_as(whose, &caller, request, None);
            }
            (Work::Hmac(key), _) => {
                let hmac = Hmac {
                    id,
                    key: key.record.name.clone(),
                    message: flight.part.1,
                    algorithm: None,
                };
                self.hmac(whose, &caller, hmac);
            }
            (Work::Passphrase(waiting), _) => match waiting.1 {
                Again::Sign(request, said) => self.sign_as(whose, &caller, request, said),
                Again::Hmac(hmac) => self.hmac(whose, &caller, *hmac),
            },
            _ => self.refuse(whose, id.as_ref(), why),
        }
    }
}
