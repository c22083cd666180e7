//! One agent serves a user's folders: two would give out the same nonces. Who it is can be found though its socket is gone, as
//! where a folder for temporary files was cleaned up.

use std::{
    fs,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result, failed},
    home::{FileLock, Home},
};

const FILE: &str = "agent.lock";
/// How long an agent may take to end. It gives what it has in hand some seconds.
const LAST: Duration = Duration::from_secs(30);

/// That no other agent serves these folders.
pub struct Alone {
    _lock: FileLock,
    path: PathBuf,
}

impl Alone {
    /// Makes sure.
    ///
    /// # Errors
    /// When another agent serves them.
    pub fn in_folders(home: &Home) -> Result<Self> {
        let path = home.state(FILE);
        match FileLock::try_acquire(&path)? {
            Some(lock) => {
                // What an earlier agent noted is not true of this one.
                let _told_less = fs::write(&path, "");
                Ok(Self { _lock: lock, path })
            }
            None => Err(taken(home)),
        }
    }

    /// Notes which process serves, and where, for whoever cannot find its socket. Without it less can be told.
    pub fn note(&self, socket: &Path) {
        let serving = Serving {
            pid: std::process::id(),
            socket: socket.to_owned(),
        };
        let _told_less = serde_json::to_vec(&serving).map(|text| fs::write(&self.path, text));
    }
}

/// The agent that serves some folders.
#[derive(Debug, Serialize, Deserialize)]
pub struct Serving {
    pid: u32,
    socket: PathBuf,
}

fn taken(home: &Home) -> Error {
    let error = |more: &str| {
        failed(format!(
            "another agent serves these folders{more}: two would give out the same nonces"
        ))
    };
    match Serving::in_folders(home) {
        Some(other) if other.is_lost() => error(&format!(
            " (pid {}), and its socket {} is gone",
            other.pid,
            other.socket.display()
        ))
        .fix("end it, then start it again: hsmsign agent stop"),
        Some(other) => error(&format!(" at {}", other.socket.display()))
            .fix("use that one: hsmsign agent status; or end it: hsmsign agent stop; where they do not find it, set HSMSIGN_SOCKET to its socket"),
        None => error("").fix("use that one: hsmsign agent status; or end it: hsmsign agent stop"),
    }
}

impl Serving {
    /// Whoever serves these folders now; none where nobody does, or it is not known who.
    pub fn in_folders(home: &Home) -> Option<Self> {
        let path = home.state(FILE);
        if !path.exists() || FileLock::try_acquire(&path).ok()?.is_some() {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Whether its socket is, or was, at this path.
    pub fn is_at(&self, path: &Path) -> bool {
        std::path::absolute(path).is_ok_and(|path| path == self.socket)
    }

    /// Whether nobody can reach it any more.
    pub fn is_lost(&self) -> bool {
        UnixStream::connect(&self.socket).is_err()
    }

    /// Has it answer what it has in hand and end, by a signal, and waits until it has.
    ///
    /// # Errors
    /// When it cannot be told, or does not end.
    pub fn end(&self, home: &Home) -> Result<()> {
        let process = self.process().ok_or_else(|| {
            failed(format!(
                "the agent's socket {} is gone, and so is the process with its number {}",
                self.socket.display(),
                self.pid
            ))
            .fix("find it, as with ps -C hsmsign, and end it")
        })?;
        pidfd_send_signal(process, Signal::TERM).map_err(|error| {
            failed(format!(
                "the agent with pid {} cannot be ended: {error}",
                self.pid
            ))
        })?;
        let begun = Instant::now();
        while Alone::in_folders(home).is_err() {
            if begun.elapsed() > LAST {
                return Err(failed(format!(
                    "the agent with pid {} was told to end, and still runs after {} s",
                    self.pid,
                    LAST.as_secs()
                ))
                .fix(format!("see its log; then kill -9 {}", self.pid)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The process, if it is an agent of this user's: its number may have another one now, or be of another namespace.
    fn process(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let place = PathBuf::from(format!("/proc/{}", self.pid));
        // Not the owner of its folder, which is root's where a process forbids tracing.
        let status = fs::read_to_string(place.join("status")).ok()?;
        let uid = geteuid().as_raw().to_string();
        let own = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .is_some_and(|uids| uids.split_whitespace().next() == Some(&uid));
        let named = fs::read_to_string(place.join("comm")).ok()?.trim() == "hsmsign";
        (own && named).then_some(process)
    }
}
