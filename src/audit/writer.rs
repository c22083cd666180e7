//! Writing lines: entries are handed over at once and written together, some milliseconds later, by a thread of their own:
//! then a kill takes nothing of them. Another thread has the disk keep them, for the end of the machine's power. What those
//! do is in [`super::threads`].

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Entry,
    file::Files,
    mark::{Marked, name_of_log},
    queue::Queue,
    seal::{Due, Seals},
    threads::{AGAIN, Shared, lock},
    waiting::Waiting,
};
use crate::{
    error::{Result, failed},
    home::Home,
};

/// How many entries may wait before nothing more is signed.
const MOST: usize = 100_000;
/// How long [`Log::flush`] waits at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// The threads of a log, in the order in which they are started, and which of them writes.
const THREADS: [(&str, bool); 2] = [("audit-sync", false), ("audit", true)];

/// The log that this process writes to.
pub struct Log {
    pub(super) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Whether whoever flushes writes, and there are no threads.
    flushed_here: AtomicBool,
    home: Home,
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
    /// When the system has no thread to give. Then whoever flushes writes, and it is tried again.
    pub fn start(&self) -> Result<()> {
        let mut threads = lock(&self.threads);
        for (name, writes) in THREADS.into_iter().skip(threads.len()) {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || if writes { shared.write() } else { shared.sync() })
                .map_err(|error| failed(format!("the audit log has no thread: {error}")))?;
            threads.push(started);
        }
        Ok(())
    }

    /// Whether a thread writes. The other one is there then, too.
    fn has_writer(&self) -> bool {
        lock(&self.threads).len() == THREADS.len()
    }

    /// Looks whether the log can be written, before there is something to write: for a process that signs much, and writes
    /// after it signed. Where it cannot, [`Log::check`] says so until it can.
    pub fn prepare(&self) {
        if let Err(error) = self.start() {
            lock(&self.shared.queue).failed = Some(error);
            return;
        }
        let queue = self.probe();
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
        let Err(refused) = self.look() else { return Ok(()) };
        // The system may have a thread to give by now.
        if !self.flushed_here.load(Ordering::Relaxed) && !self.has_writer() && self.start().is_ok() {
            drop(self.probe());
        }
        Err(refused)
    }

    fn look(&self) -> Result<()> {
        let queue = lock(&self.shared.queue);
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.waiting.len() > MOST {
            let slow = failed("the audit log is not written as fast as requests come, so nothing is signed");
            return Err(slow.fix("see what keeps the disk busy"));
        }
        if self.shared.is_late(queue) {
            let late = failed("the audit log has not been written for a second, so nothing is signed");
            return Err(late.fix(
                "see what keeps the disk busy, and whether an hsmsign was stopped while it wrote: have it go on with kill -CONT",
            ));
        }
        Ok(())
    }

    /// Has the thread find out whether the log can be written.
    fn probe(&self) -> MutexGuard<'_, Queue> {
        let mut queue = lock(&self.shared.queue);
        (queue.probe, queue.hurry) = (true, true);
        self.shared.wake.notify_one();
        queue
    }

    /// Hands an entry over. Within 50 ms it is where a kill does not reach it, or [`Log::check`] says why not.
    pub fn record(&self, entry: Entry) {
        self.push(Waiting::Entry(Box::new(entry)));
    }

    fn push(&self, waiting: Waiting) {
        let written_here = self.flushed_here.load(Ordering::Relaxed);
        let started = match written_here {
            true => Ok(()),
            false => self.start(),
        };
        let mut queue = lock(&self.shared.queue);
        if let Err(error) = started {
            // It waits for a thread, or for whoever flushes.
            queue.failed = Some(error);
        }
        queue.recorded += 1;
        let first = queue.waiting.is_empty();
        if first && !written_here {
            queue.since = Some(Instant::now());
        }
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
        if self.flushed_here.load(Ordering::Relaxed) || !self.has_writer() {
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

    /// What is to be sealed where nothing says that it is due: all lines there are; none where there is no log.
    ///
    /// # Errors
    /// When the end of the log cannot be read, or another process takes too long to seal it.
    pub fn seal_all(&self) -> Result<Option<Due>> {
        if Files::new(&self.home).tail()?.number == 0 {
            return Ok(None);
        }
        Seals::new(&self.home).next_in_turn().map(Some)
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
        let written_here = self.flushed_here.load(Ordering::Relaxed) || !self.has_writer();
        if written_here {
            // Who needs to know has flushed.
            let _ = self.shared.write_here();
        }
        let mut queue = lock(&self.shared.queue);
        (queue.over, queue.ended) = (true, queue.ended || written_here);
        drop(queue);
        self.shared.wake.notify_one();
        self.shared.done.notify_all();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
    }
}
