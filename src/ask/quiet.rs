//! A terminal that shows nothing of what is typed, and is as it was before, whatever ends the process meanwhile.
//!
//! The signals that end a process are caught while the terminal is mute. Their handler makes everything as it was and
//! sends the signal again, to whatever would have got it. It does nothing that a handler may not do (signal-safety(7)).
#![allow(unsafe_code)]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
};

use crate::error::{Result, failed};

/// The signals that end a process, and that a person may send it.
const ENDING: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];

/// How everything was before; null while no terminal is mute.
static BEFORE: AtomicPtr<Before> = AtomicPtr::new(ptr::null_mut());

struct Before {
    terminal: RawFd,
    modes: libc::termios,
    /// What each signal did. Those that were ignored, as under nohup, are left out: they stay so.
    signals: [Option<libc::sigaction>; ENDING.len()],
}

/// A terminal without echo, line editing and signals from keys, until dropped.
pub(super) struct Quiet<'a> {
    _terminal: BorrowedFd<'a>,
    /// One prompt at a time.
    _turn: MutexGuard<'static, ()>,
}

impl<'a> Quiet<'a> {
    pub fn begin(terminal: BorrowedFd<'a>) -> Result<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |()| {
            let error = io::Error::last_os_error();
            failed(format!("the terminal cannot be made to hide typing: {error}"))
        };
        let mut modes = modes(terminal.as_raw_fd()).ok_or(()).map_err(told)?;
        let before = Before {
            terminal: terminal.as_raw_fd(),
            modes,
            signals: ENDING.map(|signal| action(signal).filter(|now| now.sa_sigaction != libc::SIG_IGN)),
        };
        modes.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG);
        modes.c_cc[libc::VMIN] = 1;
        modes.c_cc[libc::VTIME] = 0;
        let caught = before.signals.map(|signal| signal.is_some());
        // A handler on another thread may still look at it, so it is never freed. There is nothing secret in it.
        BEFORE.store(Box::into_raw(Box::new(before)), Ordering::Release);
        let quiet = Self {
            _terminal: terminal,
            _turn: turn,
        };
        for (signal, _) in ENDING.into_iter().zip(caught).filter(|(_, caught)| *caught) {
            catch(signal);
        }
        set(terminal.as_raw_fd(), &modes)
            .then_some(())
            .ok_or(())
            .map_err(told)?;
        Ok(quiet)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes terminal and signals as they were.
fn restore() {
    let before = BEFORE.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: null, or a box that was leaked and is never changed.
    let Some(before) = (unsafe { before.as_ref() }) else {
        return;
    };
    set(before.terminal, &before.modes);
    for (signal, action) in ENDING.iter().zip(&before.signals) {
        if let Some(action) = action {
            // SAFETY: the very action that sigaction(2) told before.
            unsafe { libc::sigaction(*signal, action, ptr::null_mut()) };
        }
    }
}

extern "C" fn ended(signal: libc::c_int) {
    restore();
    // SAFETY: raise(3) may be called in a handler. The signal comes when this one is done, and finds its old action.
    unsafe { libc::raise(signal) };
}

/// Has [`ended`] called at a signal.
fn catch(signal: libc::c_int) {
    // SAFETY: an action of zeros is one without flags and mask; the handler has the type that is wanted without
    // SA_SIGINFO.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = ended as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

/// What a signal does now.
fn action(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: filled where the answer is 0, and read only then.
    unsafe {
        let answer = libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        (answer == 0).then(|| action.assume_init())
    }
}

fn modes(terminal: RawFd) -> Option<libc::termios> {
    let mut modes = MaybeUninit::uninit();
    // SAFETY: filled where the answer is 0, and read only then.
    unsafe {
        let answer = libc::tcgetattr(terminal, modes.as_mut_ptr());
        (answer == 0).then(|| modes.assume_init())
    }
}

/// Sets a terminal's modes, and drops what was typed and not read.
fn set(terminal: RawFd, modes: &libc::termios) -> bool {
    // SAFETY: the modes are whole; a number that is no terminal's is an error and nothing more.
    unsafe { libc::tcsetattr(terminal, libc::TCSAFLUSH, modes) == 0 }
}
