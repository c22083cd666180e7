//! What was counted, in one file a key that every process shares: a record a count, written in place under a lock.
//!
//! A record has the sums of the latest spans of its window, so that "a day" is any 24 hours. A span never goes back: a
//! clock that was set back counts into the latest one. A record lies in one sector, so it is written whole or not at all.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock, fstat};
use sha2::{Digest as _, Sha256};

use super::{decimal::Amount, judge::Wanted, rules::Window};
use crate::{
    error::{Code, Error, Result, failed},
    home::{check_folder, create_folder, io_error, open_private},
    keyring::KeyName,
    shared_file::{exclusive, make_whole},
};

/// The length of a record, and of the head of the file.
const RECORD: usize = 512;
const HEAD: &[u8] = b"hsmsign counts 1\n";
/// The most spans that a window has, the latest one included.
const SPANS: usize = 25;
/// How many counts a key may have.
const MOST: usize = 1024;

impl Window {
    /// How long a span is, in milliseconds, and how many of them the window has.
    const fn spans(self) -> (u64, usize) {
        match self {
            Self::Second => (100, 11),
            Self::Minute => (3_000, 21),
            Self::Day => (3_600_000, 25),
        }
    }
}

/// The counts of all keys.
pub(super) struct Counts {
    folder: PathBuf,
    open: Mutex<HashMap<KeyName, File>>,
}

/// One count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    id: [u8; 16],
    /// Milliseconds of a span.
    span: u64,
    /// The number of the latest span since 1970.
    latest: u64,
    /// Its sum, then that of the one before it, and so on.
    sums: [u128; SPANS],
}

impl Counts {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    /// Counts all of it, or nothing where one of them would go beyond its limit: then `denied`. Without `take` it only
    /// looks.
    pub(super) fn count(&self, key: &KeyName, wanted: &[Wanted], now: Duration, take: bool) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(key.as_str());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.remove(key) {
            Some(file) => file,
            None => self.open_file(&path)?,
        };
        exclusive(&file, &path)?;
        let file = if fstat(&file).is_ok_and(|file| file.st_nlink > 0) {
            file
        } else {
            let file = self.open_file(&path)?;
            exclusive(&file, &path)?;
            file
        };
        let counted = Self::count_in(&file, &path, wanted, now, take);
        if flock(&file, FlockOperation::Unlock).is_ok() {
            open.insert(key.clone(), file);
        }
        counted
    }

    fn count_in(file: &File, path: &Path, wanted: &[Wanted], now: Duration, take: bool) -> Result<()> {
        let mut records = read(file, path)?;
        let mut changed: Vec<usize> = Vec::new();
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for one in wanted {
            let id = id(&one.identity);
            let (span, spans) = one.window.spans();
            let at = match records.iter().position(|record| record.id == id) {
                Some(at) => at,
                None => {
                    let fresh = Record {
                        id,
                        span,
                        latest: millis / span,
                        sums: [0; SPANS],
                    };
                    // In the place of one that nothing is counted in any more, where there is one.
                    let over = |at: &usize| !changed.contains(at) && records[*at].is_over(millis);
                    match (0..records.len()).find(over) {
                        Some(at) => records[at] = fresh,
                        None => records.push(fresh),
                    }
                    records
                        .iter()
                        .position(|record| record.id == id)
                        .unwrap_or_default()
                }
            };
            let record = &mut records[at];
            record.turn(millis / span);
            let used = record.sums[..spans]
                .iter()
                .fold(Amount::default(), |sum, one| sum.plus(Amount(*one)));
            if used.plus(one.amount) > one.limit {
                return Err(over(one, used, record.latest > millis / span));
            }
            record.sums[0] = Amount(record.sums[0]).plus(one.amount).0;
            changed.push(at);
        }
        if records.len() > MOST {
            return Err(failed(format!("{} has too many counts", path.display()))
                .fix("take rules with counts out of the policy"));
        }
        let (Some(first), Some(last)) = (changed.iter().min(), changed.iter().max()) else {
            return Ok(());
        };
        if !take {
            return Ok(());
        }
        let bytes: Vec<u8> = records[*first..=*last].iter().flat_map(Record::render).collect();
        file.write_all_at(&bytes, ((first + 1) * RECORD) as u64)
            .map_err(|error| io_error("the counts", path, "be written", &error))
    }

    fn open_file(&self, path: &Path) -> Result<File> {
        if open_private(path)?.is_none() {
            create_folder(&self.folder)?;
            let mut head = [b' '; RECORD];
            head[..HEAD.len()].copy_from_slice(HEAD);
            make_whole("the counts", &self.folder, path, &head)?;
        } else {
            check_folder(&self.folder)?;
        }
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| io_error("the counts", path, "be opened", &error))
    }
}

fn over(one: &Wanted, used: Amount, ahead: bool) -> Error {
    let window = one.window.name();
    let error = Error::new(
        Code::Denied,
        format!(
            "{}: {used} of {} in a {window} are used up, and the request wants {}",
            one.rule, one.limit, one.amount
        ),
    )
    .by(one.rule.as_str());
    if ahead {
        return error.fix(format!(
            "wait, or raise the limit; the clock was further ahead when that was counted, and a {window} is over only then"
        ));
    }
    error.fix("wait until it is less, or raise the limit")
}

fn id(identity: &str) -> [u8; 16] {
    let digest = Sha256::digest(identity.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

fn read(file: &File, path: &Path) -> Result<Vec<Record>> {
    let damaged = || {
        failed(format!("the counts in {} are damaged", path.display()))
            .fix("move the file away if the limits may begin anew")
    };
    let size = file
        .metadata()
        .map_err(|error| io_error("the counts", path, "be read", &error))?
        .len();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if !(RECORD..=(MOST + 1) * RECORD).contains(&size) {
        return Err(damaged());
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|error| io_error("the counts", path, "be read", &error))?;
    if !bytes.starts_with(HEAD) {
        return Err(damaged());
    }
    // What a full disk cut short is not there.
    bytes[RECORD..]
        .chunks_exact(RECORD)
        .map(|bytes| Record::parse(bytes).ok_or_else(damaged))
        .collect()
}

impl Record {
    /// Goes on to a span; never back.
    fn turn(&mut self, to: u64) {
        let by = usize::try_from(to.saturating_sub(self.latest))
            .unwrap_or(SPANS)
            .min(SPANS);
        self.sums.rotate_right(by % SPANS);
        self.sums[..by].fill(0);
        self.latest = self.latest.max(to);
    }

    /// Whether its window lies in the past, whatever it is.
    fn is_over(&self, millis: u64) -> bool {
        (self.latest + SPANS as u64 + 1).saturating_mul(self.span) < millis
    }

    fn render(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..24].copy_from_slice(&self.span.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.latest.to_le_bytes());
        for (sum, place) in self.sums.iter().zip(bytes[32..].chunks_exact_mut(16)) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        let sum = checksum(&bytes[..RECORD - 8]);
        bytes[RECORD - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at(RECORD - 8);
        if sum != checksum(body).to_le_bytes() {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let mut sums = [0; SPANS];
        for (sum, place) in sums.iter_mut().zip(body[32..].chunks_exact(16)) {
            *sum = u128::from_le_bytes(place.try_into().ok()?);
        }
        Some(Self {
            id: body[..16].try_into().ok()?,
            span: number(16).filter(|span| *span > 0)?,
            latest: number(24).filter(|latest| *latest < u64::MAX / 2)?,
            sums,
        })
    }
}

/// FNV-1a over words: it finds what a broken disk did, and no more is asked of it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        let mut whole = [0; 8];
        whole[..word.len()].copy_from_slice(word);
        (sum ^ u64::from_le_bytes(whole))
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn place() -> (tempfile::TempDir, KeyName) {
        let folder = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        (folder, "k".parse().unwrap())
    }

    fn wanted(window: Window, limit: u64) -> [Wanted; 1] {
        [Wanted {
            identity: window.name().into(),
            rule: "rate".into(),
            window,
            limit: Amount::whole(limit),
            amount: Amount::whole(1),
        }]
    }

    /// How many of twenty are permitted at that time, each by a process of its own.
    fn permitted(folder: &Path, key: &KeyName, window: Window, now: Duration) -> usize {
        (0..20)
            .filter(|_| {
                Counts::new(folder.to_owned())
                    .count(key, &wanted(window, 5), now, true)
                    .is_ok()
            })
            .count()
    }

    #[test]
    fn no_span_of_a_window_has_more_than_its_limit() {
        for (window, length) in [(Window::Second, 1), (Window::Minute, 60), (Window::Day, 86_400)] {
            let (folder, key) = place();
            let at = |part: f64| NOW + Duration::from_secs(length).mul_f64(part);
            assert_eq!(permitted(folder.path(), &key, window, at(0.0)), 5, "{window:?}");
            assert_eq!(permitted(folder.path(), &key, window, at(0.5)), 0, "{window:?}");
            assert_eq!(permitted(folder.path(), &key, window, at(0.999)), 0, "{window:?}");
            assert_eq!(permitted(folder.path(), &key, window, at(1.2)), 5, "{window:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_starts_nothing_anew() {
        let (folder, key) = place();
        assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 5);
        for back in [1, 3_600, 86_400, 900_000_000] {
            let then = NOW - Duration::from_secs(back);
            assert_eq!(permitted(folder.path(), &key, Window::Day, then), 0, "{back}");
        }
        let error = Counts::new(folder.path().to_owned())
            .count(
                &key,
                &wanted(Window::Day, 5),
                NOW - Duration::from_secs(90_000),
                true,
            )
            .unwrap_err();
        assert!(
            error.advice().contains("the clock was further ahead"),
            "{error:?}"
        );
    }

    #[test]
    fn what_is_denied_counts_nothing_and_looking_neither() {
        let (folder, key) = place();
        let counts = Counts::new(folder.path().to_owned());
        let mut two = wanted(Window::Day, 5).to_vec();
        two.extend(wanted(Window::Minute, 0));
        assert_eq!(
            counts.count(&key, &two, NOW, true).unwrap_err().code(),
            Code::Denied
        );
        for _ in 0..50 {
            counts.count(&key, &wanted(Window::Day, 5), NOW, false).unwrap();
        }
        assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 5);
    }

    #[test]
    fn threads_and_processes_share_one_count() {
        let (folder, key) = place();
        let one = Counts::new(folder.path().to_owned());
        let permitted: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|at| {
                    let (one, folder, key) = (&one, folder.path(), &key);
                    scope.spawn(move || {
                        let own = Counts::new(folder.to_owned());
                        let counts = if at % 2 == 0 { one } else { &own };
                        (0..50)
                            .filter(|_| counts.count(key, &wanted(Window::Day, 100), NOW, true).is_ok())
                            .count()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(permitted, 100);
    }

    #[test]
    fn damage_is_an_error_and_what_a_full_disk_cut_is_not() {
        let (folder, key) = place();
        let counts = Counts::new(folder.path().to_owned());
        counts.count(&key, &wanted(Window::Day, 5), NOW, true).unwrap();
        let path = folder.path().join("k");
        let whole = std::fs::read(&path).unwrap();
        let mut odd = whole.clone();
        odd[RECORD + 40] ^= 1;
        for damage in [&odd[..], b"x", &[0; 3 * RECORD]] {
            std::fs::write(&path, damage).unwrap();
            let error = counts
                .count(&key, &wanted(Window::Day, 5), NOW, true)
                .unwrap_err();
            assert!(error.message().contains("damaged"), "{error}");
        }
        std::fs::write(&path, [&whole[..], &[1; 100]].concat()).unwrap();
        counts.count(&key, &wanted(Window::Day, 5), NOW, true).unwrap();
    }

    #[test]
    fn a_count_that_is_over_makes_room() {
        let (folder, key) = place();
        let counts = Counts::new(folder.path().to_owned());
        for at in 0..40_u64 {
            let mut one = wanted(Window::Second, 5);
            one[0].identity = at.to_string();
            counts
                .count(&key, &one, NOW + Duration::from_secs(at * 10), true)
                .unwrap();
        }
        let size = std::fs::metadata(folder.path().join("k")).unwrap().len();
        assert!(size <= 3 * RECORD as u64, "{size}");
    }
}
