//! The front: one event loop between clients and workers. It walks the road of each request and holds no token.

mod anew;
mod clients;
mod files;
mod flights;
mod intake;
mod link;
mod looks;
mod metrics;
mod ops;
mod parked;
mod pauses;
mod poll;
mod questions;
mod reload;
mod road;
mod scrape;
mod sealing;
mod signals;
mod starting;
mod status;
mod systemd;
mod tending;
mod told;
mod workers;

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use self::{
    anew::Fetched,
    clients::Client,
    files::{connections_by_files, raise_files, spare},
    flights::Flights,
    parked::Parked,
    poll::{Interest, Poll, Ready, Source},
    questions::Questions,
    scrape::Scrape,
    sealing::Closing,
    starting::Launcher,
    status::Counts,
    workers::Worker,
};
pub use self::{scrape::MetricsSocket, signals::Signals, systemd::Manager};
use super::{
    frame::Told,
    launcher::Program,
    sandbox::{self, Confined},
    socket::Listening,
};
use crate::{
    agent::alone::Alone,
    config::Config,
    error::{Error, Result, failed},
    home::Home,
    keyring::KeyName,
    process::{self, OwnTime},
    signer::Road,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// When the loop has nothing to do: how often it looks at clocks.
const TICK: Duration = Duration::from_secs(1);
/// When nonces are held: how soon they are settled.
const SETTLE: Duration = Duration::from_millis(10);
/// How long a client may take no answers.
const STUCK: Duration = Duration::from_secs(60);
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
    /// One for when that ends.
    next_launcher: Option<Launcher>,
    clients: Vec<Option<Client>>,
    free: Vec<u32>,
    generation: u32,
    workers: Vec<Worker>,
    flights: Flights,
    parked: Parked,
    questions: Questions,
    road: Road,
    /// Passphrases that were fetched for requests that wait for them.
    passphrases: HashMap<KeyName, Fetched>,
    /// Clients with something to go out.
    touched: Vec<u32>,
    /// Clients whose lines wait for their turn.
    again: Vec<u32>,
    /// When this round of the loop began, by the time that [`OwnTime`] tells.
    now: Instant,
    time: OwnTime,
    /// Whether nonces may be held.
    unsettled: bool,
    stopping: Option<Instant>,
    /// Why it cannot go on.
    fatal: Option<Error>,
    counts: Counts,
    room: Box<[u8]>,
    /// The token that is asked next where all take turns.
    turn: usize,
    last_request: Instant,
    /// How far the log is closed at the end.
    closing: Closing,
    /// When a token was last told how far the log is sealed.
    marked: Option<Instant>,
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
    process::let_go_of_code();
    // Nothing of a client was read yet.
    let sockets = [front.listening.folder(), front.scrape.folder()];
    let sockets = sockets.into_iter().flatten().map(Path::to_owned).collect();
    let confined = sandbox::confine(&front.home, sockets)?;
    if let Some(warning) = confined.warning() {
        process::tell(&format!("hsmsign agent: {warning}"));
    }
    front.confined = Some(confined);
    front.road.log().prepare();
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
        let workers: Vec<_> = settings
            .config
            .1
            .tokens
            .keys()
            .cloned()
            .map(Worker::new)
            .collect();
        let questions = Questions::default();
        Ok(Self {
            road: questions.desk.road(&settings.home).watching(&settings.home),
            questions,
            home: settings.home,
            config: settings.config.1,
            config_text: settings.config.0,
            scrape: Scrape::new(settings.metrics, &poll)?,
            manager: settings.manager,
            poll,
            most_by_files: connections_by_files(workers.len()),
            spare: Some(spare(&settings.listening).map_err(set_up)?),
            listening: settings.listening,
            _alone: settings.alone,
            signals: settings.signals,
            launcher,
            next_launcher: None,
            clients: Vec::new(),
            free: Vec::new(),
            generation: 0,
            workers,
            flights: Flights::default(),
            parked: Parked::default(),
            passphrases: HashMap::new(),
            touched: Vec::new(),
            again: Vec::new(),
            now,
            time: OwnTime::default(),
            unsettled: false,
            stopping: None,
            fatal: None,
            counts: Counts::new(),
            room: vec![0; CHUNK].into(),
            turn: 0,
            last_request: now,
            closing: Closing::Open,
            marked: None,
            confined: None,
        })
    }

    fn serve(&mut self) -> Result<Ended> {
        let mut ready = Vec::new();
        let mut told = Vec::new();
        self.keep_spare();
        loop {
            let longest = if !self.again.is_empty() {
                Duration::ZERO
            } else if self.unsettled {
                SETTLE
            } else if self.parked.len() > 0 {
                parked::AGAIN
            } else {
                TICK
            };
            let longest = self.manager.patience(longest);
            self.poll.wait(longest, &mut ready)?;
            let idle = ready.is_empty() && self.again.is_empty();
            let clock = Instant::now();
            self.now = self.time.at(clock, self.now, longest);
            self.manager.alive(clock);
            for event in &ready {
                match event.source {
                    Source::Listener => self.accept(),
                    Source::Signal => self.signal(),
                    Source::Metrics => self.scrape.accept(&self.poll, self.now),
                    Source::Reader(index, generation) => self.reader_ready(index, generation, *event),
                    Source::Launcher => self.launcher_ready(),
                    Source::Spare => self.spare_ended(),
                    Source::Client(index, generation) => self.client_ready(index, generation, *event),
                    Source::Worker(index, generation) => {
                        self.worker_ready(index, generation, *event, &mut told)
                    }
                }
            }
            self.take_turns();
            self.take_up_parked();
            self.look_at_clocks();
            self.flush();
            if idle && std::mem::take(&mut self.unsettled) {
                self.road.nonces().settle();
            }
            if self.stopping.is_some() && self.is_done() {
                // Requests on their way are answered.
                self.close_log();
            }
            if self.has_ended() {
                self.road.nonces().settle();
                for worker in &mut self.workers {
                    worker.stop(&mut self.launcher);
                }
                if let Some(mut next) = self.next_launcher.take() {
                    next.end();
                }
                self.launcher.end();
                if let Err(error) = self.road.log().flush() {
                    process::tell(&format!("hsmsign agent: {error}"));
                }
                return self.fatal.take().map_or(Ok(Ended::Stopped), Err);
            }
        }
    }

    /// Whether no request is on its way.
    fn is_done(&self) -> bool {
        self.flights.len() == 0 && self.parked.len() == 0
    }

    fn has_ended(&self) -> bool {
        self.stopping.is_some_and(|since| {
            since + LAST <= self.now
                || self.is_done() && !self.clients.iter().flatten().any(Client::has_unsent)
        })
    }

    /// Ends the agent since it cannot go on; requests on their way are answered first.
    fn end(&mut self, error: Error) {
        self.poll.remove(self.launcher.socket());
        self.fatal.get_or_insert(error);
        self.stopping.get_or_insert(self.now);
    }

    fn worker_ready(&mut self, index: u32, generation: u32, event: Ready, told: &mut Vec<(u64, Told)>) {
        let number = index as usize;
        let Some(worker) = self.workers.get_mut(number) else {
            return;
        };
        if worker.generation != generation || !event.read {
            return;
        }
        self.hear_worker(number, told);
    }

    /// Writes what is to go out, and waits for what is wanted next.
    fn flush(&mut self) {
        self.launcher.flush();
        let mut number = 0;
        while let Some(worker) = self.workers.get_mut(number) {
            match worker.flush(&self.poll) {
                Ok(()) => number += 1,
                Err(error) => {
                    // What it had may be with one that had its turn here already.
                    self.ended(number, error);
                    number = 0;
                }
            }
        }
        for index in std::mem::take(&mut self.touched) {
            let stopping = self.stopping.is_some();
            let Some(Some(client)) = self.clients.get_mut(index as usize) else {
                continue;
            };
            client.flush(self.now);
            if client.has_room()
                && client.has_lines()
                && !stopping
                && !std::mem::replace(&mut client.waits, true)
            {
                // They waited for it to take what was to go out; nothing else tells of them.
                self.again.push(index);
            }
            if client.broken || client.ended && !client.is_busy() && client.held() == 0 {
                self.close(index);
                continue;
            }
            let wanted = Interest {
                read: client.has_room()
                    && !client.waits
                    && !client.ended
                    && !stopping
                    && client.unknown_since.is_none(),
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
        self.go_on_without_launcher();
        self.keep_spare();
        let deadline = self.config.agent.call_timeout();
        for number in 0..self.workers.len() {
            // A person who is asked for a secret may take their time.
            let worker = &self.workers[number];
            if worker.holds_token() && worker.owes_since().is_some_and(|since| since + deadline < now) {
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
        self.close_questions();
        self.probe_sick();
        self.seal_in_time();
    }
}
