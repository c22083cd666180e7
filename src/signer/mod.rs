//! The road of a request: policy, nonce, composing, the token, and back.

mod copies;
mod explained;
mod lane;
mod moved;
mod ready;
mod road;
mod route;

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

pub(crate) use copies::{elsewhere, none_could};
pub use explained::{Explained, Message};
pub use lane::{Lane, LaneWork};
pub use moved::has_gone_elsewhere;
pub use ready::ReadyKey;
pub use road::{Asking, Confirm, Road};
pub use route::{Here, Route, Signs};

use self::lane::{Parts, Signatures};
use crate::{
    audit::{self, Sealer},
    error::{Code, Result},
    exchange::{Catalogue, Composed, Part},
    home::Home,
    keyring::KeyName,
    nonce::Nonces,
    policy::{Caller, Policies, Verdict},
    request::{Request, SignedRequest},
    token::Tokens,
};

/// Signs requests with the keys of a keyring, on their tokens.
pub struct Signer {
    road: Road,
    tokens: Arc<Tokens>,
    /// The token that signed last, which seals the log.
    used: Mutex<Option<String>>,
    sealer: Sealer,
}

/// A request on its way: its key, what is composed, and its first message.
type Work<'k> = (&'k Arc<ReadyKey>, Composed<'k>, Option<Part>);

impl Signer {
    /// A signer over the keys of these folders.
    pub fn new(home: &Home, tokens: Arc<Tokens>) -> Self {
        Self {
            road: Road::new(home, Nonces::new(home)),
            tokens,
            used: Mutex::default(),
            sealer: Sealer::default(),
        }
    }

    /// Has a person asked where a policy wants that.
    #[must_use]
    pub fn with_confirm(mut self, confirm: Confirm) -> Self {
        self.road = self.road.with_confirm(confirm);
        self
    }

    /// As [`Tokens::pin_missed`].
    pub fn pin_missed(&self, code: Code) -> bool {
        self.tokens.pin_missed(code)
    }

    /// The policies that it asks.
    pub const fn policies(&self) -> &Policies {
        self.road.policies()
    }

    /// Which rules decide about a request, without counting or signing it.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn judge(&self, request: &Request, caller: &Caller) -> Result<Verdict> {
        self.road.judge(request, caller)
    }

    /// Signs one request.
    ///
    /// # Errors
    /// Everything that can be wrong with the request, the key, the policy or the token. Where the error comes before
    /// the token was asked, no nonce was given out unless the policy had permitted the request.
    pub fn sign(&self, request: &Request, caller: &Caller) -> Result<SignedRequest> {
        self.road
            .follow(|counted| self.walk(&of(request, counted), caller, |_| ()))
    }

    /// Where the request would go. Nothing is decided or given out, and no token is opened.
    ///
    /// # Errors
    /// Everything that can be wrong with the request or its key's record.
    pub fn route(&self, request: &Request) -> Result<Route> {
        self.road.route(request)
    }

    /// Signs several requests, and calls `composed` as soon as all nonces are given out and only the tokens are left to
    /// ask. Whoever signs many at once takes turns up to there, and nonces increase in the requests' order.
    ///
    /// What a module in software computes goes to the lane, where there is one, except where there is but one request.
    pub fn sign_batch(
        &self,
        requests: &[Request],
        caller: &Caller,
        lane: Option<&Lane>,
        composed: impl FnOnce(),
    ) -> Vec<Result<SignedRequest>> {
        let asking = self.road.asking(caller);
        let mut keys: Vec<Result<Arc<ReadyKey>>> = Vec::with_capacity(requests.len());
        for request in requests {
            // Requests of one key mostly come together; its record is looked at once then.
            let same = keys
                .last()
                .and_then(|last| last.as_ref().ok())
                .filter(|last| request.key.as_ref() == Some(&last.record.name));
            let key = same.map_or_else(|| self.key_of(request, asking), |same| Ok(Arc::clone(same)));
            keys.push(key);
        }
        let mut lease = self.road.nonces().lease();
        let mut works: Vec<Result<Work<'_>>> = keys
            .iter()
            .zip(requests)
            .map(|(key, request)| {
                let key = key.as_ref().map_err(Clone::clone)?;
                let mut work = self.road.compose(key, request, asking, &mut lease)?;
                let part = work.next()?;
                Ok((key, work, part))
            })
            .collect();
        let noted = lease.finish();
        composed();
        if let Err(error) = noted {
            let fail = |work: Result<Work<'_>>| match work {
                Ok((_, mut work, _)) => {
                    self.road.record(work.take_note(), Some(&error));
                    Err(error.clone())
                }
                Err(error) => Err(error),
            };
            return works.into_iter().map(fail).collect();
        }
        let parts: Vec<_> = works
            .iter_mut()
            .map(|work| {
                let (key, _, part) = work.as_mut().ok()?;
                Some((Arc::clone(key), part.take()?))
            })
            .collect();
        let in_software = |(key, _): &(Arc<ReadyKey>, Part)| key.is_in_software();
        let lane = lane.filter(|_| parts.len() > 1 && parts.iter().flatten().any(in_software));
        let signatures = match lane {
            Some(lane) => lane.compute(parts),
            None => self.compute_parts(&parts),
        };
        let finish = |((key, mut work, _), signature): (Work<'_>, Option<Result<Vec<u8>>>), request| {
            let note = work.take_note();
            let supplied = signature.map_or(Ok(()), |signature| work.supply(&signature?));
            let done = supplied.and_then(|()| self.compute(key, work, |_| ()));
            self.road.record(note, done.as_ref().err());
            match done {
                Err(missed) if self.road.has_moved(&key.record, &missed)? => {
                    self.sign(&of(request, true), caller)
                }
                done => done,
            }
        };
        works
            .into_iter()
            .zip(signatures)
            .zip(requests)
            .map(|((work, signature), request)| work.and_then(|work| finish((work, signature), request)))
            .collect()
    }

    /// Computes what the lanes hand over, until all of them are dropped.
    pub fn serve(&self, work: LaneWork) {
        for (parts, answer) in work.0 {
            // Who asked may be gone, and then nobody wants the answer.
            let _ = answer.send(self.compute_parts(&parts));
        }
    }

    fn compute_parts(&self, parts: &Parts) -> Signatures {
        parts
            .iter()
            .map(|part| {
                let (key, part) = part.as_ref()?;
                Some(self.on_token(&key.record, &part.slot, &part.message))
            })
            .collect()
    }

    /// Signs one request, and keeps what was signed.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn explain(&self, request: &Request, caller: &Caller) -> Result<Explained> {
        self.road.follow(|counted| {
            let mut messages = Vec::new();
            let (key, done) = self.walk(&of(request, counted), caller, |part| {
                messages.push(Message::of(part))
            })?;
            Ok((key, done.map(|signed| Explained { signed, messages })))
        })
    }

    /// The road itself.
    fn walk(
        &self,
        request: &Request,
        caller: &Caller,
        look: impl FnMut(&Part),
    ) -> Result<(Arc<ReadyKey>, Result<SignedRequest>)> {
        let asking = self.road.asking(caller);
        let key = self.key_of(request, asking)?;
        let mut lease = self.road.nonces().lease();
        let mut work = self.road.compose(&key, request, asking, &mut lease)?;
        let note = work.take_note();
        let done = lease.finish().and_then(|()| self.compute(&key, work, look));
        self.road.record(note, done.as_ref().err());
        Ok((key, done))
    }

    /// For a process that signs once: the log is written by [`Signer::settle`], and no threads are started for it.
    pub fn signs_once(&self) {
        self.road.log().write_when_flushed();
    }

    /// Waits until what was signed and refused is in the log, on the disk; to be called before a signature is given out
    /// by a process that signs few. Seals the log where that is due, or whatever is not sealed with `at_the_end`.
    ///
    /// # Errors
    /// When the log cannot be written: then the signatures are not to be given out.
    pub fn settle(&self, at_the_end: bool) -> Result<()> {
        let log = self.road.log();
        log.flush()?;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(name) = used
            && let Some(due) = log.seal_due(at_the_end)
            && let Ok(token) = self.tokens.get(&name)
            // A seal that cannot be made now is made later; verifying tells since when there is none.
            && let Ok(mac) = self.sealer.seal(&name, token.as_ref(), &due.message())
        {
            log.sealed(due, &name, &mac);
            log.flush()?;
            if at_the_end && let Ok(Some(marked)) = log.to_be_marked() {
                // What the token does not keep, or keeps otherwise, verifying tells.
                let _ = audit::raise(token.as_ref(), self.road.log().home(), &marked);
            }
        }
        Ok(())
    }

    /// What came of a request, when it is settled: a signature is given out when it is in the log; a refusal is told though
    /// it could not be written.
    ///
    /// # Errors
    /// That of the request; or of [`Signer::settle`].
    pub fn settled<T>(&self, done: Result<T>) -> Result<T> {
        let settled = self.settle(false);
        let done = done?;
        settled.map(|()| done)
    }

    /// The rest of it: each message to the token, and its signature into its place.
    fn compute(
        &self,
        key: &ReadyKey,
        mut work: Composed<'_>,
        mut look: impl FnMut(&Part),
    ) -> Result<SignedRequest> {
        while let Some(part) = work.next()? {
            look(&part);
            let signature = self.on_token(&key.record, &part.slot, &part.message)?;
            work.supply(&signature)?;
        }
        work.attach()
    }

    /// The MAC of bytes that hsmsign did not compose, with the key's own algorithm; only where the owner allowed it.
    ///
    /// # Errors
    /// `denied` unless the key allows raw; where the bytes carry what moves money out, the rule for that holds too.
    pub fn hmac(&self, name: &KeyName, message: &[u8], caller: &Caller) -> Result<Vec<u8>> {
        self.road.follow(|counted| {
            let asking = self.road.asking(caller);
            let key = self.road.ready(name, asking, |record| self.passphrase(record))?;
            let note = self.road.permit_raw(&key, message, asking, counted)?;
            let done = self.on_token(&key.record, "secret", message);
            self.road.record(Some(note), done.as_ref().err());
            Ok((key, done))
        })
    }

    /// The schemes by name.
    pub const fn catalogue(&self) -> &Catalogue {
        self.road.catalogue()
    }

    fn key_of(&self, request: &Request, asking: Asking<'_>) -> Result<Arc<ReadyKey>> {
        self.road
            .key_of(request, asking, |record| self.passphrase(record))
    }
}

/// The request, as one that was counted already where it was.
fn of(request: &Request, counted: bool) -> Cow<'_, Request> {
    match counted {
        false => Cow::Borrowed(request),
        true => Cow::Owned(Request {
            counted,
            ..request.clone()
        }),
    }
}
