//! Files that are written beside their place, and then put there.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::files::{io_error, sync_folder};
use crate::error::{Result, failed};

/// Writes a file, mode 0600, whole or not at all: beside it first, to the disk, then in its place.
///
/// # Errors
/// When it cannot be written, as on a full disk; what was there before is then still there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    Fresh::write(path, bytes)?.put()
}

/// A file, mode 0600, written to the disk beside its place. Where several belong together, none is put into its place
/// before there was room for all.
pub struct Fresh<'p> {
    path: &'p Path,
    beside: PathBuf,
    moved: bool,
}

impl<'p> Fresh<'p> {
    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written, as on a full disk.
    pub fn write(path: &'p Path, bytes: &[u8]) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let fresh = Self {
            path,
            beside: beside(folder_of(path)?, &name),
            moved: false,
        };
        let written = (|| {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh.beside)?;
            file.write_all(bytes)?;
            file.sync_all()
        })();
        written.map_err(|error| io_error("", path, "be written", &error))?;
        Ok(fresh)
    }

    /// Puts it into its place.
    ///
    /// # Errors
    /// When it cannot stand there.
    pub fn put(mut self) -> Result<()> {
        let renamed = fs::rename(&self.beside, self.path);
        self.moved = renamed.is_ok();
        self.done(renamed)
    }

    /// Puts it into its place where nothing is there, and says whether that was so.
    ///
    /// # Errors
    /// When it cannot stand there.
    pub fn put_first(self) -> Result<bool> {
        match into_free_place(&self.beside, self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            placed => self.done(placed).map(|()| true),
        }
    }

    fn done(&self, done: io::Result<()>) -> Result<()> {
        let folder = folder_of(self.path)?;
        done.and_then(|()| sync_folder(folder))
            .map_err(|error| io_error("", self.path, "be written", &error))
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.moved {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Gives a file a name that none has yet; the one that it has may stay.
pub(crate) fn into_free_place(from: &Path, to: &Path) -> io::Result<()> {
    let linked = fs::hard_link(from, to);
    let Err(error) = &linked else { return linked };
    // FAT and its like know one name a file.
    if !matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    ) {
        return linked;
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        Err(_) => linked,
    }
}

fn folder_of(path: &Path) -> Result<&Path> {
    path.parent()
        .ok_or_else(|| failed(format!("{} is no file's name", path.display())))
}

/// A name in the same folder that no other process or thread uses, left out by [`super::list_folder`].
pub fn beside(folder: &Path, name: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".{name}.{}.{count}.new", std::process::id()))
}

/// The process that made a name of [`beside`]; none for other names.
fn maker(name: &str) -> Option<i32> {
    let mut parts = name.strip_prefix('.')?.strip_suffix(".new")?.rsplit('.');
    parts.next()?.parse::<u64>().ok()?;
    parts.next()?.parse().ok()
}

/// Whether a process is there no more. Its number may be a thread's by now.
pub(super) fn is_gone(process: i32) -> bool {
    let gone = rustix::process::Pid::from_raw(process)
        .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
    let is_thread = |status: String| {
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        group.is_some_and(|group| group.trim() != process.to_string())
    };
    gone || fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(is_thread)
}

/// Removes the names of [`beside`] in a folder, by what is said of the process that made them.
pub(super) fn remove_unfinished(folder: &Path, wanted: impl Fn(i32) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(maker).is_some_and(&wanted) {
            // What cannot be removed now is tried again at the next change of keys.
            let _later = fs::remove_file(entry.path());
        }
    }
}
