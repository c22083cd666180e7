//! Reading the log: the lines that a person asks for.

use std::{
    io::{BufReader, Seek as _, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use super::{
    file::{list, open},
    line,
};
use crate::{
    error::{Result, bad_input, failed},
    home::{Home, io_error},
    json::Json,
};

/// Which lines are wanted; all where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this key.
    pub key: Option<String>,
    /// Of this kind, as `sign`.
    pub what: Option<String>,
    /// With this outcome: signed, denied, failed, done.
    pub outcome: Option<String>,
    /// With this path, or one that begins so.
    pub path: Option<String>,
    /// Of a program with this path or file name.
    pub program: Option<String>,
    /// Of this user.
    pub uid: Option<u32>,
    /// Not before this time, as RFC 3339 in UTC.
    pub since: Option<String>,
    /// Before this time, likewise.
    pub until: Option<String>,
}

/// A time as the log writes it: a date, RFC 3339, or how long ago, as `90s`, `15m`, `2h`, `7d`.
///
/// # Errors
/// When it is none of these.
pub fn moment(text: &str, now: Duration) -> Result<String> {
    let odd = || {
        bad_input(format!("{text:?} is no time"))
            .fix("write 2026-12-31, 2026-12-31T18:00:00Z, or 15m, 2h, 7d for as long ago")
    };
    let seconds = text
        .get(..text.len().saturating_sub(1))
        .and_then(|number| number.parse::<u64>().ok());
    let unit = match text.chars().last() {
        Some('s') => Some(1),
        Some('m') => Some(60),
        Some('h') => Some(3600),
        Some('d') => Some(86_400),
        _ => None,
    };
    let at = match (seconds, unit) {
        (Some(count), Some(unit)) => now.saturating_sub(Duration::from_secs(count.saturating_mul(unit))),
        _ => {
            let whole = if text.len() == 10 {
                format!("{text}T00:00:00Z")
            } else {
                text.to_owned()
            };
            let stamp: jiff::Timestamp = whole.parse().map_err(|_| odd())?;
            Duration::from_micros(u64::try_from(stamp.as_microsecond()).map_err(|_| odd())?)
        }
    };
    let mut out = String::new();
    super::line::time(&mut out, u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
    Ok(out)
}

impl Filter {
    /// Whether a line is wanted.
    pub fn wants(&self, line: &Json) -> bool {
        let text = |name: &str| line.get(name).and_then(Json::scalar).unwrap_or_default();
        let is =
            |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == text(name));
        let program = self.program.as_deref().is_none_or(|wanted| {
            let exe = text("exe");
            exe == wanted || exe.rsplit('/').next() == Some(wanted)
        });
        let time = text("t");
        is(&self.key, "key")
            && is(&self.what, "what")
            && is(&self.outcome, "outcome")
            && self
                .path
                .as_deref()
                .is_none_or(|wanted| text("path").starts_with(wanted))
            && program
            && self.uid.is_none_or(|uid| text("uid") == uid.to_string())
            && self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }
}

/// Goes through the lines of the log, and on as they come.
pub struct Reader {
    home: Home,
    files: Vec<PathBuf>,
    /// The file that is read, and how far.
    at: usize,
    offset: u64,
}

impl Reader {
    /// From the first line on.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn new(home: &Home) -> Result<Self> {
        Ok(Self {
            files: list(home)?,
            home: home.clone(),
            at: 0,
            offset: 0,
        })
    }

    /// Calls `each` with every whole line that was not read yet.
    ///
    /// # Errors
    /// When a file cannot be read, or as `each`.
    pub fn read(&mut self, each: &mut dyn FnMut(&str, &Json) -> Result<()>) -> Result<()> {
        self.files = list(&self.home)?;
        while let Some(path) = self.files.get(self.at) {
            let wrong = |error| io_error("the audit log", path, "be read", &error);
            let mut file = open(path)?;
            file.seek(SeekFrom::Start(self.offset)).map_err(wrong)?;
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            loop {
                let read = line::read(&mut reader, &mut line).map_err(wrong)?;
                if line.pop() != Some(b'\n') {
                    break;
                }
                self.offset += read as u64;
                let text = std::str::from_utf8(&line)
                    .map_err(|_| failed(format!("{} is no text", path.display())))?;
                let json = Json::parse(text).map_err(|error| error.within(path.display()))?;
                each(text, &json)?;
            }
            if self.at + 1 == self.files.len() {
                break;
            }
            self.at += 1;
            self.offset = 0;
        }
        Ok(())
    }
}
