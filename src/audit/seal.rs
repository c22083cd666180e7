//! Seals: from time to time a key that lives on the token MACs where the log ends, so that nobody without the token can
//! write another log in its place.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    file::{Tail, end_of},
    line::{self, Hash},
};
use crate::{
    algorithm::MacAlgorithm,
    error::{Result, failed},
    home::{FileLock, Home, read_own, write_private},
    json::quote,
    token::{KeyMeta, KeyRef, ObjectId, Token},
};

/// The label of the key on the token; no key of an exchange can have it.
pub const SEAL_LABEL: &str = "hsmsign:SEAL";
/// After how many lines of one process a seal is due.
pub const SEAL_EVERY: u64 = 1_000;
/// After what time it is due, where there are fewer.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// How long another process may take to seal.
const PATIENCE: Duration = Duration::from_secs(20);

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

/// The last seal, kept beside the log, so that a log of an earlier day in its place is found.
pub(super) struct Seals {
    folder: PathBuf,
    path: PathBuf,
    lock: PathBuf,
}

/// What the file of the last seal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    /// How many seals there were; 0 before the first.
    pub seal: u64,
    /// The last line that it covers.
    pub upto: u64,
    /// That line's hash, in hex.
    pub head: String,
    /// The token.
    pub token: String,
    /// The MAC, in hex.
    pub mac: String,
}

/// Something to be sealed. No other process seals while it lives.
pub struct Due {
    seal: u64,
    tail: Tail,
    path: PathBuf,
    _lock: FileLock,
}

impl Seals {
    pub(super) fn new(home: &Home) -> Self {
        Self {
            folder: home.state("audit"),
            path: home.state("audit.seal"),
            lock: home.state("locks").join("audit-seal.lock"),
        }
    }

    /// Keeps that there is no seal yet, for a log that begins; seals that an earlier one left go on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn begin(&self) -> Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        let none = Last {
            seal: 0,
            upto: 0,
            head: String::new(),
            token: String::new(),
            mac: String::new(),
        };
        none.write(&self.path)
    }

    /// The last one.
    pub(super) fn last(&self) -> Result<Option<Last>> {
        let Some(bytes) = read_own(&self.path, 1 << 16)? else {
            return Ok(None);
        };
        let last = serde_json::from_slice(&bytes).ok();
        last.filter(|last: &Last| last.seal <= line::LAST).map(Some).ok_or_else(|| {
            failed(format!("{} is damaged", self.path.display()))
                .fix("it cannot be made again: move it and the folder `audit` away together, and keep both; the next signature begins a new log")
        })
    }

    /// The next, if nobody else is at it: over all lines up to `known`, and those that others wrote since. So it covers the
    /// seal before it, and one that was copied to another place does not.
    pub(super) fn next(&self, known: Tail) -> Option<Due> {
        let lock = FileLock::try_acquire(&self.lock).ok()??;
        Some(self.behind(known, lock))
    }

    /// The next, over all lines there are when whoever else is at it is done.
    ///
    /// # Errors
    /// `token-busy` when that takes too long; or when the end of the log cannot be read.
    pub(super) fn next_in_turn(&self) -> Result<Due> {
        let lock = FileLock::acquire(&self.lock, PATIENCE, "another process has been sealing the log")?;
        Ok(self.behind(end_of(&self.folder)?, lock))
    }

    fn behind(&self, known: Tail, lock: FileLock) -> Due {
        let there = end_of(&self.folder).ok().filter(|end| end.number > known.number);
        let tail = there.unwrap_or(known);
        // A log begins with its file. Where that is gone the numbers leap, so that it is not as if it had never been.
        let last = self.last().ok().flatten().map_or(tail.number, |last| last.seal);
        Due {
            seal: last + 1,
            tail,
            path: self.path.clone(),
            _lock: lock,
        }
    }
}

/// What the token MACs for a seal.
pub(super) fn message(seal: u64, upto: u64, head: &Hash) -> Vec<u8> {
    format!(
        "hsmsign audit seal 1\n{seal}\n{upto}\n{}\n",
        base16ct::lower::encode_string(head)
    )
    .into_bytes()
}

impl Due {
    /// What the token is to MAC.
    pub fn message(&self) -> Vec<u8> {
        message(self.seal, self.tail.number, &self.tail.hash)
    }

    pub(super) fn members(&self, out: &mut String, token: &str, mac: &[u8]) {
        let _ = write!(
            out,
            ",\"seal\":{},\"upto\":{},\"head\":\"{}\",\"mac\":\"{}\",\"token\":",
            self.seal,
            self.tail.number,
            base16ct::lower::encode_string(&self.tail.hash),
            base16ct::lower::encode_string(mac)
        );
        quote(token, out);
    }

    pub(super) fn keep(&self, token: &str, mac: &[u8]) -> Result<()> {
        let last = Last {
            seal: self.seal,
            upto: self.tail.number,
            head: base16ct::lower::encode_string(&self.tail.hash),
            token: token.to_owned(),
            mac: base16ct::lower::encode_string(mac),
        };
        last.write(&self.path)
    }
}

impl Last {
    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| failed(format!("the seal cannot be written: {error}")))?;
        write_private(path, &text)
    }
}

/// The keys on a token that seal.
///
/// # Errors
/// When the token cannot be asked.
pub(super) fn keys(token: &dyn Token) -> Result<Vec<KeyRef>> {
    let named = token.labelled(SEAL_LABEL)?;
    Ok(named.into_iter().filter_map(|info| info.key).collect())
}

/// Whether a key on this token has sealed a log, here or elsewhere.
///
/// # Errors
/// When the token cannot be asked.
pub fn has_sealed(token: &dyn Token) -> Result<bool> {
    Ok(!keys(token)?.is_empty())
}

/// What makes seals. It remembers the key, since a token with thousands of keys takes long to find one.
#[derive(Debug, Default)]
pub struct Sealer(Mutex<Option<(String, KeyRef)>>);

impl Sealer {
    /// The MAC of a seal's message, by the key on this token that seals; it is made where there is none. `name` is what the
    /// token is called here.
    ///
    /// # Errors
    /// When the token cannot do it.
    pub fn seal(&self, name: &str, token: &dyn Token, message: &[u8]) -> Result<Vec<u8>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, key)) = &*known
            && of == name
            && let Ok(mac) = token.mac(key, ALGORITHM, message)
        {
            return Ok(mac.as_bytes().to_vec());
        }
        let key = match keys(token)?.into_iter().next() {
            Some(key) => key,
            None => {
                let meta = KeyMeta {
                    id: ObjectId::random()?,
                    label: SEAL_LABEL.to_owned(),
                    wishes: crate::token::Wishes::default(),
                };
                token.generate_mac(ALGORITHM, &meta)?.key
            }
        };
        let mac = token.mac(&key, ALGORITHM, message)?;
        *known = Some((name.to_owned(), key));
        Ok(mac.as_bytes().to_vec())
    }
}

/// Whether one of these keys on this token, which seal, made the MAC.
///
/// # Errors
/// When the token cannot be asked.
pub(super) fn is_of(token: &dyn Token, keys: &[KeyRef], message: &[u8], mac: &[u8]) -> Result<bool> {
    for key in keys {
        if token.mac(key, ALGORITHM, message)?.as_bytes() == mac {
            return Ok(true);
        }
    }
    Ok(false)
}
