//! Killing a process at a moment that is counted in what it does to files, and what state that leaves.
//!
//! By the clock most kills meet a process that loads or logs in; by the changes of files they meet the steps between.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    path::PathBuf,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init},
};
use serde_json::Value;

use crate::{bench::Place, state::Random};

/// When a process is killed: after so many changes of files, and so many microseconds more.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub changes: usize,
    pub micros: u64,
}

impl Moment {
    /// Two in five anywhere among the changes that the whole work makes, which are mostly the token's; two in five near
    /// its end, where the record is written; one in five by the clock.
    pub fn random(random: &mut Random, changes: usize, micros: u64) -> Self {
        const END: u64 = 8;
        let changes = changes as u64;
        let (changes, micros) = match random.below(5) {
            0 => (0, random.below(micros)),
            1 | 2 => (random.below(changes + 1), random.below(400)),
            _ => (changes.saturating_sub(random.below(END)), random.below(200)),
        };
        Self {
            changes: usize::try_from(changes).unwrap(),
            micros,
        }
    }
}

/// Counts the changes of files in the folders of keyring and token.
struct Watch(OwnedFd);

impl Watch {
    fn new(place: &Place) -> Self {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let changes = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE;
        for folder in [
            place.home().join("journal"),
            place.home().join("keys"),
            token(place),
        ] {
            add_watch(&watch, &folder, changes).unwrap();
        }
        Self(watch)
    }

    /// Waits for a number of changes, for the process to end, or for a while. Answers how many there were.
    fn wait(&self, wanted: usize, child: &mut Child) -> usize {
        let mut room = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.0, &mut room);
        let begun = Instant::now();
        let mut seen = 0;
        while seen < wanted && begun.elapsed() < Duration::from_secs(60) {
            match reader.next() {
                Ok(_) => seen += 1,
                Err(_) if child.try_wait().unwrap().is_some() => return seen,
                Err(_) => {
                    let mut ready = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
                    let pause = Timespec {
                        tv_sec: 0,
                        tv_nsec: 5_000_000,
                    };
                    poll(&mut ready, Some(&pause)).unwrap();
                }
            }
        }
        seen
    }
}

/// Where the objects of the development token lie.
/// The folder of the token that is set up, whose name ends with its serial number. Where setting one up was killed there
/// may be another beside it, of which nobody has the PIN.
fn token(place: &Place) -> PathBuf {
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    let line = config.lines().find_map(|line| line.strip_prefix("serial = "));
    let serial = line.unwrap().trim_matches('"');
    let folders = fs::read_dir(place.token_folder()).unwrap();
    let mut folders = folders.map(|entry| entry.unwrap().path());
    folders
        .find(|path| path.to_string_lossy().replace('-', "").ends_with(serial))
        .unwrap()
}

fn start(place: &Place, args: &[&str], input: &str) -> Child {
    let mut command = place.command(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child
}

/// How many changes of files a command makes that nobody kills, and how many microseconds it takes.
pub fn measure(place: &Place, args: &[&str], input: &str) -> (usize, u64) {
    let watch = Watch::new(place);
    let begun = Instant::now();
    let mut child = start(place, args, input);
    let changes = watch.wait(usize::MAX, &mut child);
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap();
    assert!(child.wait().unwrap().success(), "{args:?}");
    (changes, micros)
}

/// Starts a command and kills it at the moment. Answers whether it was killed; not where it had ended by itself.
pub fn kill_at(place: &Place, args: &[&str], input: &str, moment: Moment) -> bool {
    let watch = Watch::new(place);
    let mut child = start(place, args, input);
    watch.wait(moment.changes, &mut child);
    sleep(Duration::from_micros(moment.micros));
    child.kill().unwrap();
    child.wait().unwrap().signal().is_some()
}

/// What the files of keyring, journal and token say, seen without any process of hsmsign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The records by name.
    pub records: BTreeMap<String, String>,
    /// The entries of the journal.
    pub journal: usize,
    /// Files that a write left beside the one it was to replace.
    pub unfinished: usize,
    /// The sizes of the object files on the token, without the token's own.
    pub objects: BTreeMap<String, u64>,
}

impl Files {
    pub fn read(place: &Place) -> Self {
        let names = |folder: PathBuf| -> Vec<String> {
            let entries = fs::read_dir(folder).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let (keys, journal) = (place.home().join("keys"), place.home().join("journal"));
        let (records, beside): (Vec<_>, Vec<_>) = names(keys.clone())
            .into_iter()
            .partition(|name| !name.starts_with('.'));
        let (entries, more): (Vec<_>, Vec<_>) = names(journal)
            .into_iter()
            .partition(|name| !name.starts_with('.'));
        let token = token(place);
        Self {
            records: records
                .into_iter()
                .map(|name| {
                    let record = fs::read_to_string(keys.join(&name)).unwrap();
                    (name.trim_end_matches(".json").to_owned(), record)
                })
                .collect(),
            journal: entries.len(),
            unfinished: beside.len() + more.len(),
            objects: names(token.clone())
                .into_iter()
                .filter(|name| name.ends_with(".object") && name != "token.object")
                .map(|name| {
                    let size = fs::metadata(token.join(&name)).unwrap().len();
                    (name, size)
                })
                .collect(),
        }
    }

    /// How many objects the records name.
    pub fn named(&self) -> usize {
        let objects = |pair: &Value| -> usize {
            let copies = pair["copies"].as_array().into_iter().flatten();
            copies
                .map(|copy| copy["objects"].as_object().unwrap().len())
                .sum()
        };
        self.records
            .values()
            .map(|record| serde_json::from_str::<Value>(record).unwrap())
            .map(|record| ["current", "previous", "next"].map(|pair| objects(&record[pair])))
            .map(|counts| counts.into_iter().sum::<usize>())
            .sum()
    }

    /// Where between the steps a kill met the work that began with `before`.
    pub fn step(&self, before: &Self) -> &'static str {
        match (self.journal > before.journal, self.records != before.records) {
            (false, false) if self.objects != before.objects => "while the module was tried",
            (false, false) if self.unfinished > 0 => "while the journal was written",
            (false, false) => "before the journal",
            (true, false) if self.objects == before.objects => "after the journal",
            (true, false) => "with objects made and no record",
            (true, true) if self.unfinished > 0 => "while the record was written",
            (true, true) => "after the record",
            (false, true) => "at its end",
        }
    }
}
