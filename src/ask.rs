//! Asking the person: the one trait through which the library does it, and how a terminal or pinentry answers.

mod pinentry;
mod quiet;

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

pub use self::pinentry::{agreed, has_display, pinentry, quoted};
use self::quiet::Quiet;
use crate::{
    error::{Code, Error, Result, bad_input, failed},
    process::{refuse_strangers, tell},
    secret::{Secret, traceless},
};

/// The longest secret that is read, in bytes: an RSA key of 4096 bits as PEM has about 3,300.
pub const LONGEST_SECRET: usize = 16 * 1024;

/// Someone who can be asked.
pub trait Ask: Send + Sync {
    /// Whether there is a person to ask at all.
    fn present(&self) -> bool;
    /// Something secret, typed without echo.
    ///
    /// # Errors
    /// When nobody is there, they broke off, or a library in this process would see it.
    fn secret(&self, prompt: &str) -> Result<Secret>;
    /// A line, as typed.
    ///
    /// # Errors
    /// As [`Ask::secret`].
    fn line(&self, prompt: &str) -> Result<String>;
    /// Tells them something while they wait.
    fn tell(&self, text: &str);
    /// Whether another answer may be had where one was wrong. A command asks once: it is to be run again.
    fn asks_again(&self) -> bool {
        false
    }
    /// That nobody is there to give `what` of a token, which `field` of `config.toml` could name a source for.
    fn nobody(&self, token: &str, what: &str, field: &str) -> Error {
        Error::new(
            Code::TokenLocked,
            format!("its {what} is needed, and there is no terminal to ask at"),
        )
        .fix(format!(
            "set {field} for [token.{token}] in config.toml to file:PATH, fd:N or credential:NAME"
        ))
    }
}

/// What came of asking a person whether something may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreed {
    /// They agreed.
    Yes,
    /// They did not.
    No,
    /// They gave no answer in the time that they had.
    Silent,
    /// They are being asked: the request is to be brought again when they have answered.
    Later,
}

/// The process's terminal, whatever its standard input is.
#[derive(Debug, Default, Clone, Copy)]
pub struct Terminal;

impl Terminal {
    fn open() -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .or_else(|error| {
                // Without one of its own, as where an agent does what somebody asked it at theirs.
                let stdin = io::stdin();
                match stdin.is_terminal() {
                    true => Ok(stdin.as_fd().try_clone_to_owned()?.into()),
                    false => Err(error),
                }
            })
            .map_err(|_| Error::new(Code::Failed, "there is no terminal to ask at"))
    }
}

impl Ask for Terminal {
    fn present(&self) -> bool {
        Self::open().is_ok()
    }

    fn secret(&self, prompt: &str) -> Result<Secret> {
        refuse_strangers()?;
        let terminal = Self::open()?;
        let quiet = Quiet::begin(terminal.as_fd())?;
        let _ = write!(&terminal, "{prompt}");
        let read = traceless(|| read_keys(terminal.as_fd()));
        let _ = writeln!(&terminal);
        drop(quiet);
        read
    }

    fn line(&self, prompt: &str) -> Result<String> {
        let mut terminal = Self::open()?;
        let _ = write!(terminal, "{prompt}");
        let line = read_secret_line(terminal.as_fd()).map_err(|error| match error.code() {
            Code::BadInput => broken_off(),
            _ => error,
        })?;
        String::from_utf8(line.expose().to_vec()).map_err(|_| bad_input("what was typed is not UTF-8"))
    }

    fn tell(&self, text: &str) {
        tell(text);
    }
}

/// That whoever was asked gave no answer.
fn broken_off() -> Error {
    Error::new(Code::Failed, "broken off at the prompt; nothing was done")
        .fix("run it again to be asked again")
}

/// Reads keys up to Enter; a PEM block up to the end of its last line.
fn read_keys(terminal: BorrowedFd<'_>) -> Result<Secret> {
    const END: u8 = 4;
    const INTERRUPT: u8 = 3;
    const KILL_LINE: u8 = 21;
    const BACKSPACE: [u8; 2] = [8, 127];
    let mut typed = Secret::with_capacity(LONGEST_SECRET)?;
    loop {
        let Some(key) = read_byte(terminal)? else {
            return Err(broken_off());
        };
        match key {
            INTERRUPT => return Err(broken_off()),
            END if typed.is_empty() => return Err(broken_off()),
            END => return Ok(typed),
            b'\r' | b'\n' if is_open_pem(&typed) => push(&mut typed, b'\n')?,
            b'\r' | b'\n' => return Ok(typed),
            KILL_LINE => typed.truncate(0),
            key if BACKSPACE.contains(&key) => typed.truncate(typed.len().saturating_sub(1)),
            key => push(&mut typed, key)?,
        }
    }
}

/// Reads one line, without its end: one CR, LF or CR LF is cut. Where it begins a PEM block, the whole block.
/// Nothing behind it is read.
///
/// # Errors
/// When there is nothing, or more than [`LONGEST_SECRET`] bytes.
pub fn read_secret_line(input: BorrowedFd<'_>) -> Result<Secret> {
    traceless(|| read_line(&mut || read_byte(input)))
}

/// As [`read_secret_line`], for who must not be kept waiting: the whole line comes within that time.
///
/// # Errors
/// As there, and when it does not come in time.
pub fn read_secret_line_within(input: BorrowedFd<'_>, patience: Duration) -> Result<Secret> {
    let until = Instant::now() + patience;
    let late = || {
        bad_input(format!("the secret did not come within {} s", patience.as_secs()))
            .fix("write it whole, ended by a line feed, before it is asked for")
    };
    traceless(|| {
        read_line(&mut || {
            loop {
                let left = until.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).map_err(|_| late())?;
                let mut ready = [PollFd::new(&input, PollFlags::IN)];
                match poll(&mut ready, Some(&left)) {
                    Ok(0) => return Err(late()),
                    Ok(_) => return read_byte(input),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(failed(format!("the secret cannot be waited for: {error}"))),
                }
            }
        })
    })
}

fn read_line(next: &mut dyn FnMut() -> Result<Option<u8>>) -> Result<Secret> {
    let mut line = Secret::with_capacity(LONGEST_SECRET)?;
    let mut any = false;
    while let Some(byte) = next()? {
        any = true;
        if byte == b'\n' {
            if !is_open_pem(&line) {
                break;
            }
            push(&mut line, byte)?;
        } else {
            push(&mut line, byte)?;
        }
    }
    if !any {
        return Err(bad_input("standard input ended before the secret came"));
    }
    if line.expose().last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    Ok(line)
}

/// Whether anything but white space stands ready to be read: more than was asked for. Does not wait.
///
/// # Errors
/// When the input cannot be read.
pub fn has_more(input: BorrowedFd<'_>) -> Result<bool> {
    loop {
        let mut ready = [PollFd::new(&input, PollFlags::IN)];
        let waiting = poll(
            &mut ready,
            Some(&rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )
        .map_err(|error| failed(format!("standard input cannot be read: {error}")))?;
        if waiting == 0 {
            return Ok(false);
        }
        match read_byte(input)? {
            None => return Ok(false),
            Some(byte) if byte.is_ascii_whitespace() => {}
            Some(_) => return Ok(true),
        }
    }
}

/// Whether a PEM block has begun and its last line is still to come. Behind the parameters of a curve, which OpenSSL
/// writes first, the key's own block follows.
fn is_open_pem(text: &Secret) -> bool {
    const END: &[u8] = b"-----END ";
    let mut rest = text.expose();
    if !crate::private_key::is_pem(rest) {
        return false;
    }
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|window| window == what);
    while let Some(at) = find(rest, END) {
        rest = &rest[at + END.len()..];
        let label = &rest[..find(rest, b"-----").unwrap_or(0)];
        if !label.ends_with(b"PARAMETERS") {
            return false;
        }
    }
    true
}

fn push(text: &mut Secret, byte: u8) -> Result<()> {
    if text.push(&[byte]) == 0 {
        return Err(bad_input(format!(
            "the secret is longer than {LONGEST_SECRET} bytes"
        )));
    }
    Ok(())
}

fn read_byte(input: BorrowedFd<'_>) -> Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match rustix::io::read(input, &mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(Errno::INTR) => {}
            // Whoever started this process made it non-blocking.
            Err(Errno::AGAIN) => {
                let _ready = poll(&mut [PollFd::new(&input, PollFlags::IN)], None);
            }
            Err(error) => return Err(failed(format!("the secret cannot be read: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe_with(bytes: &[u8]) -> rustix::fd::OwnedFd {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, bytes).unwrap();
        read
    }

    #[test]
    fn a_line_loses_one_end_and_nothing_else() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"secret\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b"secret", b"secret"),
            (b" secret \n", b" secret "),
            (b"\n", b""),
        ];
        for (given, wanted) in cases {
            assert_eq!(
                read_secret_line(pipe_with(given).as_fd()).unwrap().expose(),
                wanted
            );
        }
        assert!(read_secret_line(pipe_with(b"").as_fd()).is_err());
    }

    #[test]
    fn lines_follow_one_another_and_a_pem_block_is_one() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----";
        let input = pipe_with(format!("{pem}\npassphrase\nmore").as_bytes());
        assert_eq!(read_secret_line(input.as_fd()).unwrap().expose(), pem.as_bytes());
        assert_eq!(read_secret_line(input.as_fd()).unwrap().expose(), b"passphrase");
        assert!(has_more(input.as_fd()).unwrap());
        assert!(!has_more(pipe_with(b" \n\n").as_fd()).unwrap());
    }

    #[test]
    fn a_pem_block_in_one_line_or_behind_its_parameters_is_read_whole() {
        for pem in [
            r"-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n",
            "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\r\nMC4C\r\n-----END PRIVATE KEY-----",
        ] {
            let input = pipe_with(format!("{pem}\npassphrase\n").as_bytes());
            assert_eq!(read_secret_line(input.as_fd()).unwrap().expose(), pem.as_bytes());
            assert_eq!(read_secret_line(input.as_fd()).unwrap().expose(), b"passphrase");
        }
    }
}
