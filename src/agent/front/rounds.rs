//! The loop: what came is taken up, what is to go out is written, and at the end what is on its way is waited for.

use std::time::{Duration, Instant};

use super::{
    Ended, Front,
    clients::Client,
    due::TICK,
    parked,
    poll::{Interest, Ready, Source},
};
use crate::{
    agent::frame::Told,
    error::{Error, Result},
    process,
};

/// When nonces are held: how soon they are settled.
const SETTLE: Duration = Duration::from_millis(10);
/// How long requests on their way are waited for at the end.
const LAST: Duration = Duration::from_secs(5);

impl Front {
    /// Goes on until a signal or a client ends it.
    pub(super) fn serve(&mut self) -> Result<Ended> {
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
            self.look_at_crowd();
            self.take_turns();
            self.take_up_parked();
            self.look_at_clocks();
            self.flush();
            if idle && std::mem::take(&mut self.unsettled) {
                self.road.nonces().settle();
            }
            if idle {
                self.give_back_memory();
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
    pub(super) fn end(&mut self, error: Error) {
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
    pub(super) fn flush(&mut self) {
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
        let crowded = self.crowd.is_there();
        for index in std::mem::take(&mut self.touched) {
            let stopping = self.stopping.is_some();
            let Some(Some(client)) = self.clients.get_mut(index as usize) else {
                continue;
            };
            client.flush(self.now);
            if client.has_room(crowded)
                && client.has_lines()
                && client.unknown_since.is_none()
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
                read: client.has_room(crowded)
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
}
