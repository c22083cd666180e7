//! The connections of clients: lines in, answers out in their order.

use std::{collections::VecDeque, os::fd::OwnedFd, time::Instant};

use rustix::{io::Errno, net::SendFlags};

use super::{outgoing::Outgoing, poll::Interest};
use crate::{
    agent::wire,
    error::{Code, Error},
    policy::Caller,
};

/// The longest line in bytes.
pub const LONGEST: usize = 16 << 20;
/// How much may be held of lines that are not whole yet, over all clients, in bytes.
pub const MOST_HELD: usize = 64 << 20;
/// How many lines of one client are worked on at once; further ones wait in its socket.
pub const MOST_OPEN: usize = 64;
/// How much of lines that are worked on and of answers that wait may be held for a client, in bytes, before no more of its
/// lines are read.
const MOST_OF_ONE: usize = 1 << 20;
/// And over all clients, before lines as long as [`LARGE`] are refused, and each client has one of the others worked on at a time.
pub const MOST_IN_HAND: usize = 128 << 20;
/// Lines from this length on are refused where there is no room, in bytes.
pub const LARGE: usize = 16 << 10;
/// How much room a client keeps between two lines, in bytes.
const KEPT: usize = 1 << 10;

/// A connection.
pub struct Client {
    /// Its socket.
    pub socket: OwnedFd,
    /// Who is at the other end.
    pub caller: Caller,
    /// Whether it takes request lines alone, and nothing of the agent itself.
    pub requests_only: bool,
    /// Since when the launcher is asked which program that is. Until it answers, no line is read.
    pub unknown_since: Option<Instant>,
    /// Distinguishes it from an earlier one of the same number.
    pub generation: u32,
    /// What is waited for at its socket.
    pub interest: Interest,
    /// Bytes that came and are not read as lines yet.
    input: Vec<u8>,
    /// How many of them were read as lines.
    taken: usize,
    /// Up to where there is no line feed.
    scanned: usize,
    /// Whether the rest of a line that is too long is passed over.
    skipping: bool,
    /// Whether the client sends no more.
    pub ended: bool,
    /// Whether its connection broke.
    pub broken: bool,
    /// Descriptors that came along, each with how many bytes had come by then.
    pub fds: VecDeque<(u64, OwnedFd)>,
    /// How many bytes came.
    received: u64,
    /// The number of the first line that is not answered.
    first: u64,
    /// The answers of the lines from `first` on.
    answers: VecDeque<Answer>,
    /// How long these lines and answers are together.
    open: usize,
    output: Outgoing,
    /// Since when it takes no answers.
    pub stuck_since: Option<Instant>,
    /// Whether its turn comes again: it had more lines than are worked on in one.
    pub waits: bool,
}

enum Answer {
    /// To a line of this length, which is worked on.
    Due(usize),
    /// Behind another that is due.
    Ready(String),
}

impl Answer {
    const fn weight(&self) -> usize {
        match self {
            Self::Due(length) => *length,
            Self::Ready(line) => line.len(),
        }
    }
}

impl Client {
    /// A connection that begins.
    pub fn new(socket: OwnedFd, caller: Caller, generation: u32) -> Self {
        Self {
            socket,
            caller,
            requests_only: false,
            unknown_since: None,
            generation,
            interest: Interest::READ,
            input: Vec::new(),
            taken: 0,
            scanned: 0,
            skipping: false,
            ended: false,
            broken: false,
            fds: VecDeque::new(),
            received: 0,
            first: 0,
            answers: VecDeque::new(),
            open: 0,
            output: Outgoing::default(),
            stuck_since: None,
            waits: false,
        }
    }

    /// Reads what is there.
    pub fn receive(&mut self, room: &mut [u8]) {
        let mut fds = VecDeque::new();
        match wire::receive(&self.socket, room, &mut fds) {
            Ok(0) => self.ended = true,
            Ok(read) => {
                self.input.extend_from_slice(&room[..read]);
                self.received += read as u64;
            }
            Err(Errno::AGAIN) => {}
            Err(_) => self.broken = true,
        }
        self.fds.extend(fds.into_iter().map(|fd| (self.received, fd)));
        while self.fds.len() > wire::MOST_FDS {
            self.fds.pop_back().into_iter().for_each(close);
        }
    }

    /// Reads what it sent before it went away: it may have said something that is to be done, as to lock a token.
    pub fn receive_last(&mut self, room: &mut [u8]) {
        while !self.ended && !self.broken && self.input.len() < MOST_OF_ONE {
            self.receive(room);
        }
        self.ended = true;
    }

    /// The first descriptor that came along and is not taken.
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop_front().map(|(_, fd)| fd)
    }

    /// Closes descriptors whose lines have been worked on and did not want them.
    pub fn close_passed_fds(&mut self) {
        let passed = self.received - self.held() as u64;
        while self.fds.front().is_some_and(|(at, _)| *at <= passed) {
            self.fds.pop_front().into_iter().for_each(close);
        }
    }

    /// Closes all descriptors that came.
    pub fn close_fds(&mut self) {
        self.fds.drain(..).for_each(close);
    }

    /// How much is held of lines that are not answered or not whole.
    pub fn held(&self) -> usize {
        self.input.len() - self.taken
    }

    /// How long the line is that came in part.
    pub fn unfinished(&self) -> usize {
        if self.scanned == self.input.len() {
            self.held()
        } else {
            0
        }
    }

    /// Whether lines of it may be there to be worked on.
    pub fn has_lines(&self) -> bool {
        self.held() > self.unfinished()
    }

    /// Whether it may have more lines worked on: where it is `crowded`, those alone that have none in hand.
    pub fn has_room(&self, crowded: bool) -> bool {
        let most = if crowded { 1 } else { MOST_OF_ONE };
        self.answers.len() < MOST_OPEN && self.in_hand() < most
    }

    /// How much is held of lines that are worked on and of answers that wait, in bytes.
    pub fn in_hand(&self) -> usize {
        self.open + self.output.left().len()
    }

    /// The next whole line; an error in the place of one that is too long. Behind the last of those that came, no memory is
    /// kept for them: it may be long until another comes.
    pub fn line(&mut self) -> Option<Result<Vec<u8>, Error>> {
        let line = self.next_line();
        if line.is_none() || self.held() == 0 {
            self.shrink();
        }
        line
    }

    fn next_line(&mut self) -> Option<Result<Vec<u8>, Error>> {
        loop {
            let Some(at) = memchr(&self.input[self.scanned..]) else {
                self.scanned = self.input.len();
                if self.held() > LONGEST {
                    self.drop_held();
                }
                // What comes without a line feed at the end is a line too.
                if self.ended && self.held() > 0 && !self.skipping {
                    let line = self.input[self.taken..].to_vec();
                    self.taken = self.input.len();
                    return Some(Ok(line));
                }
                if self.ended && std::mem::take(&mut self.skipping) {
                    // What came last belongs to it.
                    self.taken = self.input.len();
                    return Some(Err(too_long()));
                }
                return None;
            };
            let end = self.scanned + at;
            let line = self.taken..end;
            self.taken = end + 1;
            self.scanned = end + 1;
            if std::mem::take(&mut self.skipping) || line.len() > LONGEST {
                return Some(Err(too_long()));
            }
            let line = &self.input[line];
            if !line.trim_ascii().is_empty() {
                return Some(Ok(line.to_vec()));
            }
        }
    }

    /// Gives up what is held of a line that is not whole; the line is an error.
    pub fn drop_held(&mut self) {
        self.skipping = true;
        self.input = Vec::new();
        self.taken = 0;
        self.scanned = 0;
    }

    fn shrink(&mut self) {
        if self.taken == self.input.len() {
            self.input.clear();
            self.input.shrink_to(KEPT);
        } else {
            self.input.drain(..self.taken);
        }
        self.taken = 0;
        self.scanned = self.input.len();
    }

    /// Takes a place for the answer of a line of this length.
    pub fn place(&mut self, length: usize) -> u64 {
        self.answers.push_back(Answer::Due(length));
        self.open += length;
        self.first + self.answers.len() as u64 - 1
    }

    /// Puts an answer into its place; those at the front go out.
    pub fn answer(&mut self, place: u64, line: String) {
        let Some(index) = place
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if let Some(answer) = self.answers.get_mut(index) {
            self.open = self.open - answer.weight() + line.len();
            *answer = Answer::Ready(line);
        }
        while let Some(Answer::Ready(line)) = self.answers.front() {
            self.open -= line.len();
            self.output.behind().extend_from_slice(line.as_bytes());
            self.output.behind().push(b'\n');
            self.answers.pop_front();
            self.first += 1;
        }
        if self.answers.is_empty() && self.answers.capacity() > 4 {
            self.answers = VecDeque::new();
        }
    }

    /// Writes what is to go out, as far as the client takes it.
    pub fn flush(&mut self, now: Instant) {
        while self.has_unsent() {
            match rustix::net::send(&self.socket, self.output.left(), SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    self.output.gone(sent, KEPT);
                    self.stuck_since = None;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.stuck_since.get_or_insert(now);
                    return;
                }
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }

    /// Whether something is still to go out, now or later.
    pub fn is_busy(&self) -> bool {
        !self.answers.is_empty() || self.has_unsent()
    }

    /// Whether answers wait for the client to take them.
    pub fn has_unsent(&self) -> bool {
        !self.output.left().is_empty()
    }
}

/// Closes a descriptor that somebody handed over, and waits for nothing: a connection may be set to linger.
fn close((_, fd): (u64, OwnedFd)) {
    let _ = rustix::net::sockopt::set_socket_linger(&fd, None);
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// Why a line is refused that would be worked on if others were not.
pub fn no_room() -> Error {
    Error::new(
        Code::TokenBusy,
        "the agent has as much in hand of long lines as it has room for; this one was not signed",
    )
    .fix("send it again when others are answered")
}

fn too_long() -> Error {
    Error::new(
        Code::TooLarge,
        format!("the line is longer than {LONGEST} bytes, or than the agent has room for"),
    )
    .fix("send less in one line, and end each with a line feed")
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_line_that_was_taken_leaves_no_memory_behind() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut client = Client::new(ours.into(), Caller::this_process(), 0);
        let long = [&[b'x'; 100_000][..], b"\n"].concat();
        theirs.write_all(&long).unwrap();
        while client.received < long.len() as u64 {
            client.receive(&mut [0; 65536]);
        }
        assert_eq!(client.line().unwrap().unwrap().len(), 100_000);
        assert!(client.input.capacity() <= KEPT, "{}", client.input.capacity());
    }
}
