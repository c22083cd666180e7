//! What waits to be written to the log, and how far it has come.

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    file::{Files, Tail},
    waiting::Waiting,
};
use crate::error::Error;

/// How long entries may wait to be written before nothing more is signed: a kill takes them.
const LATE: Duration = Duration::from_secs(1);

/// What waits, and how far it has come.
#[derive(Default)]
pub(super) struct Queue {
    pub waiting: Vec<Waiting>,
    /// Since when the first of these waits, and the first of those that are being written.
    pub since: Option<Instant>,
    pub held_since: Option<Instant>,
    /// Whether the thread had its chance to write what is late.
    pub had_chance: bool,
    /// How many were handed over, how many of them are written, and how many the disk keeps.
    pub recorded: u64,
    pub written: u64,
    pub kept: u64,
    /// What is to be synced.
    pub unsynced: Option<Arc<File>>,
    /// Seals whose lines are written: their numbers are kept when the disk has the lines, so that no power cut leaves a
    /// number whose lines are gone.
    pub seals: Vec<Waiting>,
    pub failed: Option<Error>,
    /// How often writing failed.
    pub failures: u64,
    /// Whoever waits is not to be kept waiting for more.
    pub hurry: bool,
    /// Whether it is to be found out if the log can be written at all.
    pub probe: bool,
    pub over: bool,
    /// Whether nothing more will be written.
    pub ended: bool,
    pub files: Option<Files>,
    pub tail: Option<Tail>,
    /// Since when there are lines of this process that no seal covers, and how many.
    pub unsealed: Option<(Instant, u64)>,
}

impl Queue {
    /// Whether something waits for longer than it may.
    pub fn is_late(&self) -> bool {
        let since = self.held_since.or(self.since);
        since.is_some_and(|since| since.elapsed() > LATE)
    }

    /// Takes note of what was written, and where the log ends with it.
    pub fn wrote(&mut self, held: &mut Vec<Waiting>, end: Option<Tail>) {
        self.written += held.len() as u64;
        self.failed = None;
        (self.held_since, self.had_chance) = (None, false);
        self.since = self.since.filter(|_| !self.waiting.is_empty());
        self.tail = end;
        let seals = held.iter().any(|waiting| matches!(waiting, Waiting::Seal { .. }));
        let (since, lines) = match self.unsealed {
            Some(unsealed) if !seals => unsealed,
            _ => (Instant::now(), 0),
        };
        let entries = held
            .iter()
            .filter(|waiting| matches!(waiting, Waiting::Entry(_)))
            .count() as u64;
        self.unsealed = Some((since, lines + entries)).filter(|(_, lines)| *lines > 0);
        let seals = held
            .drain(..)
            .filter(|waiting| matches!(waiting, Waiting::Seal { .. }));
        self.seals.extend(seals);
    }
}
