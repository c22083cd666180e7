//! Copies of what tokens in software rewrite in place.
//!
//! At every login SoftHSM 2.6.1 empties `token.object`, and opencryptoki 3.8.1 `NVTOK.DAT`, and writes it anew. The file
//! holds the token's name and what lets the PIN in: killed between the two, or on a full disk, the module has lost the
//! token with every key on it. So hsmsign keeps a copy beside the token's folder, `.NAME.kept`, where the modules pass
//! over it and whoever may use the token finds the newest, and puts it back under the lock under which processes open
//! the token.

mod opencryptoki;

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rustix::{fs::OFlags, process::geteuid};

use crate::home::sync_folder;

const MOST: u64 = 1 << 16;
/// How long another program, which does not know hsmsign's lock, may be between emptying a file and writing it.
const WRITING: Duration = Duration::from_millis(50);

/// What a module rewrites.
struct Rewritten {
    file: &'static str,
    /// A file of fewer bytes was not written to its end.
    least: usize,
    /// Bytes at its front that count its writings.
    count: usize,
    /// What else is done to a token's folder, before its file is looked at.
    mend: fn(&Path),
    /// Makes a copy fit what is in the token's folder.
    fit: fn(&Path, &mut [u8]),
}

static SOFTHSM: Rewritten = Rewritten {
    file: "token.object",
    // The name, the serial number and the PIN's key take more.
    least: 128,
    count: 8,
    mend: |_| (),
    fit: |_, _| (),
};
static OPENCRYPTOKI: Rewritten = Rewritten {
    file: "NVTOK.DAT",
    least: opencryptoki::LEAST,
    count: 0,
    mend: opencryptoki::mend_index,
    fit: opencryptoki::skip_names,
};

/// A token's folder, where its copy is, and what is copied.
struct Kept {
    folder: PathBuf,
    copy: PathBuf,
    what: &'static Rewritten,
}

impl Kept {
    fn of(folder: &Path, what: &'static Rewritten) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Self {
            folder: folder.to_owned(),
            copy: folder.with_file_name(format!(".{name}.kept")),
            what,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(self.what.file)
    }

    /// A power cut may leave the length without the bytes.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.what.least && bytes.iter().any(|byte| *byte != 0)
    }

    fn is_lost(&self) -> bool {
        read(&self.file()).is_ok_and(|bytes| !self.is_whole(&bytes))
    }

    /// The copy, where it is whole and nobody made it who may not write the token.
    fn usable(&self) -> Option<Vec<u8>> {
        let (copy, bytes) = read_with(&self.copy).ok()?;
        let (file, _) = read_with(&self.file()).ok()?;
        (self.is_whole(&bytes) && may_stand_for(&copy, &file)).then_some(bytes)
    }

    fn mend(&self) {
        (self.what.mend)(&self.folder);
        if !self.is_lost() {
            return;
        }
        // Waiting is for naught where nothing can be put back.
        if let Some(mut copy) = self.usable()
            && stays(|| self.is_lost())
        {
            (self.what.fit)(&self.folder, &mut copy);
            // Where it cannot be written, opening tells what is missing.
            let _told_later = put_back(&self.file(), &copy);
        }
    }

    fn keep(&self) {
        let Ok((file, bytes)) = read_with(&self.file()) else {
            return;
        };
        let copy = read(&self.copy).unwrap_or_default();
        if self.is_whole(&bytes) && bytes.get(self.what.count..) != copy.get(self.what.count..) {
            let _best_effort = copy_as(&file, &bytes, &self.copy);
        }
    }
}

/// What there is of a SoftHSM token: the file with its name and key, and the copy of it.
pub struct SoftHsmFiles(Kept);

impl SoftHsmFiles {
    /// Of the token in this folder.
    pub fn of(folder: &Path) -> Self {
        Self(Kept::of(folder, &SOFTHSM))
    }

    /// Where its copy is, or would be.
    pub fn copy(&self) -> PathBuf {
        self.0.copy.clone()
    }

    /// Whether nothing can be read of it any more.
    pub fn is_wreck(&self) -> bool {
        let mut both = self.both();
        !both.any(|bytes| self.0.is_whole(&bytes))
    }

    /// Whether it has this label, which is padded with blanks to 32 bytes.
    pub fn bears(&self, label: &str) -> bool {
        let padded = format!("{label:<32}");
        let has = |bytes: Vec<u8>| bytes.windows(padded.len()).any(|part| part == padded.as_bytes());
        self.both().any(has)
    }

    fn both(&self) -> impl Iterator<Item = Vec<u8>> {
        let paths = [self.0.file(), self.0.copy.clone()];
        paths.into_iter().filter_map(|path| read(&path).ok())
    }
}

/// Puts the copies back where tokens were lost in the middle of a login, and copies what is new: another program may
/// have changed a PIN.
pub fn mend(tokens: &Path) {
    for kept in self::tokens(tokens) {
        kept.mend();
        kept.keep();
    }
}

/// Copies what is new. A token that hsmsign may read and not copy is used all the same.
pub fn keep(tokens: &Path) {
    for kept in self::tokens(tokens) {
        kept.keep();
    }
}

fn tokens(folder: &Path) -> impl Iterator<Item = Kept> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| [&SOFTHSM, &OPENCRYPTOKI].map(|what| Kept::of(&entry.path(), what)))
}

/// Whether something is so, and still is when another program had the time to end it.
fn stays(wrong: impl Fn() -> bool) -> bool {
    wrong() && {
        sleep(WRITING);
        wrong()
    }
}

/// Whether a copy may be put in a file's place: it is ours, root's or the file's owner's, or of the group that may write the
/// file. Others may be able to write the folder of tokens; what they leave there would bring a PIN of theirs.
fn may_stand_for(copy: &Metadata, file: &Metadata) -> bool {
    const GROUP_MAY_WRITE: u32 = 0o020;
    let owners = [geteuid().as_raw(), 0, file.uid()];
    owners.contains(&copy.uid()) || (file.mode() & GROUP_MAY_WRITE != 0 && copy.gid() == file.gid())
}

/// A plain file's bytes. Those who share a token share its folder, and a link in it leads nowhere.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_with(path).map(|(_, bytes)| bytes)
}

/// The same with what the system says of this very file.
fn read_with(path: &Path) -> io::Result<(Metadata, Vec<u8>)> {
    let file = open(path, OpenOptions::new().read(true))?;
    let metadata = file.metadata()?;
    let length = usize::try_from(metadata.len().min(MOST)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(length + 1);
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok((metadata, bytes))
}

fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = how.custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Writes over a file that is too short, to the disk. It stays the same file, with its owner and mode; what another
/// program is about to write into it is written after this.
fn put_back(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = open(path, OpenOptions::new().write(true))?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

/// Writes a copy of a file, whole or not at all, for those who may read the file.
fn copy_as(like: &Metadata, bytes: &[u8], copy: &Path) -> io::Result<()> {
    let folder = copy.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // Only one process at a time is here, so what bears this name was left by one that was killed.
    let new = copy.with_extension("kept.new");
    let _ = fs::remove_file(&new);
    let written = (|| {
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        out.write_all(bytes)?;
        if out.metadata()?.gid() != like.gid() {
            fchown(&out, None, Some(like.gid()))?;
        }
        out.set_permissions(Permissions::from_mode(like.mode() & 0o660))?;
        out.sync_all()?;
        fs::rename(&new, copy)?;
        sync_folder(folder)
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests;
