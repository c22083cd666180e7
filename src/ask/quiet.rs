//! A terminal that shows nothing of what is typed, and is as it was before, whatever ends the process meanwhile.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag::{register_conditional_default, register_usize},
    low_level::{emulate_default_handler, pipe, unregister},
};

use super::read_byte;
use crate::error::{Result, failed};

/// The signals that end a process, and that a person may send it.
const ENDING: [i32; 4] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT];

/// A terminal without echo, line editing and signals from keys, until [`Quiet::end`] or dropped.
pub(super) struct Quiet<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
    signals: Signals,
    /// One prompt at a time.
    _turn: MutexGuard<'static, ()>,
}

impl<'a> Quiet<'a> {
    pub fn begin(terminal: BorrowedFd<'a>) -> Result<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |error: Errno| failed(format!("the terminal cannot be made to hide typing: {error}"));
        let before = tcgetattr(terminal).map_err(told)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        let signals = Signals::hold().map_err(|error| {
            failed(format!(
                "the signals that end this process cannot be waited for: {error}"
            ))
        })?;
        tcsetattr(terminal, OptionalActions::Flush, &quiet).map_err(told)?;
        Ok(Self {
            terminal,
            before,
            signals,
            _turn: turn,
        })
    }

    /// The next key; none where the terminal is gone, or a signal wants the process to end.
    pub fn key(&self) -> Result<Option<u8>> {
        loop {
            let mut ready = [
                PollFd::new(&self.terminal, PollFlags::IN),
                PollFd::new(&self.signals.wake, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(failed(format!("the terminal cannot be read: {error}"))),
            }
            if self.signals.came().is_some() {
                return Ok(None);
            }
            if !ready[0].revents().is_empty() {
                return read_byte(self.terminal);
            }
        }
    }

    /// Makes the terminal as it was, and answers the signal that came meanwhile: what was typed is to be dropped, and
    /// then [`follow`] called.
    pub fn end(self) -> Option<i32> {
        let came = Arc::clone(&self.signals.came);
        drop(self);
        signal(&came)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Ends the process as this signal does where nobody waits for it.
pub(super) fn follow(signal: i32) {
    let _ = emulate_default_handler(signal);
}

/// The signals that end this process, held back until dropped. Those that it ignores, as under nohup, are left alone.
struct Signals {
    /// The one that came; 0 where none did.
    came: Arc<AtomicUsize>,
    wake: UnixStream,
    ours: Vec<SigId>,
    /// Whether signals do what they usually do: no prompt holds them back.
    usual: Arc<AtomicBool>,
}

impl Signals {
    fn hold() -> io::Result<Self> {
        let usual = usual()?;
        let (wake, waker) = UnixStream::pair()?;
        let came = Arc::new(AtomicUsize::new(0));
        let mut signals = Self {
            came,
            wake,
            ours: Vec::new(),
            usual: Arc::clone(&usual),
        };
        for &signal in heeded() {
            let number = usize::try_from(signal).unwrap_or(0);
            let came = Arc::clone(&signals.came);
            signals.ours.push(register_usize(signal, came, number)?);
            signals
                .ours
                .push(pipe::register(signal, waker.as_fd().try_clone_to_owned()?)?);
        }
        usual.store(false, Ordering::SeqCst);
        Ok(signals)
    }

    fn came(&self) -> Option<i32> {
        signal(&self.came)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // First, so that none is lost between the two.
        self.usual.store(true, Ordering::SeqCst);
        for id in self.ours.drain(..) {
            unregister(id);
        }
    }
}

fn signal(came: &AtomicUsize) -> Option<i32> {
    i32::try_from(came.load(Ordering::SeqCst))
        .ok()
        .filter(|signal| *signal > 0)
}

/// The flag under which the signals do what they usually do. A handler that is there once stays, so it is asked.
fn usual() -> io::Result<Arc<AtomicBool>> {
    static USUAL: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(usual) = USUAL.get() {
        return Ok(Arc::clone(usual));
    }
    let usual = Arc::new(AtomicBool::new(true));
    for &signal in heeded() {
        register_conditional_default(signal, Arc::clone(&usual))?;
    }
    Ok(Arc::clone(USUAL.get_or_init(|| usual)))
}

/// The ending signals that this process was not started to ignore (`SigIgn` of proc(5)).
fn heeded() -> &'static [i32] {
    static HEEDED: OnceLock<Vec<i32>> = OnceLock::new();
    HEEDED.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0);
        let mut all = ENDING.to_vec();
        all.retain(|signal| ignored & (1 << (signal - 1)) == 0);
        all
    })
}
