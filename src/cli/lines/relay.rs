//! `sign --json` by the agent, which speaks the same lines.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::Shutdown,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use hsmsign::{
    agent::patience::Patient,
    error::{Code, Error, Result, failed},
};

use super::stdio::{Output, read};

/// Passes lines to the agent and answers back, until the input ends and each line has its answer.
pub fn relay((agent, path): (UnixStream, PathBuf)) -> Result<ExitCode> {
    let gone = |error: io::Error| {
        error.downcast::<Error>().unwrap_or_else(|error| {
            Error::new(Code::AgentUnavailable, format!("the agent went away: {error}"))
                .fix("see `hsmsign agent status`; requests without an answer may have been signed")
        })
    };
    let to = agent.try_clone().map_err(gone)?;
    // What the agent has yet to send: an answer a line, and its end after that of the input.
    let owed = Arc::new(AtomicU64::new(0));
    let waits = Arc::clone(&owed);
    let agent = Patient::new(agent, path, move || waits.load(Ordering::Relaxed) > 0).map_err(gone)?;
    // Not waited for: it may wait for input that nobody needs any more.
    let passes = {
        let owed = Arc::clone(&owed);
        move || pass(to, &owed)
    };
    let lines = thread::Builder::new()
        .spawn(passes)
        .map_err(|error| failed(format!("the system has no thread to give: {error}")))?;
    let mut from = BufReader::with_capacity(64 << 10, agent);
    let mut output = Output::new();
    let mut answer = String::new();
    let mut answers = 0;
    loop {
        if from.buffer().is_empty() && !output.flush()? {
            break;
        }
        answer.clear();
        if from.read_line(&mut answer).map_err(gone)? == 0 {
            let lines = lines.join().unwrap_or(Ok(u64::MAX))?;
            if answers < lines {
                output.flush()?;
                return Err(gone(io::ErrorKind::UnexpectedEof.into()));
            }
            break;
        }
        answers += 1;
        owed.fetch_sub(1, Ordering::Relaxed);
        output.failed |= answer.starts_with("{\"ok\":false");
        output.push(answer.trim_end_matches('\n'))?;
    }
    output.end()
}

/// Passes the input to the agent, and counts in `owed` what comes back for it. Answers how many lines there were.
fn pass(mut to: UnixStream, owed: &AtomicU64) -> Result<u64> {
    let stdin = io::stdin();
    let mut room = vec![0; 64 << 10];
    let (mut lines, mut any) = (0, false);
    loop {
        let count = read(stdin.as_fd(), &mut room)?;
        let before = lines;
        for &byte in &room[..count] {
            if byte == b'\n' {
                lines += u64::from(std::mem::take(&mut any));
            } else {
                any |= !byte.is_ascii_whitespace();
            }
        }
        if count == 0 {
            lines += u64::from(any);
            owed.fetch_add(lines - before + 1, Ordering::Relaxed);
            let _ = to.shutdown(Shutdown::Write);
            return Ok(lines);
        }
        owed.fetch_add(lines - before, Ordering::Relaxed);
        if to.write_all(&room[..count]).is_err() {
            // The other direction has the error.
            return Ok(u64::MAX);
        }
    }
}
