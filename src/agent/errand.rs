//! A command that the agent's user does for somebody who may not read the agent's files: import, rotate and the like, and
//! the switch that denies everything.
//!
//! It is the command line itself, with the asker's own standard input, output and error: a secret goes from there to the
//! token through the command's process, and through no other.

use std::{
    collections::VecDeque,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use serde_json::Value;

use super::{
    client::Client,
    frame::{self, Ask, Told},
    wire,
};
use crate::{
    caller::ASKED_BY,
    error::{Error, Result, failed},
    json::Json,
    request::Answer,
};

/// In place of a token's name, for the launcher.
pub const NAME: &str = "!errand";
/// The commands that are done for others: those that change keys.
pub const COMMANDS: [&str; 7] = ["import", "generate", "set", "rotate", "remove", "nonce", "test"];
/// The commands that are done for others besides: the switch that denies. To allow again is for the agent's user.
pub const SWITCHES: [&[&str]; 2] = [&["lock", "--all"], &["policy", "deny-all"]];
/// How many descriptors come along: standard input, output, error, and a pipe that ends when the asker does.
pub const FDS: usize = 4;

/// Whether these arguments are such a command.
pub fn is_done(arguments: &[&str]) -> bool {
    match arguments {
        ["lock", "--all"] => true,
        ["policy", "deny-all", key] => !key.starts_with('-'),
        [command, ..] => COMMANDS.contains(command),
        [] => false,
    }
}

/// Does one command for the front on standard input, and answers its exit code.
///
/// # Errors
/// When the front is not understood, or the command cannot be started.
pub fn run(front: BorrowedFd<'_>) -> Result<()> {
    // What is typed is the asker's; the agent's own terminal, if it has one, is not to be asked at.
    rustix::process::setsid()
        .map_err(|error| failed(format!("the agent's terminal was not left: {error}")))?;
    let mut fds = VecDeque::new();
    let Some(frame) = wire::first_frame(front, &mut fds)? else {
        return Ok(());
    };
    let (id, ask) = frame::read_ask(&frame)?;
    let Ask::Errand(arguments) = ask else {
        return Err(failed("an errand was not understood"));
    };
    let told = done(arguments, fds.into(), front).map_or_else(Told::Refused, |code| {
        Told::Done(format!("\"exit\":{code}").into_bytes())
    });
    let mut output = Vec::new();
    told.write(id, &mut output);
    wire::send_all(front, &output, &[]).map_err(|error| failed(format!("the agent is gone: {error}")))
}

fn done(arguments: &[u8], fds: Vec<OwnedFd>, front: BorrowedFd<'_>) -> Result<i32> {
    let (caller, arguments): (Value, Vec<String>) = serde_json::from_slice(arguments)
        .map_err(|error| failed(format!("an errand was not understood: {error}")))?;
    let Ok([stdin, stdout, stderr, asker]) = <[OwnedFd; FDS]>::try_from(fds) else {
        return Err(failed("the command's descriptors did not come along"));
    };
    let child = Command::new("/proc/self/exe")
        .args(arguments)
        // It is to open the agent's own folders, and not to ask the agent again.
        .env_remove("HSMSIGN_SOCKET")
        .env(ASKED_BY, caller.to_string())
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .spawn()
        .map_err(|error| failed(format!("the command cannot be started: {error}")))?;
    wait(child, asker, front)
}

/// Waits for the command; ends it where the asker or the agent is gone.
fn wait(mut child: Child, asker: OwnedFd, front: BorrowedFd<'_>) -> Result<i32> {
    let cannot = |error: &dyn std::fmt::Display| failed(format!("the command cannot be waited for: {error}"));
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed("the command has no process"))?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| cannot(&error))?;
    loop {
        let mut ready = [
            PollFd::new(&process, PollFlags::IN),
            PollFd::new(&asker, PollFlags::empty()),
            PollFd::new(&front, PollFlags::empty()),
        ];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(cannot(&error)),
        }
        let gone = ready[1..].iter().any(|ready| !ready.revents().is_empty());
        if ready[0].revents().is_empty() && gone {
            // As a terminal would: the command puts everything in order and ends.
            let _ = kill_process(pid, Signal::TERM);
        }
        if !ready[0].revents().is_empty() || gone {
            let status = child
                .wait()
                .map_err(|error: std::io::Error| -> Error { cannot(&error) })?;
            return Ok(status.code().unwrap_or(1));
        }
    }
}

/// Has an agent do a command with this process's own standard input, output and error. Answers its exit code.
///
/// # Errors
/// `denied` where the agent's owner lets this user change no keys; and as [`Client::ask`].
pub fn ask(agent: &mut Client, arguments: &[String]) -> Result<u8> {
    let line = serde_json::json!({"op": "command", "arguments": arguments}).to_string();
    let (read, _alive) =
        std::io::pipe().map_err(|error| failed(format!("there is no pipe to be had: {error}")))?;
    let [stdin, stdout, stderr] = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    let answer = agent.ask_with(&line, &[stdin, stdout, stderr, read.as_fd()])?;
    match Answer::parse(&answer)?.take("exit") {
        Some(Json::Number(code)) => Ok(code.parse().unwrap_or(1)),
        _ => Err(failed("the agent's answer is not understood")),
    }
}
