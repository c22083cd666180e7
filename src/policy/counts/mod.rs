//! What was counted, in one file a key that every process shares: a record a count, written in place under a lock.

mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock, fstat};

pub(super) use self::record::identity;
use self::record::{RECORD, Record};
use super::{decimal::Amount, judge::Wanted, rules::Limit};
use crate::{
    error::{Code, Error, Result, failed},
    home::{check_folder, create_folder, io_error, open_own, own_flags},
    keyring::KeyName,
    shared_file::{exclusive, is_at, make_whole},
};

const HEAD: &[u8] = b"hsmsign counts 1\n";
/// How many counts a key may have.
const MOST: usize = 1024;

/// The counts of all keys.
pub(super) struct Counts {
    folder: PathBuf,
    open: Mutex<HashMap<KeyName, File>>,
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
    pub(super) fn count(
        &self,
        key: &KeyName,
        wanted: &[Wanted<'_>],
        now: Duration,
        take: bool,
    ) -> Result<()> {
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
        // Moved away, replaced or removed since it was opened: every other process counts in the one that is there now.
        let file = match is_at(&file, &path) {
            true => file,
            false => {
                let file = self.open_file(&path)?;
                exclusive(&file, &path)?;
                file
            }
        };
        let there = fstat(&file).map_err(|error| io_error("the counts", &path, "be read", &error.into()))?;
        let size = usize::try_from(there.st_size).unwrap_or(usize::MAX);
        let counted = Self::count_in(&file, size, &path, wanted, now, take);
        if flock(&file, FlockOperation::Unlock).is_ok() {
            open.insert(key.clone(), file);
        }
        counted
    }

    fn count_in(
        file: &File,
        size: usize,
        path: &Path,
        wanted: &[Wanted<'_>],
        now: Duration,
        take: bool,
    ) -> Result<()> {
        let mut records = read(file, size, path)?;
        // Each with what was added: what two rules of a file count alike is counted once.
        let mut changed: Vec<(usize, u128)> = Vec::new();
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for one in wanted {
            let id = one.limit.identity;
            let (span, spans) = one.limit.window.spans();
            let at = match records.iter().position(|record| record.id == id) {
                Some(at) => at,
                None => {
                    let fresh = Record::new(id, span, millis);
                    // In the place of one that nothing is counted in any more, where there is one.
                    let kept = |at: usize| changed.iter().any(|(place, _)| *place == at);
                    let over = |at: &usize| !kept(*at) && records[*at].is_over(millis);
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
            let added = changed.iter().filter(|(place, _)| *place == at);
            let added: u128 = added.map(|(_, added)| *added).sum();
            let more = one.amount.0.saturating_sub(added);
            if used.plus(Amount(more)) > one.limit.most {
                let before = Amount(used.0.saturating_sub(added));
                return Err(over(one, before, path, record.latest > millis / span));
            }
            record.sums[0] = record.sums[0].saturating_add(more);
            changed.push((at, more));
        }
        if records.len() > MOST {
            return Err(failed(format!("{} has too many counts", path.display()))
                .fix("take rules with counts out of the policy"));
        }
        let places = || changed.iter().map(|(place, _)| *place);
        let (Some(first), Some(last)) = (places().min(), places().max()) else {
            return Ok(());
        };
        if !take {
            return Ok(());
        }
        let bytes: Vec<u8> = records[first..=last].iter().flat_map(Record::render).collect();
        file.write_all_at(&bytes, ((first + 1) * RECORD) as u64)
            .map_err(|error| io_error("the counts", path, "be written", &error))
    }

    fn open_file(&self, path: &Path) -> Result<File> {
        if open_own(path)?.is_none() {
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
            .custom_flags(own_flags())
            .open(path)
            .map_err(|error| io_error("the counts", path, "be opened", &error))
    }
}

fn over(one: &Wanted<'_>, used: Amount, path: &Path, ahead: bool) -> Error {
    let Limit { rule, most, .. } = one.limit;
    let window = one.limit.window.name();
    let error = Error::new(
        Code::Denied,
        format!(
            "{rule}: {used} of {most} in a {window} are used up, and the request wants {}",
            one.amount
        ),
    )
    .by(rule.as_str());
    if ahead {
        return error.fix(format!(
            "wait, or raise the limit; the clock was further ahead when that was counted, and a {window} is over only then: where it was wrong, move {} away, and the key's limits begin anew",
            path.display()
        ));
    }
    error.fix("wait until it is less, or raise the limit")
}

fn read(file: &File, size: usize, path: &Path) -> Result<Vec<Record>> {
    let damaged = || {
        failed(format!("the counts in {} are damaged", path.display()))
            .fix("move the file away if the limits may begin anew")
    };
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
        .map(|bytes| match bytes.iter().all(|byte| *byte == 0) {
            // The file was longer before what makes it so was on the disk, and the power was cut.
            true => Ok(Record::none()),
            false => Record::parse(bytes).ok_or_else(damaged),
        })
        .collect()
}
