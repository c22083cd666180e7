//! Signals, ending, and reading the configuration again.

use super::{Front, Worker};
use crate::{
    config::Config,
    error::{Result, failed},
    process::tell,
};

impl Front {
    pub(super) fn signal(&mut self) {
        let came = self.signals.take();
        if came.reload
            && let Err(error) = self.reload()
        {
            tell(&format!(
                "hsmsign agent: not reloaded, the old configuration stays in force: {error}"
            ));
        }
        if came.stop {
            self.stop();
        }
    }

    /// Takes no more lines, and ends when those at hand are answered.
    pub(super) fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.now);
            // Each is asked for the last seal, whatever it answered before.
            for worker in &mut self.workers {
                worker.seals_from = None;
            }
            self.drop_questions();
            self.manager.stopping();
        }
    }

    /// Reads the configuration again, whole or not at all.
    pub(super) fn reload(&mut self) -> Result<()> {
        self.manager.reloading();
        let done = self.read_again();
        self.manager.serving();
        done
    }

    /// Tokens that are gone or changed are closed.
    pub(super) fn read_again(&mut self) -> Result<()> {
        let (text, config) = Config::load_text(&self.home)?;
        if text.trim().is_empty() && !self.config.tokens.is_empty() {
            return Err(failed("config.toml is gone or empty, and the agent has tokens").fix(
                "put it back; an agent without tokens is one that is started anew: hsmsign agent stop, then start",
            ));
        }
        let old = std::mem::replace(&mut self.config, config);
        self.config_text = text;
        self.road = self.questions.desk.road(&self.home).in_place_of(&mut self.road);
        let mut closed = Vec::new();
        for (number, worker) in self.workers.iter_mut().enumerate() {
            if worker.is_of_token() && self.config.tokens.get(&worker.token) != old.tokens.get(&worker.token)
            {
                let had = self.flights.of_worker(number);
                closed.push((number, had, worker.set_up_anew(&mut self.launcher)));
            }
            if worker.is_of_token() {
                worker.configured = self.config.tokens.contains_key(&worker.token);
            }
        }
        for name in self.config.tokens.keys() {
            if !self.workers.iter().any(|worker| worker.token == *name) {
                self.workers.push(Worker::new(name.clone()));
            }
        }
        // What they had goes to another token by the new configuration, also to one that was closed as well.
        for (number, had, told) in closed {
            self.lost_these(had, number, &failed("its token was set up anew"), told);
        }
        self.open_tokens();
        Ok(())
    }
}
