//! The front: one event loop between clients and workers. It walks the road of each request and holds no token.

mod clients;
mod files;
mod flights;
mod metrics;
mod ops;
mod poll;
mod road;
mod scrape;
mod signals;
mod systemd;
mod workers;

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with},
};

use self::{
    clients::{Client, MOST_HELD},
    files::{connections_by_files, no_files, raise_files, refuse_connection, spare},
    flights::Flights,
    poll::{Interest, Poll, Ready, Source},
    scrape::Scrape,
    workers::{Launcher, Worker, launcher_gone},
};
pub use self::{scrape::MetricsSocket, signals::Signals, systemd::Manager};
use super::{
    frame::Told,
    launcher::Program,
    sandbox::{self, Confined},
    socket::Listening,
};
use crate::{
    config::Config,
    error::{Code, Error, Result, failed},
    home::{FileLock, Home},
    keyring::KeyName,
    nonce::Nonces,
    policy::Caller,
    request::error_line,
    secret::Secret,
    signer::Road,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// How many lines of one client are worked on before the others get their turn.
const TURN: usize = 32;
/// When the loop has nothing to do: how often it looks at clocks.
const TICK: Duration = Duration::from_secs(1);
/// When nonces are held: how soon they are settled.
const SETTLE: Duration = Duration::from_millis(10);
/// How long a client may take no answers.
const STUCK: Duration = Duration::from_secs(60);
/// How many descriptors that came with lines that are not whole may be open, over all clients.
const MOST_FDS: usize = 64;
/// How long requests on their way are waited for at the end.
const LAST: Duration = Duration::from_secs(5);

/// What an agent is told at its start.
pub struct Settings {
    /// The folders.
    pub home: Home,
    /// The configuration, as text and as read.
    pub config: (String, Config),
    /// Where clients come in.
    pub listening: Listening,
    /// Where the metrics are read; none where they are off.
    pub metrics: Option<MetricsSocket>,
    /// What is told how it goes.
    pub manager: Manager,
    /// What says that no other agent serves these folders.
    pub alone: Alone,
    /// How helpers are started.
    pub program: Program,
    /// The signals that end and reload it.
    pub signals: Signals,
}

/// That no other agent serves these folders.
pub struct Alone(#[allow(dead_code)] FileLock);

impl Alone {
    /// Makes sure.
    ///
    /// # Errors
    /// When another agent serves them.
    pub fn in_folders(home: &Home) -> Result<Self> {
        FileLock::try_acquire(&home.state("agent.lock"))?
            .map(Self)
            .ok_or_else(|| {
                failed("another agent serves these folders: two would give out the same nonces")
                    .fix("use that one: hsmsign agent status; or end it: hsmsign agent stop")
            })
    }
}

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal or a client that may.
    Stopped,
}

struct Front {
    home: Home,
    config: Config,
    /// Its text, which each worker gets.
    config_text: String,
    poll: Poll,
    listening: Listening,
    scrape: Scrape,
    manager: Manager,
    /// A descriptor to be given up for a client that there is none for, so that it is told.
    spare: Option<OwnedFd>,
    /// How many clients there are descriptors for.
    most_by_files: usize,
    _alone: Alone,
    signals: Signals,
    launcher: Launcher,
    clients: Vec<Option<Client>>,
    free: Vec<u32>,
    generation: u32,
    workers: Vec<Worker>,
    flights: Flights,
    road: Road,
    /// Passphrases that were fetched for requests that wait for them.
    passphrases: HashMap<KeyName, Secret>,
    /// Clients with something to go out.
    touched: Vec<u32>,
    /// Clients whose lines wait for their turn.
    again: Vec<u32>,
    /// When this round of the loop began.
    now: Instant,
    /// Whether nonces may be held.
    unsettled: bool,
    stopping: Option<Instant>,
    /// Why it cannot go on.
    fatal: Option<Error>,
    counts: ops::Counts,
    room: Box<[u8]>,
    /// The token that is asked next where all take turns.
    turn: usize,
    last_request: Instant,
    /// Whether the last seal was asked for.
    sealed: bool,
    confined: Option<Confined>,
}

/// Serves clients until a signal or one of them ends it.
///
/// # Errors
/// When the loop cannot go on.
pub fn run(settings: Settings, ready: impl FnOnce()) -> Result<Ended> {
    let launcher = Launcher::start(&settings.program)?;
    raise_files(settings.config.1.agent.connections);
    let mut front = Front::new(settings, launcher)?;
    front.open_tokens();
    ready();
    // Nothing of a client was read yet.
    let sockets = [front.listening.folder(), front.scrape.folder()];
    let sockets = sockets.into_iter().flatten().map(Path::to_owned).collect();
    let confined = sandbox::confine(&front.home, sockets)?;
    if let Some(warning) = confined.warning() {
        eprintln!("hsmsign agent: {warning}");
    }
    front.confined = Some(confined);
    front.manager.serving();
    front.serve()
}

impl Front {
    fn new(settings: Settings, launcher: Launcher) -> Result<Self> {
        let poll = Poll::new()?;
        let now = Instant::now();
        let set_up = |error: Errno| failed(format!("the socket cannot be set up: {error}"));
        rustix::io::ioctl_fionbio(&settings.listening.socket, true).map_err(set_up)?;
        poll.add(&settings.listening.socket, Source::Listener, Interest::READ)
            .map_err(set_up)?;
        poll.add(&settings.signals.socket, Source::Signal, Interest::READ)
            .map_err(set_up)?;
        poll.add(launcher.socket(), Source::Launcher, Interest::READ)
            .map_err(set_up)?;
        let workers = settings
            .config
            .1
            .tokens
            .keys()
            .cloned()
            .map(Worker::new)
            .collect();
        Ok(Self {
            road: Road::new(&settings.home, Nonces::held(&settings.home)),
            home: settings.home,
            config: settings.config.1,
            config_text: settings.config.0,
            scrape: Scrape::new(settings.metrics, &poll)?,
            manager: settings.manager,
            poll,
            most_by_files: connections_by_files(),
            spare: Some(spare(&settings.listening).map_err(set_up)?),
            listening: settings.listening,
            _alone: settings.alone,
            signals: settings.signals,
            launcher,
            clients: Vec::new(),
            free: Vec::new(),
            generation: 0,
            workers,
            flights: Flights::default(),
            passphrases: HashMap::new(),
            touched: Vec::new(),
            again: Vec::new(),
            now,
            unsettled: false,
            stopping: None,
            fatal: None,
            counts: ops::Counts::new(),
            room: vec![0; CHUNK].into(),
            turn: 0,
            last_request: now,
            sealed: false,
            confined: None,
        })
    }

    fn serve(&mut self) -> Result<Ended> {
        let mut ready = Vec::new();
        let mut told = Vec::new();
        loop {
            let longest = if !self.again.is_empty() {
                Duration::ZERO
            } else if self.unsettled {
                SETTLE
            } else {
                TICK
            };
            self.poll.wait(self.manager.patience(longest), &mut ready)?;
            let idle = ready.is_empty() && self.again.is_empty();
            self.now = Instant::now();
            self.manager.alive(self.now);
            for event in &ready {
                match event.source {
                    Source::Listener => self.accept(),
                    Source::Signal => self.signal(),
                    Source::Metrics => self.scrape.accept(&self.poll, self.now),
                    Source::Reader(index, generation) => self.reader_ready(index, generation, *event),
                    Source::Launcher => self.end(launcher_gone("has ended")),
                    Source::Client(index, generation) => self.client_ready(index, generation, *event),
                    Source::Worker(index, generation) => {
                        self.worker_ready(index, generation, *event, &mut told)
                    }
                }
            }
            for index in std::mem::take(&mut self.again) {
                self.take_lines(index);
            }
            self.look_at_clocks();
            self.flush();
            if idle && std::mem::take(&mut self.unsettled) {
                self.road.nonces().settle();
            }
            if self.stopping.is_some()
                && self.flights.len() == 0
                && !std::mem::replace(&mut self.sealed, true)
            {
                // Requests on their way are answered: what there is of the log is sealed, which is one more on its way.
                self.seal(true);
                self.flush();
            }
            if self.has_ended() {
                self.road.nonces().settle();
                for worker in &mut self.workers {
                    worker.stop(&self.launcher);
                }
                if let Err(error) = self.road.log().flush() {
                    eprintln!("hsmsign agent: {error}");
                }
                return self.fatal.take().map_or(Ok(Ended::Stopped), Err);
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.stopping.is_some_and(|since| {
            since + LAST <= self.now
                || self.flights.len() == 0 && !self.clients.iter().flatten().any(Client::has_unsent)
        })
    }

    /// Ends the agent since it cannot go on; requests on their way are answered first.
    fn end(&mut self, error: Error) {
        self.poll.remove(self.launcher.socket());
        self.fatal.get_or_insert(error);
        self.stopping.get_or_insert(self.now);
    }

    fn signal(&mut self) {
        let came = self.signals.take();
        if came.reload
            && let Err(error) = self.reload()
        {
            eprintln!("hsmsign agent: not reloaded, the old configuration stays in force: {error}");
        }
        if came.stop {
            self.stop();
        }
    }

    /// Takes no more lines, and ends when those at hand are answered.
    fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.now);
            self.manager.stopping();
        }
    }

    /// Reads the configuration again, whole or not at all.
    fn reload(&mut self) -> Result<()> {
        self.manager.reloading();
        let done = self.read_again();
        self.manager.serving();
        done
    }

    /// Tokens that are gone or changed are closed.
    fn read_again(&mut self) -> Result<()> {
        let (text, config) = Config::load_text(&self.home)?;
        let kept = |name: &String, old: &Config| {
            old.tokens
                .get(name)
                .is_some_and(|old| config.tokens.get(name) == Some(old))
        };
        for worker in &mut self.workers {
            if !worker.does_errands() && !kept(&worker.token, &self.config) {
                worker.stop(&self.launcher);
                worker.forget_failures();
            }
        }
        for index in 0..self.workers.len() {
            if !self.workers[index].is_running() && !self.workers[index].does_errands() {
                self.lost(index, &failed("its token was set up anew"), false);
            }
        }
        for name in config.tokens.keys() {
            if !self.workers.iter().any(|worker| worker.token == *name) {
                self.workers.push(Worker::new(name.clone()));
            }
        }
        self.config = config;
        self.config_text = text;
        let log = Arc::clone(self.road.log());
        self.road = Road::new(&self.home, Nonces::held(&self.home)).with_log(log);
        self.open_tokens();
        Ok(())
    }

    fn accept(&mut self) {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(&self.listening.socket, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE) => {
                    // Left where it is, the client would wait for ever, and the loop would spin.
                    drop(self.spare.take());
                    let accepted = accept_with(&self.listening.socket, flags);
                    if let Ok(socket) = &accepted {
                        refuse_connection(socket, &no_files());
                    }
                    drop(accepted);
                    self.spare = spare(&self.listening).ok();
                    if self.spare.is_none() {
                        return;
                    }
                    continue;
                }
                Err(_) => return,
            };
            let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else {
                continue;
            };
            let caller = Caller::of_peer(
                peer.uid.as_raw(),
                peer.gid.as_raw(),
                peer.pid.as_raw_nonzero().get(),
            );
            let connected = self.clients.len() - self.free.len();
            if connected >= self.config.agent.connections {
                self.counts.metrics.turned_away += 1;
                let error = Error::new(
                    Code::TokenBusy,
                    format!("the agent has {connected} connections, which is as many as it takes"),
                )
                .fix("close some, or raise connections in [agent] of config.toml");
                refuse_connection(&socket, &error);
                continue;
            }
            if connected >= self.most_by_files {
                refuse_connection(&socket, &no_files());
                continue;
            }
            self.generation = self.generation.wrapping_add(1);
            let client = Client::new(socket, caller, self.generation);
            let index = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                u32::try_from(self.clients.len() - 1).unwrap_or(u32::MAX)
            });
            let source = Source::Client(index, self.generation);
            if self.poll.add(&client.socket, source, Interest::READ).is_ok() {
                self.counts.metrics.connected += 1;
                self.clients[index as usize] = Some(client);
            } else {
                self.free.push(index);
            }
        }
    }

    fn client(&mut self, index: u32) -> Option<&mut Client> {
        self.clients.get_mut(index as usize)?.as_mut()
    }

    fn close(&mut self, index: u32) {
        if let Some(slot) = self.clients.get_mut(index as usize)
            && slot.take().is_some()
        {
            self.free.push(index);
        }
    }

    fn client_ready(&mut self, index: u32, generation: u32, event: Ready) {
        let Some(Some(client)) = self.clients.get_mut(index as usize) else {
            return;
        };
        if client.generation != generation {
            return;
        }
        if event.read && client.interest.read {
            client.receive(&mut self.room);
            if !client.fds.is_empty() {
                self.close_unwanted(index);
            }
        } else if event.read && !client.interest.write {
            // Nothing is wanted of it, and yet it is ready: it is gone.
            client.broken = true;
        }
        self.touched.push(index);
        self.take_lines(index);
        if self.client(index).is_some_and(|client| client.held() > 0) {
            self.drop_longest();
        }
    }

    /// Closes descriptors that came from who may hand over none, or more than there is room for.
    fn close_unwanted(&mut self, index: u32) {
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
    fn drop_longest(&mut self) {
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

    /// Works on lines of a client that came.
    fn take_lines(&mut self, index: u32) {
        for _ in 0..TURN {
            let stopping = self.stopping.is_some();
            let Some(client) = self.client(index) else { return };
            if client.broken || stopping || !client.has_room() {
                return;
            }
            let Some(line) = client.line() else { return };
            let place = client.place();
            let whose = flights::Client {
                index,
                generation: client.generation,
                place,
            };
            let caller = client.caller.clone();
            match line {
                Ok(line) => self.line(whose, &caller, &line),
                Err(error) => self.answer(whose, error_line(None, &error)),
            }
            if let Some(client) = self.client(index) {
                client.close_passed_fds();
            }
        }
        self.again.push(index);
    }

    fn answer(&mut self, whose: flights::Client, line: String) {
        let Some(client) = self.client(whose.index) else {
            return;
        };
        if client.generation != whose.generation {
            return;
        }
        let had_room = client.has_room();
        client.answer(whose.place, line);
        let again = !had_room && client.has_room();
        self.touched.push(whose.index);
        if again {
            self.again.push(whose.index);
        }
    }

    fn worker_ready(&mut self, index: u32, generation: u32, event: Ready, told: &mut Vec<(u64, Told)>) {
        let number = index as usize;
        let Some(worker) = self.workers.get_mut(number) else {
            return;
        };
        if worker.generation != generation || !event.read {
            return;
        }
        let received = worker.receive(&mut self.room, self.now, told);
        for (id, told) in told.drain(..) {
            match told {
                Told::Tried(times) => self.counts.metrics.pin_tried(&self.workers[number].token, times),
                told => self.told(id, told),
            }
        }
        if let Err(error) = received {
            self.ended(number, error);
        }
    }

    /// Writes what is to go out, and waits for what is wanted next.
    fn flush(&mut self) {
        let mut number = 0;
        while number < self.workers.len() {
            let worker = &mut self.workers[number];
            if !worker.is_running() {
                number += 1;
                continue;
            }
            if let Err(error) = worker.flush() {
                // What it had may be with one that had its turn here already.
                self.ended(number, error);
                number = 0;
                continue;
            }
            let wanted = Interest {
                read: true,
                write: worker.has_unsent(),
            };
            if wanted != worker.interest
                && let Some(socket) = worker.socket()
            {
                let source = Source::Worker(u32::try_from(number).unwrap_or(u32::MAX), worker.generation);
                let _ = self.poll.change(socket, source, wanted);
                worker.interest = wanted;
            }
            number += 1;
        }
        for index in std::mem::take(&mut self.touched) {
            let stopping = self.stopping.is_some();
            let Some(Some(client)) = self.clients.get_mut(index as usize) else {
                continue;
            };
            client.flush();
            if client.broken || client.ended && !client.is_busy() && client.held() == 0 {
                self.close(index);
                continue;
            }
            let wanted = Interest {
                read: client.has_room() && !client.ended && !stopping,
                write: client.has_unsent(),
            };
            if wanted != client.interest {
                let source = Source::Client(index, client.generation);
                let _ = self.poll.change(&client.socket, source, wanted);
                client.interest = wanted;
            }
        }
    }

    /// What a clock says is due.
    fn look_at_clocks(&mut self) {
        let now = self.now;
        if self.counts.looked_at + TICK > now {
            return;
        }
        self.counts.looked_at = now;
        if self.launcher.is_broken() {
            self.end(launcher_gone("does not answer"));
        }
        let deadline = self.config.agent.call_timeout();
        for number in 0..self.workers.len() {
            // A person who is asked for a secret may take their time.
            let worker = &self.workers[number];
            if !worker.does_errands() && worker.owes_since().is_some_and(|since| since + deadline < now) {
                let error = failed(format!("it gave no answer for {} s", deadline.as_secs()));
                self.ended(number, error);
            }
        }
        for index in 0..self.clients.len() {
            if self.clients[index]
                .as_ref()
                .is_some_and(|client| client.stuck_since.is_some_and(|since| since + STUCK < now))
            {
                self.close(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        if let Some(idle) = self.config.agent.lock_after()
            && self.last_request + idle < now
        {
            self.lock(None);
        }
        self.scrape.expire(now);
        self.probe_sick();
        self.seal(false);
    }
}
