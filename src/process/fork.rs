//! A second process that goes on from the same place, with the memory of the first.

use rustix::{io::Errno, process::Pid};

/// Splits this process, which has one thread. Answers the number of the new one; none in that.
///
/// # Errors
/// When the system has none to give, or this process has further threads: of those the new one would have what they had
/// locked, and not them.
#[allow(unsafe_code)]
pub fn fork() -> Result<Option<Pid>, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(Errno::BUSY);
    }
    // SAFETY: there is one thread, so that nothing is locked or half changed in the copy.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
        pid => Ok(Pid::from_raw(pid)),
    }
}
