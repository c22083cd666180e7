//! The front's end of the launcher, which starts and ends workers.

use std::{
    cell::Cell,
    collections::VecDeque,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    agent::{launcher, wire},
    error::{Error, Result, failed},
};

/// How long the launcher may take to end its workers.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The front's end of the launcher.
pub struct Launcher {
    socket: OwnedFd,
    /// Whether it failed to answer.
    broken: Cell<bool>,
}

/// That the launcher is not what it should be: without it no worker can be started.
pub fn launcher_gone(what: &str) -> Error {
    failed(format!("the process that starts the workers {what}"))
        .fix("start the agent again: hsmsign agent start; under systemd it starts again by itself")
}

impl Launcher {
    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(program: &launcher::Program) -> Result<Self> {
        let (ours, theirs) = launcher::pair()?;
        std::process::Command::new(&program.program)
            .args(&program.launcher)
            .stdin(std::process::Stdio::from(theirs))
            .stdout(std::process::Stdio::null())
            .spawn()
            .map_err(|error| failed(format!("the launcher cannot be started: {error}")))?;
        Ok(Self {
            socket: ours,
            broken: Cell::new(false),
        })
    }

    /// Its socket.
    pub const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether no worker can be started any more.
    pub const fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Has it start a worker; answers its socket and process.
    ///
    /// # Errors
    /// When it is gone, or the worker was not started.
    pub fn start_worker(&self, token: &str) -> Result<(OwnedFd, u32)> {
        let lost = |what: &str| {
            self.broken.set(true);
            launcher_gone(what)
        };
        if self.is_broken() {
            return Err(launcher_gone("does not answer"));
        }
        if token.chars().any(char::is_control) {
            return Err(failed("the token's name holds a control character"));
        }
        let line = format!("start {token}\n");
        wire::send_all(&self.socket, line.as_bytes(), &[]).map_err(|_| lost("has ended"))?;
        let mut line = Vec::new();
        let mut fds = VecDeque::new();
        while line.last() != Some(&b'\n') {
            let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
            let patience = Timespec {
                tv_sec: 5,
                tv_nsec: 0,
            };
            if poll(&mut ready, Some(&patience)) == Ok(0) {
                return Err(lost("does not answer"));
            }
            let mut room = [0; 512];
            match wire::receive(&self.socket, &mut room, &mut fds) {
                Ok(read) if read > 0 => line.extend_from_slice(&room[..read]),
                _ => return Err(lost("has ended")),
            }
        }
        let line = String::from_utf8_lossy(&line);
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or_default();
        match (word, rest.parse(), fds.pop_front()) {
            ("started", Ok(pid), Some(socket)) => Ok((socket, pid)),
            _ => Err(failed(format!(
                "the worker of token {token} was not started: {rest}"
            ))),
        }
    }

    /// Has it end a worker.
    pub fn stop(&self, pid: u32) {
        let _ = wire::send_all(&self.socket, format!("stop {pid}\n").as_bytes(), &[]);
    }

    /// Has it end its workers and itself, and waits for that, but not for a worker that hangs in its driver.
    pub fn end(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        let until = Instant::now() + LAST_WORDS;
        while let Ok(left) = Timespec::try_from(until.saturating_duration_since(Instant::now())) {
            let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut ready, Some(&left)) {
                Err(Errno::INTR) => continue,
                Ok(1..) => {}
                _ => return,
            }
            // What it still says of workers is not wanted any more.
            match wire::receive(&self.socket, &mut [0; 512], &mut VecDeque::new()) {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }
}
