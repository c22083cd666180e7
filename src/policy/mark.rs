//! Whether a file is as it was.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use crate::{clock, error::Result, home::io_error};

/// How coarsely a file system tells when a file was changed, at worst: FAT by two seconds.
const COARSE: Duration = Duration::from_secs(3);

/// The state of a file: device, inode, size, and when it was last changed in seconds and nanoseconds.
pub(super) type Mark = (u64, u64, u64, i64, i64);

/// The state of a file, none where it is not there.
pub(super) fn mark(path: &Path) -> Result<Option<Mark>> {
    mark_of(path, std::fs::metadata(path))
}

/// The same, of a link itself where one stands there.
pub(super) fn mark_itself(path: &Path) -> Result<Option<Mark>> {
    mark_of(path, std::fs::symlink_metadata(path))
}

fn mark_of(path: &Path, looked: std::io::Result<Metadata>) -> Result<Option<Mark>> {
    match looked {
        Ok(file) => Ok(Some((
            file.dev(),
            file.ino(),
            file.size(),
            file.ctime(),
            file.ctime_nsec(),
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("", path, "be looked at", &error)),
    }
}

/// Whether the file was changed so lately that a change after this one could have the same mark.
pub(super) fn is_fresh(mark: Mark) -> bool {
    let (.., seconds, _) = mark;
    let changed = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    clock::now() < changed + COARSE
}
