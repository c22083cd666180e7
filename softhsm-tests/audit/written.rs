//! A log of the library's own, without a token.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use hsmsign::{
    audit::{self, Entry, Files, Log, Verified, What},
    caller::Caller,
    clock,
    home::Home,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::bench::Place;

/// A folder with a log.
pub struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        Self { folder }
    }

    /// One with so many lines behind the first, in files of so many bytes.
    pub fn with(lines: usize, bytes: u64) -> Self {
        let written = Self::new();
        let log = Log::over(&written.home(), Files::new(&written.home()).of_size(bytes));
        for at in 0..lines {
            log.record(entry(&format!("/0/private/Line{at}")));
            if at % 7 == 0 {
                log.flush().unwrap();
            }
        }
        log.flush().unwrap();
        written
    }

    pub fn home(&self) -> Home {
        Home::at(self.folder.path())
    }

    pub fn files(&self) -> Vec<PathBuf> {
        audit::list(&self.home()).unwrap()
    }

    pub fn verified(&self) -> Verified {
        audit::verify(&self.home(), None, &[]).unwrap()
    }
}

/// A signed request to this path.
pub fn entry(path: &str) -> Entry {
    let mut entry = Entry::new(What::Sign, &Caller::this_process(), "kraken", clock::now());
    entry.method = "POST".into();
    entry.path = path.into();
    entry
}

/// Copies a file or a folder, with its permissions; a folder becomes the other.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-aT").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// These lines as a log whose chain holds: numbered anew, each behind the one before it. Whoever can write the files can do
/// that; what they cannot make is a seal.
pub fn rechained<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    let mut before = [0; 32];
    let mut text = String::new();
    for (at, line) in lines.into_iter().enumerate() {
        let (_, rest) = line.as_ref().split_once(',').unwrap();
        let (body, _) = rest.rsplit_once(",\"h\":").unwrap();
        let body = format!("{{\"n\":{},{body}", at + 1);
        before = Sha256::new()
            .chain_update(before)
            .chain_update(&body)
            .finalize()
            .into();
        let hash = base16ct::lower::encode_string(&before);
        text.push_str(&format!("{body},\"h\":\"{hash}\"}}\n"));
    }
    text
}

/// What verifying says, whether or not it is content.
pub fn verified(place: &Place) -> Value {
    serde_json::from_str(&place.run(&["audit", "verify", "--json"], "").stdout).unwrap()
}

/// The line and the words of the first finding.
pub fn first(found: &Value) -> (u64, String) {
    let first = &found["findings"][0];
    (
        first["line"].as_u64().unwrap_or_else(|| panic!("{found}")),
        first["what"].as_str().unwrap().to_owned(),
    )
}
