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
