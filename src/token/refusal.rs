//! The memory of a PIN that a token refused: what its source was, never anything made from the PIN.

use std::{
    fs::metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    home::{Home, create_folder, read_private, remove_file, write_private},
};

const LIMIT: u64 = 1 << 16;

/// What a source of PINs is at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    source: String,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Of a systemd credential, the folder that it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<Folder>,
}

/// A folder of systemd credentials. Each start of a unit makes a new one, with every file in it new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Folder {
    device: u64,
    inode: u64,
    /// When it was made, where the file system says.
    born: Option<(i64, u32)>,
    /// Which start of the unit this is, as systemd counts them.
    invocation: Option<String>,
}

impl Mark {
    /// A source that looks the same each time, as one pipe and the next.
    pub fn of_a_stream(source: String) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// A file as it is now; none where there is none.
    pub fn of_file(source: String, path: &Path) -> Option<Self> {
        let file = metadata(path).ok()?;
        Some(Self {
            source,
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            folder: None,
        })
    }

    /// A systemd credential as it is now; none where there is none.
    pub fn of_credential(source: String, path: &Path) -> Option<Self> {
        let mut mark = Self::of_file(source, path)?;
        mark.folder = Folder::now(path.parent()?);
        Some(mark)
    }

    /// How this stands to a source that was refused.
    fn against(&self, refused: &Self) -> Standing {
        // The number of a device is another when it is plugged in or mounted anew.
        let device = refused.device;
        let here = Self {
            device,
            ..self.clone()
        };
        if here == *refused {
            return Standing::Same;
        }
        // A credential of a new folder is a new file with a new time, whether anybody changed it or not.
        let blind = self.folder.is_some() && self.folder != refused.folder;
        if blind && self.source == refused.source && self.size == refused.size {
            return Standing::Unknown;
        }
        Standing::Changed
    }
}

impl Folder {
    fn now(path: &Path) -> Option<Self> {
        let data = metadata(path).ok()?;
        let born = statx(CWD, path, AtFlags::empty(), StatxFlags::BTIME).ok();
        let born = born.filter(|seen| seen.stx_mask & StatxFlags::BTIME.bits() != 0);
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            born: born.map(|seen| (seen.stx_btime.tv_sec, seen.stx_btime.tv_nsec)),
            invocation: std::env::var("INVOCATION_ID").ok(),
        })
    }
}

/// How a source stands to one that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was refused, or it has changed since.
    Changed,
    /// It is as it was.
    Same,
    /// It may be as it was, and nothing tells.
    Unknown,
}

/// Where it is remembered that the PIN of a token was refused.
pub(super) struct Memory(PathBuf);

impl Memory {
    /// For this token.
    pub fn of(home: &Home, token: &str) -> Self {
        Self(home.state("pins").join(format!("{token}.refused")))
    }

    /// How a source stands to the one that was refused last; what has changed is forgotten. A memory that cannot be
    /// understood is taken for the same source.
    pub fn ask(&self, now: Option<&Mark>) -> Result<Standing> {
        let Some(bytes) = read_private(&self.0, LIMIT)? else {
            return Ok(Standing::Changed);
        };
        let Ok(refused) = serde_json::from_slice::<Mark>(&bytes) else {
            return Ok(Standing::Same);
        };
        // A source that is not there changes nothing: its reader says that it is missing.
        let Some(now) = now else {
            return Ok(Standing::Changed);
        };
        let standing = now.against(&refused);
        if standing == Standing::Changed {
            remove_file(&self.0)?;
        }
        Ok(standing)
    }

    /// Remembers that a source was refused.
    pub fn keep(&self, mark: &Mark) -> Result<()> {
        let text = serde_json::to_vec(mark)
            .map_err(|error| crate::error::failed(format!("a refused PIN cannot be noted: {error}")))?;
        self.0.parent().map_or(Ok(()), create_folder)?;
        write_private(&self.0, &text)
    }

    /// Forgets it. Answers whether there was anything.
    pub fn forget(&self) -> Result<bool> {
        let remembered = self.0.exists();
        remove_file(&self.0).map(|()| remembered)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A credential as a start of its unit makes it.
    fn start(folder: &Path, pin: &str) -> Mark {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder).unwrap();
        let path = folder.join("pin");
        fs::write(&path, pin).unwrap();
        Mark::of_credential("credential:pin".into(), &path).unwrap()
    }

    #[test]
    fn a_credential_that_is_only_new_is_not_taken_for_changed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("unit");
        let refused = start(&folder, "1234");
        assert_eq!(refused.against(&refused), Standing::Same);
        // A person wrote another one into the same folder, later than the clock of files ticks.
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::write(folder.join("pin"), "4321").unwrap();
        let now = Mark::of_credential("credential:pin".into(), &folder.join("pin")).unwrap();
        assert_eq!(now.against(&refused), Standing::Changed);
        // The unit was started again.
        let mut again = start(&folder, "1234");
        again.folder.as_mut().unwrap().invocation = Some("another".into());
        assert_eq!(again.against(&refused), Standing::Unknown);
        let mut longer = start(&folder, "123456");
        longer.folder.as_mut().unwrap().invocation = Some("another".into());
        assert_eq!(longer.against(&refused), Standing::Changed);
        let text = serde_json::to_string(&again).unwrap();
        assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), again);
        assert!(!text.contains("1234"), "{text}");
    }

    #[test]
    fn what_is_not_there_makes_nobody_forget() {
        let place = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .unwrap();
        let memory = Memory::of(&Home::at(place.path()), "t");
        let refused = start(&place.path().join("unit"), "1234");
        memory.keep(&refused).unwrap();
        assert_eq!(memory.ask(None).unwrap(), Standing::Changed);
        assert_eq!(memory.ask(Some(&refused)).unwrap(), Standing::Same);
        assert!(memory.forget().unwrap());
        assert_eq!(memory.ask(Some(&refused)).unwrap(), Standing::Changed);
    }

    #[test]
    fn a_plain_file_is_known_by_itself() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pin");
        fs::write(&path, "1234").unwrap();
        let refused = Mark::of_file("file:pin".into(), &path).unwrap();
        fs::remove_file(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::write(&path, "4321").unwrap();
        let mut now = Mark::of_file("file:pin".into(), &path).unwrap();
        assert_eq!(now.against(&refused), Standing::Changed);
        // The same one, on a stick that was pulled out and plugged in.
        let refused = now.clone();
        now.device += 1;
        assert_eq!(now.against(&refused), Standing::Same);
        now.inode += 1;
        assert_eq!(now.against(&refused), Standing::Changed);
    }
}
