//! Lines in from standard input, lines out to standard output.

use std::{io, os::fd::AsFd as _, process::ExitCode};

use hsmsign::error::{Code, Error, Result, failed};
use rustix::event::{PollFd, PollFlags, poll};

use crate::cli::standard;

/// The longest line, in bytes.
const LONGEST: usize = 16 << 20;
const CHUNK: usize = 64 << 10;

/// The error of a line that is longer than this.
pub fn too_long(limit: usize) -> Error {
    Error::new(Code::TooLarge, format!("the line is longer than {limit} bytes"))
        .fix("send less in one line, and end each with a line feed")
}

/// Reads some bytes into the room; none at the end.
pub fn read(input: std::os::fd::BorrowedFd<'_>, room: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(input, &mut *room) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => standard::wait(input, PollFlags::IN),
            Err(error) => return Err(failed(format!("standard input cannot be read: {error}"))),
        }
    }
}

/// Whether standard input has bytes, or its end, to be read without waiting.
pub fn waiting() -> bool {
    let stdin = io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let now = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}

/// Lines of standard input.
pub struct Lines {
    buffer: Vec<u8>,
    begin: usize,
    scanned: usize,
    ended: bool,
}

impl Lines {
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            begin: 0,
            scanned: 0,
            ended: false,
        }
    }

    /// Whether the input has ended and every line of it was taken.
    pub fn has_ended(&self) -> bool {
        self.ended && self.begin >= self.buffer.len()
    }

    /// Whether another line is at hand without reading.
    pub fn has_line(&mut self) -> bool {
        self.find().is_some()
    }

    fn find(&mut self) -> Option<usize> {
        let found = self.buffer[self.scanned..].iter().position(|&byte| byte == b'\n');
        match found {
            Some(at) => Some(self.scanned + at),
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    /// The next line; none at the end. A line that is too long is an error in its place.
    pub fn next(&mut self) -> Result<Option<Result<&[u8]>>> {
        let mut skipping = false;
        loop {
            if let Some(end) = self.find() {
                let begin = std::mem::replace(&mut self.begin, end + 1);
                self.scanned = end + 1;
                let line = if skipping {
                    Err(too_long(LONGEST))
                } else {
                    Ok(&self.buffer[begin..end])
                };
                return Ok(Some(line));
            }
            if self.ended {
                let begin = std::mem::replace(&mut self.begin, self.buffer.len());
                if skipping {
                    return Ok(Some(Err(too_long(LONGEST))));
                }
                return Ok((begin < self.buffer.len()).then(|| Ok(&self.buffer[begin..])));
            }
            self.buffer.drain(..self.begin);
            self.begin = 0;
            if self.buffer.len() > LONGEST {
                skipping = true;
                self.buffer.clear();
            }
            self.scanned = self.buffer.len();
            let held = self.buffer.len();
            self.buffer.resize(held + CHUNK, 0);
            let read = read(io::stdin().as_fd(), &mut self.buffer[held..])?;
            self.buffer.truncate(held + read);
            self.ended = read == 0;
        }
    }
}

/// Answers on their way out.
pub struct Output {
    pending: Vec<u8>,
    /// Whether some answer was a refusal.
    pub failed: bool,
    /// Whether nobody reads any more.
    pub gone: bool,
}

impl Output {
    pub const fn new() -> Self {
        Self {
            pending: Vec::new(),
            failed: false,
            gone: false,
        }
    }

    /// Takes a line.
    pub fn push(&mut self, line: &str) -> Result<()> {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
        if self.pending.len() > CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    /// Answers whether anybody still reads.
    pub fn flush(&mut self) -> Result<bool> {
        let read = standard::put(&self.pending);
        self.pending.clear();
        self.gone |= !read?;
        Ok(!self.gone)
    }

    /// Writes the rest, and says how it went.
    pub fn end(mut self) -> Result<ExitCode> {
        let read = self.flush()?;
        Ok(if self.failed || !read {
            ExitCode::from(Code::Failed.exit())
        } else {
            ExitCode::SUCCESS
        })
    }
}
