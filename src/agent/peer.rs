//! Who is at the other end of a socket. rustix has a number of a process for it that is never 0, and the kernel tells 0 of a
//! process in a namespace that this one does not see, as where the agent is in a container of its own.

use std::os::fd::{AsFd, AsRawFd as _};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::launcher::pair;

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
