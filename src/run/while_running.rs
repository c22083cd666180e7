//! The agent for the time of a run. The command takes the place of the process that was started, so that signals and exit
//! code are its own; where the agent was started for runs, a watcher stays behind and ends the agent after the last of them.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FlockOperation, flock},
    process::{Pid, PidfdFlags, getppid, pidfd_open},
};

use crate::{
    agent::client::Client,
    error::{Result, failed},
    home::{Home, io_error},
    json::Json,
    request::Answer,
};

/// A share in the agent that runs were given: held by an open file, and passed on with it.
#[derive(Debug)]
pub struct Lease {
    file: File,
}

impl Lease {
    /// A share; the agent is not ended for runs while there is one.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn take(home: &Home) -> Result<Self> {
        let path = path(home);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| io_error("", &path, "be opened", &error))?;
        flock(&file, FlockOperation::LockShared)
            .map_err(|error| failed(format!("{} could not be locked: {error}", path.display())))?;
        Ok(Self { file })
    }

    /// Whether this agent was started for runs.
    pub fn is_of_runs(&mut self, agent: i64) -> bool {
        let mut text = String::new();
        let read = self
            .file
            .rewind()
            .and_then(|()| self.file.read_to_string(&mut text));
        read.is_ok() && text.trim().parse() == Ok(agent)
    }

    /// The file, which holds the share wherever it goes.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// The runs that an agent was started for, as it sees them itself: their watchers may be killed, and the folder with the file
/// may be gone.
pub struct Runs {
    file: File,
}

impl Runs {
    /// Whether there is none any more. One that begins now waits until the agent is gone, and starts another.
    pub fn have_ended(&self) -> bool {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok()
    }
}

fn path(home: &Home) -> PathBuf {
    home.state("run.lock")
}

/// Notes, in an agent that answers nobody yet, whether it was started for runs: who finds it later finds that too. Answers the
/// runs, where it was.
///
/// # Errors
/// When the file cannot be written.
pub fn note(home: &Home, for_runs: bool) -> Result<Option<Runs>> {
    let path = path(home);
    let text = match for_runs {
        true => std::process::id().to_string(),
        // What is noted of an agent that was killed is not true of this one, which may have its number.
        false if path.exists() => String::new(),
        false => return Ok(None),
    };
    // In its place: runs hold their shares by this file.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()).map(|()| Runs { file }))
        .map(|runs| for_runs.then_some(runs))
        .map_err(|error| io_error("", &path, "be written", &error))
}

/// The process of the agent at the usual place; none where none answers.
pub fn agent() -> Option<i64> {
    let answer = Client::find().ok()??.ask("{\"op\":\"ping\"}").ok()?;
    match Answer::parse(&answer).ok()?.take("pid")? {
        Json::Number(pid) => pid.parse().ok(),
        _ => None,
    }
}

/// Waits for the end of the process that started this one, and ends the agent if no other run has a share in it. The share
/// of the run is standard input.
///
/// # Errors
/// When the parent cannot be waited for.
pub fn watch(home: &Home, parent: i32) -> Result<()> {
    let parent = Pid::from_raw(parent).ok_or_else(|| failed("there is no such process"))?;
    let handle = pidfd_open(parent, PidfdFlags::empty())
        .ok()
        .filter(|_| getppid() == Some(parent));
    if let Some(handle) = handle {
        while poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).is_err() {}
    }
    let stdin = std::io::stdin();
    if flock(&stdin, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    let noted: Option<i64> = fs::read_to_string(path(home))
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if noted.is_some() && noted == agent() {
        // A run that begins now waits for the lock until it is gone, and starts another.
        Client::connect()?.stop()?;
    }
    let _later = fs::write(path(home), "");
    Ok(())
}
