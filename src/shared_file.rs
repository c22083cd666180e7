//! A small file that several processes write in place: made whole, and locked while one of them is at it.

use std::{
    fs::File,
    io::ErrorKind,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::Path,
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, linkat, stat},
    io::{Errno, retry_on_intr},
};

use crate::{
    error::{Code, Error, Result, failed},
    home::{beside, into_free_place, io_error, sync_folder, write_private},
};

/// How long another process may have a file locked: its turn, and a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// The stack of a thread that waits, in bytes: it makes one call.
const STACK: usize = 64 << 10;

/// Waits until no other process has the file locked, and locks it.
///
/// # Errors
/// `token-busy` where another process that stands still has it: what it was stopped with, it keeps. Then the file is to be
/// closed.
pub(crate) fn exclusive(file: &File, path: &Path) -> Result<()> {
    let wrong =
        |error: &dyn std::fmt::Display| failed(format!("{} could not be locked: {error}", path.display()));
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK | Errno::INTR) => {}
        locked => return locked.map_err(|error| wrong(&error)),
    }
    // Who asked again and again would come behind all who wait in the kernel.
    let twin = file.try_clone().map_err(|error| wrong(&error))?;
    let (tell, told) = channel();
    let wait = move || {
        let _nobody_waits = tell.send(retry_on_intr(|| flock(&twin, FlockOperation::LockExclusive)));
    };
    let waits = std::thread::Builder::new()
        .name("lock".into())
        .stack_size(STACK)
        .spawn(wait);
    if waits.is_err() {
        return flock(file, FlockOperation::LockExclusive).map_err(|error| wrong(&error));
    }
    match told.recv_timeout(PATIENCE) {
        Ok(locked) => locked.map_err(|error| wrong(&error)),
        Err(RecvTimeoutError::Timeout) => Err(held(path)),
        Err(RecvTimeoutError::Disconnected) => Err(wrong(&"nobody waits for it")),
    }
}

fn held(path: &Path) -> Error {
    Error::new(
        Code::TokenBusy,
        format!(
            "{} has been locked by another process for {} seconds",
            path.display(),
            PATIENCE.as_secs()
        ),
    )
    .fix("an hsmsign that stands still has it, as a stopped agent: have it go on with kill -CONT, or end it")
}

/// Whether this file is the one that has this path now.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(file), Ok(now)) = (fstat(file), stat(path)) else {
        return false;
    };
    (file.st_dev, file.st_ino) == (now.st_dev, now.st_ino)
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
    let linked = into_free_place(&fresh, path);
    let _ = std::fs::remove_file(&fresh);
    Ok(linked)
}
