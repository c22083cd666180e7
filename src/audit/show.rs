//! Reading the log: the lines that a person asks for.

use std::{
    fmt,
    io::{BufReader, ErrorKind, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{
    file::{list, open},
    line,
};
use crate::{
    caller::Unit,
    error::{Result, bad_input},
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
    /// Of a program with this path or file name; where none is known, of this systemd unit.
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
    /// What it asks for, in words; none where all is wanted.
    pub fn told(&self) -> Vec<String> {
        let uid = self.uid.map(|uid| uid.to_string());
        let asked = [
            ("key", &self.key),
            ("kind", &self.what),
            ("outcome", &self.outcome),
            ("path from", &self.path),
            ("program", &self.program),
            ("uid", &uid),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let words = |(name, value): (&str, &Option<String>)| Some(format!("{name} {}", value.as_ref()?));
        asked.into_iter().filter_map(words).collect()
    }

    /// Whether a line is wanted.
    pub fn wants(&self, line: &Json) -> bool {
        let text = |name: &str| line.get(name).and_then(Json::scalar).unwrap_or_default();
        let is =
            |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == text(name));
        let of_program = self.program.as_deref().is_none_or(|wanted| {
            let exe = program(line).unwrap_or_default();
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
            && of_program
            && self.uid.is_none_or(|uid| text("uid") == uid.to_string())
            && self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }
}

/// The program that a line tells of; where none is known, as an agent is told none of other users, the systemd unit that it
/// ran in, or else the control group.
pub fn program(line: &Json) -> Option<&str> {
    let text = |name: &str| line.get(name).and_then(Json::scalar);
    let unit = || {
        let cgroup = text("cgroup").filter(|cgroup| *cgroup != "/")?;
        Some(Unit::of(cgroup).map_or(cgroup, |unit| unit.name))
    };
    text("exe").or_else(unit)
}

/// Goes through the lines of the log, and on as they come, also where files were moved away or a new log begun.
pub struct Reader {
    home: Home,
    files: Vec<Read>,
    passed_over: Vec<PassedOver>,
    moved: Vec<Moved>,
}

/// A file, and how far it was read. Another may stand in its place later.
#[derive(Debug, Clone)]
struct Read {
    path: PathBuf,
    /// Device, number and birth.
    which: (u64, u64, Option<SystemTime>),
    offset: u64,
    /// How many lines of it were read.
    line: u64,
    /// Whether it was there when the folder was looked at last.
    there: bool,
}

/// A line that cannot be read, in a file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    file: PathBuf,
    /// Which of its lines, from 1.
    line: u64,
}

/// A file of the log that is not what it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It is gone.
    Away(PathBuf),
    /// Another one, or what is left of it, stands in its place.
    Replaced(PathBuf),
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(path) => write!(f, "{} is gone: it was moved away or deleted", path.display()),
            Self::Replaced(path) => write!(
                f,
                "{} is another file now, or was cut: see `hsmsign audit verify`",
                path.display()
            ),
        }
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {} of {} is no line of the log, and is not shown: see `hsmsign audit verify`",
            self.line,
            self.file.display()
        )
    }
}

impl Reader {
    /// From the first line on.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn new(home: &Home) -> Result<Self> {
        list(home)?;
        Ok(Self {
            home: home.clone(),
            files: Vec::new(),
            passed_over: Vec::new(),
            moved: Vec::new(),
        })
    }

    /// The lines that could not be read since this was asked last.
    pub fn passed_over(&mut self) -> Vec<PassedOver> {
        std::mem::take(&mut self.passed_over)
    }

    /// The files that went away, or that others took the places of, since this was asked last.
    pub fn moved(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.moved)
    }

    /// Calls `each` with every whole line that was not read yet. What is no line of the log hides none of the others: it is
    /// kept for [`Reader::passed_over`].
    ///
    /// # Errors
    /// When a file cannot be read, or as `each`.
    pub fn read(&mut self, each: &mut dyn FnMut(&str, &Json) -> Result<()>) -> Result<()> {
        let paths = list(&self.home)?;
        for read in self.files.iter_mut().filter(|read| read.there) {
            read.there = paths.contains(&read.path);
            if !read.there {
                self.moved.push(Moved::Away(read.path.clone()));
            }
        }
        for path in paths {
            let wrong = |error| io_error("the audit log", &path, "be read", &error);
            // It may be moved away at any time.
            let there = match path.symlink_metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                there => there.map_err(wrong)?,
            };
            let which = (there.dev(), there.ino(), there.created().ok());
            let is_it = |file: &Read| file.path == path && file.which == which && file.offset <= there.len();
            let known = self.files.iter().position(is_it);
            let mut at =
                known.map_or_else(|| Read::new(path.clone(), which), |at| self.files.swap_remove(at));
            at.there = true;
            for before in self
                .files
                .iter_mut()
                .filter(|file| file.there && file.path == path)
            {
                before.there = false;
                self.moved.push(Moved::Replaced(path.clone()));
            }
            // What has no length may be no file at all.
            let read = match at.offset == there.len() && at.offset > 0 {
                true => Ok(()),
                false => self.go_on(&mut at, each),
            };
            self.files.push(at);
            read?;
        }
        Ok(())
    }

    fn go_on(&mut self, at: &mut Read, each: &mut dyn FnMut(&str, &Json) -> Result<()>) -> Result<()> {
        let wrong = |error| io_error("the audit log", &at.path, "be read", &error);
        let mut file = open(&at.path)?;
        file.seek(SeekFrom::Start(at.offset)).map_err(wrong)?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            let read = line::read(&mut reader, &mut line).map_err(wrong)?;
            let mut whole = line.pop_if(|last| *last == b'\n').is_some();
            let mut passed = read as u64;
            if !whole {
                let skipped = match passed {
                    line::LONGEST => line::skip(&mut reader).map_err(wrong)?,
                    _ => None,
                };
                // A line that is being written, and read when it is whole.
                let Some(skipped) = skipped else { return Ok(()) };
                passed += skipped;
            }
            at.offset += passed;
            at.line += 1;
            whole &= line::number(&line).is_some();
            let text = std::str::from_utf8(&line).ok().filter(|_| whole);
            match text.and_then(|text| Some((text, Json::parse(text).ok()?))) {
                Some((text, json)) => each(text, &json)?,
                None => self.passed_over.push(PassedOver {
                    file: at.path.clone(),
                    line: at.line,
                }),
            }
        }
    }
}

impl Read {
    const fn new(path: PathBuf, which: (u64, u64, Option<SystemTime>)) -> Self {
        Self {
            path,
            which,
            offset: 0,
            line: 0,
            there: true,
        }
    }
}
