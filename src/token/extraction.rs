//! Whether a token keeps its keys: what was tried to get one out, and what came of it.
//!
//! "Non-extractable" is a claim of the token's maker. The suite does what malware with the PIN would do, and believes
//! only what it sees. It runs in a process of its own, since a module may crash under it.

use std::{ffi::OsString, path::PathBuf, sync::OnceLock};

use serde::{Deserialize, Serialize};

pub use super::evidence::{Evidence, MacEvidence};
use super::{KeyRef, ObjectId};
use crate::algorithm::Algorithm;

/// Counts the revisions of the suite: a verdict of an earlier one is not relied upon.
pub const REVISION: u32 = 2;

/// What came of one attack, from the worst that a token can show to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The token has nothing that this attack could use.
    NotApplicable,
    /// The token refused, or what it gave was of no use.
    Resisted,
    /// What the token gives tests a guess of the key, as any signature does: harmless unless the secret was chosen by
    /// a person.
    GuessOracle,
    /// Some protection was taken off the key, or it can be used otherwise than asked; its value did not come out.
    Weakened,
    /// The module crashed or did not come back.
    Crashed,
    /// The key came out: its own MAC, or a signature that its public key verifies, was made with what was recovered.
    Leaked,
}

impl Verdict {
    /// Its name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Resisted => "resisted",
            Self::GuessOracle => "guess-oracle",
            Self::Weakened => "weakened",
            Self::Crashed => "crashed",
            Self::Leaked => "LEAKED",
        }
    }
}

/// The label of keys that are made to be attacked. No key of a user's has capitals in its name.
pub(super) const LABEL: &str = "hsmsign:ATTACKED";

/// Which key an attack was tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// The key that was asked for.
    Key,
    /// A key made for it with the same template, and removed again.
    Sacrificial,
}

impl Victim {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Sacrificial => "sacrificial",
        }
    }
}

/// One attack and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The attack, by name.
    pub attack: String,
    /// What it does, in a few words.
    pub does: String,
    /// On which key.
    pub on: Victim,
    /// What came of it.
    pub verdict: Verdict,
    /// What the token answered.
    pub what: String,
}

/// Everything that was tried on one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which it was tried.
    pub tried: Vec<Tried>,
}

impl Report {
    /// The names of the attacks that got the key.
    pub fn leaks(&self) -> Vec<String> {
        self.tried
            .iter()
            .filter(|tried| tried.verdict == Verdict::Leaked)
            .map(|tried| tried.attack.clone())
            .collect()
    }
}

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What the keys compute.
    pub algorithm: Algorithm,
    /// The key to try it on; a sacrificial one where there is none.
    pub key: Option<(KeyRef, Evidence)>,
    /// The id of the keys that are made for it.
    pub id: ObjectId,
    /// Whether a sacrificial private key is made on the token, as `generate` does it, or stored there.
    pub generated: bool,
    /// Leave out what takes long.
    pub quick: bool,
}

/// The program in which attacks run, with the arguments that make it call [`super::pkcs11::attack_from_stdin`].
#[derive(Debug, Clone)]
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

static WORKER: OnceLock<Worker> = OnceLock::new();

/// Says in which program attacks run; the first call counts. Without one nothing can be tried.
pub fn use_worker(worker: Worker) {
    let _ = WORKER.set(worker);
}

pub(super) fn worker() -> Option<&'static Worker> {
    WORKER.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_is_the_greatest() {
        assert!(Verdict::Leaked > Verdict::Weakened && Verdict::Weakened > Verdict::Resisted);
        assert!(Verdict::Resisted > Verdict::NotApplicable);
    }
}
