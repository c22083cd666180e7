//! The folders and files of hsmsign: where they are, that they are private, and that a write is whole or not at all.

mod files;
mod fresh;
mod lock;
mod mark;

use std::path::{Path, PathBuf};

pub(crate) use self::fresh::into_free_place;
use self::fresh::{is_gone, remove_unfinished};
pub use self::{
    files::{
        check_folder, create_folder, io_error, is_empty, is_everybodys, list_folder, open_own, open_private,
        own_flags, read_own, read_private, remove_file, sync_folder,
    },
    fresh::{Fresh, beside, write_private},
    lock::FileLock,
    mark::Mark,
};
use crate::error::{Result, bad_input};

/// Reads the text of a user's own scheme by its id, if there is one.
pub type ReadScheme = Box<dyn Fn(&str) -> Result<Option<String>> + Send + Sync>;

/// Where configuration and state lie.
#[derive(Debug, Clone)]
pub struct Home {
    config: PathBuf,
    state: PathBuf,
}

impl Home {
    /// `HSMSIGN_HOME` for both, or the folders `hsmsign` in the XDG configuration and state folders.
    ///
    /// # Errors
    /// When none of `HSMSIGN_HOME`, the XDG variables and `HOME` says where, or a folder is open to others.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = if let Some(home) = set("HSMSIGN_HOME") {
            let home = std::path::absolute(&home)
                .map_err(|error| bad_input(format!("HSMSIGN_HOME is no folder's name: {error}")))?;
            Self {
                config: home.clone(),
                state: home,
            }
        } else {
            let below = |variable: &str, usual: &str| {
                set(variable)
                    .filter(|path| path.is_absolute())
                    .or_else(|| set("HOME").map(|home| home.join(usual)))
                    .map(|folder| folder.join("hsmsign"))
                    .ok_or_else(|| {
                        bad_input("neither HSMSIGN_HOME nor HOME is set, so there is no place for keys and settings")
                            .fix("set HSMSIGN_HOME to a folder of mode 0700")
                    })
            };
            Self {
                config: below("XDG_CONFIG_HOME", ".config")?,
                state: below("XDG_STATE_HOME", ".local/state")?,
            }
        };
        for folder in [&home.config, &home.state] {
            check_folder(folder)?;
        }
        Ok(home)
    }

    /// Whether the environment names folders at all. That of a bot in a container may not.
    pub fn is_named() -> bool {
        ["HSMSIGN_HOME", "XDG_CONFIG_HOME", "HOME"]
            .into_iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    /// Removes what processes that were killed left beside the files they were writing. Whoever calls it holds the
    /// lock under which keys are changed, so that nobody writes in their folders now.
    pub fn sweep_unfinished(&self) {
        for folder in ["keys", "journal"] {
            remove_unfinished(&self.state(folder), |_| true);
        }
        let others = [
            self.config.clone(),
            self.state.clone(),
            self.config("schemes"),
            self.state("nonces"),
            self.state("pins"),
            self.state("trials"),
            self.state("softhsm"),
        ];
        for folder in others {
            remove_unfinished(&folder, is_gone);
        }
    }

    /// Both in one folder.
    pub fn at(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            state: folder.to_owned(),
        }
    }

    /// A file or folder of the configuration.
    pub fn config(&self, name: &str) -> PathBuf {
        self.config.join(name)
    }

    /// A file or folder of the state.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Reads the user's own scheme files, `schemes/ID.toml` of the configuration.
    pub fn user_schemes(&self) -> ReadScheme {
        let folder = self.config("schemes");
        Box::new(move |id| {
            check_folder(&folder)?;
            let path = folder.join(format!("{id}.toml"));
            let Some(bytes) = read_private(&path, 1 << 20)? else {
                return Ok(None);
            };
            String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| bad_input(format!("{} is not UTF-8", path.display())))
        })
    }

    /// Puts a scheme file of the user's own where [`Home::user_schemes`] finds it.
    ///
    /// # Errors
    /// When another text is there under this id, which is left as it is, or it cannot be written.
    pub fn add_scheme(&self, id: &str, text: &str) -> Result<()> {
        let folder = self.config("schemes");
        create_folder(&folder)?;
        let path = folder.join(format!("{id}.toml"));
        match read_private(&path, 1 << 20)? {
            Some(here) if here == text.as_bytes() => Ok(()),
            Some(_) => Err(bad_input(format!(
                "{} is there already, and says something else",
                path.display()
            ))
            .fix("change that file, or remove it first: keys of this exchange are signed by it")),
            None => write_private(&path, text.as_bytes()),
        }
    }

    /// Makes the folders, mode 0700, where they are missing.
    ///
    /// # Errors
    /// When one cannot be made or is open to others.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.config)?;
        create_folder(&self.state)
    }
}

#[cfg(test)]
mod tests;
