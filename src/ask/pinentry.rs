//! A pinentry program (the Assuan protocol of GnuPG), which asks on the desktop or at a terminal.

use std::{
    io::Write as _,
    os::fd::{AsFd as _, BorrowedFd},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{Agreed, read_secret_line};
use crate::{
    error::{Code, Error, Result, failed},
    process::refuse_strangers,
    secret::{Secret, traceless},
};

/// Asks for a PIN.
///
/// # Errors
/// When there is no pinentry, the person breaks off, or a library in this process would see the PIN.
pub fn pinentry(description: &str) -> Result<Secret> {
    refuse_strangers()?;
    let mut pinentry = Pinentry::start(None, None).map_err(|error| {
        Error::new(Code::TokenLocked, format!("pinentry cannot be started: {error}"))
            .fix("install a pinentry (Debian: pinentry-curses or pinentry-gnome3), or give the token another pin-source")
    })?;
    pinentry.greeted()?;
    pinentry.describe(description)?;
    pinentry.ask("SETPROMPT PIN:")?;
    match pinentry.ask("GETPIN")? {
        Said::Ok(Some(pin)) => Ok(pin),
        Said::Ok(None) => Err(Error::new(
            Code::TokenLocked,
            "an empty PIN was given at the pinentry",
        )),
        _ => Err(Error::new(Code::TokenLocked, "no PIN was given at the pinentry")
            .fix("try again, and give the PIN")),
    }
}

/// Asks whether something may be signed. The question stands no longer than `patience`, nor longer than whoever is at the
/// other end of `asker` is there.
///
/// # Errors
/// When there is no pinentry, or it has no desktop or terminal to ask at.
pub fn agreed(question: &str, patience: Duration, asker: Option<BorrowedFd<'_>>) -> Result<Agreed> {
    let cannot = |what: String| {
        Error::new(Code::Denied, what).fix(
            "install a pinentry (Debian: pinentry-curses or pinentry-gnome3); it asks where the process that starts it was started: on the desktop of DISPLAY or WAYLAND_DISPLAY, or at the terminal GPG_TTY",
        )
    };
    let mut pinentry = Pinentry::start(Some(Instant::now() + patience), asker)
        .map_err(|error| cannot(format!("pinentry cannot be started: {error}")))?;
    let seconds = patience.as_secs().max(1);
    let said = (|| {
        pinentry.greeted()?;
        // Whatever of this it does not know, the question itself says.
        pinentry.ask("SETTITLE hsmsign")?;
        pinentry.ask("SETOK Sign")?;
        pinentry.ask("SETCANCEL Do not sign")?;
        pinentry.ask(&format!("SETTIMEOUT {seconds}"))?;
        // Whoever sees no question agrees to nothing.
        match pinentry.describe(question)? {
            Said::Ok(_) => pinentry.ask("CONFIRM"),
            refused => Ok(refused),
        }
    })()
    .map_err(|error| cannot(format!("pinentry could not ask: {error}")))?;
    match said {
        Said::Ok(_) => Ok(Agreed::Yes),
        Said::No(CANCELED | FULLY_CANCELED | NOT_CONFIRMED, _) => Ok(Agreed::No),
        Said::No(TIMEOUT, _) | Said::Nothing => Ok(Agreed::Silent),
        Said::No(_, why) => Err(cannot(format!("pinentry could not ask: {why}"))),
    }
}

/// Whether there is a desktop on which pinentry can ask.
pub fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Codes of libgpg-error, without the number of the program in front.
const TIMEOUT: u32 = 62;
const CANCELED: u32 = 99;
const NOT_CONFIRMED: u32 = 114;
const FULLY_CANCELED: u32 = 198;

/// What a pinentry said to a line.
enum Said {
    /// It did so, with the data that came before.
    Ok(Option<Secret>),
    /// It did not: the code, and its words.
    No(u32, String),
    /// Nothing, in the time that there was.
    Nothing,
}

struct Pinentry<'a> {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    until: Option<Instant>,
    asker: Option<BorrowedFd<'a>>,
}

impl<'a> Pinentry<'a> {
    fn start(until: Option<Instant>, asker: Option<BorrowedFd<'a>>) -> std::io::Result<Self> {
        let mut child = Command::new("pinentry")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Self {
                child,
                to,
                from,
                until,
                asker,
            }),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Reads the greeting, and says where the terminal is, for a pinentry that asks at one.
    fn greeted(&mut self) -> Result<()> {
        self.line()?;
        let terminal = std::env::var("GPG_TTY").unwrap_or_else(|_| "/dev/tty".to_owned());
        self.ask(&format!("OPTION ttyname={terminal}"))?;
        if let Ok(kind) = std::env::var("TERM") {
            self.ask(&format!("OPTION ttytype={kind}"))?;
        }
        Ok(())
    }

    fn describe(&mut self, text: &str) -> Result<Said> {
        self.ask(&format!("SETDESC {}", quoted(text)))
    }

    /// Says a line, and reads what comes of it.
    fn ask(&mut self, line: &str) -> Result<Said> {
        let mut data = None;
        writeln!(self.to, "{line}").map_err(|error| failed(format!("pinentry ended: {error}")))?;
        loop {
            let Some(line) = self.line()? else {
                return Ok(Said::Nothing);
            };
            match line.expose() {
                [b'D', b' ', quoted @ ..] => data = Some(traceless(|| unquote(quoted))?),
                [b'O', b'K', ..] => return Ok(Said::Ok(data)),
                [b'E', b'R', b'R', rest @ ..] => {
                    let told = String::from_utf8_lossy(rest);
                    let (code, words) = told.trim_start().split_once(' ').unwrap_or((told.trim(), ""));
                    let code = code.parse::<u32>().unwrap_or_default() & 0xffff;
                    return Ok(Said::No(code, words.escape_default().to_string()));
                }
                _ => {}
            }
        }
    }

    /// The next line; none where the time is over, or nobody waits for the answer.
    fn line(&self) -> Result<Option<Secret>> {
        if self.until.is_some() && !self.comes()? {
            return Ok(None);
        }
        read_secret_line(self.from.as_fd()).map(Some)
    }

    fn comes(&self) -> Result<bool> {
        loop {
            let left = self.until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Ok(false);
            }
            let left = Timespec::try_from(left.min(Duration::from_secs(3600)))
                .map_err(|_| failed("the time to wait cannot be told"))?;
            let from = PollFd::new(&self.from, PollFlags::IN);
            let mut ready = vec![from];
            // Its end alone is of interest.
            ready.extend(
                self.asker
                    .as_ref()
                    .map(|asker| PollFd::new(asker, PollFlags::empty())),
            );
            match poll(&mut ready, Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) if ready.iter().skip(1).any(|asker| !asker.revents().is_empty()) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(error) => return Err(failed(format!("it cannot be waited for: {error}"))),
            }
        }
    }
}

impl Drop for Pinentry<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text in one line, as pinentry is told it.
pub fn quoted(text: &str) -> String {
    text.replace('%', "%25").replace('\n', "%0A")
}

fn unquote(data: &[u8]) -> Result<Secret> {
    let mut pin = Secret::with_capacity(data.len())?;
    let mut rest = data;
    while let Some((&first, after)) = rest.split_first() {
        let hex = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                pin.push(&[hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0)]);
                rest = behind;
            }
            _ => {
                pin.push(&[first]);
                rest = after;
            }
        }
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assuan_data_is_unquoted() {
        assert_eq!(unquote(b"12%2534%0A%").unwrap().expose(), b"12%34\n%");
    }
}
