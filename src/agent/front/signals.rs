//! Signals, as something that can be waited for like a socket.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, low_level,
};

use crate::error::{Result, failed};

/// The signals that end an agent (SIGTERM, SIGINT) and have it read its configuration again (SIGHUP).
pub struct Signals {
    /// Can be read when one came.
    pub socket: OwnedFd,
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// It is to end.
    pub stop: bool,
    /// It is to read its configuration again.
    pub reload: bool,
}

impl Signals {
    /// Catches them from here on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn catch() -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
        ours.set_nonblocking(true).map_err(cannot)?;
        let (stop, reload) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reload)] {
            // In this order: whoever is woken finds the flag set.
            flag::register(signal, Arc::clone(flag)).map_err(cannot)?;
            low_level::pipe::register(signal, theirs.try_clone().map_err(cannot)?).map_err(cannot)?;
        }
        Ok(Self {
            socket: ours.into(),
            stop,
            reload,
        })
    }

    /// What came since this was asked last.
    pub fn take(&self) -> Came {
        let mut bytes = [0; 16];
        while rustix::io::read(&self.socket, &mut bytes).is_ok_and(|read| read == bytes.len()) {}
        Came {
            stop: self.stop.swap(false, Ordering::Relaxed),
            reload: self.reload.swap(false, Ordering::Relaxed),
        }
    }
}

fn cannot(error: io::Error) -> crate::error::Error {
    failed(format!("signals cannot be caught: {error}"))
}
