//! The making of a development token, so that one that was cut off leaves no token that nobody knows of.
//!
//! SoftHSM chooses the folder of a new token itself. So what is there before is written down; what came since, bears the
//! label that was chosen, and is not in `config.toml`, was made in vain.

use std::{fs, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    error::{Result, failed},
    home::{FileLock, Home, io_error, list_folder, read_private, remove_file, write_private},
    token::{SoftHsmFiles, softhsm_folder},
};

const LIMIT: u64 = 1 << 20;

/// One token at a time is made in hsmsign's folders.
pub struct Making {
    home: Home,
    mark: PathBuf,
    _lock: FileLock,
}

/// What was there when a token began to be made.
#[derive(Serialize, Deserialize)]
struct Mark {
    name: String,
    label: String,
    there: Vec<String>,
}

impl Making {
    /// Waits for another process that makes a token, and takes away what one that was killed left.
    ///
    /// # Errors
    /// When the other is not done in time, or something cannot be taken away.
    pub fn begin(home: &Home, patience: Duration) -> Result<Self> {
        let folder = home.state("softhsm");
        let lock = FileLock::acquire(
            &folder.join("init.lock"),
            patience,
            "another process made a development token",
        )?;
        let making = Self {
            home: home.clone(),
            mark: folder.join("init.json"),
            _lock: lock,
        };
        making.undo()?;
        Ok(making)
    }

    /// Writes down what is there, before the token of this name and label is made.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be made.
    pub fn mark(&self, name: &str, label: &str) -> Result<()> {
        let mark = Mark {
            name: name.to_owned(),
            label: label.to_owned(),
            there: list_folder(&softhsm_folder(&self.home))?,
        };
        let text = serde_json::to_vec(&mark)
            .map_err(|error| failed(format!("what is there cannot be noted: {error}")))?;
        write_private(&self.mark, &text)
    }

    /// The token is in `config.toml`.
    ///
    /// # Errors
    /// When the mark cannot be removed.
    pub fn done(self) -> Result<()> {
        remove_file(&self.mark)
    }

    /// Takes away what was made since the mark and is not in `config.toml`.
    ///
    /// # Errors
    /// When the configuration cannot be read or something cannot be removed.
    pub fn undo(&self) -> Result<()> {
        let Some(bytes) = read_private(&self.mark, LIMIT)? else {
            return Ok(());
        };
        // A mark that is not whole was never acted on.
        if let Ok(mark) = serde_json::from_slice::<Mark>(&bytes) {
            let config = Config::load(&self.home)?;
            let tokens = softhsm_folder(&self.home);
            for entry in list_folder(&tokens)? {
                let folder = tokens.join(&entry);
                if mark.there.contains(&entry) || !folder.is_dir() || is_known(&config, &entry) {
                    continue;
                }
                let seen = SoftHsmFiles::of(&folder);
                if seen.is_wreck() || seen.bears(&mark.label) {
                    fs::remove_dir_all(&folder)
                        .map_err(|error| io_error("the unfinished token", &folder, "be removed", &error))?;
                    remove_file(&seen.copy())?;
                }
            }
            if !config.tokens.contains_key(&mark.name) {
                remove_file(&self.home.state("softhsm").join(format!("{}.pin", mark.name)))?;
            }
        }
        remove_file(&self.mark)
    }
}

/// Whether a token's folder is one of `config.toml`. Its name ends with the serial number.
fn is_known(config: &Config, folder: &str) -> bool {
    let name = folder.replace('-', "");
    let mut serials = config.tokens.values().filter_map(|token| token.serial.as_deref());
    serials.any(|serial| !serial.is_empty() && name.ends_with(serial))
}
