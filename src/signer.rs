//! The road of a request: policy, nonce, composing, the token, and back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    algorithm::Algorithm,
    clock::Offset,
    error::{Code, Error, Result, bad_input, failed},
    exchange::{Catalogue, Composed, NonceNeed, Part, Prepared, Scheme, Stamps},
    home::Home,
    keyring::{Copy, FileKeyring, KeyName, Keyring, Material, Record, Stamp},
    nonce::{self, Lease, Nonces},
    policy::{self, Caller, Question},
    request::{Credentials, Request, SignedRequest},
    token::{Mac, SignInput, Token, TokenError, Tokens},
};

/// Signs requests with the keys of a keyring, on their tokens.
pub struct Signer {
    keyring: Box<dyn Keyring>,
    catalogue: Catalogue,
    tokens: Arc<Tokens>,
    nonces: Nonces,
    ready: Mutex<HashMap<KeyName, (Stamp, Arc<ReadyKey>)>>,
    /// Held while a batch is computed by software.
    lane: Mutex<()>,
}

/// A key with all that its signatures need beside the token.
struct ReadyKey {
    record: Record,
    scheme: Option<Arc<Scheme>>,
    credentials: Credentials,
}

/// A request on its way: its key, what is composed, and its first message.
type Work<'k> = (&'k Arc<ReadyKey>, Composed<'k>, Option<Part>);

/// What was put before the token, for a person to compare with the exchange's documentation.
#[derive(Debug)]
pub struct Explained {
    /// The answer.
    pub signed: SignedRequest,
    /// Each message, with the name of the secret it was MACed or signed with; none where it holds a passphrase.
    pub messages: Vec<(String, Option<Vec<u8>>)>,
}

/// Where a request would go, known before it is signed.
#[derive(Debug)]
pub struct Route {
    /// The exchange.
    pub scheme: Arc<Scheme>,
    /// The method.
    pub method: String,
    /// `https://` and the host.
    pub origin: String,
    /// The path as it goes on the wire, without its query.
    pub path: String,
    /// Whether the request brings a timestamp or a nonce of its own, so that signing it again makes no fresh one.
    pub brings_stamps: bool,
}

impl Signer {
    /// A signer over the keys of these folders.
    pub fn new(home: &Home, tokens: Arc<Tokens>) -> Self {
        Self {
            keyring: Box::new(FileKeyring::new(home)),
            catalogue: Catalogue::new(home.user_schemes()),
            tokens,
            nonces: Nonces::new(home),
            ready: Mutex::default(),
            lane: Mutex::default(),
        }
    }

    /// Signs one request.
    ///
    /// # Errors
    /// Everything that can be wrong with the request, the key, the policy or the token. Where the error comes before
    /// the token was asked, no nonce was given out unless the policy had permitted the request.
    pub fn sign(&self, request: &Request, caller: &Caller) -> Result<SignedRequest> {
        self.sign_by(request, caller, Offset::NONE)
    }

    /// Signs one request by a clock that is this far from the machine's.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign_by(&self, request: &Request, caller: &Caller, clock: Offset) -> Result<SignedRequest> {
        self.run(request, caller, clock, |_| ())
    }

    /// Where the request would go. Nothing is decided or given out.
    ///
    /// # Errors
    /// Everything that can be wrong with the request or its key.
    pub fn route(&self, request: &Request) -> Result<Route> {
        let key = self.ready_for(request)?;
        let prepared = key.prepare(request)?;
        Ok(Route {
            scheme: Arc::clone(key.scheme()?),
            method: prepared.endpoint().method.clone(),
            origin: prepared.origin().to_owned(),
            path: prepared.endpoint().path.clone(),
            brings_stamps: prepared.brings_stamps(),
        })
    }

    /// Signs several requests, and calls `composed` as soon as all nonces are given out and only the tokens are left to
    /// ask. Whoever signs many at once takes turns up to there, and nonces increase in the requests' order.
    pub fn sign_batch(
        &self,
        requests: &[Request],
        caller: &Caller,
        composed: impl FnOnce(),
    ) -> Vec<Result<SignedRequest>> {
        let mut keys: Vec<Result<Arc<ReadyKey>>> = Vec::with_capacity(requests.len());
        for request in requests {
            // Requests of one key mostly come together; its record is looked at once then.
            let same = keys
                .last()
                .and_then(|last| last.as_ref().ok())
                .filter(|last| request.key.as_ref() == Some(&last.record.name));
            let key = same.map_or_else(|| self.ready_for(request), |same| Ok(Arc::clone(same)));
            keys.push(key);
        }
        let mut lease = self.nonces.lease();
        let works: Vec<Result<Work<'_>>> = keys
            .iter()
            .zip(requests)
            .map(|(key, request)| {
                let key = key.as_ref().map_err(Clone::clone)?;
                let mut work = self.compose(key, request, caller, Offset::NONE, &mut lease)?;
                let part = work.next()?;
                Ok((key, work, part))
            })
            .collect();
        let noted = lease.finish();
        composed();
        if let Err(error) = noted {
            return works
                .into_iter()
                .map(|work| Err(work.err().unwrap_or_else(|| error.clone())))
                .collect();
        }
        let signatures = self.compute_parts(&works);
        let finish = |((key, mut work, _), signature): (Work<'_>, Option<Result<Vec<u8>>>)| {
            if let Some(signature) = signature {
                work.supply(&signature?)?;
            }
            self.compute(key, work, |_| ())
        };
        works
            .into_iter()
            .zip(signatures)
            .map(|(work, signature)| work.and_then(|work| finish((work, signature))))
            .collect()
    }

    /// The first message of each to its token. A module in software computes in this process, and two threads in it
    /// only wait for each other, so that one batch at a time is there.
    fn compute_parts(&self, works: &[Result<Work<'_>>]) -> Vec<Option<Result<Vec<u8>>>> {
        let software = |work: &Work<'_>| work.0.record.current.copies.iter().any(|copy| !copy.hardware);
        let _lane = works.iter().flatten().any(software).then(|| lock(&self.lane));
        let signature = |(key, _, part): &Work<'_>| {
            part.as_ref()
                .map(|part| self.on_token(&key.record, &part.slot, &part.message))
        };
        works
            .iter()
            .map(|work| work.as_ref().ok().and_then(signature))
            .collect()
    }

    /// Signs one request, and keeps what was signed.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn explain(&self, request: &Request, caller: &Caller) -> Result<Explained> {
        let mut messages = Vec::new();
        let signed = self.run(request, caller, Offset::NONE, |part| {
            messages.push((part.slot.clone(), (!part.sensitive).then(|| part.message.clone())));
        })?;
        Ok(Explained { signed, messages })
    }

    /// The road itself.
    fn run(
        &self,
        request: &Request,
        caller: &Caller,
        clock: Offset,
        look: impl FnMut(&Part),
    ) -> Result<SignedRequest> {
        let key = self.ready_for(request)?;
        let mut lease = self.nonces.lease();
        let work = self.compose(&key, request, caller, clock, &mut lease)?;
        lease.finish()?;
        self.compute(&key, work, look)
    }

    fn ready_for(&self, request: &Request) -> Result<Arc<ReadyKey>> {
        self.ready(request.key.as_ref().ok_or_else(|| {
            bad_input("the request names no key").fix("add \"key\":\"NAME\"; `hsmsign list` shows the keys")
        })?)
    }

    /// The road up to the token: what is asked is parsed, permitted, given its nonce and composed.
    fn compose<'k>(
        &self,
        key: &'k ReadyKey,
        request: &Request,
        caller: &Caller,
        clock: Offset,
        lease: &mut Lease<'_>,
    ) -> Result<Composed<'k>> {
        let name = &key.record.name;
        let prepared = key.prepare(request)?;
        let moves_money = prepared.moves_money();
        policy::decide(&Question {
            key: name,
            allow: &key.record.allow,
            caller,
            moves_money: moves_money.as_deref(),
            raw: false,
        })?;
        let stamps = Self::stamps(name, &prepared, clock, lease)?;
        prepared.compose(&key.credentials, &stamps)
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
        let key = self.ready(name)?;
        let moves_money = key
            .scheme
            .as_ref()
            .and_then(|scheme| scheme.raw_moves_money(message));
        policy::decide(&Question {
            key: name,
            allow: &key.record.allow,
            caller,
            moves_money: moves_money.as_deref(),
            raw: true,
        })?;
        if !matches!(key.record.algorithm, Algorithm::Mac(_)) {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "the key {name} makes {} signatures, no MACs",
                    key.record.algorithm
                ),
            ));
        }
        self.on_token(&key.record, "secret", message)
    }

    /// The schemes by name.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn stamps(
        name: &KeyName,
        prepared: &Prepared<'_>,
        clock: Offset,
        lease: &mut Lease<'_>,
    ) -> Result<Stamps> {
        let now = clock.apply(nonce::now());
        let nonce = match prepared.nonce() {
            NonceNeed::None => None,
            NonceNeed::Fresh { unit } => {
                let nonce = lease.next(name, unit.of(now), unit.per_second())?;
                prepared.check_nonce(nonce)?;
                Some(nonce)
            }
            NonceNeed::Brought { value } => {
                lease.raise(name, value, now)?;
                None
            }
        };
        Ok(Stamps { now, nonce })
    }

    fn ready(&self, name: &KeyName) -> Result<Arc<ReadyKey>> {
        let stamp = self.keyring.stamp(name)?;
        let mut ready = lock(&self.ready);
        if let (Some(stamp), Some((known, key))) = (stamp, ready.get(name))
            && stamp == *known
        {
            return Ok(Arc::clone(key));
        }
        ready.remove(name);
        let key = Arc::new(self.load(name)?);
        if let Some(stamp) = stamp {
            ready.insert(name.clone(), (stamp, Arc::clone(&key)));
        }
        Ok(key)
    }

    fn load(&self, name: &KeyName) -> Result<ReadyKey> {
        let record = self.keyring.get(name)?;
        let generic = record.exchange == crate::enrol::GENERIC;
        let scheme = if generic {
            None
        } else {
            Some(self.catalogue.get(&record.exchange)?)
        };
        if let Some(scheme) = &scheme
            && scheme.needs_api_key()
            && record.current.api_key.is_none()
        {
            return Err(
                bad_input(format!("the key {name} has no API key yet")).fix(format!(
                    "add the one that the exchange shows: hsmsign set {name} --api-key KEY"
                )),
            );
        }
        let passphrase = match &scheme {
            Some(scheme) if scheme.needs_passphrase() => {
                Some(self.try_copies(&record, "passphrase", |token, material| {
                    token.get_data(&material.key)
                })?)
            }
            _ => None,
        };
        let credentials = Credentials {
            api_key: record.current.api_key.clone(),
            passphrase,
            extra: record.current.extra.clone().into_iter().collect(),
        };
        Ok(ReadyKey {
            record,
            scheme,
            credentials,
        })
    }

    fn on_token(&self, record: &Record, slot: &str, message: &[u8]) -> Result<Vec<u8>> {
        match record.algorithm {
            Algorithm::Mac(algorithm) => self
                .try_copies(record, slot, |token, material| {
                    token.mac(&material.key, algorithm, message)
                })
                .map(|mac: Mac| mac.as_bytes().to_vec()),
            Algorithm::Signature(algorithm) => self.try_copies(record, slot, |token, material| {
                token.sign(&material.key, algorithm, SignInput::Message(message))
            }),
        }
    }

    /// Asks the first token that holds the key, and the next where that one is not to be had.
    fn try_copies<T>(
        &self,
        record: &Record,
        slot: &str,
        ask: impl Fn(&dyn Token, &Material) -> std::result::Result<T, TokenError>,
    ) -> Result<T> {
        let mut first = None;
        for Copy {
            token: name, objects, ..
        } in &record.current.copies
        {
            let Some(material) = objects.get(slot) else {
                continue;
            };
            let answer = self
                .tokens
                .get(name)
                .and_then(|token| ask(token.as_ref(), material).map_err(Error::from));
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if elsewhere(error.code()) => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| {
            failed(format!("the key {} has no {slot} on any token", record.name)).fix("import it again")
        }))
    }
}

impl ReadyKey {
    fn scheme(&self) -> Result<&Arc<Scheme>> {
        self.scheme.as_ref().ok_or_else(|| {
            let name = &self.record.name;
            Error::new(
                Code::Unsupported,
                format!("the key {name} is for no exchange, so there is no request to compose"),
            )
            .fix(format!("MAC your own bytes with it: hsmsign hmac {name}"))
        })
    }

    fn prepare(&self, request: &Request) -> Result<Prepared<'_>> {
        let scheme = self.scheme()?;
        let kind = scheme.kind(Some(self.record.algorithm))?;
        scheme.prepare(request, kind, self.record.base_url.as_deref())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether another token may still do what one did not.
const fn elsewhere(code: Code) -> bool {
    matches!(
        code,
        Code::TokenMissing | Code::TokenBusy | Code::TokenLocked | Code::WrongPin
    )
}
