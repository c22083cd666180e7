//! The process that starts the workers: the front itself may start nothing once it is confined.

use std::{
    collections::HashMap,
    ffi::OsString,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use base16ct::lower;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Pid, WaitOptions, waitpid},
    stdio::dup2_stdin,
};

use super::{peer::Peer, wire};
use crate::{
    error::{Result, failed},
    policy::Caller,
    process::{fork, let_go_of_code},
};

/// The program that is started for helpers, with the arguments that make it one.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub program: PathBuf,
    /// What makes it a launcher.
    pub launcher: Vec<OsString>,
    /// What makes it a worker; the token's name comes behind.
    pub worker: Vec<OsString>,
}

/// How often ended workers are collected.
const COLLECT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// How long a worker may take to log out of its token, once the front has hung up.
const LOGS_OUT: Duration = Duration::from_secs(1);
/// How often it is looked for at the end.
const LOOK: Duration = Duration::from_millis(2);

/// A worker, and when it is killed, where it is to end by itself.
struct Started {
    child: Child,
    until: Option<Instant>,
}

impl Started {
    fn has_ended(&mut self) -> bool {
        self.child.try_wait().map_or(true, |status| status.is_some())
    }
}

/// A socket pair whose ends close on exec.
///
/// # Errors
/// When the system has none to give.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|error| failed(format!("there is no socket pair to be had: {error}")))
}

/// Ties this process to the one that started it, and that made the socket on its standard input: they end together.
///
/// # Errors
/// When that one has ended already, or the kernel refuses.
pub fn tie() -> Result<()> {
    let cannot = |error| failed(format!("the process cannot be tied to its agent: {error}"));
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(cannot)?;
    let parent = Peer::of(rustix::stdio::stdin()).map_err(cannot)?;
    // Who ended before the tie was made sends no signal.
    if parent.pid.is_none() || rustix::process::getppid() != parent.pid {
        return Err(failed("the agent is gone"));
    }
    Ok(())
}

/// Serves the front on standard input: a line asks for something, a line answers.
///
/// `start TOKEN` is answered by `started PID`, with the worker's socket, or by `failed REASON`. `program PID` is answered by
/// `runs PATH`, the path in lower-case hex and empty where the kernel does not tell: landlock keeps the front from looking
/// at processes that it does not confine. `spare launcher` is answered by `twin PID`, with the socket of another process that
/// serves the front like this one, or by `failed REASON`. `kill PID` has no answer, nor has `leave PID`, which gives the
/// worker time to log out. When the front is gone, all workers have that. `ended PID` is said unasked: a process that the
/// worker's module forked may hold its pipes open.
///
/// # Errors
/// When the front is not understood.
pub fn run(program: &Program) -> Result<()> {
    tie()?;
    let front = rustix::stdio::stdin();
    let mut workers: HashMap<u32, Started> = HashMap::new();
    let mut twins: Vec<Pid> = Vec::new();
    let mut input = Vec::new();
    let_go_of_code();
    loop {
        let mut ready = [PollFd::new(&front, PollFlags::IN)];
        let waited = poll(&mut ready, Some(&COLLECT));
        workers.retain(|pid, worker| {
            let ended = worker.has_ended();
            if ended {
                // Where the front is gone, that is found below.
                let _ = tell(front, &format!("ended {pid}\n"), &[]);
            }
            !ended
        });
        for worker in workers.values_mut() {
            if worker.until.is_some_and(|until| until <= Instant::now()) {
                let _ = worker.child.kill();
            }
        }
        twins.retain(|twin| waitpid(Some(*twin), WaitOptions::NOHANG).is_ok_and(|ended| ended.is_none()));
        if waited == Ok(0) || waited == Err(rustix::io::Errno::INTR) {
            continue;
        }
        let mut room = [0; 1024];
        let read = wire::receive(front, &mut room, &mut Default::default()).unwrap_or(0);
        if read == 0 {
            break;
        }
        input.extend_from_slice(&room[..read]);
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            match line.split_once(' ') {
                Some(("start", token)) => start(program, token, front, &mut workers)?,
                Some(("program", pid)) => {
                    let program = pid.parse().ok().and_then(Caller::program_of);
                    let path = program.as_ref().map(|path| path.as_os_str().as_bytes());
                    tell(
                        front,
                        &format!("runs {}\n", lower::encode_string(path.unwrap_or_default())),
                        &[],
                    )?;
                }
                Some(("spare", _)) => {
                    if twin(front, &mut twins)? {
                        // What the other has started, and is still asked for, is the other's.
                        workers.clear();
                        twins.clear();
                        input.clear();
                    }
                }
                // It is collected with the others: one that hangs in its driver may take a while to end.
                Some(("kill", pid)) => {
                    if let Some(worker) = of_pid(&mut workers, pid) {
                        let _ = worker.child.kill();
                    }
                }
                Some(("leave", pid)) => {
                    if let Some(worker) = of_pid(&mut workers, pid) {
                        worker.until = Some(Instant::now() + LOGS_OUT);
                    }
                }
                _ => return Err(failed("the launcher was not understood")),
            }
        }
    }
    let until = Instant::now() + LOGS_OUT;
    while workers.values_mut().any(|worker| !worker.has_ended()) && Instant::now() < until {
        sleep(LOOK);
    }
    for worker in workers.values_mut() {
        let _ = worker.child.kill();
        let _ = worker.child.wait();
    }
    Ok(())
}

fn of_pid<'w>(workers: &'w mut HashMap<u32, Started>, pid: &str) -> Option<&'w mut Started> {
    workers.get_mut(&pid.parse().ok()?)
}

/// Makes a process that goes on like this one, with a socket of its own to the front. It is not tied to this one: it is there
/// for when this one ends. Answers whether this is it.
fn twin(front: BorrowedFd<'_>, twins: &mut Vec<Pid>) -> Result<bool> {
    let made = pair().and_then(|(ours, theirs)| {
        let twin = fork().map_err(|error| failed(format!("there is no process to be had: {error}")))?;
        Ok((ours, theirs, twin))
    });
    match made {
        Ok((_, theirs, None)) => dup2_stdin(&theirs)
            .map(|()| true)
            .map_err(|error| failed(format!("the socket cannot be used: {error}"))),
        Ok((ours, _, Some(pid))) => {
            twins.push(pid);
            tell(
                front,
                &format!("twin {}\n", pid.as_raw_nonzero()),
                &[ours.as_fd()],
            )?;
            Ok(false)
        }
        Err(error) => tell(front, &format!("failed {}\n", error.message()), &[]).map(|()| false),
    }
}

fn start(
    program: &Program,
    token: &str,
    front: BorrowedFd<'_>,
    workers: &mut HashMap<u32, Started>,
) -> Result<()> {
    let (ours, theirs) = match pair() {
        Ok(pair) => pair,
        Err(error) => return tell(front, &format!("failed {}\n", error.message()), &[]),
    };
    let child = Command::new(&program.program)
        .args(&program.worker)
        .arg(token)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn();
    match child {
        Ok(child) => {
            let pid = child.id();
            workers.insert(pid, Started { child, until: None });
            tell(front, &format!("started {pid}\n"), &[ours.as_fd()])
        }
        Err(error) => tell(
            front,
            &format!("failed the program could not be started: {error}\n"),
            &[],
        ),
    }
}

fn tell(front: BorrowedFd<'_>, line: &str, fds: &[BorrowedFd<'_>]) -> Result<()> {
    wire::send_all(front, line.as_bytes(), fds).map_err(|error| failed(format!("the agent is gone: {error}")))
}
