//! Writing lines: entries are handed over at once and written together, some milliseconds later, by a thread of their own:
//! then a kill takes nothing of them. Another thread has the disk keep them, for the end of the machine's power.

use std::{
    fs::File,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Entry,
    file::{Files, Tail},
    mark::{Marked, name_of_log},
    seal::{Due, Seals},
    waiting::{Waiting, append},
};
use crate::{
    error::{Error, Result, failed},
    home::Home,
};

/// How long entries are gathered before they are written.
const GATHER: Duration = Duration::from_millis(15);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// How many entries may wait before nothing more is signed.
const MOST: usize = 100_000;
/// How long [`Log::flush`] waits at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// The log that this process writes to.
pub struct Log {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Whether whoever flushes writes, and there are no threads.
    flushed_here: AtomicBool,
    home: Home,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something waits to be written, or it is over.
    wake: Condvar,
    /// Something was written, or kept by the disk, or could not be.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// How many were handed over, how many of them are written, and how many the disk keeps.
    recorded: u64,
    written: u64,
    kept: u64,
    /// What is to be synced.
    unsynced: Option<Arc<File>>,
    /// Seals whose lines are written: their numbers are kept when the disk has the lines, so that no power cut leaves a
    /// number whose lines are gone.
    seals: Vec<Waiting>,
    failed: Option<Error>,
    /// How often writing failed.
    failures: u64,
    /// Whoever waits is not to be kept waiting for more.
    hurry: bool,
    /// Whether it is to be found out if the log can be written at all.
    probe: bool,
    over: bool,
    /// Whether nothing more will be written.
    ended: bool,
    files: Option<Files>,
    tail: Option<Tail>,
    /// Since when there are lines of this process that no seal covers, and how many.
    unsealed: Option<(Instant, u64)>,
}

impl Log {
    /// The log of these folders. Nothing is opened before there is something to write.
    pub fn new(home: &Home) -> Self {
        Self::over(home, Files::new(home))
    }

    /// A log that writes to these files.
    pub fn over(home: &Home, files: Files) -> Self {
        let queue = Queue {
            files: Some(files),
            ..Queue::default()
        };
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                wake: Condvar::new(),
                done: Condvar::new(),
            }),
            threads: Mutex::default(),
            flushed_here: AtomicBool::new(false),
            home: home.clone(),
        }
    }

    /// For a process that signs once: [`Log::flush`] writes what waits, and no threads are started for it.
    pub fn write_when_flushed(&self) {
        self.flushed_here.store(true, Ordering::Relaxed);
    }

    /// Starts the threads that write, for a process that may start none later.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(&self) -> Result<()> {
        let mut threads = lock(&self.threads);
        if !threads.is_empty() {
            return Ok(());
        }
        for (name, writes) in [("audit", true), ("audit-sync", false)] {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || if writes { shared.write() } else { shared.sync() })
                .map_err(|error| failed(format!("the audit log has no thread: {error}")))?;
            threads.push(started);
        }
        Ok(())
    }

    /// Looks whether the log can be written, before there is something to write: for a process that signs much, and writes
    /// after it signed. Where it cannot, [`Log::check`] says so until it can.
    pub fn prepare(&self) {
        if let Err(error) = self.start() {
            lock(&self.shared.queue).failed = Some(error);
            return;
        }
        let mut queue = lock(&self.shared.queue);
        (queue.probe, queue.hurry) = (true, true);
        self.shared.wake.notify_one();
        let _looked = self
            .shared
            .done
            .wait_timeout_while(queue, PATIENCE, |queue| queue.probe && queue.failed.is_none());
    }

    /// Whether what happens can be written down. To be asked before something is signed.
    ///
    /// # Errors
    /// The error of the last try to write, as with a full disk; it is tried again meanwhile.
    pub fn check(&self) -> Result<()> {
        let queue = lock(&self.shared.queue);
        match &queue.failed {
            Some(error) => Err(error.clone()),
            None if queue.waiting.len() > MOST => Err(failed(
                "the audit log is not written as fast as requests come, so nothing is signed",
            )
            .fix("see what keeps the disk busy")),
            None => Ok(()),
        }
    }

    /// Hands an entry over. Within 50 ms it is where a kill does not reach it, or [`Log::check`] says why not.
    pub fn record(&self, entry: Entry) {
        self.push(Waiting::Entry(Box::new(entry)));
    }

    fn push(&self, waiting: Waiting) {
        if !self.flushed_here.load(Ordering::Relaxed)
            && let Err(error) = self.start()
        {
            lock(&self.shared.queue).failed = Some(error);
            return;
        }
        let mut queue = lock(&self.shared.queue);
        queue.recorded += 1;
        let first = queue.waiting.is_empty();
        queue.waiting.push(waiting);
        drop(queue);
        if first {
            self.shared.wake.notify_one();
        }
    }

    /// Waits until all that was handed over is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&self) -> Result<()> {
        if self.flushed_here.load(Ordering::Relaxed) {
            return self.shared.write_here();
        }
        let mut queue = lock(&self.shared.queue);
        let (upto, failures, begun) = (queue.recorded, queue.failures, Instant::now());
        while queue.kept < upto {
            queue.hurry = true;
            self.shared.wake.notify_one();
            if queue.failures > failures
                && let Some(error) = &queue.failed
            {
                return Err(error.clone());
            }
            if begun.elapsed() > PATIENCE {
                return Err(
                    failed("the audit log was not written in time").fix("see what keeps the disk busy")
                );
            }
            let (next, _) = self
                .shared
                .done
                .wait_timeout(queue, AGAIN)
                .unwrap_or_else(PoisonError::into_inner);
            queue = next;
        }
        Ok(())
    }

    /// What is to be sealed now, if something is: after a minute or a thousand lines; with `at_the_end`, whatever is not
    /// sealed yet. Whoever gets it has the token MAC its message, and hands that to [`Log::sealed`].
    pub fn seal_due(&self, at_the_end: bool) -> Option<Due> {
        let tail = {
            let queue = lock(&self.shared.queue);
            let (since, lines) = queue.unsealed?;
            if !at_the_end && lines < super::SEAL_EVERY && since.elapsed() < super::seal::SOON {
                return None;
            }
            queue.tail?
        };
        Seals::new(&self.home).next(tail)
    }

    /// What is to be sealed where nothing says that it is due: all lines there are.
    ///
    /// # Errors
    /// When the end of the log cannot be read.
    pub fn seal_all(&self) -> Result<Option<Due>> {
        let tail = Files::new(&self.home).tail()?;
        if tail.number == 0 {
            return Ok(None);
        }
        Ok(Seals::new(&self.home).next(tail))
    }

    /// The folders that it is in.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The log's name and last seal, for a token to keep: [`super::raise`]. None where there is no seal yet.
    ///
    /// # Errors
    /// When the end of the log cannot be read.
    pub fn to_be_marked(&self) -> Result<Option<Marked>> {
        let Some(last) = Seals::new(&self.home).last()?.filter(|last| last.seal > 0) else {
            return Ok(None);
        };
        Ok(name_of_log(&self.home)?.map(|log| Marked { log, last }))
    }

    /// Takes note of a seal.
    pub fn sealed(&self, due: Due, token: &str, mac: &[u8]) {
        self.push(Waiting::Seal {
            due,
            token: token.to_owned(),
            mac: mac.to_vec(),
        });
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.flushed_here.load(Ordering::Relaxed) {
            // Who needs to know has flushed.
            let _ = self.shared.write_here();
            return;
        }
        lock(&self.shared.queue).over = true;
        self.shared.wake.notify_one();
        self.shared.done.notify_all();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Has the disk keep what was written, until it is over.
    fn sync(&self) {
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

    /// Writes what waits, and has the disk keep it.
    fn write_here(&self) -> Result<()> {
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

    /// Writes until it is over.
    fn write(&self) {
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
                let pause = if queue.failed.is_none() { GATHER } else { AGAIN };
                let (next, _) = self
                    .wake
                    .wait_timeout_while(queue, pause, |queue| !queue.hurry && !queue.over)
                    .unwrap_or_else(PoisonError::into_inner);
                queue = next;
            }
            queue.hurry = false;
            held.append(&mut queue.waiting);
            let over = queue.over;
            drop(queue);

            let done = append(&mut files, &held);
            let mut queue = lock(&self.queue);
            match done {
                Ok((file, end)) => {
                    queue.unsynced = Some(file);
                    queue.wrote(&mut held, end);
                    queue.probe = false;
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

impl Queue {
    /// Takes note of what was written, and where the log ends with it.
    fn wrote(&mut self, held: &mut Vec<Waiting>, end: Option<Tail>) {
        self.written += held.len() as u64;
        self.failed = None;
        self.tail = end;
        let seals = held.iter().any(|waiting| matches!(waiting, Waiting::Seal { .. }));
        let (since, lines) = match self.unsealed {
            Some(unsealed) if !seals => unsealed,
            _ => (Instant::now(), 0),
        };
        let entries = held
            .iter()
            .filter(|waiting| matches!(waiting, Waiting::Entry(_)))
            .count() as u64;
        self.unsealed = Some((since, lines + entries)).filter(|(_, lines)| *lines > 0);
        let seals = held
            .drain(..)
            .filter(|waiting| matches!(waiting, Waiting::Seal { .. }));
        self.seals.extend(seals);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_by_a_fault_has_nothing_signed() {
        let log = Log::new(&Home::at(std::path::Path::new("/nonexistent")));
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
