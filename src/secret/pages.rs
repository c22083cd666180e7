//! Pages of this process alone, for secrets to lie in.
//!
//! Where the kernel has `memfd_secret(2)`, they are taken out of its own map: neither root nor a driver reads them there.
//! Elsewhere they are `mlock(2)`ed and left out of core dumps. Both kinds lie between pages that nobody may touch, and
//! are not handed on to a process that is forked.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    os::fd::{FromRawFd as _, OwnedFd},
    ptr::{NonNull, null_mut},
    slice,
};

use rustix::{
    io::Errno,
    mm::{
        Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect, munmap,
    },
};
use zeroize::Zeroize as _;

/// The number of the system call, the same on every architecture.
const MEMFD_SECRET: libc::c_long = 447;

/// Some bytes at the end of pages of their own. Zeros at first; those that were handed out to be written are wiped when
/// they are given back. The others are left alone: a page of sealed memory that nobody touched is none yet, and the
/// kernel takes about 60 us to make it one.
pub(super) struct Pages {
    whole: Reserved,
    bytes: NonNull<u8>,
    len: usize,
    handed_out: usize,
    sealed: bool,
}

/// Addresses for the pages, with one page in front and one behind. Nothing may be touched there at first.
struct Reserved {
    begin: *mut c_void,
    middle: *mut c_void,
    room: usize,
    page: usize,
}

// SAFETY: the pages are owned by this value alone and reached only through `&self` and `&mut self`.
unsafe impl Send for Pages {}
// SAFETY: shared references only read.
unsafe impl Sync for Pages {}

impl Pages {
    /// Room for `len` bytes.
    pub fn new(len: usize) -> Result<Self, Errno> {
        Self::sealed(len).or_else(|_| Self::locked(len))
    }

    fn sealed(len: usize) -> Result<Self, Errno> {
        let room = room(len)?;
        let file = memfd_secret(room)?;
        let whole = Reserved::new(room)?;
        // SAFETY: in place of addresses that were just reserved and nobody knows of. The file is closed behind it, so
        // that nobody takes the memory over by its descriptor.
        let mapped = unsafe {
            mmap(
                whole.middle,
                room,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                &file,
                0,
            )
        };
        match mapped {
            Ok(_) => Ok(whole.hold(len, true)),
            Err(error) => {
                // The middle may be another thread's by now.
                whole.give_back_ends();
                Err(error)
            }
        }
    }

    fn locked(len: usize) -> Result<Self, Errno> {
        let room = room(len)?;
        let whole = Reserved::new(room)?;
        // SAFETY: addresses that were just reserved and nobody knows of.
        let locked = unsafe {
            mprotect(whole.middle, room, MprotectFlags::READ | MprotectFlags::WRITE)
                .and_then(|()| mlock(whole.middle, room))
        };
        match locked {
            Ok(()) => Ok(whole.hold(len, false)),
            Err(error) => {
                whole.give_back();
                Err(error)
            }
        }
    }

    /// Whether they come from `memfd_secret(2)`.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes from there on are mapped and initialised as long as `self` lives.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }

    /// How many bytes there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The first `end` of the bytes, or all if there are fewer, to be written.
    pub fn first_mut(&mut self, end: usize) -> &mut [u8] {
        let end = end.min(self.len);
        self.handed_out = self.handed_out.max(end);
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.bytes.as_ptr(), end) }
    }

    fn wipe(&mut self) {
        self.first_mut(self.handed_out).zeroize();
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.wipe();
        self.whole.give_back();
    }
}

impl Reserved {
    fn new(room: usize) -> Result<Self, Errno> {
        let page = rustix::param::page_size();
        let whole = room.checked_add(2 * page).ok_or(Errno::NOMEM)?;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let begin = unsafe { mmap_anonymous(null_mut(), whole, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self {
            begin,
            middle: begin.wrapping_byte_add(page),
            room,
            page,
        })
    }

    /// The last `len` bytes of the middle, which was made accessible.
    fn hold(self, len: usize, sealed: bool) -> Pages {
        for advice in [Advice::LinuxDontDump, Advice::LinuxDontFork] {
            // SAFETY: it changes nothing for this process. A kernel that does not know it writes no core of this
            // process either way.
            let _ = unsafe { madvise(self.middle, self.room, advice) };
        }
        let bytes = self.middle.wrapping_byte_add(self.room - len).cast();
        Pages {
            // No mapping of the system's choice lies at address 0.
            bytes: NonNull::new(bytes).unwrap_or(NonNull::dangling()),
            whole: self,
            len,
            handed_out: 0,
            sealed,
        }
    }

    fn give_back(&self) {
        // SAFETY: the whole is ours, and nothing points into it any more. It cannot fail but for a whole that is none.
        let _ = unsafe { munmap(self.begin, self.room + 2 * self.page) };
    }

    fn give_back_ends(&self) {
        for end in [self.begin, self.middle.wrapping_byte_add(self.room)] {
            // SAFETY: as above, of one page.
            let _ = unsafe { munmap(end, self.page) };
        }
    }
}

/// The whole pages that hold so many bytes, in bytes.
fn room(len: usize) -> Result<usize, Errno> {
    len.max(1)
        .checked_next_multiple_of(rustix::param::page_size())
        .ok_or(Errno::NOMEM)
}

/// A file of this many bytes of sealed memory.
fn memfd_secret(len: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: it takes flags, and answers a new descriptor or an error.
    let answer = unsafe { libc::syscall(MEMFD_SECRET, libc::O_CLOEXEC) };
    let descriptor = i32::try_from(answer).ok().filter(|number| *number >= 0);
    // SAFETY: the descriptor is new, so it is ours alone.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor.ok_or(Errno::NOSYS)?) };
    rustix::fs::ftruncate(&file, len as u64)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_hold_exactly_what_was_asked_for() {
        for len in [0, 1, 64, 4096, 4097, 70_000] {
            for pages in [Pages::sealed(len), Pages::locked(len)] {
                let Ok(mut pages) = pages else { continue };
                assert_eq!(pages.bytes(), vec![0; len]);
                pages.first_mut(usize::MAX).fill(0xa5);
                assert_eq!(pages.bytes(), vec![0xa5; len]);
                // They end where the page that nobody may touch begins.
                assert_eq!((pages.bytes.as_ptr().addr() + len) % pages.whole.page, 0);
            }
        }
        assert!(Pages::locked(1).is_ok() && Pages::new(usize::MAX).is_err());
    }

    /// Pages of the process that lie in memory, as the kernel counts them.
    fn resident() -> usize {
        let counts = std::fs::read_to_string("/proc/self/statm").unwrap();
        counts.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn pages_that_nobody_wrote_to_are_not_made_for_the_wiping() {
        const PAGES: usize = 4096;
        let Ok(mut pages) = Pages::sealed(PAGES * rustix::param::page_size()) else {
            return;
        };
        pages.first_mut(3).copy_from_slice(b"pin");
        pages.first_mut(1)[0] = b'P';
        let before = resident();
        pages.wipe();
        assert_eq!(pages.bytes()[..4], [0; 4]);
        assert!(resident() < before + PAGES / 2);
        pages.first_mut(usize::MAX).fill(1);
        assert!(resident() > before + PAGES / 2, "the kernel counts such pages");
        pages.wipe();
        assert!(pages.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_byte_too_far_to_either_side_cannot_be_touched() {
        let pages = Pages::new(4096).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let rights = |address: usize| {
            maps.lines().find_map(|line| {
                let (begin, rest) = line.split_once('-')?;
                let (end, rest) = rest.split_once(' ')?;
                let bounds = usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
                bounds.contains(&address).then(|| &rest[..3])
            })
        };
        let begin = pages.bytes.as_ptr().addr();
        let found = [begin - 1, begin, begin + 4095, begin + 4096].map(rights);
        assert_eq!(found, ["---", "rw-", "rw-", "---"].map(Some));
    }
}
