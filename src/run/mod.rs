//! Starting a program so that what it signs with a placeholder is signed on the token: the hooks for interpreters, put where
//! the program finds them, and the agent for as long as it runs.

mod interpreter;
mod node;
mod python;
mod while_running;

pub use interpreter::refuse_unhooked;
pub use while_running::{Lease, agent, watch};

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::Result,
    home::{Home, create_folder, write_private},
};

/// The variables that lead a program to the hooks and the agent.
///
/// # Errors
/// When the hooks cannot be written.
pub fn environment(home: &Home, socket: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let python = place(home, "python", &python::files())?;
    let node = place(home, "node", &node::files())?;
    Ok(vec![
        ("HSMSIGN_SOCKET", socket.into()),
        ("PYTHONPATH", python::path(&python)),
        ("NODE_OPTIONS", node::options(&node)),
    ])
}

/// Writes the files of a hook, each where it is missing or another; answers their folder.
fn place(home: &Home, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    // A folder a version: a bot that runs keeps the files that it began with.
    let mut hash = Sha256::new();
    for (path, text) in files {
        hash.update(path);
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    let version = base16ct::lower::encode_string(&hash.finalize()[..8]);
    let folder = home.state("hooks").join(format!("{name}-{version}"));
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
