//! The lock under which processes take turns at opening a token.
//!
//! SoftHSM and opencryptoki rewrite the token's state at every login, and a process that reads it meanwhile finds no
//! token or a PIN that does not fit.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::token::{Result, TokenError};

/// How long to wait for the other processes.
pub const WAIT: Duration = Duration::from_secs(60);

/// The lock, held until dropped. The kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Waits for the lock at `path`, which is made (0600) if absent.
    ///
    /// # Errors
    /// [`TokenError::Busy`] when others hold it for longer than `wait`.
    pub fn acquire(path: &Path, wait: Duration) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|e| TokenError::Failed(format!("cannot open the lock file {}: {e}", path.display())))?;
        let deadline = Instant::now() + wait;
        let mut pause = Duration::from_micros(500);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(8));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    let seconds = wait.as_secs();
                    return Err(TokenError::Busy(format!(
                        "other processes held the lock {} for {seconds} s",
                        path.display()
                    )));
                }
                Err(e) => {
                    return Err(TokenError::Failed(format!("cannot lock {}: {e}", path.display())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_busy_and_a_freed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = ProcessLock::acquire(&path, WAIT).unwrap();
        let refused = ProcessLock::acquire(&path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, TokenError::Busy(_)), "{refused}");
        drop(held);
        ProcessLock::acquire(&path, Duration::ZERO).unwrap();
    }
}
