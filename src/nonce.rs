//! Nonces that increase for a key, over processes, crashes, power cuts and clocks that jump.
//!
//! A file a key holds the last nonce given out and the end of a reservation. Every nonce is written to the file under
//! a lock, so that processes and crashes repeat none; only the reservation is forced to the disk, a minute ahead at a
//! time. After a power cut (the system's boot id tells) counting goes on behind the reservation.

use std::{
    collections::HashMap,
    fs::File,
    io::ErrorKind,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, linkat};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result, bad_input, failed},
    home::{
        Home, beside, check_folder, create_folder, io_error, open_private, remove_file, sync_folder,
        write_private,
    },
    keyring::KeyName,
};

/// How far ahead of the last nonce a reservation reaches.
const AHEAD: Duration = Duration::from_secs(60);
/// A brought nonce that lies further than this in the future is refused.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
const SLOT: usize = 128;
const VERSION: &str = "1";

/// Steps a second of a nonce, as its length implies: ten digits are seconds since 1970, each further one a tenth.
fn implied_rate(nonce: u64) -> u64 {
    let digits = nonce.checked_ilog10().map_or(1, |log| log + 1);
    10_u64.pow(digits.saturating_sub(10))
}

/// The nonces of all keys.
#[derive(Debug)]
pub struct Nonces {
    folder: PathBuf,
    boot: Option<String>,
    /// Files that stay open between one nonce and the next.
    open: Mutex<HashMap<KeyName, File>>,
}

impl Nonces {
    /// The nonces of these folders.
    pub fn new(home: &Home) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            folder: home.state("nonces"),
            boot: boot.map(|id| id.trim().to_owned()).filter(|id| id.len() == 36),
            open: Mutex::default(),
        }
    }

    /// Nonces for several requests, written down together by [`Lease::finish`].
    pub const fn lease(&self) -> Lease<'_> {
        Lease {
            nonces: self,
            state: None,
            failed: None,
        }
    }

    /// A nonce greater than any before: the clock, or one more than the last where the clock is behind.
    ///
    /// `clock` is the time since 1970 in the nonce's own unit, of which a second has `per_second`.
    ///
    /// # Errors
    /// When the file cannot be read or written: then nothing may be signed.
    pub fn next(&self, key: &KeyName, clock: u64, per_second: u64) -> Result<u64> {
        let mut lease = self.lease();
        let nonce = lease.next(key, clock, per_second)?;
        lease.finish().map(|()| nonce)
    }

    /// Takes note of a nonce that the caller brought, so that later ones lie above it.
    ///
    /// # Errors
    /// When, read in the unit its length implies, it lies more than a day ahead: it would make every later nonce too
    /// small. And as [`Nonces::next`].
    pub fn raise(&self, key: &KeyName, nonce: u64, now: Duration) -> Result<()> {
        let mut lease = self.lease();
        lease.raise(key, nonce, now)?;
        lease.finish()
    }

    /// Lets the next nonce be greater than `above`. Never lowers.
    ///
    /// # Errors
    /// As [`Nonces::raise`], which takes the same look at how far ahead it lies.
    pub fn set_above(&self, key: &KeyName, above: u64, now: Duration) -> Result<()> {
        self.raise(key, above, now)
    }

    /// Forgets all nonces of a key, which then begin at the clock again.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self, key: &KeyName) -> Result<()> {
        lock(&self.open).remove(key);
        remove_file(&self.path(key))
    }

    /// The greatest nonce that may have been given out, even over a power cut; 0 for none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn high_water(&self, key: &KeyName) -> Result<u64> {
        if !self.path(key).exists() {
            return Ok(0);
        }
        let state = self.open(key)?;
        Ok(state.after()?.saturating_sub(1))
    }

    /// A mark that no nonce given out since `then` can have passed, for a mark that was read `then`.
    ///
    /// A sequence ahead of the clock grows by one a signature, one that follows the clock by the time that passed, so
    /// the time since, in the unit that the mark's length implies, and a reservation more, covers both.
    pub fn mark_after(mark: u64, then: Duration, now: Duration) -> u64 {
        if mark == 0 {
            return 0;
        }
        let since = now.saturating_sub(then) + AHEAD;
        let steps = since.as_micros().saturating_mul(u128::from(implied_rate(mark))) / 1_000_000;
        mark.saturating_add(u64::try_from(steps).unwrap_or(u64::MAX))
    }

    /// Sets a restored mark: at least `mark`, whatever the clock says.
    ///
    /// # Errors
    /// As [`Nonces::next`].
    pub fn restore(&self, key: &KeyName, mark: u64) -> Result<()> {
        let mut state = self.open(key)?;
        if mark > state.last {
            state.note(mark, AHEAD.as_secs() * implied_rate(mark));
        }
        state.store()
    }

    fn path(&self, key: &KeyName) -> PathBuf {
        self.folder.join(key.as_str())
    }

    fn open(&self, key: &KeyName) -> Result<State<'_>> {
        let path = self.path(key);
        let kept = lock(&self.open).remove(key);
        let file = match kept {
            Some(file) => file,
            None => self.open_file(&path)?,
        };
        exclusive(&file, &path)?;
        let linked = fstat(&file).is_ok_and(|file| file.st_nlink > 0);
        let file = if linked {
            file
        } else {
            // Moved away or replaced since it was opened.
            let file = self.open_file(&path)?;
            exclusive(&file, &path)?;
            file
        };
        State::read(self, key, file, path)
    }

    /// The file of a key, made if it is not there.
    fn open_file(&self, path: &Path) -> Result<File> {
        if open_private(path)?.is_none() {
            create_folder(&self.folder)?;
            let slot = Slot {
                sequence: 0,
                last: 0,
                reserved: 0,
            }
            .render(self.boot.as_deref());
            make_whole(&self.folder, path, &[slot, slot].concat())?;
        } else {
            check_folder(&self.folder)?;
        }
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| io_error("the nonce file", path, "be opened", &error))
    }
}

/// How many files stay open at most.
const MOST_OPEN: usize = 128;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exclusive(file: &File, path: &Path) -> Result<()> {
    flock(file, FlockOperation::LockExclusive)
        .map_err(|error| failed(format!("{} could not be locked: {error}", path.display())))
}

/// Makes a file with these bytes that is there whole or not at all. Another process may do the same: the link fails
/// for the second, and both open the first one's.
fn make_whole(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let made = match link_nameless(folder, path, bytes) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => link_named(folder, path, bytes)?,
        made => made,
    };
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(io_error("the nonce file", path, "be made", &error))
        }
        _ => sync_folder(folder).map_err(|error| io_error("the nonce file", path, "be made", &error)),
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
    let linked = std::fs::hard_link(&fresh, path);
    let _ = std::fs::remove_file(&fresh);
    Ok(linked)
}

/// Nonces that are given out and not yet written down: none may leave the process before [`Lease::finish`].
///
/// It holds one key's file at a time, so that two processes never wait for each other.
pub struct Lease<'a> {
    nonces: &'a Nonces,
    state: Option<State<'a>>,
    failed: Option<Error>,
}

impl<'a> Lease<'a> {
    /// As [`Nonces::next`].
    ///
    /// # Errors
    /// As [`Nonces::next`].
    pub fn next(&mut self, key: &KeyName, clock: u64, per_second: u64) -> Result<u64> {
        let state = self.state(key)?;
        let nonce = clock.max(state.after()?);
        state.note(nonce, per_second.saturating_mul(AHEAD.as_secs()).max(1000));
        Ok(nonce)
    }

    /// As [`Nonces::raise`].
    ///
    /// # Errors
    /// As [`Nonces::raise`].
    pub fn raise(&mut self, key: &KeyName, nonce: u64, now: Duration) -> Result<()> {
        let rate = implied_rate(nonce);
        if nonce / rate > (now + FAR).as_secs() {
            return Err(bad_input(format!("the nonce {nonce} lies more than a day ahead"))
                .fix("it would make every later nonce too small for the exchange; use the clock, or let hsmsign make it"));
        }
        let state = self.state(key)?;
        if nonce > state.last {
            state.note(nonce, AHEAD.as_secs() * rate);
        }
        Ok(())
    }

    /// Writes down what was given out.
    ///
    /// # Errors
    /// When a file could not be written: then nothing with any of these nonces may be signed.
    pub fn finish(mut self) -> Result<()> {
        self.store();
        self.failed.map_or(Ok(()), Err)
    }

    fn state(&mut self, key: &KeyName) -> Result<&mut State<'a>> {
        if self.state.as_ref().is_some_and(|state| state.key != *key) {
            self.store();
        }
        let state = match self.state.take() {
            Some(state) => state,
            None => self.nonces.open(key)?,
        };
        Ok(self.state.insert(state))
    }

    fn store(&mut self) {
        if let Some(mut state) = self.state.take()
            && let Err(error) = state.store()
        {
            self.failed.get_or_insert(error);
        }
    }
}

struct Slot {
    sequence: u64,
    last: u64,
    reserved: u64,
}

impl Slot {
    fn render(&self, boot: Option<&str>) -> [u8; SLOT] {
        let boot = boot.unwrap_or("-");
        let text = format!(
            "{VERSION} {:020} {:020} {:020} {boot:36}",
            self.sequence, self.last, self.reserved
        );
        let sum = &base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()))[..16];
        let line = format!("{text} {sum}");
        let mut slot = [b' '; SLOT];
        slot[..line.len()].copy_from_slice(line.as_bytes());
        slot[SLOT - 1] = b'\n';
        slot
    }

    /// The slot and the boot it was written in; none if it is torn.
    fn parse(bytes: &[u8]) -> Option<(Self, &str)> {
        let (text, sum) = std::str::from_utf8(bytes).ok()?.trim_end().rsplit_once(' ')?;
        let digest = base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()));
        if digest.get(..16)? != sum {
            return None;
        }
        let mut words = text.split_ascii_whitespace();
        if words.next()? != VERSION {
            return None;
        }
        let mut number = || words.next()?.parse::<u64>().ok();
        let slot = Self {
            sequence: number()?,
            last: number()?,
            reserved: number()?,
        };
        let boot = words.next()?;
        words.next().is_none().then_some((slot, boot))
    }
}

struct State<'a> {
    nonces: &'a Nonces,
    key: KeyName,
    file: Option<File>,
    path: PathBuf,
    sequence: u64,
    last: u64,
    reserved: u64,
    /// Whether something was given out that is not written yet.
    noted: bool,
    /// Whether the reservation was extended.
    extended: bool,
}

impl<'a> State<'a> {
    fn read(nonces: &'a Nonces, key: &KeyName, file: File, path: PathBuf) -> Result<Self> {
        let mut bytes = [0; 2 * SLOT];
        let read = file
            .read_at(&mut bytes, 0)
            .map_err(|error| io_error("", &path, "be read", &error))?;
        if bytes[..read].first().is_some_and(u8::is_ascii_digit) && !bytes.starts_with(b"1 ") {
            return Err(
                failed(format!("{} was written by a newer hsmsign", path.display())).fix("use that one"),
            );
        }
        let (one, two) = bytes[..read].split_at(SLOT.min(read));
        let newest = [one, two]
            .into_iter()
            .filter_map(Slot::parse)
            .max_by_key(|(slot, _)| (slot.sequence, slot.last));
        let Some((slot, written)) = newest else {
            return Err(failed(format!("the nonce file {} is damaged", path.display())).fix(
                "find the last nonce in the exchange's or bot's records, move the file away, and set it: hsmsign nonce KEY --set-above N",
            ));
        };
        // Written in this boot, the file is exact; else what was given out is anywhere up to the reservation.
        let last = if nonces.boot.as_deref() == Some(written) {
            slot.last
        } else {
            slot.last.max(slot.reserved)
        };
        Ok(Self {
            nonces,
            key: key.clone(),
            file: Some(file),
            path,
            sequence: slot.sequence,
            last,
            reserved: slot.reserved,
            noted: false,
            extended: false,
        })
    }

    fn after(&self) -> Result<u64> {
        self.last.checked_add(1).ok_or_else(|| {
            failed("the key's nonces are used up")
                .fix("issue a new API key at the exchange: hsmsign rotate KEY")
        })
    }

    /// Takes note of a nonce that is given out; the reservation reaches `ahead` of it.
    fn note(&mut self, nonce: u64, ahead: u64) {
        self.last = nonce;
        self.noted = true;
        if nonce > self.reserved || self.nonces.boot.is_none() {
            self.reserved = nonce.saturating_add(ahead);
            self.extended = true;
        }
    }

    /// Writes down what was noted.
    fn store(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.noted) {
            return Ok(());
        }
        self.sequence += 1;
        let slot = Slot {
            sequence: self.sequence,
            last: self.last,
            reserved: self.reserved,
        }
        .render(self.nonces.boot.as_deref());
        if std::mem::take(&mut self.extended) {
            // In both slots before it counts, so that whichever survives a power cut knows of it.
            self.write(&[slot, slot].concat(), 0)?;
            self.with_file(File::sync_data)
                .map_err(|error| io_error("", &self.path, "be brought to the disk", &error))
        } else {
            self.write(&slot, self.sequence % 2 * SLOT as u64)
        }
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.with_file(|file| file.write_all_at(bytes, at))
            .map_err(|error| io_error("", &self.path, "be written", &error))
    }

    fn with_file(&self, work: impl FnOnce(&File) -> std::io::Result<()>) -> std::io::Result<()> {
        self.file
            .as_ref()
            .map_or_else(|| Err(std::io::Error::other("it is closed")), work)
    }
}

impl Drop for State<'_> {
    /// Unlocks the file and keeps it open for the next nonce.
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        let mut open = lock(&self.nonces.open);
        if open.len() < MOST_OPEN && flock(&file, FlockOperation::Unlock).is_ok() {
            open.insert(self.key.clone(), file);
        }
    }
}

/// The time since 1970, zero for a clock before it.
pub fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn nonces() -> (tempfile::TempDir, Nonces, KeyName) {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let nonces = Nonces::new(&Home::at(folder.path()));
        (folder, nonces, "k".parse().unwrap())
    }

    fn next(nonces: &Nonces, key: &KeyName, per_second: u64, now: Duration) -> Result<u64> {
        nonces.next(key, now.as_secs() * per_second, per_second)
    }

    #[test]
    fn they_follow_the_clock_and_increase_when_it_jumps_back() {
        let (_folder, nonces, key) = nonces();
        let first = next(&nonces, &key, 1_000_000, NOW).unwrap();
        assert_eq!(first, 1_790_000_000_000_000);
        assert_eq!(next(&nonces, &key, 1_000_000, NOW).unwrap(), first + 1);
        assert_eq!(
            next(&nonces, &key, 1_000_000, NOW - Duration::from_secs(3600)).unwrap(),
            first + 2
        );
        let later = next(&nonces, &key, 1_000_000, NOW + Duration::from_secs(1)).unwrap();
        assert_eq!(later, first + 1_000_000);
    }

    #[test]
    fn after_a_power_cut_they_go_on_behind_the_reservation() {
        let (_folder, mut nonces, key) = nonces();
        let first = next(&nonces, &key, 1000, NOW).unwrap();
        nonces.boot = Some("0".repeat(36));
        let after = next(&nonces, &key, 1000, NOW).unwrap();
        assert_eq!(after, first + 60_000 + 1);
        assert_eq!(
            next(&nonces, &key, 1000, NOW).unwrap(),
            after + 1,
            "exact again within the boot"
        );
    }

    #[test]
    fn a_torn_slot_is_passed_over_and_two_are_an_error() {
        let (folder, nonces, key) = nonces();
        let first = next(&nonces, &key, 1000, NOW).unwrap();
        let second = next(&nonces, &key, 1000, NOW).unwrap();
        let path = folder.path().join("nonces/k");
        let whole = fs::read(&path).unwrap();
        let newest = if Slot::parse(&whole[..SLOT]).unwrap().0.last == second {
            0
        } else {
            SLOT
        };
        let mut torn = whole.clone();
        torn[newest + 5] ^= 1;
        fs::write(&path, &torn).unwrap();
        let mut after_cut = Nonces::new(&Home::at(folder.path()));
        after_cut.boot = Some("0".repeat(36));
        assert!(next(&after_cut, &key, 1000, NOW).unwrap() > second);
        fs::write(&path, "x".repeat(2 * SLOT)).unwrap();
        assert!(
            next(&nonces, &key, 1000, NOW)
                .unwrap_err()
                .message()
                .contains("damaged")
        );
        let _ = first;
    }

    #[test]
    fn brought_ones_raise_the_sequence_unless_far_ahead() {
        let (_folder, nonces, key) = nonces();
        // A library that counts in hundredths of microseconds.
        nonces.raise(&key, 179_000_000_000_000_000, NOW).unwrap();
        assert_eq!(
            next(&nonces, &key, 1_000_000, NOW).unwrap(),
            179_000_000_000_000_001
        );
        nonces.raise(&key, 5, NOW).unwrap();
        assert_eq!(
            next(&nonces, &key, 1_000_000, NOW).unwrap(),
            179_000_000_000_000_002
        );
        for far in [
            u64::MAX,
            9_999_999_999,
            9_999_999_999_999,
            1_790_000_000_000 + 86_401_000,
        ] {
            assert!(nonces.raise(&key, far, NOW).is_err(), "{far}");
        }
        nonces.raise(&key, 1_790_000_000_000 + 86_399_000, NOW).unwrap();
        assert_eq!(nonces.high_water(&key).unwrap(), 179_000_000_000_000_002);
    }

    #[test]
    fn processes_share_one_sequence() {
        let (_folder, nonces, key) = nonces();
        let given = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..200)
                            .map(|_| next(&nonces, &key, 1, NOW).unwrap())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap())
                .collect::<Vec<_>>()
        });
        let mut sorted = given.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), given.len());
    }

    #[test]
    fn a_restored_mark_lies_above_what_was_given_since() {
        let then = NOW;
        let now = NOW + Duration::from_secs(100);
        let mark = 1_790_000_000_000;
        assert_eq!(Nonces::mark_after(mark, then, now), mark + 160_000);
        assert_eq!(
            Nonces::mark_after(mark, now, then),
            mark + 60_000,
            "a clock that was set back"
        );
        assert_eq!(Nonces::mark_after(0, then, now), 0);
    }
}
