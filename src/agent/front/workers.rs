//! The workers, as the front sees them.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use super::{
    link::Link,
    poll::{Poll, Source},
    starting::{Launcher, Whose},
};
use crate::{
    agent::{
        confirm, errand,
        frame::{Ask, Told},
    },
    error::{Code, Error, Result},
};

/// The first pause before a worker is started again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one that answers is passed over where another token will do, after it missed its device.
const SICK: Duration = Duration::from_secs(2);

/// How long the launcher may take to start one.
const STARTS: Duration = Duration::from_secs(5);
/// How long one that owes an answer is asked for more where another token will do.
const SLOW: Duration = Duration::from_secs(2);

/// A token's worker.
pub struct Worker {
    /// The token's name.
    pub token: String,
    /// Where it runs.
    running: Option<Running>,
    /// Whether `config.toml` has its token.
    pub configured: bool,
    /// Distinguishes it from an earlier one of the token.
    pub generation: u32,
    /// Whether it was locked by the user: it is not started before it is unlocked.
    pub locked: bool,
    /// How often it ended since it last computed something.
    failures: u32,
    /// When it was started last.
    started: Option<Instant>,
    not_before: Option<Instant>,
    /// Until when another token is preferred.
    sick_until: Option<Instant>,
    /// What went wrong last.
    pub last_error: Option<Error>,
    /// How often it ended by itself or had to be ended.
    pub restarts: u64,
    /// Whether it said that its token is open.
    pub open: bool,
    /// When its token is asked for a seal again, where it made none.
    pub seals_from: Option<Instant>,
}

struct Running {
    link: Link,
    /// Its process; none until the launcher has started it.
    process: Option<u32>,
    asked: usize,
    progress: Instant,
}

impl Worker {
    /// One that does not run yet.
    pub const fn new(token: String) -> Self {
        Self {
            token,
            running: None,
            configured: true,
            generation: 0,
            locked: false,
            failures: 0,
            started: None,
            not_before: None,
            sick_until: None,
            last_error: None,
            restarts: 0,
            open: false,
            seals_from: None,
        }
    }

    /// Whether it holds no token, and does commands for those who may not read the agent's files.
    pub fn does_errands(&self) -> bool {
        self.token == errand::NAME
    }

    /// Whether it is the worker of a token that the agent has, and no process for errands or questions.
    pub fn holds_token(&self) -> bool {
        self.configured && self.is_of_token()
    }

    /// Whether it is, or was, the worker of a token.
    pub fn is_of_token(&self) -> bool {
        self.token != errand::NAME && self.token != confirm::NAME
    }

    /// Whether it runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether the launcher was asked for it and has not answered. What it is asked meanwhile waits.
    pub fn is_starting(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.process.is_none())
    }

    /// Whether the launcher takes too long.
    pub fn starts_in_vain(&self, now: Instant) -> bool {
        self.is_starting() && self.started.is_some_and(|since| since + STARTS < now)
    }

    /// It was started as the worker of this number, with this socket.
    ///
    /// # Errors
    /// When it cannot be talked to.
    pub fn runs(&mut self, socket: OwnedFd, pid: u32, number: u32, poll: &Poll) -> Result<()> {
        let (piped, source) = (self.holds_token(), Source::Worker(number, self.generation));
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        // Before, it was told nothing.
        running.link.connect(socket, piped, poll, source)?;
        running.process = Some(pid);
        Ok(())
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref()?.process
    }

    /// Whether it is to be preferred to one that is not.
    pub fn is_healthy(&self, now: Instant) -> bool {
        !self.locked
            && self.sick_until.is_none_or(|until| until <= now)
            && self.owes_since().is_none_or(|since| now < since + SLOW)
            && (self.is_running() || self.not_before.is_none_or(|until| until <= now))
    }

    /// How many answers it owes.
    pub fn asked(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.asked)
    }

    /// Since when it owes an answer without giving any.
    pub fn owes_since(&self) -> Option<Instant> {
        self.running
            .as_ref()
            .filter(|running| running.asked > 0)
            .map(|running| running.progress)
    }

    /// Has it started as the worker of this number, where it does not run and nothing speaks against it.
    ///
    /// # Errors
    /// `token-locked`; or what went wrong last, while it is not tried again yet.
    pub fn ensure(&mut self, number: u32, launcher: &mut Launcher, config: &str, now: Instant) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        if self.locked {
            return Err(
                Error::new(Code::TokenLocked, format!("token {} is locked", self.token))
                    .fix(format!("unlock it: hsmsign unlock {}", self.token)),
            );
        }
        if let Some(until) = self.not_before
            && until > now
        {
            let last = self
                .last_error
                .as_ref()
                .map_or("it ended", |error| error.message());
            return Err(Error::new(
                Code::TokenBusy,
                format!(
                    "the worker of token {} is started again in {} ms: {last}",
                    self.token,
                    (until - now).as_millis()
                ),
            )
            .fix("try again then; see `hsmsign agent status`"));
        }
        let generation = self.generation.wrapping_add(1);
        launcher
            .start_worker(Whose(number, generation), &self.token, now)
            .inspect_err(|error| self.failed(error.clone(), now))?;
        self.generation = generation;
        self.started = Some(now);
        let length = u32::try_from(config.len()).unwrap_or(u32::MAX);
        self.running = Some(Running {
            link: Link::new([&length.to_le_bytes()[..], config.as_bytes()].concat()),
            process: None,
            asked: 0,
            progress: now,
        });
        Ok(())
    }

    /// Puts a question behind the others; it goes out with [`Worker::flush`].
    pub fn ask(&mut self, id: u64, ask: &Ask<'_>, fds: Vec<OwnedFd>, now: Instant) {
        let Some(running) = &mut self.running else { return };
        running.link.put(fds, |output| ask.write(id, output));
        if running.asked == 0 {
            running.progress = now;
        }
        running.asked += 1;
    }

    /// Writes what is to go out, as far as the worker takes it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn flush(&mut self, poll: &Poll) -> Result<()> {
        match &mut self.running {
            Some(running) => running.link.flush(poll),
            None => Ok(()),
        }
    }

    /// Reads answers.
    ///
    /// # Errors
    /// When it is gone, or is not understood.
    pub fn receive(&mut self, room: &mut [u8], now: Instant, told: &mut Vec<(u64, Told)>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let before = told.len();
        if !running.link.receive(room, told)? {
            return Ok(());
        }
        let answers = told[before..]
            .iter()
            .filter(|(_, told)| !matches!(told, Told::Tried(_)))
            .count();
        running.asked = running.asked.saturating_sub(answers);
        running.progress = now;
        Ok(())
    }

    /// It answered well. Only what it `computed` says that it will go on: one may open its token each time, and die of
    /// the next signature.
    pub fn is_well(&mut self, computed: bool) {
        if computed {
            self.failures = 0;
        }
        self.not_before = None;
        self.sick_until = None;
        self.open = true;
        self.last_error = None;
    }

    /// It answered that it cannot: others are preferred for a while.
    pub fn is_sick(&mut self, error: Error, now: Instant) {
        self.sick_until = Some(now + SICK);
        self.open = false;
        self.last_error = Some(error);
    }

    /// It ended by itself, or must be ended: it is started again after a pause that doubles.
    pub fn failed(&mut self, error: Error, now: Instant) {
        if self.started.is_some_and(|started| started + LONGEST_PAUSE < now) {
            self.failures = 0;
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
        self.last_error = Some(error);
        self.restarts += 1;
        self.open = false;
    }

    /// Hangs up on it, so that it logs out and ends, and with it its PIN.
    pub fn stop(&mut self, launcher: &mut Launcher) {
        if let Some(pid) = self.hang_up() {
            launcher.see_off(pid);
        }
    }

    /// Ends it at once: it does not do what it should.
    pub fn kill(&mut self, launcher: &mut Launcher) {
        if let Some(pid) = self.hang_up() {
            launcher.kill(pid);
        }
    }

    /// Answers who is to be seen off.
    fn hang_up(&mut self) -> Option<u32> {
        self.open = false;
        let pid = self.running.take().and_then(|running| running.process)?;
        // One that asks sees that nobody listens, and closes its question; killed, it would leave that standing.
        (self.token != confirm::NAME).then_some(pid)
    }

    /// Its token is another one from here on, or gone: it starts over when it is wanted next. Answers whether it was told what
    /// it was asked.
    pub fn set_up_anew(&mut self, launcher: &mut Launcher) -> bool {
        let told = !self.is_starting();
        self.stop(launcher);
        self.forget_failures();
        self.last_error = None;
        self.seals_from = None;
        told
    }

    /// Starts over at once when it is wanted next.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.not_before = None;
        self.sick_until = None;
    }
}
