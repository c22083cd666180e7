//! The road of a request: policy, nonce, composing, the token, and back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
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
}

/// A key with all that its signatures need beside the token.
struct ReadyKey {
    record: Record,
    scheme: Option<Arc<Scheme>>,
    credentials: Credentials,
}

impl ReadyKey {
    fn is_in_software(&self) -> bool {
        self.record.current.copies.iter().any(|copy| !copy.hardware)
    }
}

/// A request on its way: its key, what is composed, and its first message.
type Work<'k> = (&'k Arc<ReadyKey>, Composed<'k>, Option<Part>);

/// The first message of each request of a batch, with its key; none where a request was refused before.
type Parts = Vec<Option<(Arc<ReadyKey>, Part)>>;
/// The signatures of such messages.
type Signatures = Vec<Option<Result<Vec<u8>>>>;

/// Hands batches to the one thread that computes them, in [`Signer::serve`].
///
/// A module in software computes in this process. Threads that take turns in it wait for each other, and each wait costs
/// more than a signature; one thread that always finds the next batch waiting is as fast as the module can be.
#[derive(Clone)]
pub struct Lane(Sender<(Parts, Sender<Signatures>)>);

/// The end of a lane at which the work comes out.
pub struct LaneWork(Receiver<(Parts, Sender<Signatures>)>);

impl Lane {
    /// A lane and its end.
    pub fn new() -> (Self, LaneWork) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), LaneWork(receiver))
    }

    fn compute(&self, parts: Parts) -> Signatures {
        let wanted: Vec<bool> = parts.iter().map(Option::is_some).collect();
        let (sender, answer) = mpsc::channel();
        let signatures = self
            .0
            .send((parts, sender))
            .ok()
            .and_then(|()| answer.recv().ok());
        signatures.unwrap_or_else(|| {
            let lost = || Err(failed("the thread that computes signatures ended"));
            wanted.into_iter().map(|wanted| wanted.then(lost)).collect()
        })
    }
}

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
    ///
    /// What a module in software computes goes to the lane, except where there is but one request.
    pub fn sign_batch(
        &self,
        requests: &[Request],
        caller: &Caller,
        lane: &Lane,
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
        let mut works: Vec<Result<Work<'_>>> = keys
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
        let parts: Vec<_> = works
            .iter_mut()
            .map(|work| {
                let (key, _, part) = work.as_mut().ok()?;
                Some((Arc::clone(key), part.take()?))
            })
            .collect();
        let in_software = |(key, _): &(Arc<ReadyKey>, Part)| key.is_in_software();
        let signatures = if parts.len() > 1 && parts.iter().flatten().any(in_software) {
            lane.compute(parts)
        } else {
            self.compute_parts(&parts)
        };
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
        if let Algorithm::Signature(algorithm) = key.record.algorithm {
            return Err(Error::new(
                Code::Unsupported,
                format!("the key {name} makes {algorithm} signatures of whole requests, and no MACs"),
            )
            .fix(format!("sign a request with it: hsmsign sign {name} METHOD PATH")));
        }
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
            Some(scheme) if scheme.needs_passphrase() && record.current.passphrase_macs.is_empty() => {
                Some(self.try_copies(&record, "passphrase", |token, material| {
                    token.get_data(&material.key)
                })?)
            }
            _ => None,
        };
        let credentials = Credentials {
            api_key: record.current.api_key.clone(),
            passphrase,
            passphrase_macs: passphrase_macs(&record)?,
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

fn passphrase_macs(record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let read = |(slot, mac): (&String, &String)| {
        let mac = base16ct::lower::decode_vec(mac).map_err(|_| {
            failed("the recorded MAC of the passphrase is damaged").fix("import the key again")
        })?;
        Ok((slot.clone(), mac))
    };
    record.current.passphrase_macs.iter().map(read).collect()
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
