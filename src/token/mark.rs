//! The mark of a trial that is under way, as the journal's entry is of an import: what it makes on the token is written
//! down before the token hears of it.

use serde::{Deserialize, Serialize};

use super::ObjectId;
use crate::{
    error::{Result, failed},
    home::{Home, create_folder, is_empty, list_folder, read_private, remove_file, write_private},
    json,
};

const VERSION: u32 = 1;
const FOLDER: &str = "trials";

/// A trial on a token that was begun.
#[derive(Debug)]
pub struct Mark {
    home: Home,
    token: String,
    id: ObjectId,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    id: ObjectId,
}

impl Mark {
    /// Writes it down; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be tried.
    pub(super) fn set(home: &Home, token: &str, id: &ObjectId) -> Result<Self> {
        let mark = Self {
            home: home.clone(),
            token: token.to_owned(),
            id: id.clone(),
        };
        create_folder(&home.state(FOLDER))?;
        let file = File {
            version: VERSION,
            id: id.clone(),
        };
        let text = serde_json::to_vec(&file)
            .map_err(|error| failed(format!("the mark of a trial cannot be written: {error}")))?;
        write_private(&mark.path(), &text)?;
        Ok(mark)
    }

    /// Whether there is none, not even one that was cut off while it was written down.
    pub(super) fn none(home: &Home) -> Result<bool> {
        is_empty(&home.state(FOLDER))
    }

    /// All that there are. One look into a folder where there is none.
    pub(super) fn all(home: &Home) -> Result<Vec<Self>> {
        let folder = home.state(FOLDER);
        let mut all = Vec::new();
        for token in list_folder(&folder)? {
            let path = folder.join(&token);
            let Some(bytes) = read_private(&path, 1 << 16)? else {
                continue;
            };
            let damaged = |error: serde_json::Error| {
                failed(format!("{} is not the mark of a trial: {error}", path.display()))
                    .fix("move the file away, and see `hsmsign doctor`")
            };
            if json::version(&bytes).map_err(damaged)? > VERSION {
                return Err(
                    failed(format!("{} was written by a newer hsmsign", path.display()))
                        .fix("use the newer hsmsign that wrote it"),
                );
            }
            let File { id, .. } = serde_json::from_slice(&bytes).map_err(damaged)?;
            all.push(Self {
                home: home.clone(),
                token,
                id,
            });
        }
        Ok(all)
    }

    /// The name of the token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The id of the keys that are made for the trial.
    pub(super) const fn id(&self) -> &ObjectId {
        &self.id
    }

    pub(super) fn remove(&self) -> Result<()> {
        remove_file(&self.path())
    }

    fn path(&self) -> std::path::PathBuf {
        self.home.state(FOLDER).join(&self.token)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_mark_is_there_until_it_is_removed() {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let home = Home::at(folder.path());
        assert!(Mark::all(&home).unwrap().is_empty());
        let id = ObjectId::random().unwrap();
        let mark = Mark::set(&home, "softhsm", &id).unwrap();
        let all = Mark::all(&home).unwrap();
        assert_eq!((all.len(), all[0].token(), all[0].id()), (1, "softhsm", &id));
        let newer = r#"{"version":2,"new":1}"#;
        write_private(&mark.path(), newer.as_bytes()).unwrap();
        assert!(Mark::all(&home).unwrap_err().message().contains("newer hsmsign"));
        mark.remove().unwrap();
        assert!(Mark::all(&home).unwrap().is_empty());
    }
}
