//! What whoever started this process left to it: descriptors that are open, signals that are blocked or ignored, limits.

use std::{fs, mem::MaybeUninit, os::fd::BorrowedFd, ptr};

use rustix::io::{FdFlags, fcntl_setfd};

/// Has the programs that this process starts inherit none of them, but the standard ones and those of these numbers. A process
/// that goes on in the background would keep for good what they are, as a lock or the end of a pipe.
#[allow(unsafe_code)]
pub fn hand_down_only(kept: &[i32]) {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number| *number > 2 && !kept.contains(number)) {
        // SAFETY: it is borrowed for this call alone, and the kernel answers EBADF where it is closed by now.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _closed = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}

/// Has this process hear how those end that it starts. Where it was started with SIGCHLD ignored the kernel forgets them at their
/// end, and waiting for one fails though it did its work.
#[allow(unsafe_code)]
pub fn hear_of_children() {
    // SAFETY: no handler is set, and nothing of the program has one for this signal.
    let _before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Has a write fail that goes beyond how large files may be (`ulimit -f`), where it would end this process without a word. What is
/// ignored would be so in the programs that are started, too; a handler is not.
#[allow(unsafe_code)]
pub fn hear_of_large_files() {
    extern "C" fn go_on(_signal: libc::c_int) {}
    // SAFETY: the handler does nothing.
    let _before = unsafe {
        libc::signal(
            libc::SIGXFSZ,
            go_on as extern "C" fn(libc::c_int) as libc::sighandler_t,
        )
    };
}

/// Lets every signal through to this process and those that it starts.
#[allow(unsafe_code)]
pub fn block_no_signal() {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call writes the whole set, which the second reads.
    let _before = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
    };
}
