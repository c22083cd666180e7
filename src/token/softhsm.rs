//! What is known of SoftHSM's files, to mend what a process that was killed leaves of them.
//!
//! A token is a folder with `token.object`, which holds its PINs, and a file for each object. Every login rewrites
//! `token.object`: first it is cut to nothing, then written. Killed between the two, the token is lost with all its
//! keys, as far as SoftHSM can tell. So a copy is kept beside it, and put back where the file is found empty. All of
//! this happens under the lock under which processes log in: nobody is in the middle of writing then.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::home::{list_folder, remove_file};

/// The file that every login rewrites.
const TOKEN: &str = "token.object";
/// Its copy; SoftHSM looks only at names that end in `.object`.
const COPY: &str = "token.object.hsmsign";
/// The file begins with a count of its writings (8 bytes), which the comparison leaves out.
const COUNT: usize = 8;

/// Puts back the token files that are empty, and renews the copies of those that changed. What cannot be read or
/// written is left to SoftHSM to complain about.
pub fn keep(tokens: &Path) {
    for folder in folders(tokens) {
        let (token, copy) = (folder.join(TOKEN), folder.join(COPY));
        let Ok(now) = fs::read(&token) else { continue };
        let kept = fs::read(&copy).unwrap_or_default();
        let _ = if now.is_empty() && !kept.is_empty() {
            replace(&token, &kept)
        } else if !now.is_empty() && now.get(COUNT..) != kept.get(COUNT..) {
            replace(&copy, &now)
        } else {
            Ok(())
        };
    }
}

/// Removes the object files of no bytes that a killed import leaves and PKCS#11 does not show. Only while no import is
/// at work there.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_empty(tokens: &Path) -> crate::error::Result<()> {
    for folder in folders(tokens) {
        for file in list_folder(&folder)? {
            let path = folder.join(&file);
            let empty = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() == 0);
            if empty && file != TOKEN && file.ends_with(".object") {
                remove_file(&path)?;
                remove_file(&path.with_extension("lock"))?;
            }
        }
    }
    Ok(())
}

fn folders(tokens: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(tokens).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Writes a file beside its place and moves it there, with the mode of SoftHSM's own files.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

    // Under the lock one process at a time is here, so that one name does.
    let beside = path.with_extension("hsmsign-new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_token_file_is_put_back_and_a_changed_one_is_copied_anew() {
        let tokens = tempfile::tempdir().unwrap();
        let folder = tokens.path().join("one");
        fs::create_dir(&folder).unwrap();
        let (token, copy) = (folder.join(TOKEN), folder.join(COPY));
        fs::write(&token, b"00000001first").unwrap();
        keep(tokens.path());
        assert_eq!(fs::read(&copy).unwrap(), b"00000001first");
        fs::write(&token, b"").unwrap();
        keep(tokens.path());
        assert_eq!(fs::read(&token).unwrap(), b"00000001first");
        fs::write(&token, b"00000002first").unwrap();
        keep(tokens.path());
        assert_eq!(
            fs::read(&copy).unwrap(),
            b"00000001first",
            "only the count of writings changed"
        );
        fs::write(&token, b"00000003second").unwrap();
        keep(tokens.path());
        assert_eq!(fs::read(&copy).unwrap(), b"00000003second");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn empty_objects_go_and_the_token_file_never() {
        let tokens = tempfile::Builder::new().tempdir().unwrap();
        let folder = tokens.path().join("one");
        fs::create_dir(&folder).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for (name, bytes) in [
            (TOKEN, ""),
            ("a.object", ""),
            ("a.lock", ""),
            ("b.object", "x"),
            ("b.lock", ""),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        remove_empty(tokens.path()).unwrap();
        assert_eq!(list_folder(&folder).unwrap(), ["b.lock", "b.object", TOKEN]);
    }
}
