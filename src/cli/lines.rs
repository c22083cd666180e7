//! The line protocols on standard input and output: `sign --json` and `import --json`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    process::ExitCode,
};

use hsmsign::{
    enrol::{Enrol, ImportLine, NewKey},
    error::{Code, Error, Result, failed},
    policy::Caller,
    request::{Request, error_line},
    secret::Secret,
    signer::Signer,
};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, poll};

use super::import;

/// The longest line, in bytes.
const LONGEST: usize = 16 << 20;
/// The longest line with a secret in it, in bytes.
const LONGEST_IMPORT: usize = 64 << 10;
const CHUNK: usize = 64 << 10;

/// A request a line in, an answer a line out, in order; flushed whenever no input is waiting.
pub fn sign(signer: &Signer) -> Result<ExitCode> {
    let caller = Caller::this_process();
    let mut input = Lines::new();
    let mut output = Output::new();
    loop {
        if !input.is_ready() && !output.flush()? {
            break;
        }
        let Some(line) = input.next()? else { break };
        let answer = match line {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => answer(signer, line, &caller),
            Err(error) => Err((None, error)),
        };
        match answer {
            Ok(line) => output.push(&line),
            Err((id, error)) => {
                output.failed = true;
                output.push(&error_line(id.as_ref(), &error));
            }
        }
    }
    output.end()
}

type Refusal = (Option<hsmsign::json::Json>, Error);

fn answer(signer: &Signer, line: &[u8], caller: &Caller) -> Result<String, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| {
        (
            None,
            hsmsign::error::bad_input("the line is not UTF-8")
                .fix("send a body that is no text as body_base64"),
        )
    })?;
    let request = Request::parse_line(text)?;
    match signer.sign(&request, caller) {
        Ok(signed) => Ok(signed.to_line(request.id.as_ref())),
        Err(error) => Err((request.id, error)),
    }
}

/// A key a line in, an answer a line out. Lines are read into locked memory, one at a time.
pub fn import(enrol: &Enrol, flags: &NewKey) -> Result<ExitCode> {
    let mut output = Output::new();
    let progress = progress();
    let stdin = io::stdin();
    let mut buffer = Secret::with_capacity(LONGEST_IMPORT)?;
    let mut ended = false;
    let mut skipping = false;
    while !ended {
        if !has_line(&buffer) {
            if !waiting() && !output.flush()? {
                break;
            }
            let room = buffer.spare_mut();
            if room.is_empty() {
                buffer.truncate(0);
                if !skipping {
                    output.failed = true;
                    output.push(&error_line(None, &too_long(LONGEST_IMPORT)));
                }
                skipping = true;
                continue;
            }
            let read = read(stdin.as_fd(), room)?;
            buffer.grow(read);
            ended = read == 0;
        }
        while let Some(line) = take_line(&mut buffer, ended)? {
            if std::mem::take(&mut skipping) || line.expose().trim_ascii().is_empty() {
                continue;
            }
            let line = ImportLine::parse(&line, flags);
            let name = line.as_ref().ok().and_then(|line| line.name());
            match line.and_then(|line| enrol.import_line(line)) {
                Ok(enrolled) => output.push(&import::answer(&enrolled)),
                Err(error) => {
                    output.failed = true;
                    output.push(&with_key(&error_line(None, &error), name.as_deref()));
                }
            }
            progress.inc(1);
            if progress.is_hidden() && !waiting() {
                output.flush()?;
            }
        }
    }
    progress.finish_and_clear();
    output.end()
}

/// `{"ok":false,"key":…,"error":…}`: the refusal names the key, where the line did.
fn with_key(line: &str, key: Option<&str>) -> String {
    match (key, line.strip_prefix("{\"ok\":false")) {
        (Some(key), Some(rest)) => format!("{{\"ok\":false,\"key\":{}{rest}", serde_json::Value::from(key)),
        _ => line.to_owned(),
    }
}

fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} keys imported, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn has_line(buffer: &Secret) -> bool {
    buffer.expose().contains(&b'\n')
}

/// Takes the first line out of the buffer; at the end of the input, what is left is one too.
fn take_line(buffer: &mut Secret, ended: bool) -> Result<Option<Secret>> {
    let held = buffer.expose();
    let (end, next) = match held.iter().position(|&byte| byte == b'\n') {
        Some(end) => (end, end + 1),
        None if ended && !held.is_empty() => (held.len(), held.len()),
        None => return Ok(None),
    };
    let mut line = Secret::with_capacity(end)?;
    line.push(&held[..end]);
    buffer.remove_front(next);
    Ok(Some(line))
}

fn too_long(limit: usize) -> Error {
    Error::new(Code::TooLarge, format!("the line is longer than {limit} bytes"))
}

fn read(input: std::os::fd::BorrowedFd<'_>, room: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(input, &mut *room) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(format!("standard input cannot be read: {error}"))),
        }
    }
}

/// Whether standard input has bytes, or its end, to be read without waiting.
fn waiting() -> bool {
    let stdin = io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let now = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}

/// Lines of standard input, in a buffer that says whether one is ready without reading.
struct Lines {
    buffer: Vec<u8>,
    begin: usize,
    scanned: usize,
    ended: bool,
}

impl Lines {
    const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            begin: 0,
            scanned: 0,
            ended: false,
        }
    }

    /// Whether [`Lines::next`] would not wait for input.
    fn is_ready(&mut self) -> bool {
        self.find().is_some() || self.ended || waiting()
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
    fn next(&mut self) -> Result<Option<Result<&[u8]>>> {
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
struct Output {
    pending: Vec<u8>,
    failed: bool,
    gone: bool,
}

impl Output {
    const fn new() -> Self {
        Self {
            pending: Vec::new(),
            failed: false,
            gone: false,
        }
    }

    fn push(&mut self, line: &str) {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
        if self.pending.len() > CHUNK {
            // What cannot be written now is told by the next flush.
            let _ = self.flush();
        }
    }

    /// Answers whether anybody still reads.
    fn flush(&mut self) -> Result<bool> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.pending).and_then(|()| stdout.flush());
        self.pending.clear();
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.gone = true,
            Err(error) => return Err(failed(format!("standard output cannot be written: {error}"))),
        }
        Ok(!self.gone)
    }

    fn end(mut self) -> Result<ExitCode> {
        let read = self.flush()?;
        Ok(if self.failed || !read {
            ExitCode::from(Code::Failed.exit())
        } else {
            ExitCode::SUCCESS
        })
    }
}
