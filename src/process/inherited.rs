//! Descriptors that whoever started this process left open.

use std::{fs, os::fd::BorrowedFd};

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
