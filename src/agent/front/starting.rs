//! The front's end of the launcher, which starts and ends workers, and looks at what a confined process may not. Nobody waits
//! for it: it may stand still, and those that run go on. Where it ends, another one that it made takes its place.

use std::{
    collections::VecDeque,
    ffi::OsString,
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    agent::{launcher, wire},
    error::{Code, Error, Result, failed},
};

/// How long the launcher may take to end its workers.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long it may take to answer before what needs it goes on without.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How many workers it is asked for at most, without an answer.
const MOST: usize = 64;

/// The front's end of the launcher.
pub struct Launcher {
    socket: OwnedFd,
    /// What it owes an answer to, in the order in which it was asked.
    asked: VecDeque<Owed>,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    output: Vec<u8>,
}

/// Somebody by number and generation: a number is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose(pub u32, pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Start(Whose),
    Program(Whose),
    Spare,
}

/// An answer that is owed.
struct Owed {
    asked: Asked,
    /// In which words it was asked for.
    line: String,
    since: Instant,
}

/// What the launcher answers.
pub enum Said {
    /// This worker runs, with its socket and process.
    Started(Whose, OwnedFd, u32),
    /// It does not, and why.
    NotStarted(Whose, String),
    /// The worker with this process has ended.
    Ended(u32),
    /// The program of this client; none where the kernel does not tell.
    Program(Whose, Option<Arc<Path>>),
    /// Another launcher, for when this one ends; none where there is none to be had.
    Spare(Option<Launcher>),
}

/// That the launcher is not what it should be: without it no worker can be started.
pub fn launcher_gone(what: &str) -> Error {
    failed(format!("the process that starts the workers {what}"))
        .fix("start the agent again: hsmsign agent start; under systemd it starts again by itself")
}

/// That it gives no answer.
pub fn launcher_silent() -> Error {
    Error::new(
        Code::TokenBusy,
        "the process that starts the workers does not answer",
    )
    .fix("if somebody stopped it, have it go on: kill -CONT; else start the agent again: hsmsign agent start")
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
        Self::at(ours).map_err(|error| failed(format!("the launcher's socket cannot be set up: {error}")))
    }

    /// One that runs.
    fn at(socket: OwnedFd) -> Result<Self, Errno> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            asked: VecDeque::new(),
            input: Vec::new(),
            fds: VecDeque::new(),
            output: Vec::new(),
        })
    }

    /// Its socket.
    pub const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether it has owed an answer for longer than it may.
    pub fn is_silent(&self, now: Instant) -> bool {
        self.asked.front().is_some_and(|owed| owed.since + PATIENCE < now)
    }

    /// Has it start a worker.
    ///
    /// # Errors
    /// When it owes too many answers, or the token's name is none.
    pub fn start_worker(&mut self, whose: Whose, token: &str, now: Instant) -> Result<()> {
        if token.chars().any(char::is_control) {
            return Err(failed("the token's name holds a control character"));
        }
        let starts = self
            .asked
            .iter()
            .filter(|owed| matches!(owed.asked, Asked::Start(_)));
        if starts.count() >= MOST {
            return Err(launcher_silent());
        }
        self.ask(Asked::Start(whose), format!("start {token}\n"), now);
        Ok(())
    }

    /// Has it make another launcher.
    pub fn make_spare(&mut self, now: Instant) {
        self.ask(Asked::Spare, "spare launcher\n".to_owned(), now);
    }

    /// Whether it was asked for another and has not answered.
    pub fn makes_spare(&self) -> bool {
        self.asked.iter().any(|owed| owed.asked == Asked::Spare)
    }

    /// Asks this one for what another one owes that has ended.
    pub fn take_over(&mut self, ended: &mut Self, now: Instant) {
        for Owed { asked, line, .. } in ended.asked.drain(..) {
            if asked != Asked::Spare {
                self.ask(asked, line, now);
            }
        }
    }

    /// Has it look which program a process runs.
    pub fn look_at(&mut self, whose: Whose, pid: i32, now: Instant) {
        self.ask(Asked::Program(whose), format!("program {pid}\n"), now);
    }

    fn ask(&mut self, asked: Asked, line: String, since: Instant) {
        self.say(&line);
        self.asked.push_back(Owed { asked, line, since });
    }

    /// Has it kill a worker.
    pub fn kill(&mut self, pid: u32) {
        self.say(&format!("kill {pid}\n"));
    }

    /// Has it see to it that a worker ends that was hung up on, which logs out of its token first.
    pub fn see_off(&mut self, pid: u32) {
        self.say(&format!("leave {pid}\n"));
    }

    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.flush();
    }

    /// Writes what is to go out, as far as the launcher takes it. That it is gone, its socket tells.
    pub fn flush(&mut self) {
        while !self.output.is_empty() {
            let Ok(sent) = wire::send(&self.socket, &self.output, &[]) else {
                return;
            };
            self.output.drain(..sent);
        }
    }

    /// Reads its answers.
    ///
    /// # Errors
    /// When it is gone, or not understood.
    pub fn receive(&mut self) -> Result<Vec<Said>> {
        let mut room = [0; 4096];
        match wire::receive(&self.socket, &mut room, &mut self.fds) {
            Ok(read @ 1..) => self.input.extend_from_slice(&room[..read]),
            Err(Errno::AGAIN) => {}
            Ok(_) | Err(_) => return Err(launcher_gone("has ended")),
        }
        let mut all = Vec::new();
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if word == "ended" {
                // Said unasked.
                all.extend(rest.parse().map(Said::Ended));
                continue;
            }
            let asked = self.asked.pop_front().map(|owed| owed.asked);
            all.push(match (word, asked) {
                ("started", Some(Asked::Start(whose))) => match (rest.parse(), self.fds.pop_front()) {
                    (Ok(pid), Some(socket)) => Said::Started(whose, socket, pid),
                    // Where there is no descriptor left for it the kernel closes it, and the worker ends.
                    (Ok(_), None) => Said::NotStarted(whose, "the system has no descriptor left".to_owned()),
                    _ => return Err(launcher_gone("is not understood")),
                },
                ("failed", Some(Asked::Start(whose))) => Said::NotStarted(whose, rest.to_owned()),
                ("runs", Some(Asked::Program(whose))) => Said::Program(whose, path(rest)),
                ("twin", Some(Asked::Spare)) => {
                    Said::Spare(self.fds.pop_front().and_then(|socket| Self::at(socket).ok()))
                }
                ("failed", Some(Asked::Spare)) => Said::Spare(None),
                _ => return Err(launcher_gone("is not understood")),
            });
        }
        Ok(all)
    }

    /// Has it end its workers and itself, and waits for that, but not for a worker that hangs in its driver.
    pub fn end(&mut self) {
        self.flush();
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
                Ok(1..) | Err(Errno::AGAIN) => {}
                _ => return,
            }
        }
    }
}

/// A path as the launcher writes it; none where there is nothing.
fn path(hex: &str) -> Option<Arc<Path>> {
    let bytes = base16ct::lower::decode_vec(hex)
        .ok()
        .filter(|bytes| !bytes.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(bytes)).into())
}
