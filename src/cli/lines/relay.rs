//! `sign --json` by the agent, which speaks the same lines.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::Shutdown,
    os::{fd::AsFd as _, unix::net::UnixStream},
    process::ExitCode,
    thread,
};

use hsmsign::error::{Code, Error, Result};

use super::stdio::{Output, read};

/// Passes lines to the agent and answers back, until the input ends and each line has its answer.
pub fn relay(agent: UnixStream) -> Result<ExitCode> {
    let gone = |error: io::Error| {
        Error::new(Code::AgentUnavailable, format!("the agent went away: {error}"))
            .fix("see `hsmsign agent status`; requests without an answer may have been signed")
    };
    let mut to = agent.try_clone().map_err(gone)?;
    // Not waited for: it may wait for input that nobody needs any more.
    let lines = thread::spawn(move || -> Result<u64> {
        let stdin = io::stdin();
        let mut room = vec![0; 64 << 10];
        let (mut lines, mut any) = (0, false);
        loop {
            let count = read(stdin.as_fd(), &mut room)?;
            for &byte in &room[..count] {
                if byte == b'\n' {
                    lines += u64::from(std::mem::take(&mut any));
                } else {
                    any |= !byte.is_ascii_whitespace();
                }
            }
            if count == 0 {
                let _ = to.shutdown(Shutdown::Write);
                return Ok(lines + u64::from(any));
            }
            if to.write_all(&room[..count]).is_err() {
                // The other direction has the error.
                return Ok(u64::MAX);
            }
        }
    });
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
        output.failed |= answer.starts_with("{\"ok\":false");
        output.push(answer.trim_end_matches('\n'))?;
    }
    output.end()
}
