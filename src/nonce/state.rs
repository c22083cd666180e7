//! What a nonce file says, while it is locked.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    MOST_OPEN, Nonces,
    ahead::{Known, Promise},
    lease::reservation,
    lock,
    slot::{SLOT, Slot},
};
use crate::{
    error::{Error, Result, failed},
    home::io_error,
    keyring::KeyName,
};

/// How long a file is held locked before other processes get a turn.
const TURN: Duration = Duration::from_millis(250);

/// A file that stays open between one nonce and the next.
pub(super) struct Kept {
    pub(super) file: File,
    /// What it says, where it stays locked as well.
    pub(super) held: Option<Held>,
    pub(super) disk: Disk,
}

/// What this process knows the disk to have of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    /// A reservation: as far as nonces may be given out.
    synced: u64,
    /// One that is on its way.
    promise: Option<Arc<Promise>>,
    /// The sequence and the last nonce of the slot that this process wrote last, for a system that tells no boot: while the
    /// file says so nobody else wrote, and no power was cut, or this process would be gone.
    left: Option<(u64, u64)>,
}

/// The numbers of a file that is locked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    sequence: u64,
    last: u64,
    /// What the file says was given out: as far as nonces may be given out without writing.
    written: u64,
    reserved: u64,
    since: Instant,
}

pub(super) struct State<'a> {
    nonces: &'a Nonces,
    key: KeyName,
    file: Option<File>,
    path: PathBuf,
    now: Held,
    disk: Disk,
    /// How many further nonces the next write covers, where the file stays locked.
    block: u64,
    /// Whether something was given out that is not written yet.
    noted: bool,
    /// Whether the reservation was extended, since it is used up.
    extended: bool,
    /// Whether it was extended early, and the request need not wait for the disk.
    promised: bool,
    /// Whether other processes get their turn, however short this one was.
    over: bool,
}

impl<'a> State<'a> {
    /// Reads a file that was just locked, of which `disk` is known.
    pub(super) fn read(
        nonces: &'a Nonces,
        key: &KeyName,
        file: File,
        path: PathBuf,
        mut disk: Disk,
    ) -> Result<Self> {
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
            return Err(damaged(&path));
        };
        // Written in this boot, the file is exact; else what was given out is anywhere up to the reservation.
        let exact = match nonces.boot.as_deref() {
            Some(boot) => boot == written,
            None => disk.left == Some((slot.sequence, slot.last)),
        };
        let last = if exact {
            slot.last
        } else {
            slot.last.max(slot.reserved)
        };
        let held = Held {
            sequence: slot.sequence,
            last,
            written: last,
            reserved: slot.reserved,
            since: Instant::now(),
        };
        if !slot.promised {
            disk.synced = disk.synced.max(slot.reserved);
        }
        Ok(Self::held(nonces, key, file, path, held, disk))
    }

    /// Goes on with a file that stayed locked.
    pub(super) fn held(
        nonces: &'a Nonces,
        key: &KeyName,
        file: File,
        path: PathBuf,
        now: Held,
        disk: Disk,
    ) -> Self {
        Self {
            nonces,
            key: key.clone(),
            file: Some(file),
            path,
            now,
            disk,
            block: 0,
            noted: false,
            extended: false,
            promised: false,
            over: false,
        }
    }

    pub(super) const fn key(&self) -> &KeyName {
        &self.key
    }

    /// The greatest nonce that was given out.
    pub(super) const fn last(&self) -> u64 {
        self.now.last
    }

    /// The same, of a file that is left.
    pub(super) fn into_last(mut self) -> u64 {
        self.file = None;
        self.now.last
    }

    /// Writes that nothing was given out.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.now.reserved = 0;
        self.over = true;
        self.write_slots(0, 2)
    }

    /// The least that may be given out.
    pub(super) fn after(&self) -> Result<u64> {
        self.now.last.checked_add(1).ok_or_else(|| {
            failed("the key's nonces are used up")
                .fix("issue a new API key at the exchange: hsmsign rotate KEY")
        })
    }

    /// Takes note of a nonce that is given out, of a sequence that makes so many steps a second.
    pub(super) fn note(&mut self, nonce: u64, per_second: u64) {
        self.now.last = nonce;
        self.noted = true;
        if self.nonces.holds {
            self.block = (per_second / 10).max(256);
        }
        let covered = nonce.saturating_add(self.block);
        self.look_at_disk();
        let ahead = reservation(per_second);
        if nonce > self.now.written && covered > self.disk.synced {
            self.now.reserved = self.now.reserved.max(covered.saturating_add(ahead));
            self.extended = true;
        } else if self.nonces.holds
            && self.disk.promise.is_none()
            && covered.saturating_add(ahead / 2) > self.disk.synced
        {
            self.now.reserved = self.now.reserved.max(covered.saturating_add(ahead));
            self.promised = true;
        }
    }

    /// Takes note of what came of a promise.
    fn look_at_disk(&mut self) {
        match self.disk.promise.as_ref().map(|promise| promise.known()) {
            Some(Known::Kept(reserved)) => {
                self.disk.synced = self.disk.synced.max(reserved);
                self.disk.promise = None;
            }
            Some(Known::Failed) => self.disk.promise = None,
            Some(Known::Nothing) | None => {}
        }
    }

    /// Writes down what was noted, and a block ahead of it where the file stays locked.
    pub(super) fn store(&mut self) -> Result<()> {
        let extended = self.extended || self.promised;
        if !std::mem::take(&mut self.noted) || self.now.last <= self.now.written && !extended {
            return Ok(());
        }
        let written = self.now.last.saturating_add(self.block);
        let done = self.write_slot(written);
        if done.is_err() {
            // What the file says is not known, so it is read again.
            self.over = true;
        }
        done
    }

    fn write_slot(&mut self, last: u64) -> Result<()> {
        if std::mem::take(&mut self.extended) {
            self.promised = false;
            // In both slots before it counts, so that whichever survives a power cut knows of it.
            self.write_slots(last, 2)?;
            self.with_file(File::sync_data)
                .map_err(|error| io_error("", &self.path, "be brought to the disk", &error))?;
            self.disk.synced = self.now.reserved;
            // The others see that it counts.
            self.write_slots(last, 1)?;
        } else if std::mem::take(&mut self.promised) {
            self.write_slots(last, 2)?;
            // Where there is no thread, the request waits that finds the reservation used up.
            self.disk.promise = self
                .file
                .as_ref()
                .and_then(|file| self.nonces.ahead.bring(file, self.now.reserved));
        } else {
            self.write_slots(last, 1)?;
        }
        self.now.written = last;
        Ok(())
    }

    /// Writes the next slot, or both of them.
    fn write_slots(&mut self, last: u64, count: usize) -> Result<()> {
        // The last number there is would not be read again.
        if self.now.sequence >= u64::MAX - 1 {
            return Err(damaged(&self.path));
        }
        self.now.sequence += 1;
        let slot = Slot {
            sequence: self.now.sequence,
            last,
            reserved: self.now.reserved,
            promised: self.now.reserved > self.disk.synced,
        }
        .render(self.nonces.boot.as_deref());
        match count {
            1 => self.write(&slot, self.now.sequence % 2 * SLOT as u64)?,
            _ => self.write(&[slot, slot].concat(), 0)?,
        }
        self.disk.left = Some((self.now.sequence, last));
        Ok(())
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

    /// Gives the others their turn: the file says what was given out and no more, and is unlocked when this is dropped.
    pub(super) fn settle(mut self) {
        if self.now.last < self.now.written {
            // Where it cannot be written, the block is passed over, and no nonce is given out twice.
            let _ = self.write_slot(self.now.last);
        }
        self.over = true;
    }
}

impl Drop for State<'_> {
    /// Keeps the file open for the next nonce; locked too, where it is held and its turn is not over.
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        let held = (self.nonces.holds && !self.over && self.now.since.elapsed() < TURN).then_some(self.now);
        let mut open = lock(&self.nonces.open);
        let full = open.len() >= MOST_OPEN;
        if !full && (held.is_some() || flock(&file, FlockOperation::Unlock).is_ok()) {
            let disk = std::mem::take(&mut self.disk);
            open.insert(self.key.clone(), Kept { file, held, disk });
        }
    }
}

fn damaged(path: &Path) -> Error {
    failed(format!("the nonce file {} is damaged", path.display())).fix(
        "find the last nonce in the exchange's or bot's records, move the file away, and set it: hsmsign nonce KEY --set-above N",
    )
}
