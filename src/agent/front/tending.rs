//! Keeping workers running: starting and probing them, and what becomes of their work when they end.

use super::{
    Front, Worker,
    flights::Work,
    poll::{Interest, Source},
    starting::{Launcher, PATIENCE, Said, Whose, launcher_silent},
};
use crate::{
    agent::frame::{Ask, Told},
    error::{Code, Error, Result, failed},
    process::tell,
};

impl Front {
    /// Starts a worker that does not run.
    pub(super) fn start(&mut self, number: usize) -> Result<()> {
        let index = u32::try_from(number).unwrap_or(u32::MAX);
        self.workers[number].ensure(index, &mut self.launcher, &self.config_text, self.now)
    }

    /// Takes what the launcher says.
    pub(super) fn launcher_ready(&mut self) {
        match self.launcher.receive() {
            Ok(all) => all.into_iter().for_each(|said| self.launcher_said(said)),
            Err(error) => self.launcher_ended(error),
        }
    }

    /// Another one goes on, where there is one. The workers of the one that ended end with it.
    fn launcher_ended(&mut self, error: Error) {
        let Some(mut next) = self.next_launcher.take() else {
            return self.end(error);
        };
        tell(&format!(
            "hsmsign agent: {}; another one takes its place",
            error.message()
        ));
        self.poll.remove(self.launcher.socket());
        if self
            .poll
            .change(next.socket(), Source::Launcher, Interest::READ)
            .is_err()
        {
            return self.end(error);
        }
        next.take_over(&mut self.launcher, self.now);
        self.launcher = next;
    }

    /// The spare launcher says nothing unasked: it has ended.
    pub(super) fn spare_ended(&mut self) {
        if let Some(spare) = self.next_launcher.take() {
            self.poll.remove(spare.socket());
        }
    }

    /// Has another launcher made, where there is none for when this one ends.
    pub(super) fn keep_spare(&mut self) {
        if self.next_launcher.is_none() && self.stopping.is_none() && !self.launcher.makes_spare() {
            self.launcher.make_spare(self.now);
        }
    }

    fn launcher_said(&mut self, said: Said) {
        match said {
            Said::Started(whose, socket, pid) => {
                let Some(number) = self.starting(whose) else {
                    // Nobody wants it any more.
                    return self.launcher.kill(pid);
                };
                if let Err(error) = self.workers[number].runs(socket, pid, whose.0, &self.poll) {
                    self.launcher.kill(pid);
                    self.ended(number, error);
                }
            }
            Said::NotStarted(whose, why) => {
                if let Some(number) = self.starting(whose) {
                    self.ended(number, failed(format!("it was not started: {why}")));
                }
            }
            Said::Ended(pid) => self.process_ended(pid),
            Said::Spare(spare) => {
                let waited = |spare: &Launcher| {
                    let added = self.poll.add(spare.socket(), Source::Spare, Interest::READ);
                    added.is_ok()
                };
                self.next_launcher = spare.filter(waited);
            }
            Said::Program(Whose(index, generation), program) => {
                if let Some(client) = self
                    .client(index)
                    .filter(|client| client.generation == generation)
                {
                    client.caller.executable = program;
                    client.unknown_since = None;
                    self.touched.push(index);
                }
            }
        }
    }

    /// A worker's process has ended, which its pipes may not tell: one that its module forked may hold them open.
    fn process_ended(&mut self, pid: u32) {
        let of_pid = |worker: &Worker| worker.pid() == Some(pid);
        let Some(number) = self.workers.iter().position(of_pid) else {
            return;
        };
        // What it said last.
        self.hear_worker(number, &mut Vec::new());
        if of_pid(&self.workers[number]) {
            self.ended(number, failed("its worker ended"));
        }
    }

    /// Takes what a worker says.
    pub(super) fn hear_worker(&mut self, number: usize, told: &mut Vec<(u64, Told)>) {
        let received = self.workers[number].receive(&mut self.room, self.now, told);
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

    /// The worker that was asked for, where it is still waited for.
    fn starting(&self, Whose(index, generation): Whose) -> Option<usize> {
        let number = usize::try_from(index).ok()?;
        let worker = self.workers.get(number)?;
        (worker.is_starting() && worker.generation == generation).then_some(number)
    }

    /// Goes on without what the launcher has owed for too long: clients whose program is not known, workers that do not
    /// come.
    pub(super) fn go_on_without_launcher(&mut self) {
        if !self.launcher.is_silent(self.now) {
            return;
        }
        for index in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[index]
                && client
                    .unknown_since
                    .is_some_and(|since| since + PATIENCE < self.now)
            {
                client.unknown_since = None;
                self.touched.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        for number in 0..self.workers.len() {
            if self.workers[number].starts_in_vain(self.now) {
                self.ended(number, launcher_silent());
            }
        }
    }

    /// Opens the tokens whose PIN comes without a person.
    pub(super) fn open_tokens(&mut self) {
        for number in 0..self.workers.len() {
            let silent = self
                .config
                .token(&self.workers[number].token)
                .and_then(crate::token::pin_source)
                .is_ok_and(|source| !source.interactive());
            if silent && !self.workers[number].is_running() {
                self.probe(number);
            }
        }
    }

    /// Asks a worker whether its token is there.
    pub(super) fn probe(&mut self, number: usize) {
        if self.start(number).is_err() {
            return;
        }
        self.ask_for_nobody(number, Work::Probe, &Ask::Open { given: None });
    }

    /// Looks whether tokens that were missed are back.
    pub(super) fn probe_sick(&mut self) {
        for number in 0..self.workers.len() {
            let worker = &self.workers[number];
            let missed = worker.holds_token()
                && worker.last_error.as_ref().is_some_and(|error| {
                    matches!(error.code(), Code::TokenMissing | Code::TokenBusy | Code::Failed)
                });
            if missed && worker.asked() == 0 && !worker.locked {
                self.probe(number);
            }
        }
    }

    /// A worker ended, or is to be ended: what it had is tried elsewhere or refused.
    pub(super) fn ended(&mut self, number: usize, error: Error) {
        let token = self.workers[number].token.clone();
        tell(&format!("hsmsign agent: the worker of token {token}: {error}"));
        let told = !self.workers[number].is_starting();
        self.workers[number].kill(&mut self.launcher);
        self.workers[number].failed(error.clone(), self.now);
        self.lost(number, &error, told);
    }

    /// Requests that a worker had and will not answer.
    pub(super) fn lost(&mut self, number: usize, error: &Error, told: bool) {
        let all = self.flights.of_worker(number);
        self.lost_these(all, number, error, told);
    }

    /// Those of them that a worker had by the time when it was closed.
    pub(super) fn lost_these(&mut self, all: Vec<u64>, number: usize, error: &Error, told: bool) {
        let token = self.workers[number].token.clone();
        for id in all {
            let Some(mut flight) = self.flights.take(id) else {
                continue;
            };
            flight.worker = None;
            let may = if told && flight.told {
                "it may have been signed, but the signature was given to nobody"
            } else {
                "it was not signed"
            };
            if matches!(flight.work, Work::Question(_)) {
                self.person_said(flight, Err(error.clone()));
                continue;
            }
            if matches!(flight.work, Work::Errand) {
                let refusal = failed(format!("the command's process ended: {}", error.message()))
                    .fix("it was done whole or not at all: see `hsmsign list`");
                self.refuse(flight.client, flight.id.as_ref(), &refusal);
                continue;
            }
            if matches!(flight.work, Work::Worker) {
                let message = format!("token {token} was not opened: {}", error.message());
                let again = || format!("try again: hsmsign unlock {token}");
                let fix = error.remedy().map_or_else(again, str::to_owned);
                self.refuse_flight(flight, &Error::new(Code::TokenBusy, message).fix(fix));
                continue;
            }
            let refusal = Error::new(
                Code::TokenBusy,
                format!("token {token} gave no answer: {}; {may}", error.message()),
            )
            .fix("send the request again; its nonce is not used twice");
            match flight.work {
                Work::Seal(_) => self.not_sealed(number),
                Work::Probe | Work::Mark => {}
                _ => {
                    flight.refused(&token, refusal);
                    self.dispatch(flight);
                }
            }
        }
    }
}
