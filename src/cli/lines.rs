//! The line protocols on standard input and output: `sign --json` and `import --json`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use hsmsign::{
    enrol::{Enrol, ImportLine, NewKey},
    error::{Code, Error, Result, bad_input, failed},
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
///
/// Two workers take turns: while one waits for the token, the other reads and composes the next request. Reading and
/// composing are one turn, so that nonces increase in the order of the lines.
pub fn sign(signer: &Signer) -> Result<ExitCode> {
    let input = Mutex::new(Lines::new());
    let answers = Answers::new();
    let worker = || -> Result<()> {
        let caller = Caller::this_process();
        loop {
            let mut turn = lock(&input);
            let Some(line) = turn.next()? else { return Ok(()) };
            let line = match line {
                Ok(line) if line.trim_ascii().is_empty() => {
                    answers.pause(turn.has_line())?;
                    continue;
                }
                Ok(line) => request(line),
                Err(error) => Err((None, error)),
            };
            let place = answers.place(turn.has_line());
            let answer = line.and_then(|request| {
                let signed = signer.sign_in_turn(&request, &caller, || drop(turn));
                match signed {
                    Ok(signed) => Ok(signed.to_line(request.id.as_ref())),
                    Err(error) => Err((request.id, error)),
                }
            });
            if !answers.put(place, answer)? {
                return Ok(());
            }
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(worker);
        let mine = worker();
        other
            .join()
            .unwrap_or_else(|_| Err(failed("a worker ended in the middle")))?;
        mine
    })?;
    answers.end()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers on their way out, put back into the order of their lines.
struct Answers(Mutex<Waiting>);

struct Waiting {
    output: Output,
    /// Whether a line is at hand that has no place yet.
    more: bool,
    /// The place that the next line gets.
    next: u64,
    /// The place of the first answer that is not written yet.
    first: u64,
    /// Answers that came before their turn, by place.
    early: BTreeMap<u64, String>,
}

impl Waiting {
    /// Writes what is held back where nothing else is at hand. Answers whether anybody still reads.
    fn flush_if_idle(&mut self) -> Result<bool> {
        if self.first == self.next && !self.more {
            self.output.flush()
        } else {
            Ok(!self.output.gone)
        }
    }
}

impl Answers {
    fn new() -> Self {
        Self(Mutex::new(Waiting {
            output: Output::new(),
            more: false,
            next: 0,
            first: 0,
            early: BTreeMap::new(),
        }))
    }

    /// The place of a line that was just read; asked for in the order of the lines. `more` says whether another line
    /// is at hand already: where it is, writing can wait for its answer.
    fn place(&self, more: bool) -> u64 {
        let mut waiting = lock(&self.0);
        waiting.more = more;
        waiting.next += 1;
        waiting.next - 1
    }

    /// Takes note of a line without an answer.
    fn pause(&self, more: bool) -> Result<()> {
        let mut waiting = lock(&self.0);
        waiting.more = more;
        waiting.flush_if_idle().map(|_| ())
    }

    /// Takes an answer, and writes what is next. Where every line that was read is answered, nothing is held back.
    /// Answers whether anybody still reads.
    fn put(&self, place: u64, answer: Result<String, Refusal>) -> Result<bool> {
        let mut waiting = lock(&self.0);
        let line = answer.unwrap_or_else(|(id, error)| {
            waiting.output.failed = true;
            error_line(id.as_ref(), &error)
        });
        waiting.early.insert(place, line);
        loop {
            let first = waiting.first;
            let Some(line) = waiting.early.remove(&first) else {
                break;
            };
            waiting.output.push(&line)?;
            waiting.first += 1;
        }
        waiting.flush_if_idle()
    }

    fn end(self) -> Result<ExitCode> {
        self.0
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .output
            .end()
    }
}

type Refusal = (Option<hsmsign::json::Json>, Error);

fn request(line: &[u8]) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| {
        (
            None,
            bad_input("the line is not UTF-8").fix("send a body that is no text as body_base64"),
        )
    })?;
    Request::parse_line(text)
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
                    output.push(&error_line(None, &too_long(LONGEST_IMPORT)))?;
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
            let read = ImportLine::parse(&line, flags);
            drop(line);
            let line = read;
            let name = line.as_ref().ok().and_then(|line| line.name());
            match line.and_then(|line| enrol.import_line(line)) {
                Ok(enrolled) => output.push(&import::answer(&enrolled))?,
                Err(error) => {
                    output.failed = true;
                    output.push(&with_key(&error_line(None, &error), name.as_deref()))?;
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
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} lines done, {per_sec}, {elapsed}");
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

/// Lines of standard input.
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

    /// Whether another line is at hand without reading.
    fn has_line(&mut self) -> bool {
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

    fn push(&mut self, line: &str) -> Result<()> {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
        if self.pending.len() > CHUNK {
            self.flush()?;
        }
        Ok(())
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
