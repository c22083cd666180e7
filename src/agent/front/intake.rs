//! Clients: letting them in, taking their lines by turns, putting answers into their places.

use std::time::{Duration, Instant};

use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with},
};

use super::{
    Front,
    clients::{Client, LARGE, MOST_HELD, MOST_IN_HAND, no_room},
    files::{no_files, refuse_connection, spare},
    flights,
    poll::{Interest, Ready, Source},
    starting::Whose,
};
use crate::{
    agent::{asked, peer::Peer},
    error::{Code, Error},
    policy::Caller,
    process,
    request::error_line,
};

/// How many lines of one client are worked on before the others get their turn.
const TURN: usize = 32;
/// How many connections are taken in one round: while more come than go, those that are open have their turns all the same.
const NEWCOMERS: usize = 32;
/// How many connections are kept for those who may lock and stop the agent, where others take all they can.
const FOR_ADMINS: usize = 8;
/// What is in hand of more than so many bytes leaves memory behind that is worth giving back.
const MUCH: usize = 8 << 20;
/// What was still in hand when memory was given back is worth it as well, if it was more than so many bytes.
const LITTLE: usize = 1 << 20;
/// How often it is looked whether it is crowded.
const LOOKED: Duration = Duration::from_millis(10);
/// How many descriptors that came with lines that are not whole may be open, over all clients.
const MOST_FDS: usize = 64;

/// Whether as much is in hand of lines and answers as there is room for.
#[derive(Default)]
pub struct Crowd {
    is: bool,
    looked: Option<Instant>,
    /// The most that was in hand since memory was given back, in bytes.
    most: usize,
    /// What was still in hand then, in bytes.
    still: usize,
}

impl Crowd {
    /// Whether that was so when it was looked last.
    pub const fn is_there(&self) -> bool {
        self.is
    }

    /// Whether so much went that its memory is worth giving back; once for the same.
    fn left_memory(&mut self, in_hand: usize) -> bool {
        let worth = self.most > MUCH || self.still > LITTLE;
        let left = worth && in_hand <= self.most.max(self.still) / 2;
        if left {
            (self.most, self.still) = (0, in_hand);
        }
        left
    }
}

impl Front {
    /// Lets in who came. Those behind the first few are told of again in the next round.
    pub(super) fn accept(&mut self) {
        for _ in 0..NEWCOMERS {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(&self.listening.socket, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE) => {
                    // Left where it is, the client would wait for ever, and the loop would spin.
                    drop(self.spare.take());
                    let accepted = accept_with(&self.listening.socket, flags);
                    if let Ok(socket) = &accepted {
                        self.counts.metrics.turned_away += 1;
                        refuse_connection(socket, &no_files());
                    }
                    let nobody_waits = accepted.is_err();
                    drop(accepted);
                    self.spare = spare(&self.listening).ok();
                    // The kernel looks for a descriptor first, and says that there is none where no client waits either.
                    if nobody_waits || self.spare.is_none() {
                        return;
                    }
                    continue;
                }
                Err(_) => return,
            };
            let Ok(peer) = Peer::of(&socket) else { continue };
            let pid = peer.number();
            let mut caller = Caller::of_peer(peer.uid, peer.gid, pid);
            let connected = self.clients.len() - self.free.len();
            let kept = self.kept_from(&caller);
            if connected + kept >= self.config.agent.connections {
                self.counts.metrics.turned_away += 1;
                let error = Error::new(
                    Code::TokenBusy,
                    format!("the agent has {connected} connections, which is as many as it takes"),
                )
                .fix("close some, or raise connections in [agent] of config.toml");
                refuse_connection(&socket, &error);
                continue;
            }
            if connected + kept >= self.most_by_files {
                self.counts.metrics.turned_away += 1;
                refuse_connection(&socket, &no_files());
                continue;
            }
            // Landlock keeps this process from seeing which program it is, where the kernel has it.
            let asks_launcher = !self.launcher.is_silent(self.now);
            if !asks_launcher {
                caller.executable = Caller::program_of(pid);
            }
            self.generation = self.generation.wrapping_add(1);
            let mut client = Client::new(socket, caller, self.generation);
            let index = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                u32::try_from(self.clients.len() - 1).unwrap_or(u32::MAX)
            });
            let source = Source::Client(index, self.generation);
            if asks_launcher {
                client.unknown_since = Some(self.now);
                client.interest = Interest::NONE;
            }
            if self.poll.add(&client.socket, source, client.interest).is_ok() {
                self.counts.metrics.connected += 1;
                if client.unknown_since.is_some() {
                    let whose = Whose(index, self.generation);
                    self.launcher.look_at(whose, pid, self.now);
                }
                self.clients[index as usize] = Some(client);
            } else {
                self.free.push(index);
            }
        }
    }

    /// How many connections are not for this caller. Of few, all are for everybody.
    fn kept_from(&self, caller: &Caller) -> usize {
        match self.may_administer(caller) {
            true => 0,
            false => FOR_ADMINS.min(self.config.agent.connections / 8),
        }
    }

    pub(super) fn client(&mut self, index: u32) -> Option<&mut Client> {
        self.clients.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn close(&mut self, index: u32) {
        if let Some(slot) = self.clients.get_mut(index as usize)
            && slot.take().is_some()
        {
            self.free.push(index);
        }
    }

    pub(super) fn client_ready(&mut self, index: u32, generation: u32, event: Ready) {
        let Some(Some(client)) = self.clients.get_mut(index as usize) else {
            return;
        };
        if client.generation != generation {
            return;
        }
        if event.read && client.interest.read {
            // What comes behind lines that wait for their turn waits in the socket.
            if !client.waits {
                client.receive(&mut self.room);
            }
            if !client.fds.is_empty() {
                self.close_unwanted(index);
            }
        } else if event.read && !client.interest.write {
            // Nothing is wanted of it, and yet it is ready: it is gone.
            if client.unknown_since.is_some() {
                client.receive_last(&mut self.room);
                self.poll.remove(&client.socket);
            } else {
                client.broken = true;
            }
        }
        self.touched.push(index);
        // Whose turn comes again this round anyway has no second one.
        if self.client(index).is_some_and(|client| !client.waits) {
            self.take_lines(index);
        }
        if self.client(index).is_some_and(|client| client.held() > 0) {
            self.drop_longest();
        }
    }

    /// Closes descriptors that came from who may hand over none, or more than there is room for.
    pub(super) fn close_unwanted(&mut self, index: u32) {
        let kept: usize = self.clients.iter().flatten().map(|client| client.fds.len()).sum();
        let Some(caller) = self.client(index).map(|client| client.caller.clone()) else {
            return;
        };
        if !self.may_administer(&caller) || kept > MOST_FDS {
            self.clients[index as usize]
                .iter_mut()
                .for_each(Client::close_fds);
        }
    }

    /// Gives up the longest line that is not whole, where all together are more than there is room for.
    pub(super) fn drop_longest(&mut self) {
        let clients = || self.clients.iter().flatten();
        if clients().map(Client::held).sum::<usize>() <= MOST_HELD {
            return;
        }
        if let Some(longest) = self
            .clients
            .iter_mut()
            .flatten()
            .filter(|client| client.unfinished() > 0)
            .max_by_key(|client| client.unfinished())
        {
            longest.drop_held();
        }
    }

    /// How much is held of lines that are worked on and of answers that wait, in bytes.
    fn in_hand(&self) -> usize {
        self.clients.iter().flatten().map(Client::in_hand).sum()
    }

    /// Looks whether it is crowded. Where that is over, those that waited have their lines worked on and read.
    pub(super) fn look_at_crowd(&mut self) {
        if self.crowd.looked.is_some_and(|looked| self.now < looked + LOOKED) {
            return;
        }
        let in_hand = self.in_hand();
        let is = in_hand > MOST_IN_HAND;
        self.crowd.looked = Some(self.now);
        self.crowd.most = self.crowd.most.max(in_hand);
        if std::mem::replace(&mut self.crowd.is, is) && !is {
            let all = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
            self.touched.extend(0..all);
        }
    }

    /// Gives back what a crowd took, where there is nothing to do.
    pub(super) fn give_back_memory(&mut self) {
        let in_hand = self.in_hand();
        if self.crowd.left_memory(in_hand) {
            process::let_go_of_heap();
        }
    }

    /// Works on lines of a client that came.
    pub(super) fn take_lines(&mut self, index: u32) {
        for _ in 0..TURN {
            let (stopping, crowded) = (self.stopping.is_some(), self.crowd.is_there());
            let Some(client) = self.client(index) else { return };
            if client.broken || client.unknown_since.is_some() || stopping || !client.has_room(crowded) {
                return;
            }
            let Some(mut line) = client.line() else { return };
            let length = line.as_ref().map_or(0, Vec::len);
            let place = client.place(length);
            let whose = flights::Client {
                index,
                generation: client.generation,
                place,
            };
            let (caller, requests_only) = (client.caller.clone(), client.requests_only);
            if length >= LARGE && self.in_hand() > MOST_IN_HAND {
                line = Err(no_room());
            }
            let asked = line.map(|line| match requests_only {
                true => asked::request(&line),
                false => asked::read(&line),
            });
            match asked {
                Ok(asked) => self.line(whose, &caller, asked),
                Err(error) => self.answer(whose, error_line(None, &error)),
            }
            if let Some(client) = self.client(index) {
                client.close_passed_fds();
            }
        }
        self.once_more(index);
    }

    /// Gives those who had more lines than they could have worked on at once their next turn.
    pub(super) fn take_turns(&mut self) {
        for index in std::mem::take(&mut self.again) {
            if let Some(client) = self.client(index) {
                client.waits = false;
            }
            self.take_lines(index);
            // More of it is read once the lines that came are worked on.
            self.touched.push(index);
        }
    }

    /// Another turn for a client, one a round: who sends much has no more of it than others.
    fn once_more(&mut self, index: u32) {
        if let Some(client) = self.client(index)
            && !std::mem::replace(&mut client.waits, true)
        {
            self.again.push(index);
        }
    }

    pub(super) fn answer(&mut self, whose: flights::Client, line: String) {
        let crowded = self.crowd.is_there();
        let Some(client) = self.client(whose.index) else {
            return;
        };
        if client.generation != whose.generation {
            return;
        }
        let had_room = client.has_room(crowded);
        client.answer(whose.place, line);
        let again = !had_room && client.has_room(crowded);
        self.touched.push(whose.index);
        if again {
            self.once_more(whose.index);
        }
    }
}
