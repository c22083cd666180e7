//! Nonces that increase for a key, over processes, crashes, power cuts and clocks that jump.
//!
//! A file a key holds the last nonce given out and the end of a reservation. Every nonce is written to the file under
//! a lock, so that processes and crashes repeat none; only the reservation is forced to the disk, a minute ahead at a
//! time. After a power cut (the system's boot id tells) counting goes on behind the reservation.

mod ahead;
mod lease;
mod slot;
mod state;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

pub use lease::Lease;

pub use crate::clock::now;

use self::{
    ahead::Ahead,
    slot::Slot,
    state::{Disk, Kept, State},
};
use crate::{
    error::Result,
    home::{Home, check_folder, create_folder, io_error, open_private, remove_file},
    keyring::KeyName,
    shared_file::{exclusive, is_at, make_whole},
};

/// How far ahead of the last nonce a reservation reaches.
const AHEAD: Duration = Duration::from_secs(60);
/// A brought nonce that lies further than this in the future is refused.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a file is waited for that another process has: longer than that has its turn.
const LONGER: Duration = Duration::from_secs(1);
/// How many files stay open at most.
const MOST_OPEN: usize = 128;

/// Steps a second of a nonce, as its length implies: ten digits are seconds since 1970, each further one a tenth.
fn implied_rate(nonce: u64) -> u64 {
    let digits = nonce.checked_ilog10().map_or(1, |log| log + 1);
    10_u64.pow(digits.saturating_sub(10))
}

/// The kernel's name for the time since it was started; none where it gives none.
fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| id.len() == 36)
    };
    BOOT.get_or_init(read).as_deref()
}

/// The nonces of all keys.
pub struct Nonces {
    folder: PathBuf,
    boot: Option<String>,
    /// Files that stay open between one nonce and the next.
    open: Mutex<HashMap<KeyName, Kept>>,
    /// Whether files stay locked between one nonce and the next.
    holds: bool,
    /// What brings reservations to the disk before they are needed.
    ahead: Ahead,
}

impl Nonces {
    /// The nonces of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            folder: home.state("nonces"),
            boot: boot().map(str::to_owned),
            open: Mutex::default(),
            holds: false,
            ahead: Ahead::default(),
        }
    }

    /// The nonces of a process that gives out many: each write covers a block of them, and a file stays locked until
    /// [`Nonces::settle`], or for a quarter of a second. A reservation is extended by a thread of its own when half of it is
    /// used up, so that no nonce waits for the disk while there is some of it left.
    ///
    /// Where the process is killed, the rest of the block is passed over.
    pub fn held(home: &Home) -> Self {
        Self {
            holds: true,
            ..Self::new(home)
        }
    }

    /// Unlocks the files that stayed locked, so that other processes get their turn. To be called when the process has
    /// nothing else to do.
    pub fn settle(&self) {
        let keys: Vec<_> = lock(&self.open)
            .iter()
            .filter(|(_, kept)| kept.held.is_some())
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let kept = lock(&self.open).remove(&key);
            if let Some(Kept {
                file,
                held: Some(held),
                disk,
            }) = kept
            {
                State::held(self, &key, file, self.path(&key), held, disk).settle();
            }
        }
    }

    /// Nonces for several requests, written down together by [`Lease::finish`].
    pub const fn lease(&self) -> Lease<'_> {
        Lease {
            nonces: self,
            state: None,
            failed: None,
        }
    }

    /// A nonce greater than any before: the clock, or one more than the last where the clock is behind.
    ///
    /// `clock` is the time since 1970 in the nonce's own unit, of which a second has `per_second`.
    ///
    /// # Errors
    /// When the file cannot be read or written: then nothing may be signed.
    pub fn next(&self, key: &KeyName, clock: u64, per_second: u64) -> Result<u64> {
        let mut lease = self.lease();
        let nonce = lease.next(key, clock, per_second)?;
        lease.finish().map(|()| nonce)
    }

    /// Takes note of a nonce that the caller brought, so that later ones lie above it.
    ///
    /// # Errors
    /// When, read in the unit its length implies, it lies more than a day ahead: it would make every later nonce too
    /// small. And as [`Nonces::next`].
    pub fn raise(&self, key: &KeyName, nonce: u64, now: Duration) -> Result<()> {
        let mut lease = self.lease();
        lease.raise(key, nonce, now)?;
        lease.finish()
    }

    /// Lets the next nonce be greater than `above`. Never lowers.
    ///
    /// # Errors
    /// As [`Nonces::raise`], which takes the same look at how far ahead it lies.
    pub fn set_above(&self, key: &KeyName, above: u64, now: Duration) -> Result<()> {
        self.raise(key, above, now)
    }

    /// Forgets all nonces of a key, which then begin at the clock again.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self, key: &KeyName) -> Result<()> {
        let path = self.path(key);
        lock(&self.open).remove(key);
        if let Some(file) = soon_locked(&path) {
            // For a process that has it open, and goes on by what it says.
            let _where_it_can_be_written = State::read(self, key, file, path.clone(), Disk::default())
                .and_then(|mut state| state.clear());
            lock(&self.open).remove(key);
        }
        remove_file(&path)
    }

    /// The greatest nonce that may have been given out, even over a power cut; 0 for none. It waits for no process that has
    /// the file locked: what one gives out stands in the file before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn high_water(&self, key: &KeyName) -> Result<u64> {
        let path = self.path(key);
        if !path.exists() {
            return Ok(0);
        }
        if let Some(file) = open_private(&path)?
            && !lock(&self.open).contains_key(key)
            && let Ok(state) = State::read(self, key, file, path, Disk::default())
        {
            return Ok(state.into_last());
        }
        // Read in the middle of a write.
        Ok(self.open(key)?.last())
    }

    /// A mark that no nonce given out since `then` can have passed, for a mark that was read `then`.
    ///
    /// A sequence ahead of the clock grows by one a signature, one that follows the clock by the time that passed, so
    /// the time since, in the unit that the mark's length implies, and a reservation more, covers both.
    pub fn mark_after(mark: u64, then: Duration, now: Duration) -> u64 {
        if mark == 0 {
            return 0;
        }
        let since = now.saturating_sub(then) + AHEAD;
        let steps = since.as_micros().saturating_mul(u128::from(implied_rate(mark))) / 1_000_000;
        mark.saturating_add(u64::try_from(steps).unwrap_or(u64::MAX))
    }

    /// Sets a restored mark: at least `mark`, whatever the clock says.
    ///
    /// # Errors
    /// As [`Nonces::next`].
    pub fn restore(&self, key: &KeyName, mark: u64) -> Result<()> {
        let mut state = self.open(key)?;
        if mark > state.last() {
            state.note(mark, implied_rate(mark));
        }
        state.store()
    }

    /// Whether it is known in which boot of the system a file was written.
    pub const fn know_boot(&self) -> bool {
        self.boot.is_some()
    }

    fn path(&self, key: &KeyName) -> PathBuf {
        self.folder.join(key.as_str())
    }

    fn open(&self, key: &KeyName) -> Result<State<'_>> {
        let path = self.path(key);
        let kept = lock(&self.open).remove(key);
        let (file, disk) = match kept {
            Some(Kept {
                file,
                held: Some(held),
                disk,
            }) => return Ok(State::held(self, key, file, path, held, disk)),
            Some(kept) => (kept.file, kept.disk),
            None => (self.open_file(&path)?, Disk::default()),
        };
        exclusive(&file, &path)?;
        if is_at(&file, &path) {
            return State::read(self, key, file, path, disk);
        }
        // Moved away, replaced or removed since it was opened: what it says was given out all the same.
        let given = State::read(self, key, file, path.clone(), disk).map_or(0, State::into_last);
        let file = self.open_file(&path)?;
        exclusive(&file, &path)?;
        let mut state = State::read(self, key, file, path, Disk::default())?;
        if given > state.last() {
            state.note(given, implied_rate(given));
        }
        Ok(state)
    }

    /// The file of a key, made if it is not there.
    fn open_file(&self, path: &Path) -> Result<File> {
        if open_private(path)?.is_none() {
            create_folder(&self.folder)?;
            let slot = Slot {
                sequence: 0,
                last: 0,
                reserved: 0,
                promised: false,
            }
            .render(self.boot.as_deref());
            make_whole("the nonce file", &self.folder, path, &[slot, slot].concat())?;
        } else {
            check_folder(&self.folder)?;
        }
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| io_error("the nonce file", path, "be opened", &error))
    }
}

/// A nonce file that is there, locked; none where another process holds it for longer than its turn.
fn soon_locked(path: &Path) -> Option<File> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    let until = Instant::now() + LONGER;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if until <= Instant::now() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(file)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
