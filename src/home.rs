//! The folders and files of hsmsign: where they are, that they are private, and that a write is whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::error::{Code, Error, Result, bad_input, failed};

/// Reads the text of a user's own scheme by its id, if there is one.
pub type ReadScheme = Box<dyn Fn(&str) -> Result<Option<String>> + Send + Sync>;

/// Where configuration and state lie.
#[derive(Debug, Clone)]
pub struct Home {
    config: PathBuf,
    state: PathBuf,
}

impl Home {
    /// `HSMSIGN_HOME` for both, or the folders `hsmsign` in the XDG configuration and state folders.
    ///
    /// # Errors
    /// When none of `HSMSIGN_HOME`, the XDG variables and `HOME` says where, or a folder is open to others.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = if let Some(home) = set("HSMSIGN_HOME") {
            let home = std::path::absolute(&home)
                .map_err(|error| bad_input(format!("HSMSIGN_HOME is no folder's name: {error}")))?;
            Self {
                config: home.clone(),
                state: home,
            }
        } else {
            let below = |variable: &str, usual: &str| {
                set(variable)
                    .filter(|path| path.is_absolute())
                    .or_else(|| set("HOME").map(|home| home.join(usual)))
                    .map(|folder| folder.join("hsmsign"))
                    .ok_or_else(|| {
                        bad_input("neither HSMSIGN_HOME nor HOME is set, so there is no place for keys and settings")
                            .fix("set HSMSIGN_HOME to a folder of mode 0700")
                    })
            };
            Self {
                config: below("XDG_CONFIG_HOME", ".config")?,
                state: below("XDG_STATE_HOME", ".local/state")?,
            }
        };
        for folder in [&home.config, &home.state] {
            check_folder(folder)?;
        }
        Ok(home)
    }

    /// Removes what processes that were killed left beside the files they were writing. Whoever calls it holds the
    /// lock under which keys are changed, so that nobody writes in their folders now.
    pub fn sweep_unfinished(&self) {
        for folder in ["keys", "journal"] {
            remove_unfinished(&self.state(folder), |_| true);
        }
        let others = [
            self.config.clone(),
            self.state.clone(),
            self.config("schemes"),
            self.state("nonces"),
            self.state("pins"),
            self.state("trials"),
            self.state("softhsm"),
        ];
        for folder in others {
            remove_unfinished(&folder, is_gone);
        }
    }

    /// Both in one folder.
    pub fn at(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            state: folder.to_owned(),
        }
    }

    /// A file or folder of the configuration.
    pub fn config(&self, name: &str) -> PathBuf {
        self.config.join(name)
    }

    /// A file or folder of the state.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Reads the user's own scheme files, `schemes/ID.toml` of the configuration.
    pub fn user_schemes(&self) -> ReadScheme {
        let folder = self.config("schemes");
        Box::new(move |id| {
            let path = folder.join(format!("{id}.toml"));
            let Some(bytes) = read_private(&path, 1 << 20)? else {
                return Ok(None);
            };
            String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| bad_input(format!("{} is not UTF-8", path.display())))
        })
    }

    /// Puts a scheme file of the user's own where [`Home::user_schemes`] finds it.
    ///
    /// # Errors
    /// When another text is there under this id, which is left as it is, or it cannot be written.
    pub fn add_scheme(&self, id: &str, text: &str) -> Result<()> {
        let folder = self.config("schemes");
        create_folder(&folder)?;
        let path = folder.join(format!("{id}.toml"));
        match read_private(&path, 1 << 20)? {
            Some(here) if here == text.as_bytes() => Ok(()),
            Some(_) => Err(bad_input(format!(
                "{} is there already, and says something else",
                path.display()
            ))
            .fix("change that file, or remove it first: keys of this exchange are signed by it")),
            None => write_private(&path, text.as_bytes()),
        }
    }

    /// Makes the folders, mode 0700, where they are missing.
    ///
    /// # Errors
    /// When one cannot be made or is open to others.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.config)?;
        create_folder(&self.state)
    }
}

/// Makes a folder and those above it, mode 0700, and checks that it is private.
///
/// # Errors
/// When it cannot be made, or is there and open to others.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| io_error("the folder", folder, "be made", &error))?;
    check_folder(folder)
}

/// Refuses a folder that others can read or write or that is another user's. One that is not there is fine.
///
/// # Errors
/// As said, with the chmod; or when there is a file in its place.
pub fn check_folder(folder: &Path) -> Result<()> {
    match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => Err(bad_input(format!("{} is not a folder", folder.display()))
            .fix("move the file away, or set HSMSIGN_HOME to a folder of mode 0700")),
        Ok(metadata) => check_metadata(folder, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("the folder", folder, "be looked at", &error)),
    }
}

/// Refuses what others can read or write, or what belongs to another user.
fn check_metadata(path: &Path, metadata: &fs::Metadata) -> Result<()> {
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
    let Some(mut file) = open_private(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
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
    // Without waiting, should it be a pipe that nobody writes to.
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
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

/// Writes a file, mode 0600, whole or not at all: beside it first, to the disk, then in its place.
///
/// # Errors
/// When it cannot be written, as on a full disk; what was there before is then still there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| failed(format!("{} is no file's name", path.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = beside(folder, &name);
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(folder)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        io_error("", path, "be written", &error)
    })
}

/// A name in the same folder that no other process or thread uses, left out by [`list_folder`].
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
fn is_gone(process: i32) -> bool {
    let gone = rustix::process::Pid::from_raw(process)
        .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
    let is_thread = |status: String| {
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        group.is_some_and(|group| group.trim() != process.to_string())
    };
    gone || fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(is_thread)
}

/// Removes the names of [`beside`] in a folder, by what is said of the process that made them.
fn remove_unfinished(folder: &Path, wanted: impl Fn(i32) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(maker).is_some_and(&wanted) {
            // What cannot be removed now is tried again at the next change of keys.
            let _later = fs::remove_file(entry.path());
        }
    }
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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

/// Has the names in a folder on the disk.
///
/// # Errors
/// When it cannot be opened or written.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A lock between processes, held as long as this lives. The kernel drops it with the process.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock for as long as `patience`; `busy` says what another process is doing with it.
    ///
    /// # Errors
    /// `token-busy` when it is not free in time, or the file cannot be made.
    pub fn acquire(path: &Path, patience: Duration, busy: &str) -> Result<Self> {
        let file = open_lock(path)?;
        let begun = Instant::now();
        let mut pause = Duration::from_micros(500);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(format!("{} could not be locked: {error}", path.display()))),
            }
            if begun.elapsed() > patience {
                return Err(Error::new(
                    Code::TokenBusy,
                    format!("{busy} for {} seconds", patience.as_secs()),
                )
                .fix("wait for the other hsmsign process, or end it, then try again"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The lock if it is free now.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(failed(format!("{} could not be locked: {error}", path.display()))),
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_error("the lock", path, "be opened", &error))
}

/// An error of the file system, told with the file and what to do where that is known.
pub fn io_error(what: &str, path: &Path, deed: &str, error: &io::Error) -> Error {
    let space = if what.is_empty() { "" } else { " " };
    let told = failed(format!("{what}{space}{} cannot {deed}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            told.fix("make room on that file system; nothing was changed")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            told.fix("the file system is mounted read-only; mount it for writing")
        }
        io::ErrorKind::PermissionDenied => told.fix("check who owns it and its mode: files 600, folders 700"),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn temporary() -> tempfile::TempDir {
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap()
    }

    #[test]
    fn a_loose_mode_is_refused_with_the_chmod() {
        let folder = temporary();
        let file = folder.path().join("f");
        write_private(&file, b"x").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_private(&file, 10).unwrap_err();
        assert_eq!(error.code(), Code::BadInput);
        assert_eq!(
            error.remedy(),
            Some(format!("chmod 600 {}", file.display()).as_str())
        );
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = create_folder(folder.path()).unwrap_err();
        assert!(error.remedy().unwrap().starts_with("chmod 700 "));
    }

    #[test]
    fn a_write_replaces_whole_and_leaves_nothing_beside() {
        let folder = temporary();
        let file = folder.path().join("f");
        write_private(&file, b"one").unwrap();
        write_private(&file, b"two").unwrap();
        assert_eq!(read_private(&file, 10).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(read_private(&file, 2).is_err(), "over the limit");
        assert!(read_private(&folder.path().join("none"), 2).unwrap().is_none());
    }

    #[test]
    fn a_failed_write_keeps_what_was_there() {
        let folder = temporary();
        let file = folder.path().join("taken");
        fs::create_dir(&file).unwrap();
        assert!(write_private(&file, b"x").is_err(), "a folder is in the place");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not() {
        let folder = temporary();
        let home = Home::at(folder.path());
        fs::create_dir(home.state("pins")).unwrap();
        fs::create_dir(home.state("keys")).unwrap();
        let make = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = child.id();
        child.wait().unwrap();
        make(&format!("pins/.softhsm.refused.{gone}.0.new"));
        make(&format!("pins/.softhsm.refused.{}.0.new", std::process::id()));
        make("keys/.kraken.json.1.7.new");
        make("pins/.mine.new");
        make("keys/kraken.json");
        home.sweep_unfinished();
        let left = |name: &str| {
            let mut names: Vec<_> = fs::read_dir(home.state(name))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let living = format!(".softhsm.refused.{}.0.new", std::process::id());
        assert_eq!(left("pins"), [".mine.new".to_owned(), living]);
        assert_eq!(left("keys"), ["kraken.json"]);
    }

    #[test]
    fn only_plain_files_and_folders_are_used_and_a_pipe_is_not_waited_for() {
        let folder = temporary();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let error = read_private(&pipe, 10).unwrap_err();
        assert!(error.message().contains("not a plain file"), "{error}");
        let error = check_folder(&pipe).unwrap_err();
        assert!(!error.advice().contains("chmod 600"), "{}", error.advice());
    }

    #[test]
    fn a_lock_is_held_once() {
        let folder = temporary();
        let path = folder.path().join("lock");
        let held = FileLock::try_acquire(&path).unwrap();
        assert!(held.is_some());
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        let error =
            FileLock::acquire(&path, Duration::from_millis(5), "an import has been running").unwrap_err();
        assert_eq!(error.code(), Code::TokenBusy);
        drop(held);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }
}
