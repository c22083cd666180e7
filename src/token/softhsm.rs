//! What a killed import leaves in the folder of a SoftHSM token.

use std::{fs, path::Path};

use crate::home::{list_folder, remove_file};

const OBJECT: &str = "token.object";

/// Removes the object files of no bytes that a killed import leaves and PKCS#11 does not show. Only while no import is
/// at work there.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_empty(tokens: &Path) -> crate::error::Result<()> {
    for folder in fs::read_dir(tokens).into_iter().flatten().flatten() {
        if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let folder = folder.path();
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

#[cfg(test)]
mod tests {
    use super::*;

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
