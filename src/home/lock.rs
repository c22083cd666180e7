//! A lock that one process holds at a time.

use std::{
    fs::{self, File},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::files::{create_folder, io_error};
use crate::error::{Code, Error, Result, failed};

/// A lock between processes, held as long as this lives. The kernel drops it with the process.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock for as long as `patience`; `busy` says what another process is doing with it.
    ///
    /// # Errors
    /// `token-busy` when it is not free in time, or the file cannot be made.
    pub fn acquire(path: &Path, patience: Duration, busy: &str) -> Result<Self> {
        let file = open_lock(path)?;
        let begun = Instant::now();
        let mut pause = Duration::from_micros(500);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(format!("{} could not be locked: {error}", path.display()))),
            }
            if begun.elapsed() > patience {
                return Err(Error::new(
                    Code::TokenBusy,
                    format!("{busy} for {} seconds", patience.as_secs()),
                )
                .fix("wait for the other hsmsign process, or end it, then try again"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The lock if it is free now.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(failed(format!("{} could not be locked: {error}", path.display()))),
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_error("the lock", path, "be opened", &error))
}
