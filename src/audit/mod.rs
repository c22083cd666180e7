//! What was signed and what was refused: a log of JSON lines, each chained to the one before, sealed by the token.

mod file;
mod line;
mod mark;
mod parameters;
mod queue;
mod report;
mod room;
mod seal;
mod set_back;
mod show;
mod threads;
mod verify;
mod waiting;
mod writer;

use std::{sync::Arc, time::Duration};

pub use file::{Files, list, take_turn};
pub use line::{Hash, number, open};
pub use mark::{Mark, Marked, raise, went_back};
pub use parameters::Parameters;
pub use report::Report;
pub use seal::{Due, Last, SEAL_EVERY, SEAL_LABEL, Sealer, has_sealed};
pub use set_back::SetBack;
pub use show::{Filter, Moved, Reader, moment, program};
pub use verify::{FindToken, Finding, NotAsked, Verified, verify};
pub use writer::Log;

use crate::{caller::Caller, clock, error::Error};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A request was to be signed.
    Sign,
    /// Bytes were to be MACed.
    Raw,
    /// A key was imported or made.
    Import,
    /// A key was rotated.
    Rotate,
    /// A key was removed.
    Remove,
    /// A token or everything was locked.
    Lock,
    /// A token or everything was unlocked.
    Unlock,
    /// A policy was changed.
    Policy,
    /// What a key has beside its secret was changed, as its API key.
    Set,
    /// Something was asked of an agent that is for its admins.
    Op,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Sign,
        Self::Raw,
        Self::Import,
        Self::Rotate,
        Self::Remove,
        Self::Set,
        Self::Lock,
        Self::Unlock,
        Self::Policy,
        Self::Op,
    ];

    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Raw => "raw",
            Self::Import => "import",
            Self::Rotate => "rotate",
            Self::Remove => "remove",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Policy => "policy",
            Self::Set => "set",
            Self::Op => "op",
        }
    }

    const fn signs(self) -> bool {
        matches!(self, Self::Sign | Self::Raw)
    }
}

/// How it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not.
    Refused {
        /// The error's code.
        code: &'static str,
        /// What happened.
        message: String,
    },
}

impl Outcome {
    /// That of an error; what it says is cut where it is long.
    fn of(error: &Error) -> Self {
        Self::Refused {
            code: error.code().name(),
            message: cut(error.message(), 500),
        }
    }
}

/// The beginning of a text, so that no request makes a line of the log as long as it likes.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// How long a name or value of a field is at most in the log, in characters.
const LONG: usize = 100;
/// How many bytes all of them have at most: a few times that, where each is escaped, is far from the longest line that is read.
const ROOM: usize = 256 << 10;

/// Fields as a line has them: the beginnings of long ones, and the first of very many.
pub fn cut_fields(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut room = ROOM;
    let mut whole = 0;
    for (name, value) in &mut fields {
        for text in [&mut *name, value] {
            if text.len() > LONG {
                *text = cut(text, LONG);
            }
        }
        match room.checked_sub(name.len() + value.len() + 8) {
            Some(rest) => room = rest,
            None => break,
        }
        whole += 1;
    }
    if whole < fields.len() {
        let more = format!("and {} more", fields.len() - whole);
        fields.truncate(whole);
        fields.push(("…".to_owned(), more));
    }
    fields
}

/// What one line says. Nothing in it is secret.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What happened.
    pub what: What,
    /// Who asked.
    pub caller: Caller,
    /// The key's name.
    pub key: String,
    /// The exchange's id.
    pub exchange: String,
    /// The method; `WS` for a WebSocket login.
    pub method: String,
    /// The path, as it goes on the wire.
    pub path: String,
    /// The fields that rules looked at, with their values.
    pub fields: Vec<(String, String)>,
    /// All parameters, or the bytes that were MACed: the log holds a hash of them.
    pub parameters: Option<Parameters>,
    /// The rules that allowed it, or the one that denied it.
    pub rules: Vec<Arc<str>>,
    /// What else is to be known, as what of a policy changed.
    pub detail: Option<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// When it came, since 1970.
    pub at: Duration,
    /// How long it took.
    pub took: Option<Duration>,
}

impl Entry {
    /// Something that is done, by whom, with which key.
    pub fn new(what: What, caller: &Caller, key: &str, at: Duration) -> Self {
        Self {
            what,
            caller: caller.clone(),
            key: key.to_owned(),
            exchange: String::new(),
            method: String::new(),
            path: String::new(),
            fields: Vec::new(),
            parameters: None,
            rules: Vec::new(),
            detail: None,
            outcome: Outcome::Done,
            at,
            took: None,
        }
    }

    /// The same, not done.
    #[must_use]
    pub fn refused(mut self, error: &Error) -> Self {
        self.came_out(Some(error));
        self
    }

    /// How it came out, and how long it took until now.
    pub fn came_out(&mut self, error: Option<&Error>) {
        self.took = Some(clock::now().saturating_sub(self.at));
        if let Some(error) = error {
            self.outcome = Outcome::of(error);
            if let Some(rule) = error.rule() {
                self.rules = vec![cut(rule, 200).into()];
            }
        }
    }

    /// The same, with what else is to be known.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
