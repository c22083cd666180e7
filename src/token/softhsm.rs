//! A copy of what SoftHSM rewrites at every login.
//!
//! SoftHSM 2.6.1 empties `token.object`, which holds the token's name and the key that the PIN unlocks, and writes it
//! anew. Killed between the two, or on a full disk, it has lost the token with every key on it. So hsmsign keeps a copy
//! beside the token's folder, `.NAME.kept`, where SoftHSM passes over it, and puts it back under the lock under which
//! processes open the token.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::home::{list_folder, read_private, remove_file, write_private};

const OBJECT: &str = "token.object";
/// A file of fewer bytes than the name, the serial number and the PIN's key take was not written to its end.
const LEAST: u64 = 128;
const MOST: u64 = 1 << 16;
/// The count of the file's writings, at its front.
const COUNT: usize = 8;

/// Puts the copy back where a token was lost in the middle of a login.
pub fn mend(folder: &Path) {
    for (token, kept) in tokens(folder) {
        let object = token.join(OBJECT);
        let lost = fs::metadata(&object).map_or(true, |file| file.len() < LEAST);
        if lost && let Ok(Some(copy)) = read_private(&kept, MOST) {
            // Where it cannot be written, opening tells what is missing.
            let _told_later = write_private(&object, &copy);
        }
    }
}

/// Copies what is new. A token that hsmsign may read and not copy is used all the same.
pub fn keep(folder: &Path) {
    for (token, kept) in tokens(folder) {
        let Ok(Some(object)) = read_private(&token.join(OBJECT), MOST) else {
            continue;
        };
        let copy = read_private(&kept, MOST).ok().flatten().unwrap_or_default();
        if object.len() as u64 >= LEAST && object.get(COUNT..) != copy.get(COUNT..) {
            let _best_effort = write_private(&kept, &object);
        }
    }
}

/// Removes the object files of no bytes that a killed import leaves and PKCS#11 does not show. Only while no import is
/// at work there.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_empty(tokens: &Path) -> crate::error::Result<()> {
    for (folder, _) in self::tokens(tokens) {
        for file in list_folder(&folder)? {
            let path = folder.join(&file);
            let empty = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() == 0);
            if empty && file != OBJECT && file.ends_with(".object") {
                remove_file(&path)?;
                remove_file(&path.with_extension("lock"))?;
            }
        }
    }
    Ok(())
}

/// The folder of each token, and where its copy is.
fn tokens(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| {
            let kept = format!(".{}.kept", entry.file_name().to_string_lossy());
            (entry.path(), folder.join(kept))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_lost_comes_back_as_it_was_last() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("uuid");
        fs::create_dir(&token).unwrap();
        let object = token.join(OBJECT);
        let write = |count: u8, body: u8| {
            let bytes = [vec![count; COUNT], vec![body; 300]].concat();
            write_private(&object, &bytes).unwrap();
            bytes
        };
        write(1, 1);
        keep(folder.path());
        let newest = write(2, 2);
        keep(folder.path());
        write_private(&object, b"").unwrap();
        keep(folder.path());
        mend(folder.path());
        assert_eq!(fs::read(&object).unwrap(), newest);
        let other = write(3, 3);
        mend(folder.path());
        assert_eq!(fs::read(&object).unwrap(), other, "what is whole is left alone");
    }

    #[test]
    fn empty_objects_go_and_the_token_file_never() {
        let tokens = tempfile::Builder::new().tempdir().unwrap();
        let folder = tokens.path().join("one");
        fs::create_dir(&folder).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for (name, bytes) in [
            (OBJECT, ""),
            ("a.object", ""),
            ("a.lock", ""),
            ("b.object", "x"),
            ("b.lock", ""),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        remove_empty(tokens.path()).unwrap();
        assert_eq!(list_folder(&folder).unwrap(), ["b.lock", "b.object", OBJECT]);
    }
}
