//! Room on the disk for the lines of what is signed before it is known that the disk is full.

use std::{fs::File, path::Path};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use crate::{error::Result, home::io_error};

/// How much room is kept behind the end, in bytes: some times what comes between two writes.
const ROOM: u64 = 512 << 10;
/// What cannot be done to a log that has no room.
pub(super) const UNWRITTEN: &str = "be written, so nothing is signed";

/// Has the file system keep room behind the end of a file of this size; `room` says up to where it does.
///
/// # Errors
/// Where there is none. A file system that keeps no room is no error.
pub(super) fn keep(file: &File, path: &Path, size: u64, room: &mut u64) -> Result<()> {
    if *room >= size + ROOM / 2 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, size, ROOM) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => {
            Err(io_error("the audit log", path, UNWRITTEN, &error.into()))
        }
        _ => {
            *room = size + ROOM;
            Ok(())
        }
    }
}
