//! Whether this process was started with a standard output.

use std::sync::atomic::{AtomicBool, Ordering};

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
