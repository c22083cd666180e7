//! Descriptors: how many there are for clients, and what becomes of a client that there is none for; and the program's own
//! file.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    io::Errno,
    net::{SendFlags, send},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{
    agent::socket::Listening,
    error::{Code, Error},
    request::error_line,
};

/// How many descriptors are not for clients: nonces, records, workers, the socket itself.
const OWN: u64 = 256;

/// How many of them there must be, with no token; and for each token besides.
const LEAST: u64 = 24;
const A_TOKENS: u64 = 5;

/// Allows this process so many clients, as far as the system lets it.
pub fn raise_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (connections as u64).saturating_add(OWN);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted.min(most)),
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// How many clients there are descriptors for, beside so many tokens.
pub fn connections_by_files(tokens: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(for_clients(files, tokens as u64)).unwrap_or(usize::MAX)
}

/// Of few, half are for clients at most: signing needs some as well, and so does a worker that is started anew. One there is.
fn for_clients(files: u64, tokens: u64) -> u64 {
    let least = LEAST.saturating_add(tokens.saturating_mul(A_TOKENS));
    let of_few = (files / 2).min(files.saturating_sub(least));
    files.saturating_sub(OWN).max(of_few).max(1)
}

/// A descriptor that stands for any other.
pub fn spare(listening: &Listening) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(&listening.socket, 0)
}

/// Tells a client that it is not taken.
pub fn refuse_connection(socket: impl AsFd, error: &Error) {
    let line = format!("{}\n", error_line(None, error));
    let _ = send(socket, line.as_bytes(), SendFlags::NOSIGNAL);
}

/// Why: there are no descriptors left for it.
pub fn no_files() -> Error {
    Error::new(
        Code::TokenBusy,
        "the agent has as many connections as the system lets it open files for",
    )
    .fix("close some, or raise its limit of open files: LimitNOFILE= in the unit, or ulimit -n")
}

/// Whether this process runs a program whose file is gone, as behind an upgrade.
pub fn is_replaced() -> bool {
    rustix::fs::stat("/proc/self/exe").is_ok_and(|file| file.st_nlink == 0)
}
