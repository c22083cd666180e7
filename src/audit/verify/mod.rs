//! Whether the log is as it was written: every line behind the one before it, every seal of the token's.

mod kept;
mod seals;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    io::BufReader,
    path::Path,
    sync::Arc,
};

use self::seals::Sealed;

use super::{
    file::{first_line, list, open},
    line::{self, Hash},
    mark::name_of_log,
    seal::Seals,
};
use crate::{
    error::{Error, Result, failed},
    home::{Home, io_error},
    token::Token,
};

/// How many findings are told.
const MOST: usize = 20;

/// Finds a token by its name.
pub type FindToken<'a> = dyn Fn(&str) -> Result<Arc<dyn Token>> + 'a;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line's number, or that of the one that is missed.
    pub number: u64,
    /// The file that it stands in; none where it is in none.
    pub file: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many lines there are.
    pub lines: u64,
    /// What is wrong; none where all is as it was written. The first of very many.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
    /// How many seals it claims to have.
    pub claimed: u64,
    /// How many of them hold.
    pub seals: u64,
    /// How many lines stand behind the last seal: whoever can write the files could have changed these.
    pub unsealed: u64,
    /// How many bytes a process that was cut off left of a line.
    pub torn: u64,
    /// The last seal that holds: its number, its last line and that line's hash in hex.
    pub last: Option<(u64, u64, String)>,
    /// The last seal that its token made and that no change of a line stands in front of, and the last line that it covers: up
    /// to there the log is as it was written, whatever was found behind.
    pub proved: Option<(u64, u64)>,
    /// The tokens that made those.
    pub tokens: BTreeSet<String>,
    /// The tokens that were asked how far this log was sealed, with the number of the last seal that each keeps; none where
    /// it keeps nothing of this log, as a token that cannot.
    pub kept_by: BTreeMap<String, Option<u64>>,
    /// What those tokens keep of other logs: the token, the log's name, its last seal and the last line that it covers.
    pub other_logs: Vec<(String, String, u64, u64)>,
    /// All that hold, as number and the beginning of the hash, `3:0123456789abcdef`.
    pub sealed: Vec<String>,
    /// The tokens that could not be asked about the seals that name them, and why not.
    pub not_asked: BTreeMap<String, NotAsked>,
    /// Why the file of the last seal tells nothing.
    pub unreadable: Option<Error>,
}

/// That a token could not be asked about its seals.
#[derive(Debug, Clone)]
pub struct NotAsked {
    /// The line of the first seal that names it.
    pub number: u64,
    /// Why.
    pub error: Error,
    /// Whether it is there, and has no key that seals: it may keep how far a log was sealed all the same.
    pub keyless: bool,
}

/// Goes through the log; `token` finds a token by its name, where seals are to be looked at too. What the tokens keep of the
/// log is asked of those that made its seals, and of the `others` that can be asked.
///
/// # Errors
/// When files cannot be read.
pub fn verify(home: &Home, token: Option<&FindToken<'_>>, others: &[String]) -> Result<Verified> {
    let mut walk = Walk::default();
    // Others may write meanwhile: what was kept before the log was read must be in it, and what it has is kept by the end.
    let seals = Seals::new(home);
    let before = seals.last();
    let files = list(home)?;
    for (at, path) in files.iter().enumerate() {
        walk.file(path, at + 1 == files.len())?;
    }
    walk.find_heads(&files)?;
    walk.seals(token);
    // Whatever became of that file, it hides nothing of the lines.
    let last = match (before, seals.last()) {
        (Ok(before), Ok(last)) => {
            walk.kept([before, last.clone()]);
            last
        }
        (Err(error), _) | (_, Err(error)) => {
            walk.found.unreadable = Some(error);
            None
        }
    };
    let kept_by = last.map(|last| last.token);
    if let Some(token) = token {
        let name = name_of_log(home)?;
        let own = walk.found.tokens.clone();
        // Beside those that the log names, whoever cannot be asked is passed over.
        let kept_by = kept_by.iter().filter(|name| !name.is_empty());
        let others: BTreeSet<_> = others.iter().chain(kept_by).collect();
        for other in others {
            let can = walk.found.not_asked.get(other).is_none_or(|not| not.keyless);
            if can && !own.contains(other) {
                let _ = walk.marked(home, other, token, name.as_deref());
            }
        }
        for own in own {
            if let Err(error) = walk.marked(home, &own, token, name.as_deref()) {
                walk.not_asked(own, walk.number, error, false);
            }
        }
    }
    Ok(walk.found)
}

#[derive(Default)]
struct Walk {
    found: Verified,
    /// The file that is gone through.
    file: Option<String>,
    number: u64,
    hash: Hash,
    seals: Vec<Sealed>,
    /// The number of the last seal, and what the seals of that number are about.
    latest: (u64, Vec<(u64, Hash)>),
    /// The hashes of the lines that seals are about, by number.
    heads: HashMap<u64, Hash>,
    /// Hashes of the latest lines, since a seal is about a line shortly before it.
    recent: std::collections::VecDeque<(u64, Hash)>,
}

/// How many lines a seal may stand behind the one that it is about.
const RECENT: usize = 20_000;

impl Walk {
    fn wrong(&mut self, number: u64, what: impl Into<String>) {
        if self.found.findings.len() < MOST {
            self.found.findings.push(Finding {
                number,
                file: self.file.clone(),
                what: what.into(),
            });
        } else {
            self.found.more_findings += 1;
        }
    }

    fn file(&mut self, path: &Path, last: bool) -> Result<()> {
        let file = open(path)?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.file = Some(name.clone());
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        let mut first = true;
        loop {
            let read = line::read(&mut reader, &mut line)
                .map_err(|error| io_error("the audit log", path, "be read", &error))?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                let skipped = match read as u64 {
                    line::LONGEST => line::skip(&mut reader),
                    _ => Ok(None),
                };
                if skipped
                    .map_err(|error| io_error("the audit log", path, "be read", &error))?
                    .is_some()
                {
                    self.no_line("it is longer than a line of the log can be");
                    first = false;
                    continue;
                }
                // A file is begun with its first line whole.
                if last && !first && (read as u64) < line::LONGEST {
                    self.found.torn = read as u64;
                } else {
                    self.wrong(self.number + 1, format!("{name} ends in the middle of a line"));
                }
                first = false;
                break;
            }
            line.pop();
            if first && line::number(&line) != first_line(&name) {
                let number = line::number(&line).unwrap_or(self.number + 1);
                self.wrong(number, format!("{name} does not begin with the line of its name"));
            }
            self.line(&line, first);
            first = false;
        }
        if first {
            self.wrong(self.number + 1, format!("{name} is empty"));
        }
        Ok(())
    }

    /// Something stands in the place of the next line that is none.
    fn no_line(&mut self, what: &str) {
        self.found.lines += 1;
        self.number += 1;
        self.wrong(self.number, what);
    }

    fn line(&mut self, line: &[u8], first: bool) {
        let (Some(number), Some((body, claimed))) = (line::number(line), line::open(line)) else {
            return self.no_line("it is no line of the log");
        };
        self.found.lines += 1;
        let expected = self.number + 1;
        if number != expected {
            self.wrong(
                expected,
                match number.checked_sub(expected) {
                    Some(1) => format!("line {expected} is missing"),
                    Some(_) => format!("lines {expected} to {} are missing", number - 1),
                    None => format!("line {number} stands in its place"),
                },
            );
        }
        if first {
            let before = format!("\"before\":\"{}\"", base16ct::lower::encode_string(&self.hash));
            if number == expected && !contains(body, before.as_bytes()) {
                self.wrong(number, "it does not go on from the file before");
            }
        }
        if line::hash(&self.hash, body) != claimed && number == expected {
            self.wrong(
                number,
                "it is not as it was written, or not behind the line that it was written behind",
            );
        }
        self.number = number;
        // From here on each line is compared with what this one says, so that one change is told once.
        self.hash = claimed;
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((number, claimed));
        if contains(&body[..body.len().min(120)], b"\"what\":\"seal\"") {
            self.seal(number, line);
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "line {} ({file}): {}", self.number, self.what),
            None => write!(f, "line {}: {}", self.number, self.what),
        }
    }
}

impl NotAsked {
    /// That the seals were not looked at, as an error.
    pub fn told(&self) -> Error {
        self.error.clone().within(self.place())
    }

    fn place(&self) -> String {
        format!("the seals from line {} on were not looked at", self.number)
    }
}

impl Verified {
    /// Refuses a log that is not as it was written, and one of which that cannot be told.
    ///
    /// # Errors
    /// The first finding, and how many there are; or why a token was not asked about its seals.
    pub fn whole(&self) -> Result<()> {
        let Some(first) = self.findings.first() else {
            if let Some(error) = &self.unreadable {
                let told = format!("the {} lines hold together, but {}", self.lines, error.message());
                return Err(Error::new(error.code(), told).fix(error.advice()));
            }
            let first = self.not_asked.values().min_by_key(|not| not.number);
            return first.map_or(Ok(()), |not| {
                let place = format!("the {} lines hold together, but {}", self.lines, not.place());
                Err(not.error.clone().within(place))
            });
        };
        let more = match self.findings.len() as u64 + self.more_findings {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        let proved = self.proved.map_or_else(String::new, |(seal, upto)| {
            format!("; up to line {upto} it is as seal {seal} has it")
        });
        Err(
            failed(format!("the audit log was changed: {first}{more}{proved}"))
                .fix("keep the folder `audit` as it is, and see docs/incident.md"),
        )
    }
}
