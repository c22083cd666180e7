//! What is remembered of the modules that were tried: which keep their keys, and which give them away.
//!
//! A verdict is good for one module file, version and token model, and for one revision of the suite.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use serde::{Deserialize, Serialize};

use super::{Identity, extraction::REVISION};
use crate::{
    clock,
    error::{Result, bad_input, failed},
    home::{Home, read_private, write_private},
    json,
};

const VERSION: u32 = 1;
const LIMIT: u64 = 1 << 20;
/// More modules than this are not remembered; the oldest goes.
const KEPT: usize = 64;

/// A module with what the suite found of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The module's maker, description and version.
    pub module: String,
    /// The token's maker and model.
    pub model: String,
    /// The module's file, with its size and time: one that was replaced is tried again.
    pub file: String,
    /// The revision of the suite.
    pub suite: u32,
    /// When it was tried, RFC 3339 in UTC.
    pub tried: String,
    /// The attacks that got the key; none where it was kept.
    pub leaks: Vec<String>,
}

impl Known {
    /// What the suite found now.
    pub fn now(identity: &Identity, file: &Path, leaks: Vec<String>) -> Self {
        let seconds = i64::try_from(clock::now().as_secs()).unwrap_or(0);
        Self {
            module: identity.module.clone(),
            model: identity.model.clone(),
            file: stamp(file),
            suite: REVISION,
            tried: jiff::Timestamp::from_second(seconds)
                .map_or_else(|_| String::new(), |now| now.to_string()),
            leaks,
        }
    }

    fn is_of(&self, identity: &Identity, file: &str) -> bool {
        self.module == identity.module
            && self.model == identity.model
            && self.file == file
            && self.suite == REVISION
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    version: u32,
    modules: Vec<Known>,
}

/// What is known of a module, if it was tried.
///
/// # Errors
/// When `trust.json` cannot be read, is open to others, or has a newer version.
pub fn find(home: &Home, identity: &Identity, file: &Path) -> Result<Option<Known>> {
    let stamp = stamp(file);
    let known = read(home)?.modules;
    Ok(known.into_iter().rfind(|known| known.is_of(identity, &stamp)))
}

/// Remembers what was found of a module, in place of what was known.
///
/// # Errors
/// When `trust.json` cannot be read or written.
pub fn remember(home: &Home, known: Known) -> Result<()> {
    let mut file = read(home)?;
    file.version = VERSION;
    file.modules.retain(|other| {
        !(other.module == known.module && other.model == known.model && other.file == known.file)
    });
    file.modules.push(known);
    let spare = file.modules.len().saturating_sub(KEPT);
    file.modules.drain(..spare);
    let mut text = serde_json::to_vec_pretty(&file)
        .map_err(|error| failed(format!("trust.json cannot be written: {error}")))?;
    text.push(b'\n');
    write_private(&home.state("trust.json"), &text)
}

fn read(home: &Home) -> Result<File> {
    let path = home.state("trust.json");
    let Some(bytes) = read_private(&path, LIMIT)? else {
        return Ok(File::default());
    };
    if json::version(&bytes).is_ok_and(|version| version > VERSION) {
        return Err(failed(format!(
            "{} is of a newer version than this hsmsign knows",
            path.display()
        ))
        .fix("use the newer hsmsign that wrote it"));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        bad_input(format!("{} is damaged: {error}", path.display()))
            .fix("delete it; the modules are then tried again at the next import")
    })
}

/// A file with its size and time.
fn stamp(file: &Path) -> String {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    fs::metadata(&file).map_or_else(
        |_| file.display().to_string(),
        |data| {
            format!(
                "{} {} {}.{:09}",
                file.display(),
                data.size(),
                data.mtime(),
                data.mtime_nsec()
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_verdict_is_of_one_file_version_and_model() {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let home = Home::at(folder.path());
        let file = folder.path().join("module.so");
        fs::write(&file, "one").unwrap();
        let identity = Identity {
            module: "Maker, Module, 1.0".into(),
            model: "Model".into(),
            ..Identity::default()
        };
        assert_eq!(find(&home, &identity, &file).unwrap(), None);
        let known = Known::now(&identity, &file, vec!["wrap-aes".into()]);
        remember(&home, known.clone()).unwrap();
        remember(&home, known.clone()).unwrap();
        assert_eq!(read(&home).unwrap().modules.len(), 1);
        assert_eq!(find(&home, &identity, &file).unwrap(), Some(known));
        let path = home.state("trust.json");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let other = Identity {
            model: "Other".into(),
            ..identity.clone()
        };
        assert_eq!(find(&home, &other, &file).unwrap(), None);
        fs::write(&file, "two two").unwrap();
        assert_eq!(
            find(&home, &identity, &file).unwrap(),
            None,
            "a new file is tried again"
        );
        write_private(&path, br#"{"version":2,"new":1}"#).unwrap();
        assert!(
            find(&home, &identity, &file)
                .unwrap_err()
                .message()
                .contains("newer")
        );
        write_private(&path, b"{").unwrap();
        assert!(
            find(&home, &identity, &file)
                .unwrap_err()
                .remedy()
                .unwrap()
                .contains("delete")
        );
    }
}
