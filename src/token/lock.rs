//! The lock under which processes take turns at opening a token.
//!
//! SoftHSM and opencryptoki rewrite the token's state at every login, and a process that reads it meanwhile finds no
//! token or a PIN that does not fit.

use std::{
    fs::{File, OpenOptions, metadata, read_to_string},
    io::ErrorKind,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use sha2::{Digest as _, Sha256};

use crate::{
    home::create_folder,
    token::{Result, TokenError, kept},
};

/// How long to wait for the other processes.
pub const WAIT: Duration = Duration::from_secs(60);

/// The lock, held until dropped. The kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct ProcessLock {
    /// None where the folder is not there: there is nothing that others could be in the middle of using.
    _file: Option<File>,
    /// The folder of the tokens, where that is what is locked.
    folder: Option<PathBuf>,
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            kept::keep(folder);
        }
    }
}

impl ProcessLock {
    /// Waits for the lock at `path`: a file, made (0600) if absent; or, with a `/` at its end, the folder in which the
    /// token lies.
    ///
    /// # Errors
    /// [`TokenError::Busy`] when others hold it for longer than `wait`. A folder that is not there is no error here: what
    /// opens the token finds it missing, and starts the module over.
    pub fn acquire(path: &Path, wait: Duration) -> Result<Self> {
        let file = if is_folder(path) {
            match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Self {
                        _file: None,
                        folder: None,
                    });
                }
                Err(error) => {
                    return Err(TokenError::Missing {
                        what: format!("the token's folder {} cannot be read: {error}", path.display()),
                        fix: "see that it may be read; SoftHSM takes it from directories.tokendir in the file that SOFTHSM2_CONF names, opencryptoki's is for the group pkcs11".to_owned(),
                    });
                }
            }
        } else {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
                .map_err(|e| {
                    TokenError::Failed(format!("cannot open the lock file {}: {e}", path.display()))
                })?
        };
        let deadline = Instant::now() + wait;
        let mut pause = Duration::from_micros(500);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let folder = is_folder(path).then(|| path.to_owned());
                    if let Some(folder) = &folder {
                        kept::mend(folder);
                    }
                    return Ok(Self {
                        _file: Some(file),
                        folder,
                    });
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(8));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    let seconds = wait.as_secs();
                    return Err(TokenError::Busy(format!(
                        "other processes held the lock {} for {seconds} s",
                        path.display()
                    )));
                }
                Err(e) => {
                    return Err(TokenError::Failed(format!("cannot lock {}: {e}", path.display())));
                }
            }
        }
    }
}

fn is_folder(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// What processes lock when they open a token, the same for all that use it, whatever their folders, and out of reach
/// of users who cannot use it: the folder itself in which SoftHSM or opencryptoki has its tokens; for another module a
/// file in the user's runtime folder; where there is none, the file that `own` makes.
///
/// # Errors
/// Those of `own`.
pub fn place<E>(
    module: &Path,
    module_args: Option<&str>,
    own: impl FnOnce() -> Result<PathBuf, E>,
) -> Result<PathBuf, E> {
    let module = module.canonicalize().unwrap_or_else(|_| module.to_owned());
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    if name.contains("softhsm")
        && let Some(folder) = softhsm_folder()
    {
        return Ok(folder);
    }
    if name.contains("opencryptoki")
        && let Some(folder) = opencryptoki_folder(&module)
    {
        return Ok(folder);
    }
    let me = rustix::process::geteuid().as_raw();
    let runtime = PathBuf::from(format!("/run/user/{me}"));
    let private = metadata(&runtime)
        .is_ok_and(|folder| folder.is_dir() && folder.uid() == me && folder.mode() & 0o077 == 0);
    let locks = runtime.join("hsmsign/locks");
    if private && create_folder(&locks).is_ok() {
        let what = [
            module.as_os_str().as_bytes(),
            module_args.unwrap_or_default().as_bytes(),
        ]
        .join(&0);
        let name = base16ct::lower::encode_string(&Sha256::digest(what)[..16]);
        return Ok(locks.join(name));
    }
    own()
}

/// The folder of SoftHSM's tokens as its configuration names it, with a `/` at its end.
pub fn softhsm_folder() -> Option<PathBuf> {
    let set = std::env::var_os("SOFTHSM2_CONF").map(PathBuf::from);
    let users = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config/softhsm2/softhsm2.conf"));
    let conf = set
        .or_else(|| users().filter(|path| path.exists()))
        .unwrap_or_else(|| "/etc/softhsm/softhsm2.conf".into());
    let text = match read_to_string(&conf) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => read_to_string("/etc/softhsm2.conf").ok()?,
        Err(_) => return None,
    };
    let folder = text.lines().find_map(|line| {
        let (name, value) = line.split('#').next()?.split_once('=')?;
        (name.trim() == "directories.tokendir").then(|| value.trim())
    })?;
    Some(PathBuf::from(format!("{}/", folder.trim_end_matches('/'))))
}

/// The folder of opencryptoki's tokens, which belong to the machine, with a `/` at its end. The module was built with
/// its name: below the same prefix.
fn opencryptoki_folder(module: &Path) -> Option<PathBuf> {
    let prefix = if module.starts_with("/usr/local") {
        "/usr/local"
    } else {
        ""
    };
    let folder = PathBuf::from(format!("{prefix}/var/lib/opencryptoki/"));
    folder.is_dir().then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_where_it_is_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = PathBuf::from(format!("{}/tokens/", folder.path().display()));
        ProcessLock::acquire(&tokens, WAIT).unwrap();
        assert!(!tokens.exists());
        std::fs::create_dir(&tokens).unwrap();
        let held = ProcessLock::acquire(&tokens, WAIT).unwrap();
        let refused = ProcessLock::acquire(&tokens, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, TokenError::Busy(_)), "{refused}");
        drop(held);
        ProcessLock::acquire(&tokens, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_held_lock_is_busy_and_a_freed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = ProcessLock::acquire(&path, WAIT).unwrap();
        let refused = ProcessLock::acquire(&path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, TokenError::Busy(_)), "{refused}");
        drop(held);
        ProcessLock::acquire(&path, Duration::ZERO).unwrap();
    }
}
