//! Who is at the other end of a socket. rustix has a number of a process for it that is never 0, and the kernel tells 0 of a
//! process in a namespace that this one does not see, as where the agent is in a container of its own.

use std::{
    fs::read_to_string,
    os::fd::{AsFd, AsRawFd as _},
    sync::OnceLock,
};

use rustix::{io::Errno, process::Pid};

/// Who is at the other end, as the kernel tells it of whoever connected or made the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process; none where it has no number here.
    pub pid: Option<Pid>,
}

impl Peer {
    /// At the other end of a Unix socket.
    ///
    /// # Errors
    /// As `getsockopt(2)`.
    #[allow(unsafe_code)]
    pub fn of(socket: impl AsFd) -> Result<Self, Errno> {
        let mut told = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        let mut length = libc::socklen_t::try_from(size_of_val(&told)).map_err(|_| Errno::INVAL)?;
        // SAFETY: the descriptor is open while it is borrowed, and the kernel writes no more than the length says: a plain
        // structure of three numbers.
        let done = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut told).cast(),
                &raw mut length,
            )
        };
        if done != 0 {
            let error = std::io::Error::last_os_error();
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
        }
        Ok(Self {
            uid: told.uid,
            gid: told.gid,
            pid: Pid::from_raw(told.pid),
        })
    }

    /// The number of the process; 0 where it has none here.
    pub fn number(&self) -> i32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get())
    }
}

/// The uid that the kernel tells of every user for whom it has no other: in a user namespace, all who have none there. None
/// where each has one.
pub fn anybody() -> Option<u32> {
    static ANYBODY: OnceLock<Option<u32>> = OnceLock::new();
    *ANYBODY.get_or_init(|| {
        let map = read_to_string("/proc/self/uid_map").ok()?;
        if has_all(&map) {
            return None;
        }
        let told = read_to_string("/proc/sys/kernel/overflowuid").ok();
        Some(told.and_then(|told| told.trim().parse().ok()).unwrap_or(65534))
    })
}

/// Whether a namespace has a uid for each user, by its uid_map: lines of its first uid, that outside, and how many.
fn has_all(map: &str) -> bool {
    let counts = map.lines().filter_map(|line| line.split_whitespace().nth(2));
    let users: u64 = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
    users >= u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::launcher::pair;

    #[test]
    fn a_namespace_has_all_users_or_some() {
        assert!(has_all("         0          0 4294967295\n"));
        assert!(has_all("0 0 1000\n1000 1000 1\n1001 1001 4294966294\n"));
        assert!(!has_all("         0     100000      65536\n"));
        assert!(!has_all("65534 1000 1\n"));
        assert!(!has_all(""));
    }

    #[test]
    fn the_other_end_is_who_made_the_socket_and_what_is_no_socket_has_none() {
        let (here, _there) = pair().unwrap();
        let me = Peer {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            pid: Some(rustix::process::getpid()),
        };
        assert_eq!(Peer::of(&here), Ok(me));
        assert_eq!(
            Peer::of(std::fs::File::open("/dev/null").unwrap()),
            Err(Errno::NOTSOCK)
        );
    }
}
