//! Bytes and descriptors over a Unix socket.

use std::{
    collections::VecDeque,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};

use super::frame;
use crate::error::Error;

/// How many descriptors come along with one write at most.
pub const MOST_FDS: usize = 4;

/// Reads what is there, and puts descriptors that come along behind the others. 0 at the end.
///
/// # Errors
/// As `recvmsg(2)`; `EINTR` is tried again.
pub fn receive(socket: impl AsFd, room: &mut [u8], fds: &mut VecDeque<OwnedFd>) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(room)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(received) => {
                for message in ancillary.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        fds.extend(rights);
                    }
                }
                return Ok(received.bytes);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads the first frame on a socket that blocks; none where the other end is gone.
///
/// # Errors
/// When it is no frame.
pub fn first_frame(socket: BorrowedFd<'_>, fds: &mut VecDeque<OwnedFd>) -> Result<Option<Vec<u8>>, Error> {
    let mut input = Vec::new();
    loop {
        if let Some(length) = frame::first(&input)? {
            input.truncate(length);
            return Ok(Some(input));
        }
        let mut room = [0; 4096];
        match receive(socket, &mut room, fds) {
            Ok(read) if read > 0 => input.extend_from_slice(&room[..read]),
            _ => return Ok(None),
        }
    }
}

/// Writes some of the bytes, and the descriptors with the first of them. Answers how many.
///
/// # Errors
/// As `sendmsg(2)`; `EINTR` is tried again.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    loop {
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::MSGSIZE);
        }
        match sendmsg(
            &socket,
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        ) {
            Err(Errno::INTR) => {}
            sent => return sent,
        }
    }
}

/// Writes all of the bytes on a socket that blocks.
///
/// # Errors
/// As [`send`].
pub fn send_all(socket: impl AsFd, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let sent = send(&socket, bytes, fds)?;
        bytes = &bytes[sent..];
        fds = &[];
    }
    Ok(())
}
