//! Waiting for an agent's answer. It may take as long as a person thinks or a token computes; an agent that stands still,
//! as one that was stopped by a signal or waits for a disk that hangs, is noticed, since it answers no ping either.

use std::{io::Write as _, os::unix::net::UnixStream, path::Path};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::peer::Peer;
use crate::error::{Code, Error, Result, failed};

/// After how long without an answer it is asked whether it is alive, and how long it may take to say so.
const PATIENCE: Timespec = Timespec {
    tv_sec: 15,
    tv_nsec: 0,
};

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
    loop {
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&PATIENCE)) {
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
