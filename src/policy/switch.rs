//! The switch to pull when a bot is hijacked: everything denied, for one key or for all, from the next request on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result, failed},
    home::{FileLock, Home, create_folder, read_own, write_private},
    keyring::KeyName,
};

use super::mark::{Mark, mark_itself};

const LIMIT: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denied {
    version: u32,
    /// Whether every key is.
    pub all: bool,
    /// The keys that are.
    pub keys: BTreeSet<KeyName>,
    /// The keys whose bots are watched, and since when.
    #[serde(default)]
    pub learning: BTreeMap<KeyName, String>,
}

/// The file that says so, and what it said last.
pub struct Switch {
    path: PathBuf,
    lock: PathBuf,
    known: Mutex<Option<(Mark, Result<Denied>)>>,
}

impl Switch {
    /// The switch of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            path: home.state("policy").join("denied.json"),
            lock: home.state("locks").join("policy.lock"),
            known: Mutex::default(),
        }
    }

    /// Refuses where the key, or every key, is switched off. Answers whether its bot is watched.
    ///
    /// # Errors
    /// As said, and where the file cannot be read: then nothing is signed.
    pub(super) fn ask(&self, key: &KeyName) -> Result<bool> {
        let Some(mark) = mark_itself(&self.path)? else {
            return Ok(false);
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(have, _)| *have != mark) {
            *known = Some((mark, self.read()));
        }
        let Some((_, said)) = &*known else {
            return Ok(false);
        };
        let denied = said.as_ref().map_err(Clone::clone)?;
        if denied.all {
            return Err(
                Error::new(Code::Denied, "every key is locked: hsmsign lock --all")
                    .by("lock --all")
                    .fix("when you know why: hsmsign unlock --all"),
            );
        }
        if denied.keys.contains(key) {
            return Err(Error::new(
                Code::Denied,
                format!("everything is denied to the key {key}: hsmsign policy deny-all {key}"),
            )
            .by("deny-all")
            .fix(format!("when you know why: hsmsign policy deny-all {key} --undo")));
        }
        Ok(denied.learning.contains_key(key))
    }

    /// What is switched off.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Denied> {
        let Some(bytes) = read_own(&self.path, LIMIT)? else {
            return Ok(Denied::default());
        };
        serde_json::from_slice(&bytes).map_err(|_| {
            failed(format!(
                "{} is damaged, so nothing is signed",
                self.path.display()
            ))
            .fix("lock anew: hsmsign lock --all, then hsmsign unlock --all")
        })
    }

    /// Changes what is switched off.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn change(&self, change: impl FnOnce(&mut Denied)) -> Result<()> {
        let _lock = FileLock::acquire(
            &self.lock,
            PATIENCE,
            "another process has been changing the policy",
        )?;
        let mut denied = match self.read() {
            Ok(denied) => denied,
            // Damaged, it denies all; what replaces it begins there.
            Err(error) if error.code() == Code::Failed => Denied {
                all: true,
                ..Denied::default()
            },
            Err(error) => return Err(error),
        };
        denied.version = 1;
        change(&mut denied);
        if let Some(folder) = self.path.parent() {
            create_folder(folder)?;
        }
        let text = serde_json::to_vec(&denied)
            .map_err(|error| failed(format!("the switch cannot be written: {error}")))?;
        write_private(&self.path, &text)
    }
}
