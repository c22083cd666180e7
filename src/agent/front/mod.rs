//! The front: one event loop between clients and workers. It walks the road of each request and holds no token.

mod anew;
mod clients;
mod due;
mod files;
mod flights;
mod folders;
mod intake;
mod link;
mod looks;
mod metrics;
mod ops;
mod outgoing;
mod parked;
mod pauses;
mod poll;
mod questions;
mod reload;
mod road;
mod rounds;
mod scrape;
mod sealing;
mod signals;
mod starting;
mod status;
mod systemd;
mod tending;
mod told;
mod workers;

use std::{collections::HashMap, os::fd::OwnedFd, path::Path, time::Instant};

use rustix::io::Errno;

use self::{
    anew::Fetched,
    clients::Client,
    files::{connections_by_files, raise_files, spare},
    flights::Flights,
    folders::Folders,
    intake::Crowd,
    parked::Parked,
    poll::{Interest, Poll, Source},
    questions::Questions,
    scrape::Scrape,
    sealing::Closing,
    starting::Launcher,
    status::Counts,
    workers::Worker,
};
pub use self::{scrape::MetricsSocket, signals::Signals, systemd::Manager};
use super::{
    launcher::Program,
    sandbox::{self, Confined},
    socket::Listening,
};
use crate::{
    agent::alone::Alone,
    caller::Caller,
    config::Config,
    error::{Error, Result, failed},
    home::Home,
    keyring::KeyName,
    process::{self, OwnTime},
    signer::Road,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

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
    /// What says that nobody needs it any more; none where that is for its owner to say.
    pub unneeded: Option<Unneeded>,
}

/// Answers whether nobody needs an agent any more.
pub type Unneeded = Box<dyn Fn() -> bool>;

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a signal or a client that may.
    Stopped,
}

struct Front {
    home: Home,
    folders: Folders,
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
    unneeded: Option<Unneeded>,
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
    crowd: Crowd,
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
    /// Who does what nobody asked for: the agent itself. Later it may not look for that any more.
    own: Caller,
    /// How far the log is closed at the end.
    closing: Closing,
    /// When a token was last told how far the log is sealed.
    marked: Option<Instant>,
    confined: Option<Confined>,
}

/// Serves clients until a signal or one of them ends it. `ask` is called while programs may be started, when it has its
/// socket; `ready` when it serves.
///
/// # Errors
/// When it cannot begin, or the loop cannot go on.
pub fn run(settings: Settings, ask: impl FnOnce(), ready: impl FnOnce()) -> Result<Ended> {
    let launcher = Launcher::start(&settings.program)?;
    raise_files(settings.config.1.agent.connections);
    let mut front = Front::new(settings, launcher)?;
    front.open_tokens();
    ask();
    process::let_go_of_code();
    // Nothing of a client was read yet.
    let sockets = [front.listening.folder(), front.scrape.folder()];
    let sockets = sockets.into_iter().flatten().map(Path::to_owned).collect();
    let confined = sandbox::confine(&front.home, sockets)?;
    ready();
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
            folders: Folders::of(&settings.home),
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
            unneeded: settings.unneeded,
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
            crowd: Crowd::default(),
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
            own: Caller {
                executable: std::env::current_exe().ok().map(Into::into),
                ..Caller::this_process()
            },
            closing: Closing::Open,
            marked: None,
            confined: None,
        })
    }
}
