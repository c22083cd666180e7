//! Reservations that a thread of its own brings to the disk, so that no request waits for it while the one before holds.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The thread's stack, in bytes: it makes one call.
const STACK: usize = 64 << 10;

const UNDER_WAY: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// A reservation that stands in a key's file, on its way to the disk.
#[derive(Debug)]
pub(super) struct Promise {
    reserved: u64,
    since: Instant,
    state: AtomicU8,
}

/// What is known of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is on its way, or it failed just now.
    Nothing,
    /// The disk has it: nonces may be given out up to here.
    Kept(u64),
    /// It failed, and may be tried again.
    Failed,
}

impl Promise {
    pub(super) fn known(&self) -> Known {
        match self.state.load(Ordering::Acquire) {
            DONE => Known::Kept(self.reserved),
            FAILED if self.since.elapsed() > AGAIN => Known::Failed,
            _ => Known::Nothing,
        }
    }
}

/// A file to be brought to the disk.
pub(super) type Job = (File, Arc<Promise>);

/// The thread, once it is needed.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Option<Sender<Job>>>);

impl Ahead {
    /// Has what stands in the file brought to the disk. None where there is no thread to be had.
    ///
    /// The file is opened once more: of two that share a description, one alone would hear that the disk failed.
    pub(super) fn bring(&self, file: &File, reserved: u64) -> Option<Arc<Promise>> {
        let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        let promise = Arc::new(Promise {
            reserved,
            since: Instant::now(),
            state: AtomicU8::new(UNDER_WAY),
        });
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            *sender = Some(start()?);
        }
        let sent = sender.as_ref()?.send((file, Arc::clone(&promise)));
        sent.ok().map(|()| promise)
    }

    /// One whose jobs the test does, or does not.
    #[cfg(test)]
    pub(super) fn by_hand() -> (Self, std::sync::mpsc::Receiver<Job>) {
        let (sender, receiver) = channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }
}

/// Started by a confined process it is confined like that. It ends with the value.
fn start() -> Option<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    std::thread::Builder::new()
        .name("nonces".into())
        .stack_size(STACK)
        .spawn(move || receiver.into_iter().for_each(do_job))
        .ok()
        .map(|_| sender)
}

pub(super) fn do_job((file, promise): Job) {
    let state = if file.sync_data().is_ok() { DONE } else { FAILED };
    promise.state.store(state, Ordering::Release);
}
