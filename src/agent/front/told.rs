//! What workers answer: to the next message of its request, or to whoever asked.

use base64ct::Encoding as _;

use super::{
    Front,
    anew::Fetched,
    flights::{Flight, Work},
};
use crate::{
    agent::frame::Told,
    error::{Code, failed},
    signer::elsewhere,
};

impl Front {
    /// Takes an answer of a worker.
    pub(super) fn told(&mut self, id: u64, told: Told) {
        let Some(mut flight) = self.flights.take(id) else {
            return;
        };
        if matches!(flight.work, Work::Question(_)) {
            return self.person_said(flight, Ok(told));
        }
        let number = flight.worker.take();
        flight.told = false;
        if let (Work::Errand, Some(number)) = (&flight.work, number) {
            self.workers[number].stop(&mut self.launcher);
        }
        let without = matches!(told, Told::Without(_));
        match told {
            Told::Refused(error) | Told::Without(error) => {
                if let (Work::Mark, Some(number)) = (&flight.work, number) {
                    return self.not_marked(number, &error);
                }
                if let (Work::Seal(_), Some(number)) = (&flight.work, number) {
                    self.not_sealed(number);
                }
                let elsewhere = elsewhere(error.code());
                if let (Some(number), Code::WrongPin) = (number, error.code()) {
                    self.counts.metrics.pin_refused(&self.workers[number].token);
                }
                // What it cannot do at all, or does not have, says nothing of how it is.
                let sick = !without && !matches!(error.code(), Code::Unsupported | Code::TooLarge);
                if let Some(number) = number
                    && (elsewhere && sick || matches!(flight.work, Work::Probe))
                {
                    self.workers[number].is_sick(error.clone(), self.now);
                }
                match flight.work {
                    Work::Probe | Work::Seal(_) | Work::Mark => {}
                    Work::Worker | Work::Errand => self.refuse_flight(flight, &error),
                    _ if elsewhere && let Some(number) = number => {
                        flight.refused(&self.workers[number].token, error);
                        self.dispatch(flight);
                    }
                    _ => self.refuse_flight(flight, &error),
                }
            }
            Told::Done(bytes) => {
                if let Some(number) = number {
                    let computed = matches!(flight.work, Work::Sign(_) | Work::Hmac(_));
                    self.workers[number].is_well(computed);
                    if computed {
                        let took = self.now - flight.asked;
                        self.counts.metrics.answered(&self.workers[number].token, took);
                    }
                }
                self.done(flight, bytes);
            }
            // Told of no request.
            Told::Tried(_) => {}
            Told::Data(secret) => {
                if let Work::Passphrase(waiting) = flight.work {
                    let (record, again) = *waiting;
                    // Where nobody waits for it any more it is not kept.
                    if let Some(caller) = self.caller_of(flight.client) {
                        let name = record.name.clone();
                        self.passphrases.insert(name, Fetched { record, secret });
                        self.walk_again(flight.client, &caller, again);
                    }
                }
            }
        }
    }

    fn done(&mut self, mut flight: Flight, bytes: Vec<u8>) {
        if let Work::Seal(sealing) = flight.work {
            let (due, token) = *sealing;
            return self.road.log().sealed(due, &token, &bytes);
        }
        match &mut flight.work {
            Work::Sign(composing) => {
                let supplied = composing.with_dependent_mut(|_, composed| match composed {
                    Some(composed) => composed.supply(&bytes),
                    None => Err(failed("the request was answered already")),
                });
                match supplied {
                    Ok(()) => self.advance(flight),
                    Err(error) => self.refuse_flight(flight, &error),
                }
            }
            Work::Hmac(_) => {
                self.road.record(flight.note.take(), None);
                self.counts.signed(self.now - flight.began);
                let mac = base64ct::Base64::encode_string(&bytes);
                let line = super::ops::ok(flight.id.as_ref(), &format!("\"mac_base64\":\"{mac}\""));
                self.answer(flight.client, line);
            }
            Work::Worker | Work::Errand => {
                self.road.record(flight.note.take(), None);
                let members = String::from_utf8(bytes).unwrap_or_default();
                let line = super::ops::ok(flight.id.as_ref(), &members);
                self.answer(flight.client, line);
            }
            Work::Passphrase(_) => {
                let error = failed("a worker answered something else than was asked");
                self.refuse_flight(flight, &error);
            }
            Work::Probe | Work::Seal(_) | Work::Mark | Work::Question(_) => {}
        }
    }
}
