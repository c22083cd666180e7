use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::KeyName;
use crate::{
    error::{Result, failed},
    home::{Home, create_folder, is_empty, list_folder, read_private, remove_file, write_private},
    json,
    token::ObjectId,
};

const VERSION: u32 = 1;

/// What is under way on tokens: written before a token hears of it, removed when keyring and token agree.
///
/// The rule of the sweep is one: an object named here that the key's record does not name goes.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

/// Objects that are being made or deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    version: u32,
    /// The key they belong to.
    pub key: KeyName,
    /// Each with the name of its token.
    pub objects: Vec<(String, ObjectId)>,
}

impl Pending {
    /// Reads an entry, JSON in UTF-8.
    ///
    /// # Errors
    /// When it is not an entry, or of a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |why: &dyn fmt::Display| {
            failed(format!("this is not an entry of the journal: {why}"))
                .fix("move the file away, and see `hsmsign doctor`")
        };
        match json::version(bytes).map_err(|error| damaged(&error))? {
            VERSION => serde_json::from_slice(bytes).map_err(|error| damaged(&error)),
            0 => Err(damaged(&"it has no version that was ever used")),
            version => Err(failed(format!(
                "the entry has version {version}, and this hsmsign knows up to {VERSION}"
            ))
            .fix("use the newer hsmsign that wrote it")),
        }
    }
}

impl Journal {
    /// The journal of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            folder: home.state("journal"),
        }
    }

    /// Writes down what is about to be done; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be done.
    pub fn begin(&self, key: &KeyName, objects: Vec<(String, ObjectId)>) -> Result<Pending> {
        create_folder(&self.folder)?;
        let pending = Pending {
            version: VERSION,
            key: key.clone(),
            objects,
        };
        let text = serde_json::to_vec(&pending)
            .map_err(|error| failed(format!("the journal cannot be written: {error}")))?;
        write_private(&self.path(&pending), &text)?;
        Ok(pending)
    }

    /// Strikes it out again: keyring and token agree.
    ///
    /// # Errors
    /// When the file cannot be removed; the next sweep will find nothing to do.
    pub fn end(&self, pending: &Pending) -> Result<()> {
        remove_file(&self.path(pending))
    }

    /// Whether nothing is under way, not even an entry that is being written. Cheap: asked at every start.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        is_empty(&self.folder)
    }

    /// All that is under way, or was when a process ended.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pending(&self) -> Result<Vec<Pending>> {
        let mut all = Vec::new();
        for name in list_folder(&self.folder)? {
            let path = self.folder.join(&name);
            let Some(bytes) = read_private(&path, 1 << 20)? else {
                continue;
            };
            let pending = Pending::parse(&bytes).map_err(|error| error.within(path.display()))?;
            all.push(pending);
        }
        Ok(all)
    }

    fn path(&self, pending: &Pending) -> PathBuf {
        let name = pending
            .objects
            .first()
            .map_or_else(|| "none".to_owned(), |(_, id)| id.to_string());
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_another_version_is_refused_as_that() {
        let entry = |version: &str, more: &str| {
            Pending::parse(format!(r#"{{"version":{version},"key":"k","objects":[]{more}}}"#).as_bytes())
        };
        assert_eq!(entry("1", "").unwrap().key.as_str(), "k");
        let newer = entry("2", r#","new":1"#).unwrap_err();
        assert!(newer.message().contains("version 2") && newer.advice().contains("newer hsmsign"));
        for wrong in [entry("0", ""), entry("1", r#","new":1"#), entry("\"1\"", "")] {
            assert!(
                wrong
                    .unwrap_err()
                    .message()
                    .contains("not an entry of the journal")
            );
        }
    }
}
