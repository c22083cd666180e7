//! The threads of the log: one writes what waits, and one has the disk keep it.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    queue::Queue,
    waiting::{Waiting, append},
};
use crate::error::{Error, Result, failed};

/// How long entries are gathered before they are written.
const GATHER: Duration = Duration::from_millis(15);
/// How long after a failure it is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// How long the thread has to write what is late, where it may have stood still with its process.
const CHANCE: Duration = Duration::from_millis(500);

/// What the log and its threads share.
pub(super) struct Shared {
    pub queue: Mutex<Queue>,
    /// Something waits to be written, or it is over.
    pub wake: Condvar,
    /// Something was written, or kept by the disk, or could not be.
    pub done: Condvar,
}

impl Shared {
    /// Has the disk keep what was written, until it is over.
    pub fn sync(&self) {
        let _refuses = IfItPanics(self);
        let mut queue = lock(&self.queue);
        let mut refused = false;
        loop {
            let upto = queue.written;
            let Some(file) = queue.unsynced.take() else {
                if queue.ended {
                    return;
                }
                queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let seals = std::mem::take(&mut queue.seals);
            drop(queue);
            let synced = file.sync_data();
            let unkept = match &synced {
                Ok(()) => {
                    keep(seals);
                    Vec::new()
                }
                Err(_) => seals,
            };
            queue = lock(&self.queue);
            queue.seals.splice(0..0, unkept);
            match synced {
                Ok(()) => {
                    queue.kept = upto;
                    if std::mem::take(&mut refused) {
                        queue.failed = None;
                    }
                    self.done.notify_all();
                }
                Err(error) => {
                    refused = true;
                    queue.failed = Some(not_kept(&error));
                    queue.failures += 1;
                    queue.unsynced.get_or_insert(file);
                    self.done.notify_all();
                    if queue.ended {
                        return;
                    }
                    // Nothing is signed meanwhile, so no line has it tried again.
                    let (next, _) = self
                        .done
                        .wait_timeout_while(queue, AGAIN, |queue| !queue.ended)
                        .unwrap_or_else(PoisonError::into_inner);
                    queue = next;
                }
            }
        }
    }

    /// Whether the thread does not come to write, as where the disk stands still or a process that was stopped has the log
    /// locked.
    pub fn is_late(&self, mut queue: MutexGuard<'_, Queue>) -> bool {
        if queue.is_late() && !std::mem::replace(&mut queue.had_chance, true) {
            let waited = self
                .done
                .wait_timeout_while(queue, CHANCE, |queue| queue.is_late());
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        queue.is_late()
    }

    /// Writes what waits, and has the disk keep it.
    pub fn write_here(&self) -> Result<()> {
        let mut queue = lock(&self.queue);
        if queue.waiting.is_empty() {
            return Ok(());
        }
        let mut held = std::mem::take(&mut queue.waiting);
        let written = match &mut queue.files {
            Some(files) => append(files, &held),
            None => Err(failed("the audit log is written by a thread")),
        };
        match written {
            Ok((file, end)) => {
                queue.wrote(&mut held, end);
                file.sync_data().map_err(|error| not_kept(&error))?;
                keep(std::mem::take(&mut queue.seals));
                Ok(())
            }
            Err(error) => {
                // Whoever flushes next tries again.
                queue.waiting = held;
                Err(error)
            }
        }
    }

    /// Lets more come before it is written, or some time go by before it is tried again. What was signed before it was known
    /// that there is no further room, or that the disk keeps nothing, has its place, and does not wait for that: `none_held`.
    fn pause<'q>(&self, queue: MutexGuard<'q, Queue>, none_held: bool) -> MutexGuard<'q, Queue> {
        let (new, probes) = (
            none_held && !queue.waiting.is_empty(),
            none_held && queue.waiting.is_empty(),
        );
        let pause = if queue.failed.is_none() || new {
            GATHER
        } else {
            AGAIN
        };
        let more = |queue: &mut Queue| {
            let came = probes && !queue.waiting.is_empty();
            !queue.hurry && !queue.over && !came
        };
        let (next, _) = self
            .wake
            .wait_timeout_while(queue, pause, more)
            .unwrap_or_else(PoisonError::into_inner);
        next
    }

    /// Writes until it is over.
    pub fn write(&self) {
        let _refuses = IfItPanics(self);
        let Some(mut files) = lock(&self.queue).files.take() else {
            return;
        };
        // What could not be written yet.
        let mut held: Vec<Waiting> = Vec::new();
        loop {
            let mut queue = lock(&self.queue);
            while queue.waiting.is_empty() && held.is_empty() && !queue.probe {
                if queue.over {
                    queue.ended = true;
                    drop(queue);
                    return self.done.notify_all();
                }
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if !queue.hurry && !queue.over {
                queue = self.pause(queue, held.is_empty());
            }
            queue.hurry = false;
            held.append(&mut queue.waiting);
            let since = queue.since.take();
            queue.held_since = queue.held_since.or(since);
            let over = queue.over;
            drop(queue);

            let done = append(&mut files, &held);
            let room = files.keep_room();
            let mut queue = lock(&self.queue);
            match done {
                Ok((file, end)) => {
                    queue.unsynced = Some(file);
                    queue.wrote(&mut held, end);
                    // These lines are there, and further ones need not find room: it is looked for until there is some.
                    queue.failed = room.err();
                    queue.probe = queue.failed.is_some() && !over;
                }
                Err(error) => {
                    queue.failed = Some(error);
                    queue.failures += 1;
                    if over {
                        queue.ended = true;
                        drop(queue);
                        return self.done.notify_all();
                    }
                }
            }
            drop(queue);
            self.done.notify_all();
        }
    }
}

/// Keeps the numbers of seals beside the log, and lets others seal.
fn keep(seals: Vec<Waiting>) {
    for waiting in seals {
        if let Waiting::Seal { due, token, mac } = waiting {
            // Where it cannot be kept, the line of the log has it all the same.
            let _ = due.keep(&token, &mac);
        }
    }
}

/// Where a thread of the log ends by a fault of its own, nothing more is signed.
struct IfItPanics<'a>(&'a Shared);

impl Drop for IfItPanics<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut queue = lock(&self.0.queue);
        let gone = failed("the audit log is not written any more, so nothing is signed");
        queue.failed = Some(gone.fix("start the process again, and see `hsmsign audit verify`"));
        queue.failures += 1;
        queue.ended = true;
        drop(queue);
        self.0.done.notify_all();
    }
}

fn not_kept(error: &std::io::Error) -> Error {
    failed(format!(
        "the disk does not keep the audit log, so nothing is signed: {error}"
    ))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use crate::{caller::Caller, home::Home};

    use super::{
        super::{Entry, Log, What},
        *,
    };

    /// As where there is no room for further ones, and what was signed before that is known has its place.
    #[test]
    fn lines_that_can_be_written_do_not_wait_for_what_failed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let home = Home::at(folder.path());
        let log = Log::new(&home);
        log.start().unwrap();
        let caller = Caller::this_process();
        // A machine with other work may be late in some tries; what waits as for a failure is so in all.
        let is_prompt = |probes: bool| {
            let mut queue = lock(&log.shared.queue);
            (queue.failed, queue.probe) = (Some(failed("there is no room")), probes);
            let written = queue.written;
            log.shared.wake.notify_one();
            drop(queue);
            std::thread::sleep(AGAIN / 10);
            log.record(Entry::new(What::Lock, &caller, "", Duration::ZERO));
            std::thread::sleep(AGAIN / 2);
            let prompt = lock(&log.shared.queue).written == written + 1;
            std::thread::sleep(AGAIN);
            prompt
        };
        for probes in [false, true] {
            assert!((0..20).any(|_| is_prompt(probes)), "{probes}");
        }
    }

    #[test]
    fn a_thread_that_ends_by_a_fault_has_nothing_signed() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(&Home::at(folder.path()));
        log.check().unwrap();
        let shared = Arc::clone(&log.shared);
        let ended = std::thread::spawn(move || {
            let _refuses = IfItPanics(&shared);
            panic!("a fault");
        });
        assert!(ended.join().is_err());
        let error = log.check().unwrap_err();
        assert!(error.message().contains("nothing is signed"), "{error:?}");
        let shared = Arc::clone(&log.shared);
        std::thread::spawn(move || drop(IfItPanics(&shared)))
            .join()
            .unwrap();
    }
}
