//! A small file that several processes write in place: made whole, and locked while one of them is at it.

use std::{
    fs::File,
    io::ErrorKind,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat};

use crate::{
    error::{Result, failed},
    home::{beside, io_error, sync_folder, write_private},
};

/// Waits until no other process has the file locked, and locks it.
pub(crate) fn exclusive(file: &File, path: &Path) -> Result<()> {
    flock(file, FlockOperation::LockExclusive)
        .map_err(|error| failed(format!("{} could not be locked: {error}", path.display())))
}

/// Makes a file with these bytes that is there whole or not at all; `what` names it in errors. Another process may do
/// the same: the link fails for the second, and both open the first one's.
pub(crate) fn make_whole(what: &str, folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let made = match link_nameless(folder, path, bytes) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => link_named(folder, path, bytes)?,
        made => made,
    };
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(io_error(what, path, "be made", &error))
        }
        _ => sync_folder(folder).map_err(|error| io_error(what, path, "be made", &error)),
    }
}

/// By a file that has no name before it is whole, so that nothing is left where the process ends in the middle.
fn link_nameless(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, itself, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Where the file system or its mounts do not let that be.
fn link_named(folder: &Path, path: &Path, bytes: &[u8]) -> Result<std::io::Result<()>> {
    let fresh = beside(folder, &path.file_name().unwrap_or_default().to_string_lossy());
    write_private(&fresh, bytes)?;
    let linked = std::fs::hard_link(&fresh, path);
    let _ = std::fs::remove_file(&fresh);
    Ok(linked)
}
