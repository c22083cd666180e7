//! Standard output, written to the last byte: an answer that nobody got is no success.

use std::sync::atomic::{AtomicBool, Ordering};

use hsmsign::{
    error::{Error, Result, failed},
    process,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::BorrowedFd,
    io::Errno,
    stdio::stdout,
};

/// Whether something was written that nobody read any more.
static GONE: AtomicBool = AtomicBool::new(false);

/// Whether all that was written was taken.
pub fn was_taken() -> bool {
    !GONE.load(Ordering::Relaxed)
}

/// Refuses what answers on a standard output that is not there.
///
/// # Errors
/// `failed`, with what to do.
pub fn is_there() -> Result<()> {
    if process::has_output() {
        Ok(())
    } else {
        Err(not_written("it is closed"))
    }
}

/// Writes all of it. Answers whether somebody still reads.
///
/// # Errors
/// `failed` where it is closed, not open for writing, or takes no more.
pub fn put(mut bytes: &[u8]) -> Result<bool> {
    if !bytes.is_empty() {
        is_there()?;
    }
    // Not by the standard library: it passes over a descriptor that cannot be written.
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(stdout(), PollFlags::OUT),
            Err(Errno::PIPE) => {
                GONE.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Err(error) => return Err(not_written(error)),
        }
    }
    Ok(true)
}

/// Waits for a descriptor that whoever started this process made non-blocking. What fails then is told by the next try.
pub fn wait(descriptor: BorrowedFd<'_>, what: PollFlags) {
    let _ready = poll(&mut [PollFd::from_borrowed_fd(descriptor, what)], None);
}

fn not_written(why: impl std::fmt::Display) -> Error {
    failed(format!("standard output cannot be written: {why}")).fix(
        "have it go where it is taken, or to /dev/null; what was signed or changed is done all the same: hsmsign audit show",
    )
}
