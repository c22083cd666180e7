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
        let kept = |name: &String, old: &Config| {
            old.tokens
                .get(name)
                .is_some_and(|old| config.tokens.get(name) == Some(old))
        };
        for worker in &mut self.workers {
            if worker.holds_token() && !kept(&worker.token, &self.config) {
                worker.stop(&mut self.launcher);
                worker.forget_failures();
            }
        }
        for index in 0..self.workers.len() {
            if !self.workers[index].is_running() && self.workers[index].holds_token() {
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
        self.road = self.questions.desk.road(&self.home).in_place_of(&mut self.road);
        self.open_tokens();
        Ok(())
    }
}
