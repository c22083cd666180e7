//! The agent's own folders. What takes their places while it runs, as a backup that is put back, is out of its reach.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    error::{Code, Error, failed},
    home::Home,
    process::tell,
};

/// The folders that the agent began with.
pub struct Folders {
    began_with: Vec<(PathBuf, Option<Place>)>,
    /// Whether the log was told that another is in the place of one.
    told: bool,
}

/// A folder's device and number.
type Place = (u64, u64);

fn at(path: &Path) -> Option<Place> {
    fs::metadata(path).ok().map(|folder| (folder.dev(), folder.ino()))
}

impl Folders {
    /// As they are now.
    pub fn of(home: &Home) -> Self {
        let mut all = vec![home.config(""), home.state("")];
        all.dedup();
        for folder in &mut all {
            // Without a slash at its end.
            *folder = folder.components().collect();
        }
        // What it keeps in the others may be replaced; of a link the agent has what that led to.
        all.extend(Some(home.state("audit")).filter(|audit| audit.is_symlink()));
        Self {
            began_with: all.into_iter().map(|path| (path.clone(), at(&path))).collect(),
            told: false,
        }
    }

    /// That one of them is another now, or gone.
    pub fn replaced(&self) -> Option<Error> {
        let (path, now) = self
            .began_with
            .iter()
            .map(|(path, began)| (path, began, at(path)))
            .find_map(|(path, began, now)| (now != *began).then_some((path, now)))?;
        let what = now.map_or("was taken away", |_| "was replaced");
        let told = format!(
            "the agent's folder {} {what} while it ran, and it is kept to the one that it began with",
            path.display()
        );
        Some(failed(told).fix(format!(
            "put that back, or start the agent anew: kill {}, then hsmsign agent start; under systemd: systemctl restart hsmsign-agent",
            std::process::id()
        )))
    }

    /// The same, where that may be what is behind an error: the agent sees nothing of its files then.
    pub fn behind(&self, error: &Error) -> Option<Error> {
        match error.code() {
            Code::Failed | Code::UnknownKey | Code::UnknownExchange => self.replaced(),
            _ => None,
        }
    }

    /// Tells the log, once.
    pub fn look(&mut self) {
        let replaced = self.replaced();
        if let Some(error) = replaced.as_ref().filter(|_| !self.told) {
            let fix = error.remedy().unwrap_or_default();
            tell(&format!("hsmsign agent: {error}; {fix}"));
        }
        self.told = replaced.is_some();
    }
}
