//! Whether a file is as it was, without reading it.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use super::io_error;
use crate::error::Result;

/// The state of a file: which one it is, how long, and when it was last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Mark {
    /// The state of a file, none where it is not there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        Self::seen(path, std::fs::metadata(path))
    }

    /// The same, of a link itself where one stands there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of_itself(path: &Path) -> Result<Option<Self>> {
        Self::seen(path, std::fs::symlink_metadata(path))
    }

    fn seen(path: &Path, looked: std::io::Result<Metadata>) -> Result<Option<Self>> {
        match looked {
            Ok(file) => Ok(Some(Self {
                device: file.dev(),
                inode: file.ino(),
                size: file.size(),
                changed: (file.ctime(), file.ctime_nsec()),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("", path, "be looked at", &error)),
        }
    }

    /// When it was last changed, since 1970.
    pub fn changed(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.changed.0).unwrap_or_default())
    }
}
