//! Waiting for an agent's answer. It may take as long as a person thinks or a token computes; an agent that stands still,
//! as one that was stopped by a signal or waits for a disk that hangs, is noticed, since it answers no ping either.

use std::{
    io::{self, Read, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::peer::Peer;
use crate::error::{Code, Error, Result, failed};

/// After how long without an answer it is asked whether it is alive, and how long it may take to say so.
const PATIENCE: Duration = Duration::from_secs(15);

/// What an agent sends to whoever sends many lines. Reading waits without end where nothing is owed, and as [`wait`] where
/// something is.
pub struct Patient<F> {
    stream: UnixStream,
    path: PathBuf,
    owed: F,
}

impl<F: Fn() -> bool> Patient<F> {
    /// That of the agent at this path; `owed` says whether it has to send something.
    ///
    /// # Errors
    /// When the connection has no time limits.
    pub fn new(stream: UnixStream, path: PathBuf, owed: F) -> io::Result<Self> {
        // No call more for each answer, as polling would be.
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, path, owed })
    }
}

impl<F: Fn() -> bool> Read for Patient<F> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if (self.owed)() && !lives(&self.path).map_err(io::Error::other)? {
                return Err(io::Error::other(stands_still(&self.stream, &self.path)));
            }
        }
    }
}

/// Waits until an answer can be read, or the connection ended.
///
/// # Errors
/// `agent-unavailable` where the agent at this path stands still.
pub fn wait(stream: &UnixStream, path: &Path) -> Result<()> {
    while !comes(stream)? {
        if !lives(path)? {
            return Err(stands_still(stream, path));
        }
    }
    Ok(())
}

fn comes(stream: &UnixStream) -> Result<bool> {
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    loop {
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&patience)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(failed(format!(
                    "the agent's answer cannot be waited for: {error}"
                )));
            }
        }
    }
}

/// Whether it says anything at all, on another connection. Where none is to be had it may be ending: who waits hears that.
fn lives(path: &Path) -> Result<bool> {
    let Ok(mut other) = UnixStream::connect(path) else {
        return Ok(true);
    };
    if other.write_all(b"{\"op\":\"ping\"}\n").is_err() {
        return Ok(true);
    }
    comes(&other)
}

fn stands_still(stream: &UnixStream, path: &Path) -> Error {
    let told = format!(
        "the agent at {} stands still: it takes connections and answers nothing",
        path.display()
    );
    // Where systemd made the socket it is its process that is known.
    let fix = match Peer::of(stream).map_or(0, |who| who.number()) {
        pid @ 2.. => {
            format!("see what it waits for, as with ps; end it with kill -9 {pid}; a request that was asked for may have been signed")
        }
        _ => "see what it waits for, as with ps, or have systemd start it anew; a request that was asked for may have been signed".to_owned(),
    };
    Error::new(Code::AgentUnavailable, told).fix(fix)
}
