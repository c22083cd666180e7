//! The files of the log: the last line found, lines appended under a lock, a new file begun where one is large.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    line::{self, Hash, NONE},
    mark,
    room::{self, UNWRITTEN},
    seal::Seals,
};
use crate::{
    clock,
    error::{Result, bad_input, failed},
    home::{Home, check_folder, create_folder, io_error, list_folder, open_own, own_flags},
    shared_file::{exclusive, make_whole},
};

/// How large a file may become, in bytes, before the next is begun.
const LARGE: u64 = 64 << 20;
/// How far from the end it is looked for first, in bytes.
const NEAR: u64 = 4 << 10;

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The number of the last line; 0 for none.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

/// The folder of the log, and what this process knows of its end.
pub struct Files {
    folder: PathBuf,
    lock: PathBuf,
    large: u64,
    known: Option<Known>,
    seals: Seals,
}

struct Known {
    file: Arc<File>,
    path: PathBuf,
    /// Its size when this process last wrote to it.
    size: u64,
    /// Up to where the file system keeps room for it.
    room: u64,
    tail: Tail,
}

/// The files of the log, oldest first. A file's name is the number of its first line.
///
/// # Errors
/// When the folder cannot be read or is open to others.
pub fn list(home: &Home) -> Result<Vec<PathBuf>> {
    files_in(&home.state("audit"))
}

/// As [`list`], for the folder of the log.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let names = list_folder(folder)?;
    Ok(names
        .into_iter()
        .filter(|name| first_line(name).is_some())
        .map(|name| folder.join(name))
        .collect())
}

/// Opens a file of the log for reading. Who else can read it is looked at where it is written.
///
/// # Errors
/// When it is no file, or a link to one.
pub(super) fn open(path: &Path) -> Result<File> {
    let wrong = |error| io_error("the audit log", path, "be read", &error);
    let file = File::options()
        .read(true)
        .custom_flags(own_flags())
        .open(path)
        .map_err(wrong)?;
    if file.metadata().map_err(wrong)?.is_file() {
        return Ok(file);
    }
    Err(bad_input(format!("{} is not a plain file", path.display())).fix("put a file of mode 600 there"))
}

/// The end of the log in a folder, as its last file has it.
///
/// # Errors
/// When it cannot be read.
pub(super) fn end_of(folder: &Path) -> Result<Tail> {
    let Some(last) = last_file(folder)? else {
        return Ok(Tail {
            number: 0,
            hash: NONE,
        });
    };
    read_tail(&last).map(|(tail, _)| tail)
}

/// The number of the first line of a file of this name.
pub fn first_line(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    (digits.len() == 12).then(|| digits.parse().ok())?
}

impl Files {
    /// The log of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            folder: home.state("audit"),
            lock: home.state("audit").join(".lock"),
            large: LARGE,
            known: None,
            seals: Seals::new(home),
        }
    }

    /// The same, with files that are followed by others when they are this large, in bytes.
    #[must_use]
    pub const fn of_size(mut self, large: u64) -> Self {
        self.large = large;
        self
    }

    /// Appends lines, which `render` makes behind the last one there is; other processes wait. They survive the end of
    /// the process; the file that is answered is to be synced for the end of the machine's power.
    ///
    /// # Errors
    /// When they cannot be written whole: then none of them is there.
    pub fn append(&mut self, render: &mut dyn FnMut(Tail, &mut String) -> Tail) -> Result<Arc<File>> {
        create_folder(&self.folder)?;
        let lock = open_lock(&self.lock)?;
        exclusive(&lock, &self.lock)?;
        let mut known = match self.known.take() {
            Some(known) if still(&known) => known,
            before => {
                let mut found = self.find_end()?;
                // Lines that this process wrote and that are gone are missed: the numbers go on behind them.
                if let Some(before) = before.filter(|before| before.tail.number > found.tail.number) {
                    found.tail = before.tail;
                }
                found
            }
        };
        if known.size >= self.large {
            // The room that is kept behind it is not needed any more.
            let _ = known.file.set_len(known.size);
            // Whoever syncs what is appended syncs the file that is answered, and that is the next.
            known
                .file
                .sync_data()
                .map_err(|error| io_error("the audit log", &known.path, "be brought to the disk", &error))?;
            known = self.begin(known.tail)?;
        }
        let mut text = String::new();
        let tail = render(known.tail, &mut text);
        write(&mut known, text.as_bytes())?;
        known.tail = tail;
        let file = Arc::clone(&known.file);
        self.known = Some(known);
        Ok(file)
    }

    /// Has the file system keep room for the lines of what is signed before it is known that the disk is full.
    ///
    /// # Errors
    /// Where there is none; what was appended is there all the same.
    pub fn keep_room(&mut self) -> Result<()> {
        match &mut self.known {
            Some(known) => room::keep(&known.file, &known.path, known.size, &mut known.room),
            None => Ok(()),
        }
    }

    /// The end of the log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tail(&mut self) -> Result<Tail> {
        end_of(&self.folder)
    }

    fn find_end(&self) -> Result<Known> {
        check_folder(&self.folder)?;
        let Some(path) = last_file(&self.folder)? else {
            return self.begin(Tail {
                number: 0,
                hash: NONE,
            });
        };
        let (tail, size) = read_tail(&path)?;
        let known = open_end(path, size, tail)?;
        // What a power cut or a full disk left of a line is cut off, so that the chain goes on behind the last whole one.
        let real = known.file.metadata().map(|file| file.len());
        if real.is_ok_and(|real| real > size) {
            known
                .file
                .set_len(size)
                .map_err(|error| io_error("the audit log", &known.path, "be repaired", &error))?;
        }
        Ok(known)
    }

    /// Begins a file; its first line repeats the hash of the line before, and the name of the log.
    fn begin(&self, tail: Tail) -> Result<Known> {
        let name = match tail.number {
            0 => {
                self.seals.begin()?;
                None
            }
            _ => mark::name_in(&self.folder)?,
        };
        let path = self.folder.join(format!("{:012}.jsonl", tail.number + 1));
        let mut text = String::new();
        let now = u64::try_from(clock::now().as_micros()).unwrap_or(u64::MAX);
        line::begin(&mut text, tail.number + 1, now, "begin");
        text.push_str(&format!(
            ",\"version\":1,\"before\":\"{}\"",
            base16ct::lower::encode_string(&tail.hash)
        ));
        if let Some(name) = name {
            text.push_str(&format!(",\"log\":\"{name}\""));
        }
        let hash = line::close(&mut text, 0, &tail.hash);
        // Never without its first line: whoever found it so could not go on from it.
        make_whole("the audit log", &self.folder, &path, text.as_bytes())?;
        let tail = Tail {
            number: tail.number + 1,
            hash,
        };
        open_end(path, text.len() as u64, tail)
    }
}

/// Opens a file of the log for appending, of which it is known where its lines end.
fn open_end(path: PathBuf, size: u64, tail: Tail) -> Result<Known> {
    let file = File::options()
        .append(true)
        .custom_flags(own_flags())
        .open(&path)
        .map_err(|error| io_error("the audit log", &path, "be opened", &error))?;
    Ok(Known {
        file: Arc::new(file),
        path,
        size,
        room: 0,
        tail,
    })
}

/// Whether the file is as this process left it, and in its place: another one there, as of a file system that was mounted
/// anew, is the log from then on.
fn still(known: &Known) -> bool {
    let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&known.file), rustix::fs::lstat(&known.path)) else {
        return false;
    };
    (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
        && u64::try_from(ours.st_size) == Ok(known.size)
        // Another process may have begun the next.
        && known.path.parent().and_then(|folder| last_file(folder).ok().flatten()).as_ref() == Some(&known.path)
}

fn last_file(folder: &Path) -> Result<Option<PathBuf>> {
    let names = list_folder(folder)?;
    let last = names.into_iter().rev().find(|name| first_line(name).is_some());
    Ok(last.map(|name| folder.join(name)))
}

fn open_lock(path: &Path) -> Result<File> {
    let wrong = |error| match path.symlink_metadata() {
        Ok(there) if there.is_dir() || there.file_type().is_fifo() => bad_input(format!(
            "{} is not a plain file, so nothing is signed",
            path.display()
        ))
        .fix("take it away: hsmsign makes the file itself"),
        _ => io_error(
            "the audit log's lock",
            path,
            "be opened, so nothing is signed",
            &error,
        ),
    };
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(own_flags())
        .open(path)
        .map_err(wrong)
}

/// Waits for the turn to write that processes take, and gives it back.
///
/// # Errors
/// When there is none to be had: then nothing is signed.
pub fn take_turn(home: &Home) -> Result<()> {
    let path = home.state("audit").join(".lock");
    exclusive(&open_lock(&path)?, &path)
}

fn write(known: &mut Known, bytes: &[u8]) -> Result<()> {
    let written = (&*known.file).write_all(bytes);
    if let Err(error) = written {
        // A line that is there in part is no line.
        let _ = known.file.set_len(known.size);
        return Err(io_error("the audit log", &known.path, UNWRITTEN, &error));
    }
    known.size += bytes.len() as u64;
    Ok(())
}

/// The last whole line of a file, and where it ends.
fn read_tail(path: &Path) -> Result<(Tail, u64)> {
    let damaged = || {
        failed(format!(
            "the audit log {} has no line at its end that can be gone on from",
            path.display()
        ))
        .fix("look at it: hsmsign audit verify; then move the folder `audit` and the file audit.seal away together, and keep both")
    };
    let read = |error| io_error("the audit log", path, "be read", &error);
    let mut file = open_own(path)?.ok_or_else(damaged)?;
    let size = file.metadata().map_err(read)?.len();
    let mut near = NEAR;
    let mut from = size.saturating_sub(near);
    let (bytes, begin, end) = loop {
        file.seek(SeekFrom::Start(from)).map_err(read)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size - from).unwrap_or_default() + 1);
        (&mut file)
            .take(size - from)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let begin = end.and_then(|end| bytes[..end].iter().rposition(|byte| *byte == b'\n'));
        match (begin, end) {
            (Some(begin), Some(end)) => break (bytes, begin + 1, end),
            (None, Some(end)) if from == 0 => break (bytes, 0, end),
            _ if from == 0 || near >= line::LONGEST => return Err(damaged()),
            _ => {
                near = (near * 16).min(line::LONGEST);
                from = size.saturating_sub(near);
            }
        }
    };
    let last = &bytes[begin..end];
    let number = line::number(last).ok_or_else(damaged)?;
    let (_, hash) = line::open(last).ok_or_else(damaged)?;
    Ok((Tail { number, hash }, from + end as u64 + 1))
}
