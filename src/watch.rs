//! Whether the owner's files may have changed, for a process that is asked thousands of times a second.
//!
//! inotify(7) queues an event before the call that changes a file returns. Whoever has seen a change done and asks
//! afterwards is answered by its state: asking is one read of an empty queue, where looking at each file would be a
//! path to walk for each.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{inotify, statfs},
    io::Errno,
};

/// How long nothing is believed to have changed without a look: a file that is linked from elsewhere can be changed
/// there, and a folder mounted over, with no event.
const LONGEST: Duration = Duration::from_secs(1);
/// File systems that no other machine writes to, by statfs(2): ext4, XFS, Btrfs, tmpfs, ramfs, F2FS, ZFS, overlayfs.
const LOCAL: [u32; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x8584_58f6,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0x794c_7630,
];

/// Folders that are watched, not what lies in folders below them.
pub struct Watch {
    inotify: OwnedFd,
    /// Must be there.
    roots: Vec<PathBuf>,
    /// May be there; each in one of the others.
    folders: Vec<PathBuf>,
    state: Mutex<State>,
}

/// A state of the files: equal ones are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

impl Epoch {
    /// This moment, which is no other: what is asked in it looks at each file once.
    pub fn moment() -> Self {
        // Far from those that are counted from zero.
        static COUNT: AtomicU64 = AtomicU64::new(1 << 63);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

struct State {
    epoch: u64,
    since: Instant,
    /// Whether events may be missing from here on.
    blind: bool,
}

impl Watch {
    /// Watches folders; none where the kernel or a file system does not tell of every change.
    pub fn over(roots: Vec<PathBuf>, folders: Vec<PathBuf>) -> Option<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = Self {
            inotify: inotify::init(flags).ok()?,
            roots,
            folders,
            state: Mutex::new(State {
                epoch: 0,
                since: Instant::now(),
                blind: false,
            }),
        };
        watch.look().ok()?;
        Some(watch)
    }

    /// The state of the files; none where it must be looked at each.
    pub fn epoch(&self) -> Option<Epoch> {
        let mut state = self.state();
        if state.blind {
            return None;
        }
        let now = Instant::now();
        if self.has_events() {
            state.blind = self.look().is_err();
        } else if now < state.since + LONGEST {
            return Some(Epoch(state.epoch));
        }
        state.epoch += 1;
        state.since = now;
        (!state.blind).then_some(Epoch(state.epoch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the events that wait. What happened is not of interest: whatever it is, all is looked at again.
    fn has_events(&self) -> bool {
        let mut room = [0_u8; 4096];
        let mut some = false;
        loop {
            match rustix::io::read(&self.inotify, &mut room) {
                Err(Errno::AGAIN) => return some,
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return true,
                Ok(_) => some = true,
            }
        }
    }

    /// Watches all there is, also what was not there before.
    fn look(&self) -> io::Result<()> {
        for root in &self.roots {
            self.add(root)?;
        }
        for folder in &self.folders {
            match self.add(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn add(&self, folder: &Path) -> io::Result<()> {
        use inotify::WatchFlags as On;
        let on = On::CREATE
            | On::DELETE
            | On::MOVED_FROM
            | On::MOVED_TO
            | On::MODIFY
            | On::ATTRIB
            | On::DELETE_SELF
            | On::MOVE_SELF
            | On::ONLYDIR;
        inotify::add_watch(&self.inotify, folder, on)?;
        // The kernel's type is signed and of 64 bits on some machines.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let kind = statfs(folder)?.f_type as u32;
        if LOCAL.contains(&kind) {
            Ok(())
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn place() -> Option<(tempfile::TempDir, Watch)> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let Some(watch) = Watch::over(vec![root.clone()], vec![root.join("below")]) else {
            eprintln!("SKIPPED: the folder for temporary files tells of no changes");
            return None;
        };
        Some((folder, watch))
    }

    /// Whether something is told to have changed by what is done, sooner than by time alone.
    fn changed(watch: &Watch, act: impl FnOnce()) -> bool {
        // The time since which nothing changed begins here.
        watch.state.lock().unwrap().since = Instant::now() + LONGEST * 100;
        let before = watch.epoch().unwrap();
        assert_eq!(watch.epoch().unwrap(), before);
        act();
        watch.epoch() != Some(before)
    }

    #[test]
    fn every_change_of_a_file_begins_another_epoch() {
        let Some((folder, watch)) = place() else { return };
        let (root, elsewhere) = (folder.path().join("root"), folder.path().join("elsewhere"));
        let file = root.join("file");
        assert!(!changed(&watch, || ()));
        assert!(changed(&watch, || fs::write(&file, "a").unwrap()));
        assert!(changed(&watch, || fs::write(&file, "b").unwrap()));
        assert!(changed(&watch, || fs::rename(&file, &elsewhere).unwrap()));
        assert!(changed(&watch, || fs::rename(&elsewhere, &file).unwrap()));
        assert!(changed(&watch, || fs::remove_file(&file).unwrap()));
        assert!(!changed(&watch, || fs::write(&elsewhere, "c").unwrap()));
        let below = root.join("below");
        assert!(changed(&watch, || {
            fs::create_dir(&below).unwrap();
            fs::write(below.join("file"), "a").unwrap();
        }));
        assert!(changed(&watch, || fs::write(below.join("file"), "b").unwrap()));
        assert!(changed(&watch, || fs::remove_dir_all(&below).unwrap()));
        assert!(changed(&watch, || fs::create_dir(&below).unwrap()));
        assert!(changed(&watch, || fs::write(below.join("file"), "b").unwrap()));
    }

    #[test]
    fn an_epoch_ends_by_time_too() {
        let Some((_folder, watch)) = place() else { return };
        let before = watch.epoch().unwrap();
        watch.state.lock().unwrap().since = Instant::now().checked_sub(LONGEST).unwrap();
        assert_ne!(watch.epoch().unwrap(), before);
    }

    #[test]
    fn where_a_root_is_gone_nothing_is_known() {
        let Some((folder, watch)) = place() else { return };
        fs::rename(folder.path().join("root"), folder.path().join("moved")).unwrap();
        assert!(watch.epoch().is_none());
        fs::rename(folder.path().join("moved"), folder.path().join("root")).unwrap();
        assert!(watch.epoch().is_none());
    }
}
