//! The way of a line: read, composed, computed by a worker, answered.

use std::{cell::Cell, sync::Arc};

use super::{
    Front,
    flights::{Again, Client, Composing, Flight, Work},
    questions::Answer,
};
use crate::{
    agent::{
        asked::{Asked, Hmac},
        frame::{self, Ask},
    },
    error::{Code, Error, Result, bad_input, failed},
    json::Json,
    keyring::{KeyName, Record},
    policy::Caller,
    request::{Request, error_line},
    secret::Secret,
    signer::{Explained, Message, ReadyKey, has_gone_elsewhere, none_could},
};

/// Why a key is not ready: its passphrase must come from the token first.
enum Parked {
    Passphrase(Box<Record>),
    Refused(Error),
}

impl Front {
    /// Works on a line of a client.
    pub(super) fn line(
        &mut self,
        client: Client,
        caller: &Caller,
        asked: Result<Asked, (Option<Json>, Error)>,
    ) {
        // Who only looks how it is, as a monitor does each minute, keeps no token open.
        if asked.as_ref().is_ok_and(Asked::wants_a_token) {
            self.last_request = self.now;
        }
        match asked {
            Ok(Asked::Sign(request)) => self.sign(client, caller, request),
            Ok(Asked::Hmac(hmac)) => self.hmac(client, caller, hmac),
            Ok(Asked::Look(what, request)) => self.look(client, caller, what, &request),
            Ok(Asked::Op(op)) => self.op(client, caller, op),
            Err((id, error)) => self.refuse(client, id.as_ref(), &error),
        }
    }

    pub(super) fn refuse(&mut self, client: Client, id: Option<&Json>, error: &Error) {
        let replaced = self.folders.behind(error);
        let error = replaced.as_ref().unwrap_or(error);
        self.counts.refused(error.code());
        self.answer(client, error_line(id, error));
    }

    /// Refuses what was on its way.
    pub(super) fn refuse_flight(&mut self, mut flight: Flight, error: &Error) {
        self.road.record(flight.note.take(), Some(error));
        match flight.work {
            Work::Probe | Work::Seal(_) | Work::Mark => {}
            _ => self.refuse(flight.client, flight.id.as_ref(), error),
        }
    }

    fn sign(&mut self, client: Client, caller: &Caller, request: Box<Request>) {
        self.sign_as(client, caller, request, None);
    }

    /// Signs a request, with what a person said who was asked about it.
    pub(super) fn sign_as(
        &mut self,
        client: Client,
        caller: &Caller,
        mut request: Box<Request>,
        said: Option<Answer>,
    ) {
        let id = request.id.take();
        let asking = self.road.asking(caller);
        let key = match self.key(request.key.as_ref(), |road, passphrase| {
            road.key_of(&request, asking, passphrase)
        }) {
            Ok(key) => key,
            Err(Parked::Refused(error)) => return self.refuse(client, id.as_ref(), &error),
            Err(Parked::Passphrase(record)) => {
                request.id = id;
                return self.fetch_passphrase(client, *record, Again::Sign(request, said));
            }
        };
        let explained = request.explain.then(Vec::new);
        let mut note = None;
        self.questions.desk.put(said);
        let composing = Composing::begin(key, |key| {
            let mut lease = self.road.nonces().lease();
            let mut composed = self.road.compose(key, &request, asking, &mut lease)?;
            note = composed.take_note();
            lease.finish()?;
            Ok(composed)
        });
        self.unsettled = true;
        match composing {
            Ok(composing) => {
                let mut flight = self.flight(client, id, Work::Sign(Box::new(composing)));
                flight.note = note;
                flight.explained = explained;
                flight.request = Some(request);
                self.advance(flight);
            }
            Err(error) => {
                if let Some(question) = self.questions.desk.take() {
                    request.id = id;
                    return self.question(client, caller, request, question);
                }
                self.road.record(note, Some(&error));
                self.refuse(client, id.as_ref(), &error);
            }
        }
    }

    pub(super) fn hmac(&mut self, client: Client, caller: &Caller, mut hmac: Hmac) {
        let id = hmac.id.take();
        let asking = self.road.asking(caller);
        let key = match self.key(Some(&hmac.key), |road, passphrase| {
            road.ready(&hmac.key, asking, passphrase)
        }) {
            Ok(key) => key,
            Err(Parked::Refused(error)) => return self.refuse(client, id.as_ref(), &error),
            Err(Parked::Passphrase(record)) => {
                hmac.id = id;
                return self.fetch_passphrase(client, *record, Again::Hmac(Box::new(hmac)));
            }
        };
        let own = key.record.algorithm.name();
        if let Some(wanted) = hmac.algorithm.as_deref().filter(|wanted| *wanted != own) {
            let error = bad_input(format!("the key {} computes {own}, not {wanted}", hmac.key))
                .fix("a key is for one algorithm; import the secret again for the other");
            return self.refuse(client, id.as_ref(), &error);
        }
        let note = match self.road.permit_raw(&key, &hmac.message, asking, hmac.counted) {
            Ok(note) => note,
            Err(error) => return self.refuse(client, id.as_ref(), &error),
        };
        let mut flight = self.flight(client, id, Work::Hmac(key));
        flight.part = ("secret".to_owned(), hmac.message);
        flight.note = Some(note);
        self.dispatch(flight);
    }

    pub(super) fn flight(&self, client: Client, id: Option<Json>, work: Work) -> Flight {
        Flight {
            client,
            id,
            work,
            request: None,
            began: self.now,
            asked: self.now,
            worker: None,
            told: false,
            tried: Vec::new(),
            refusals: Vec::new(),
            part: Default::default(),
            note: None,
            explained: None,
        }
    }

    /// A key, with the passphrase that was fetched for it if it wants one.
    fn key(
        &mut self,
        name: Option<&KeyName>,
        ready: impl FnOnce(
            &crate::signer::Road,
            &mut dyn FnMut(&Record) -> Result<Secret>,
        ) -> Result<Arc<ReadyKey>>,
    ) -> Result<Arc<ReadyKey>, Parked> {
        let mut fetched = name.and_then(|name| self.passphrases.remove(name));
        let wanted = Cell::new(None);
        let mut passphrase = |record: &Record| {
            // Its key may have been rotated since it was fetched.
            let own = fetched.take().filter(|fetched| fetched.is_of(record));
            own.map(|fetched| fetched.secret).ok_or_else(|| {
                wanted.set(Some(record.clone()));
                failed("the passphrase is not here yet")
            })
        };
        ready(&self.road, &mut passphrase).map_err(|error| match wanted.take() {
            Some(record) => Parked::Passphrase(Box::new(record)),
            None => Parked::Refused(error),
        })
    }

    fn fetch_passphrase(&mut self, client: Client, record: Record, again: Again) {
        let id = match &again {
            Again::Sign(request, _) => request.id.clone(),
            Again::Hmac(hmac) => hmac.id.clone(),
        };
        let mut flight = self.flight(client, id, Work::Passphrase(Box::new((Arc::new(record), again))));
        flight.part = ("passphrase".to_owned(), Vec::new());
        self.dispatch(flight);
    }

    /// The next message of a request to a token; or its answer, where there is none.
    pub(super) fn advance(&mut self, mut flight: Flight) {
        let Work::Sign(composing) = &mut flight.work else {
            return;
        };
        let next = composing.with_dependent_mut(|_, composed| match composed {
            Some(composed) => composed.next(),
            None => Err(failed("the request was answered already")),
        });
        match next {
            Ok(Some(part)) => {
                if let Some(messages) = &mut flight.explained {
                    messages.push(Message::of(&part));
                }
                flight.part = (part.slot, part.message);
                flight.tried.clear();
                flight.refusals.clear();
                self.dispatch(flight);
            }
            Ok(None) => {
                let signed = composing.with_dependent_mut(|_, composed| {
                    composed
                        .take()
                        .ok_or_else(|| failed("the request was answered already"))?
                        .attach()
                });
                match signed {
                    Ok(signed) => {
                        self.road.record(flight.note.take(), None);
                        self.counts.signed(self.now - flight.began);
                        let id = flight.id.as_ref();
                        let line = match flight.explained.take() {
                            Some(messages) => Explained { signed, messages }.to_line(id),
                            None => signed.to_line(id),
                        };
                        self.answer(flight.client, line);
                    }
                    Err(error) => self.refuse_flight(flight, &error),
                }
            }
            Err(error) => self.refuse_flight(flight, &error),
        }
    }

    /// Hands the message at hand to the first token that holds the key and can be had, of those that were not tried yet.
    pub(super) fn dispatch(&mut self, mut flight: Flight) {
        let (ready, unready);
        let record = match &flight.work {
            Work::Sign(composing) => {
                ready = Arc::clone(composing.borrow_owner());
                &ready.record
            }
            Work::Hmac(key) => {
                ready = Arc::clone(key);
                &ready.record
            }
            Work::Passphrase(waiting) => {
                unready = Arc::clone(&waiting.0);
                &*unready
            }
            Work::Worker | Work::Errand | Work::Probe | Work::Seal(_) | Work::Mark | Work::Question(_) => {
                return;
            }
        };
        let slot = &flight.part.0;
        let mut holders: Vec<_> = record
            .current
            .copies
            .iter()
            .filter_map(|copy| {
                let material = copy.objects.get(slot)?;
                let worker = self
                    .workers
                    .iter()
                    .position(|worker| worker.configured && worker.token == copy.token);
                Some((worker, copy.token.as_str(), &material.key))
            })
            .filter(|(worker, ..)| worker.is_none_or(|worker| !flight.tried.contains(&worker)))
            .collect();
        if self.config.agent.parallel && holders.len() > 1 {
            self.turn = self.turn.wrapping_add(1);
            let first = self.turn % holders.len();
            holders.rotate_left(first);
        }
        // Those that are well come first; of the others each may have recovered.
        holders.sort_by_key(|(worker, ..)| {
            worker.is_none_or(|worker| !self.workers[worker].is_healthy(self.now))
        });
        for (worker, token, object) in holders {
            let Some(worker) = worker else {
                let error = Error::new(
                    Code::TokenMissing,
                    format!("the agent knows no token named {token:?}"),
                )
                .fix("have it read config.toml again: hsmsign agent reload; where the token is not in there: hsmsign init");
                flight.refused(token, error);
                continue;
            };
            if let Err(error) = self.start(worker) {
                flight.refused(token, error);
                continue;
            }
            let place = match frame::place(object, record.algorithm) {
                Ok(place) => place,
                Err(error) => return self.refuse_flight(flight, &error),
            };
            flight.tried.push(worker);
            flight.worker = Some(worker);
            flight.told = true;
            flight.asked = self.now;
            let message = std::mem::take(&mut flight.part.1);
            let (fetches, now) = (matches!(flight.work, Work::Passphrase(_)), self.now);
            let id = self.flights.put(flight);
            let ask = if fetches {
                Ask::Data { place: &place }
            } else {
                Ask::Compute {
                    place: &place,
                    message: &message,
                }
            };
            self.workers[worker].ask(id, &ask, Vec::new(), now);
            self.flights.keep_message(id, message);
            if self.workers[worker].asked() == 1 {
                // It has nothing else to do, and need not wait for the lines of others to be read. If it is gone, that
                // is found where all is written.
                let _found_later = self.workers[worker].flush(&self.poll);
            }
            return;
        }
        let missed = flight.all_missed();
        let moved = flight
            .refusals
            .iter()
            .find(|(_, error)| error.code() == Code::TokenMissing)
            .map_or(Ok(false), |(_, error)| self.road.has_moved(record, error));
        match moved {
            Ok(false) => {}
            Ok(true) => return self.begin_anew(flight, &has_gone_elsewhere(record)),
            Err(error) => return self.refuse_flight(flight, &error),
        }
        let error = none_could(std::mem::take(&mut flight.refusals)).unwrap_or_else(|| {
            failed(format!(
                "the key {} has no {} on any token",
                record.name, flight.part.0
            ))
            .fix("import it again")
        });
        if missed {
            self.refuse_or_park(flight, &error);
        } else {
            self.refuse_flight(flight, &error);
        }
    }
}
