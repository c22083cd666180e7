//! Where a target's files lie.

use std::{
    fs::{DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use tempfile::TempDir;

/// A folder with one folder in it, in memory where there is such a place.
pub fn folder_with(name: &str) -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut private = tempfile::Builder::new();
    private.permissions(Permissions::from_mode(0o700));
    let folder = private.tempdir_in(memory).or_else(|_| private.tempdir()).unwrap();
    let inner = folder.path().join(name);
    DirBuilder::new().mode(0o700).create(inner).unwrap();
    folder
}
