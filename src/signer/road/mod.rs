//! The road up to the token: all of a signature that needs no token.

mod permit;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::ReadyKey;
use crate::{
    ask::Agreed,
    audit::{Entry, Log, What, cut, cut_fields},
    clock::{self, Offset},
    error::{Code, Error, Result, bad_input},
    exchange::{Catalogue, Composed, NonceNeed, Prepared, Stamps},
    home::{Home, Mark},
    keyring::{FileKeyring, KeyName, Keyring, Record},
    nonce::{self, Lease, Nonces},
    policy::{Caller, Mode, Policies, What as Asked},
    request::Request,
    secret::Secret,
    watch::{Epoch, Watch},
};

/// Asks a person whether a request may be signed, in words that name key, request and program.
pub type Confirm = Box<dyn Fn(String) -> Result<Agreed> + Send + Sync>;

/// Who asks, and the state of the files when they did: what one request, or several that were read at once, are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    caller: &'a Caller,
    epoch: Epoch,
}

/// Finds keys, asks the policy, gives out nonces and composes what is to be signed.
pub struct Road {
    keyring: Box<dyn Keyring>,
    catalogue: Catalogue,
    nonces: Nonces,
    policies: Policies,
    log: Arc<Log>,
    confirm: Option<Confirm>,
    ready: Mutex<HashMap<KeyName, Ready>>,
    watch: Option<Watch>,
}

/// A key that was read.
struct Ready {
    mark: Mark,
    /// When its record was found unchanged.
    epoch: Epoch,
    key: Arc<ReadyKey>,
}

impl Road {
    /// The road over the keys of these folders, with nonces as `nonces` gives them.
    pub fn new(home: &Home, nonces: Nonces) -> Self {
        Self {
            keyring: Box::new(FileKeyring::new(home)),
            catalogue: Catalogue::new(home.user_schemes()),
            nonces,
            policies: Policies::new(home),
            log: Arc::new(Log::new(home)),
            confirm: None,
            ready: Mutex::default(),
            watch: None,
        }
    }

    /// Has the kernel tell when records or policies change, where it does, so that they need not be looked at for each
    /// request. For a process that may look at nothing else later, before that.
    #[must_use]
    pub fn watching(mut self, home: &Home) -> Self {
        self.watch = Watch::over(
            vec![home.config(""), home.state("")],
            vec![
                home.config("policy"),
                home.state("policy"),
                home.state("policy").join("accepted"),
                home.state("keys"),
            ],
        );
        self
    }

    /// Has a person asked where a policy wants that. Without it, such requests are denied.
    #[must_use]
    pub fn with_confirm(mut self, confirm: Confirm) -> Self {
        self.confirm = Some(confirm);
        self
    }

    /// Takes the place of a road of this process: goes on with the log that it writes to and the folders that it watches.
    #[must_use]
    pub fn in_place_of(mut self, other: &mut Self) -> Self {
        self.log = Arc::clone(&other.log);
        self.watch = other.watch.take();
        self
    }

    /// The log of what is signed and refused.
    pub const fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Writes down how a request came out that was composed or permitted.
    pub fn record(&self, note: Option<Box<Entry>>, error: Option<&Error>) {
        if let Some(mut entry) = note {
            entry.came_out(error);
            self.log.record(*entry);
        }
    }

    /// The policies.
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The schemes by name.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The records of the keys.
    pub fn keyring(&self) -> &dyn Keyring {
        &*self.keyring
    }

    /// The nonces.
    pub const fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Who asks, at this moment; to be taken when a request was read.
    pub fn asking<'a>(&self, caller: &'a Caller) -> Asking<'a> {
        Asking {
            caller,
            epoch: self
                .watch
                .as_ref()
                .and_then(Watch::epoch)
                .unwrap_or_else(Epoch::moment),
        }
    }

    /// The key that a request names.
    ///
    /// # Errors
    /// As [`Road::ready`]; and where the request names none.
    pub fn key_of(
        &self,
        request: &Request,
        asking: Asking<'_>,
        passphrase: impl FnOnce(&Record) -> Result<Secret>,
    ) -> Result<Arc<ReadyKey>> {
        self.ready(name_of(request)?, asking, passphrase)
    }

    /// The record of the key that a request names.
    ///
    /// # Errors
    /// When it names none, or there is no such key.
    pub fn record_of(&self, request: &Request) -> Result<Record> {
        self.keyring.get(name_of(request)?)
    }

    /// A key with what its signatures need; read again where its record changed. Its passphrase, where the exchange wants
    /// one in the request, is asked for then.
    ///
    /// # Errors
    /// When there is no such key, or something that belongs to it cannot be had.
    pub fn ready(
        &self,
        name: &KeyName,
        asking: Asking<'_>,
        passphrase: impl FnOnce(&Record) -> Result<Secret>,
    ) -> Result<Arc<ReadyKey>> {
        let epoch = asking.epoch;
        let mut ready = lock(&self.ready);
        if let Some(known) = ready.get(name)
            && known.epoch == epoch
        {
            return Ok(Arc::clone(&known.key));
        }
        let mark = self.keyring.mark(name)?;
        if let (Some(mark), Some(known)) = (mark, ready.get_mut(name))
            && mark == known.mark
        {
            known.epoch = epoch;
            return Ok(Arc::clone(&known.key));
        }
        ready.remove(name);
        let record = self.keyring.get(name)?;
        let key = Arc::new(ReadyKey::load(record, &self.catalogue, passphrase)?);
        if let Some(mark) = mark {
            let known = Ready {
                mark,
                epoch,
                key: Arc::clone(&key),
            };
            ready.insert(name.clone(), known);
        }
        Ok(key)
    }

    /// What is asked is parsed, permitted, given its nonce and composed. Nothing may be signed before the lease is
    /// finished.
    ///
    /// # Errors
    /// Everything that can be wrong with the request or that its policy forbids. Where a person is being asked, `denied`,
    /// and nothing is written down or counted yet.
    pub fn compose<'k>(
        &self,
        key: &'k ReadyKey,
        request: &Request,
        asking: Asking<'_>,
        lease: &mut Lease<'_>,
    ) -> Result<Composed<'k>> {
        self.log.check()?;
        let mut entry = Box::new(entry(What::Sign, key, asking.caller));
        let composed = self.compose_noting(key, request, asking, lease, &mut entry);
        match composed {
            Ok(Some(composed)) => Ok(composed.with_note(entry)),
            Ok(None) => Err(Error::new(Code::Denied, "a person is being asked")),
            Err(error) => {
                self.record(Some(entry), Some(&error));
                Err(error)
            }
        }
    }

    /// None where a person is being asked.
    fn compose_noting<'k>(
        &self,
        key: &'k ReadyKey,
        request: &Request,
        asking: Asking<'_>,
        lease: &mut Lease<'_>,
        entry: &mut Entry,
    ) -> Result<Option<Composed<'k>>> {
        let name = &key.record.name;
        let prepared = match key.prepare(request) {
            Ok(prepared) => prepared,
            Err(error) => {
                // What is no request is told as it was given.
                entry.method = cut(request.method.as_deref().unwrap_or_default(), 20);
                entry.path = cut(as_given(request), 300);
                return Err(error);
            }
        };
        entry.method.clone_from(&prepared.endpoint().method);
        entry.path = cut(&prepared.endpoint().path, 300);
        entry.parameters = prepared.parameters_text().map(Into::into);
        let [first, agreed] = match request.counted {
            true => [Mode::Counted; 2],
            false => [Mode::Sign, Mode::Agreed],
        };
        let mut verdict = self.decide(&key.record, Asked::Request(&prepared), asking, first)?;
        if let Some(rule) = &verdict.confirm {
            if !self.ask(key, rule, &prepared, asking.caller)? {
                return Ok(None);
            }
            // While they thought, a count may have been used up, a policy changed, the switch pulled.
            let asking = self.asking(asking.caller);
            verdict = self.decide(&key.record, Asked::Request(&prepared), asking, agreed)?;
        }
        entry.rules = verdict.rules;
        entry.fields = cut_fields(verdict.fields);
        let clock = request.offset.unwrap_or(key.record.offset_ms);
        let stamps = stamps(name, &prepared, clock, lease)?;
        prepared.compose(&key.credentials, &stamps).map(Some)
    }
}

fn name_of(request: &Request) -> Result<&KeyName> {
    request.key.as_ref().ok_or_else(|| {
        bad_input("the request names no key").fix("add \"key\":\"NAME\"; `hsmsign list` shows the keys")
    })
}

/// The path of what is no request, without its query, and without what stands before an `@`: it may be a name and password.
fn as_given(request: &Request) -> &str {
    let given = request
        .path
        .as_deref()
        .or(request.url.as_deref())
        .unwrap_or_default();
    let path = given.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    path.rsplit_once('@').map_or(path, |(_, rest)| rest)
}

fn entry(what: What, key: &ReadyKey, caller: &Caller) -> Entry {
    let mut entry = Entry::new(what, caller, key.record.name.as_str(), clock::now());
    entry.exchange.clone_from(&key.record.exchange);
    entry
}

fn stamps(name: &KeyName, prepared: &Prepared<'_>, clock: Offset, lease: &mut Lease<'_>) -> Result<Stamps> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_told_without_query_name_and_password() {
        let told = |path: Option<&str>, url: Option<&str>| {
            let request = Request {
                path: path.map(str::to_owned),
                url: url.map(str::to_owned),
                ..Request::default()
            };
            as_given(&request).to_owned()
        };
        assert_eq!(told(Some("/a/b?otp=1"), None), "/a/b");
        assert_eq!(told(None, Some("https://user:pass@host/a?b=c#d")), "host/a");
        assert_eq!(told(None, Some("https://host/a")), "host/a");
        for odd in [
            "//user:pass@host/a",
            "https:/user:pass@host/a",
            "user:pass@host/a",
            "https:\\\\user:p@ss@host/a",
        ] {
            assert_eq!(told(Some(odd), None), "host/a");
            assert_eq!(told(None, Some(odd)), "host/a");
        }
        assert_eq!(told(None, None), "");
    }
}
