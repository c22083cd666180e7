//! Whether this process was started with a standard output, and what it says on standard error.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{io::FdFlags, stdio::stdout};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether standard output is closed. It is called before Rust's runtime, which opens `/dev/null` in its place.
pub extern "C" fn look_for_output() {
    CLOSED.store(rustix::io::fcntl_getfd(stdout()).is_err(), Ordering::Relaxed);
}

/// Whether this process was started with a standard output.
pub fn has_output() -> bool {
    !CLOSED.load(Ordering::Relaxed)
}

/// Has the program that takes this one's place find standard output as this one did.
pub(super) fn pass_on() {
    if !has_output() {
        let _kept_open = rustix::io::fcntl_setfd(stdout(), FdFlags::CLOEXEC);
    }
}

/// Says something on standard error, in one piece. Where that cannot be written, as on a full disk or where nobody reads it any
/// more, the process goes on; `eprintln` would end it.
pub fn tell(text: &str) {
    let _unheard = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
