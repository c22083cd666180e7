//! Files and folders that are private, and written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use crate::error::{Error, Result, bad_input, failed};

/// Makes a folder and those above it, mode 0700, and checks that it is private.
///
/// # Errors
/// When it cannot be made, or is there and open to others.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(no_folder(folder)).fix(MOVE_AWAY),
            _ => io_error("the folder", folder, "be made", &error),
        })?;
    check_folder(folder)
}

/// What to do about what is in a folder's place.
const MOVE_AWAY: &str = "move it away, or set HSMSIGN_HOME to a folder of mode 0700";

/// What is there, and is none: a file, or a link that leads nowhere.
fn no_folder(path: &Path) -> String {
    match fs::read_link(path) {
        Ok(to) if !path.exists() => format!(
            "{} is a link to {}, which is not there",
            path.display(),
            to.display()
        ),
        _ => format!("{} is not a folder", path.display()),
    }
}

/// Refuses a folder that others can read or write or that is another user's. One that is not there is fine.
///
/// # Errors
/// As said, with the chmod; or when there is a file in its place.
pub fn check_folder(folder: &Path) -> Result<()> {
    match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => Err(bad_input(no_folder(folder)).fix(MOVE_AWAY)),
        Ok(metadata) => check_metadata(folder, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match folder.is_symlink() {
            true => Err(bad_input(no_folder(folder)).fix(MOVE_AWAY)),
            false => Ok(()),
        },
        Err(error) => Err(io_error("the folder", folder, "be looked at", &error)),
    }
}

/// Whether a folder is meant for all users, as `/tmp`: others need it as it is.
pub fn is_everybodys(path: &Path, metadata: &fs::Metadata) -> bool {
    const STICKY_AND_OPEN: u32 = 0o1002;
    let open = metadata.mode() & STICKY_AND_OPEN == STICKY_AND_OPEN;
    metadata.is_dir() && (open || path.parent().is_none())
}

/// Refuses what others can read or write, or what belongs to another user.
fn check_metadata(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    if is_everybodys(path, metadata) {
        return Err(
            bad_input(format!("{} is a folder for everybody", path.display())).fix(format!(
                "set HSMSIGN_HOME to a folder of your own, as {}",
                path.join("hsmsign").display()
            )),
        );
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(bad_input(format!(
            "{} belongs to uid {}, and this process runs as uid {me}",
            path.display(),
            metadata.uid()
        ))
        .fix(format!(
            "run hsmsign as its owner, or: chown {me} {}",
            path.display()
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        let wanted = if metadata.is_dir() { "700" } else { "600" };
        return Err(bad_input(format!(
            "{} has mode {:03o}, which lets others in",
            path.display(),
            metadata.mode() & 0o777
        ))
        .fix(format!("chmod {wanted} {}", path.display())));
    }
    Ok(())
}

/// What a file holds, if it is there; refused if others can read or write it, or it is larger than `limit` bytes.
///
/// # Errors
/// As said, or when it cannot be read.
pub fn read_private(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    open_private(path)?.map_or(Ok(None), |file| read_whole(file, path, limit))
}

/// As [`read_private`], of a file that no link may stand for.
///
/// # Errors
/// As there, and where it is a symbolic link.
pub fn read_own(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    open_own(path)?.map_or(Ok(None), |file| read_whole(file, path, limit))
}

fn read_whole(mut file: File, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    // Enough for most: grown from nothing, it is read in small pieces.
    let mut bytes = Vec::with_capacity(4 << 10);
    (&mut file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io_error("", path, "be read", &error))?;
    if bytes.len() as u64 > limit {
        return Err(bad_input(format!(
            "{} is larger than {limit} bytes",
            path.display()
        )));
    }
    Ok(Some(bytes))
}

/// Opens a private file for reading, if it is there.
///
/// # Errors
/// When others can read or write it, or it cannot be opened.
pub fn open_private(path: &Path) -> Result<Option<File>> {
    open_checked(path, OFlags::empty())
}

/// As [`open_private`], for a file that only hsmsign writes: a link in its place would have it read, or counted in, elsewhere.
/// The folders above it may be links.
///
/// # Errors
/// As there, and where it is a symbolic link.
pub fn open_own(path: &Path) -> Result<Option<File>> {
    open_checked(path, OFlags::NOFOLLOW)
}

/// The flags for opening a file in which only hsmsign writes: no link, and no waiting for a pipe.
pub fn own_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn open_checked(path: &Path, flags: OFlags) -> Result<Option<File>> {
    // Without waiting, should it be a pipe that nobody writes to.
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags((flags | OFlags::NONBLOCK).bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("", path, "be read", &error)),
    };
    let metadata = file
        .metadata()
        .map_err(|error| io_error("", path, "be looked at", &error))?;
    if !metadata.is_file() {
        return Err(
            bad_input(format!("{} is not a plain file", path.display())).fix("put a file of mode 600 there")
        );
    }
    check_metadata(path, &metadata)?;
    Ok(Some(file))
}

/// Removes a file, and has the removal on the disk; one that is not there is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path
            .parent()
            .map_or(Ok(()), sync_folder)
            .map_err(|error| io_error("", path, "be removed for good", &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("", path, "be removed", &error)),
    }
}

/// The names of the files in a folder that is private, without those that begin with a dot; none if it is not there.
///
/// # Errors
/// When it cannot be read or is open to others.
pub fn list_folder(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A link to a disk that is not mounted is no empty folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return check_folder(folder).map(|()| Vec::new());
        }
        Err(error) => return Err(io_error("the folder", folder, "be read", &error)),
    };
    check_folder(folder)?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| io_error("the folder", folder, "be read", &error))?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a folder has nothing in it, or is not there.
///
/// # Errors
/// When it cannot be read.
pub fn is_empty(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io_error("the folder", folder, "be read", &error)),
    }
}

/// Has the names in a folder on the disk.
///
/// # Errors
/// When it cannot be opened or written.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// An error of the file system, told with the file and what to do where that is known.
pub fn io_error(what: &str, path: &Path, deed: &str, error: &io::Error) -> Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
        && path.symlink_metadata().is_ok_and(|file| file.is_symlink())
    {
        return bad_input(format!("{} is a symbolic link", path.display()))
            .fix("put the file itself in its place; the folder may be a link");
    }
    let space = if what.is_empty() { "" } else { " " };
    let told = failed(format!("{what}{space}{} cannot {deed}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            told.fix("make room on that file system; nothing was changed")
        }
        io::ErrorKind::FileTooLarge => told.fix(
            "files may not grow further here: raise the limit of their size (ulimit -f, LimitFSIZE= of a unit); nothing was changed",
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            told.fix("the file system is mounted read-only; mount it for writing")
        }
        io::ErrorKind::PermissionDenied => told.fix("check who owns it and its mode: files 600, folders 700"),
        _ => told,
    }
}
