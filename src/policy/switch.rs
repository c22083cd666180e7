//! The switch to pull when a bot is hijacked: everything denied, for one key or for all, from the next request on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result, failed},
    home::{FileLock, Home, Mark, create_folder, own_flags, read_own, sync_folder, write_private},
    keyring::KeyName,
};

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
        let Some(mark) = Mark::of_itself(&self.path)? else {
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
        let written = write_private(&self.path, &text);
        written.or_else(|error| self.without_room(&text, denied.all).map_err(|_| error))
    }

    /// Has what the switch needs where the disk has no room for a new file when it is pulled.
    ///
    /// # Errors
    /// When that cannot be made.
    pub fn prepare(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            create_folder(folder)?;
        }
        FileLock::try_acquire(&self.lock).map(drop)
    }

    /// Changes the file that is there, which is damaged and denies everything where that is cut off. Where none is there and
    /// `all` are denied, another stands in its place that says nothing, and so denies everything.
    fn without_room(&self, text: &[u8], all: bool) -> io::Result<()> {
        let open = OpenOptions::new()
            .write(true)
            .custom_flags(own_flags())
            .open(&self.path);
        match open {
            Ok(file) => {
                file.write_all_at(text, 0)?;
                file.set_len(text.len() as u64)?;
                file.sync_all()
            }
            Err(error) if all && error.kind() == io::ErrorKind::NotFound => {
                // Of a name more some file systems, as tmpfs, have no room either.
                fs::hard_link(&self.lock, &self.path).or_else(|_| fs::rename(&self.lock, &self.path))?;
                self.path.parent().map_or(Ok(()), sync_folder)
            }
            Err(error) => Err(error),
        }
    }
}
