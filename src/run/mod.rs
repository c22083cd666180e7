//! Starting a program so that what it signs with a placeholder is signed on the token: the hooks for interpreters, put where
//! the program finds them, and the agent for as long as it runs.

mod interpreter;
mod node;
mod python;
mod while_running;

pub use interpreter::{not_started, refuse_unhooked};
pub use while_running::{Lease, Runs, agent, note, watch};

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::{Result, bad_input},
    home::{Home, create_folder, write_private},
};

/// The hooks' folders.
#[derive(Debug)]
pub struct Hooks {
    python: PathBuf,
    node: PathBuf,
}

impl Hooks {
    /// Puts the hooks among the user's own state.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn place(home: &Home) -> Result<Self> {
        Self::below(&home.state("hooks"))
    }

    /// Puts the hooks where a user without folders, as that of a service, may write: below the folder of temporary files.
    ///
    /// # Errors
    /// When they cannot be written, or another user's folder is in their place.
    pub fn place_anywhere() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("hsmsign-{}", rustix::process::geteuid().as_raw()));
        // Anybody may make it first there; a link would lead to where somebody else wants.
        if fs::symlink_metadata(&folder).is_ok_and(|there| there.is_symlink()) {
            return Err(bad_input(format!(
                "{} is a link, where hsmsign wants a folder",
                folder.display()
            ))
            .fix("remove it, or set HSMSIGN_HOME to a folder of mode 0700"));
        }
        create_folder(&folder)?;
        Self::below(&folder)
    }

    fn below(folder: &Path) -> Result<Self> {
        Ok(Self {
            python: place(folder, "python", &python::files())?,
            node: place(folder, "node", &node::files())?,
        })
    }

    /// The variables that lead a program to the hooks and the agent.
    pub fn environment(&self, socket: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("HSMSIGN_SOCKET", socket.into()),
            ("PYTHONPATH", python::path(&self.python)),
            ("NODE_OPTIONS", node::options(&self.node)),
        ]
    }
}

/// Writes the files of a hook, each where it is missing or another; answers their folder.
fn place(above: &Path, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    // A folder a version: a bot that runs keeps the files that it began with.
    let mut hash = Sha256::new();
    for (path, text) in files {
        hash.update(path);
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    let version = base16ct::lower::encode_string(&hash.finalize()[..8]);
    let folder = above.join(format!("{name}-{version}"));
    for (path, text) in files {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        create_folder(path.parent().unwrap_or(&folder))?;
        write_private(&path, text.as_bytes())?;
    }
    Ok(folder)
}
