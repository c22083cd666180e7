//! Changing a file whole or not at all: beside it first, then in its place, with its mode and owner; then the old bytes are
//! overwritten.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    ops::Range,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::Path,
};

use crate::{
    error::{Result, failed},
    home::{beside, io_error, sync_folder},
    secret::Secret,
};

/// The text with other bytes in some places, which do not overlap and stand in order.
pub(super) fn replaced(text: &Secret, changes: &[(Range<usize>, String)]) -> Result<Secret> {
    let more: usize = changes.iter().map(|(_, new)| new.len()).sum();
    let mut out = Secret::with_capacity(text.len() + more)?;
    let mut at = 0;
    for (span, new) in changes {
        out.push(&text.expose()[at..span.start]);
        out.push(new.as_bytes());
        at = span.end;
    }
    out.push(&text.expose()[at..]);
    Ok(out)
}

/// Puts new bytes in the place of a file that is still as it was read. Answers what the owner should know.
///
/// # Errors
/// When it is not as it was read, or cannot be written: it is then as it was.
pub(super) fn rewrite(path: &Path, old: &Secret, inode: (u64, u64), new: &Secret) -> Result<Vec<String>> {
    let mut before = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| io_error("", path, "be written", &error))?;
    let metadata = before
        .metadata()
        .map_err(|error| io_error("", path, "be looked at", &error))?;
    if (metadata.dev(), metadata.ino()) != inode || !same(&mut before, old) {
        return Err(failed(format!(
            "{} was changed while its secrets were imported",
            path.display()
        ))
        .fix("stop the program that writes it, then try again"));
    }
    let folder = path
        .parent()
        .ok_or_else(|| failed(format!("{} is no file's name", path.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = beside(folder, &name);
    let put = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(new.expose())?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
            fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_folder(folder)
    })();
    if let Err(error) = put {
        let _gone = fs::remove_file(&fresh);
        return Err(io_error("", path, "be written", &error));
    }
    let mut notes = Vec::new();
    if metadata.nlink() > 1 {
        notes.push(format!(
            "the file had {} names; the others still hold the secret: find / -xdev -inum {}",
            metadata.nlink(),
            metadata.ino()
        ));
    } else if let Err(error) = overwrite(&mut before, old.len()) {
        notes.push(format!(
            "the old bytes of {} could not be overwritten: {error}",
            path.display()
        ));
    }
    Ok(notes)
}

fn same(file: &mut File, wanted: &Secret) -> bool {
    let mut piece = zeroize::Zeroizing::new([0; 4096]);
    let mut rest = wanted.expose();
    loop {
        match io::Read::read(file, &mut piece[..]) {
            Ok(0) => return rest.is_empty(),
            Ok(read) if rest.starts_with(&piece[..read]) => rest = &rest[read..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
}

fn overwrite(file: &mut File, length: usize) -> io::Result<()> {
    file.rewind()?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}
