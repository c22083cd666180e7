//! What goes to a worker and comes back: frames, and descriptors that belong to some of them.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    io::{Errno, ioctl_fionbio, read, retry_on_intr, write},
    pipe::{PipeFlags, pipe_with},
};
use zeroize::Zeroize as _;

use super::{
    outgoing::Outgoing,
    poll::{Interest, Poll, Source},
};
use crate::{
    agent::{
        frame::{self, Told},
        wire,
    },
    error::{Error, Result, failed},
};

/// How much room is kept between two frames, in bytes.
const KEPT: usize = 64 << 10;

/// The connection to one worker. What is written before the worker runs waits for it.
pub struct Link {
    ends: Option<Ends>,
    /// The beginning of a frame that is not here whole.
    input: Vec<u8>,
    output: Outgoing,
    /// Descriptors that go with the output, each with the place of its frame's first byte.
    fds: VecDeque<(u64, OwnedFd)>,
    /// Whether it is waited for that the worker takes more.
    waits: bool,
}

struct Ends {
    /// By which it is waited for.
    source: Source,
    socket: OwnedFd,
    /// None where frames go over the socket.
    pipes: Option<Pipes>,
}

/// What frames go through where there are many: a pipe takes half as long as a socket from one process to the next.
struct Pipes {
    asks: OwnedFd,
    answers: OwnedFd,
}

impl Link {
    /// To a worker that does not run yet, with what it is told first.
    pub const fn new(output: Vec<u8>) -> Self {
        Self {
            ends: None,
            input: Vec::new(),
            output: Outgoing::new(output),
            fds: VecDeque::new(),
            waits: false,
        }
    }

    /// The worker runs, with the other end of this socket; through pipes it is told so first.
    ///
    /// # Errors
    /// When the system has none to give, or the socket cannot be waited for.
    pub fn connect(&mut self, socket: OwnedFd, piped: bool, poll: &Poll, source: Source) -> Result<()> {
        let ends = Ends::new(socket, piped, source)
            .map_err(|error| failed(format!("the worker cannot be talked to: {error}")))?;
        let ends = self.ends.insert(ends);
        poll.add(ends.reader(), source, Interest::READ)
            .map_err(|error| failed(format!("the worker cannot be waited for: {error}")))
    }

    /// Puts a frame behind the others, by what writes it, and the descriptors that go with it.
    pub fn put(&mut self, fds: Vec<OwnedFd>, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.output.end();
        self.fds.extend(fds.into_iter().map(|fd| (at, fd)));
        write(self.output.behind());
    }

    /// Writes what is to go out, as far as the worker takes it; where it takes no more now, that is waited for.
    ///
    /// # Errors
    /// When it is gone.
    pub fn flush(&mut self, poll: &Poll) -> Result<()> {
        let Some(ends) = &self.ends else { return Ok(()) };
        while !self.output.left().is_empty() {
            // A write with descriptors ends before the next frame that has some, and begins at the first's.
            let place = self.output.place();
            let due = self.fds.partition_point(|(at, _)| *at <= place);
            let with: Vec<_> = self.fds.range(..due).map(|(_, fd)| fd.as_fd()).collect();
            let left = self.output.left();
            let end = self
                .fds
                .get(due)
                .and_then(|(at, _)| usize::try_from(at - place).ok());
            match ends.send(&left[..end.unwrap_or(left.len())], &with) {
                Ok(sent) => {
                    self.fds.drain(..due);
                    self.output.gone(sent, KEPT);
                }
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(gone(error)),
            }
        }
        let waits = !self.output.left().is_empty();
        if waits != self.waits {
            ends.wait(waits, poll).map_err(gone)?;
            self.waits = waits;
        }
        Ok(())
    }

    /// Reads the answers that are there. Answers whether anything was.
    ///
    /// # Errors
    /// When the worker is gone, or is not understood.
    pub fn receive(&mut self, room: &mut [u8], told: &mut Vec<(u64, Told)>) -> Result<bool> {
        let Some(ends) = &self.ends else { return Ok(false) };
        let read = match ends.receive(room) {
            Ok(0) => return Err(failed("its worker ended")),
            Ok(read) => read,
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(gone(error)),
        };
        if self.input.is_empty() {
            let done = take(&mut room[..read], told)?;
            self.input.extend_from_slice(&room[done..read]);
            // It may be the beginning of a passphrase.
            room[done..read].zeroize();
        } else {
            // Grown by hand: growing by itself, a vector leaves its old bytes behind.
            if self.input.capacity() < self.input.len() + read {
                let mut larger = Vec::with_capacity((self.input.len() + read) * 2);
                larger.extend_from_slice(&self.input);
                self.input.zeroize();
                self.input = larger;
            }
            self.input.extend_from_slice(&room[..read]);
            room[..read].zeroize();
            let done = take(&mut self.input, told)?;
            let left = move_down(&mut self.input, done);
            self.input.truncate(left);
        }
        Ok(true)
    }
}

impl Ends {
    fn new(socket: OwnedFd, piped: bool, source: Source) -> Result<Self, Errno> {
        ioctl_fionbio(&socket, true)?;
        if !piped {
            return Ok(Self {
                source,
                socket,
                pipes: None,
            });
        }
        // The worker's ends block.
        let (asked, asks) = pipe_with(PipeFlags::CLOEXEC)?;
        let (answers, answered) = pipe_with(PipeFlags::CLOEXEC)?;
        ioctl_fionbio(&asks, true)?;
        ioctl_fionbio(&answers, true)?;
        wire::send(&socket, &[0], &[asked.as_fd(), answered.as_fd()])?;
        let pipes = Some(Pipes { asks, answers });
        Ok(Self {
            source,
            socket,
            pipes,
        })
    }

    fn reader(&self) -> &OwnedFd {
        self.pipes.as_ref().map_or(&self.socket, |pipes| &pipes.answers)
    }

    /// Beside pipes, descriptors go over the socket, with a byte for each frame that has some.
    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let Some(pipes) = &self.pipes else {
            return wire::send(&self.socket, bytes, fds);
        };
        if !fds.is_empty() {
            // Hundreds of them wait there where it takes no more: such a worker is given up.
            wire::send(&self.socket, &[0], fds).map_err(|error| match error {
                Errno::AGAIN => Errno::NOBUFS,
                error => error,
            })?;
        }
        match retry_on_intr(|| write(&pipes.asks, bytes)) {
            // The descriptors are gone, if not the frame.
            Err(Errno::AGAIN) if !fds.is_empty() => Ok(0),
            written => written,
        }
    }

    fn receive(&self, room: &mut [u8]) -> Result<usize, Errno> {
        match &self.pipes {
            Some(pipes) => retry_on_intr(|| read(&pipes.answers, &mut *room)),
            None => wire::receive(&self.socket, room, &mut VecDeque::new()),
        }
    }

    /// Waits for room for more, or no longer.
    fn wait(&self, for_room: bool, poll: &Poll) -> Result<(), Errno> {
        match &self.pipes {
            Some(pipes) if for_room => poll.add(&pipes.asks, self.source, Interest::WRITE),
            Some(pipes) => {
                poll.remove(&pipes.asks);
                Ok(())
            }
            None => {
                let interest = Interest {
                    write: for_room,
                    ..Interest::READ
                };
                poll.change(&self.socket, self.source, interest)
            }
        }
    }
}

fn gone(error: Errno) -> Error {
    failed(format!("its worker is gone: {error}"))
}

/// Moves what is behind the beginning to the front, and leaves nothing of it behind: it may be of a passphrase. Answers how
/// long it is.
fn move_down(buffer: &mut [u8], beginning: usize) -> usize {
    let left = buffer.len() - beginning;
    buffer.copy_within(beginning.., 0);
    buffer[left..].zeroize();
    left
}

/// Reads the whole frames in the buffer. Answers how long they are together.
fn take(buffer: &mut [u8], told: &mut Vec<(u64, Told)>) -> Result<usize> {
    let mut done = 0;
    while let Some(length) = frame::first(&buffer[done..])? {
        told.push(frame::read_told(&mut buffer[done..done + length])?);
        done += length;
    }
    Ok(done)
}
