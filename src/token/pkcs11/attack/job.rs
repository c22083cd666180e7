//! What the parent and its worker say to each other: a job and perhaps a PIN in, a line for each step out.

use serde::{Deserialize, Serialize};

use super::super::Settings;
use crate::{
    algorithm::Algorithm,
    token::{
        KeyRef, ObjectId, TokenError,
        extraction::{Evidence, Tried},
    },
};

/// The first line that a worker reads. It holds nothing secret; the PIN is the second line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub settings: Settings,
    /// Whether a PIN follows.
    pub pin: bool,
    /// The process that started the worker.
    pub parent: u32,
    pub algorithm: Algorithm,
    /// Whether private keys that are made for it are made on the token, or stored there.
    pub generated: bool,
    /// The key to try it on.
    pub key: Option<(KeyRef, Evidence)>,
    /// The id of keys that are made for it.
    pub id: ObjectId,
    pub quick: bool,
    /// The attacks that are done with.
    pub done: Vec<String>,
}

/// A line that a worker writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// It begins with an attack. The verdict is not known yet; it stands there in case nothing more is heard.
    Begun(Tried),
    /// What came of it.
    Tried(Tried),
    /// It could not go on.
    Failed(TokenError),
    /// All is tried.
    Done,
}
