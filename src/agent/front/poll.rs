//! Waiting for many sockets at once.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

use crate::error::{Result, failed};

/// What happened at which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Whose socket.
    pub source: Source,
    /// It can be read, or has ended.
    pub read: bool,
    /// It can be written.
    pub write: bool,
}

/// Whose socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// New clients.
    Listener,
    /// A signal came.
    Signal,
    /// New readers of the metrics.
    Metrics,
    /// A reader of the metrics, by number and generation.
    Reader(u32, u32),
    /// A client, by number and generation: a number is used again.
    Client(u32, u32),
    /// A worker, by number and generation.
    Worker(u32, u32),
    /// The launcher: it answers, or has ended.
    Launcher,
    /// The one for when that ends.
    Spare,
}

impl Source {
    fn number(self) -> u64 {
        match self {
            Self::Listener => 0,
            Self::Signal => 1,
            Self::Metrics => 2,
            Self::Client(index, generation) => 3 | pack(index, generation),
            Self::Worker(index, generation) => 4 | pack(index, generation),
            Self::Reader(index, generation) => 5 | pack(index, generation),
            Self::Launcher => 6,
            Self::Spare => 7,
        }
    }

    fn of(number: u64) -> Self {
        // Three bits of kind, 28 of index, 32 of generation.
        let index = u32::try_from(number >> 3 & 0xfff_ffff).unwrap_or(0);
        let generation = u32::try_from(number >> 32).unwrap_or(0);
        match number & 7 {
            0 => Self::Listener,
            1 => Self::Signal,
            2 => Self::Metrics,
            3 => Self::Client(index, generation),
            4 => Self::Worker(index, generation),
            5 => Self::Reader(index, generation),
            6 => Self::Launcher,
            _ => Self::Spare,
        }
    }
}

const fn pack(index: u32, generation: u32) -> u64 {
    ((index & 0xfff_ffff) as u64) << 3 | (generation as u64) << 32
}

/// What is waited for at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// That it can be read.
    pub read: bool,
    /// That it can be written.
    pub write: bool,
}

impl Interest {
    /// Nothing but its end.
    pub const NONE: Self = Self {
        read: false,
        write: false,
    };
    /// Reading alone.
    pub const READ: Self = Self {
        read: true,
        write: false,
    };

    /// Writing alone.
    pub const WRITE: Self = Self {
        read: false,
        write: true,
    };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// The sockets that are waited for.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
    alarm: Alarm,
}

/// What ends a wait. A timeout of the wait itself has the kernel set up and take down a timer for every request; this one is
/// left to ring too early, and then set anew.
struct Alarm {
    timer: OwnedFd,
    rings: Option<Instant>,
}

/// The alarm among the events: no number of a [`Source`].
const ALARM: u64 = u64::MAX;

/// How many events are taken at once.
const EVENTS: usize = 256;

impl Poll {
    /// None yet.
    pub fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|error| failed(format!("the kernel gives no epoll: {error}")))?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .and_then(|timer| {
                epoll::add(
                    &epoll,
                    &timer,
                    EventData::new_u64(ALARM),
                    EventFlags::IN | EventFlags::ET,
                )?;
                Ok(timer)
            })
            .map_err(|error| failed(format!("the kernel gives no timer: {error}")))?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS),
            alarm: Alarm { timer, rings: None },
        })
    }

    /// Waits for this one too.
    pub fn add(&self, socket: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(source.number()),
            interest.flags(),
        )
    }

    /// Waits for something else at it.
    pub fn change(&self, socket: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        epoll::modify(
            &self.epoll,
            socket,
            EventData::new_u64(source.number()),
            interest.flags(),
        )
    }

    /// Waits for this one no more.
    pub fn remove(&self, socket: impl AsFd) {
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Waits, no longer than this, and answers what happened.
    pub fn wait(&mut self, longest: Duration, ready: &mut Vec<Ready>) -> Result<()> {
        ready.clear();
        let waiting_failed = |error| failed(format!("waiting failed: {error}"));
        let until = Instant::now() + longest;
        loop {
            let none = Timespec::default();
            let timeout = match longest.is_zero() {
                true => Some(&none),
                false => {
                    self.alarm.ring_by(until).map_err(waiting_failed)?;
                    None
                }
            };
            self.events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(waiting_failed(error)),
            }
            let rang = self.events.iter().any(|event| event.data.u64() == ALARM);
            if rang {
                self.alarm.rings = None;
            }
            let of_sockets = self.events.iter().filter(|event| event.data.u64() != ALARM);
            ready.extend(of_sockets.map(Ready::of));
            if !ready.is_empty() || !rang || until <= Instant::now() {
                return Ok(());
            }
        }
    }
}

impl Alarm {
    /// Rings at this time, or before it.
    fn ring_by(&mut self, until: Instant) -> Result<(), Errno> {
        if self.rings.is_some_and(|rings| rings <= until) {
            return Ok(());
        }
        // None at all would stop the timer.
        let left = until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.rings = Some(until);
        Ok(())
    }
}

impl Ready {
    fn of(event: &Event) -> Self {
        let (flags, data) = (event.flags, event.data);
        let ended = EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
        Self {
            source: Source::of(data.u64()),
            read: flags.intersects(EventFlags::IN | ended),
            write: flags.contains(EventFlags::OUT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_in_time_whatever_was_waited_for_before() {
        let mut poll = Poll::new().unwrap();
        let mut ready = Vec::new();
        // A longer one rings too early for what comes behind it, and a shorter one too late.
        for longest in [40, 5, 30, 0, 20].map(Duration::from_millis) {
            let begun = Instant::now();
            poll.wait(longest, &mut ready).unwrap();
            assert!(ready.is_empty() && begun.elapsed() >= longest);
        }
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        poll.add(&ours, Source::Signal, Interest::READ).unwrap();
        poll.wait(Duration::from_millis(1), &mut ready).unwrap();
        assert_eq!(ready, []);
        std::io::Write::write_all(&mut &theirs, b"x").unwrap();
        let begun = Instant::now();
        poll.wait(Duration::from_secs(60), &mut ready).unwrap();
        assert!(ready.len() == 1 && ready[0].read && begun.elapsed() < Duration::from_secs(30));
        // What rang meanwhile ends no later wait.
        poll.wait(Duration::from_millis(3), &mut ready).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        drop(theirs);
        poll.wait(Duration::from_secs(60), &mut ready).unwrap();
        assert_eq!(ready.len(), 1);
    }

    #[test]
    fn sources_fit_into_their_number() {
        for source in [
            Source::Listener,
            Source::Signal,
            Source::Metrics,
            Source::Client(0, 0),
            Source::Client(0xfff_ffff, u32::MAX),
            Source::Worker(3, 9),
            Source::Reader(15, 1),
            Source::Launcher,
            Source::Spare,
        ] {
            assert_eq!(Source::of(source.number()), source);
        }
    }
}
