//! What a clock says is due, once in a second.

use std::time::Duration;

use super::Front;
use crate::error::failed;

/// When the loop has nothing to do: how often it looks at clocks.
pub const TICK: Duration = Duration::from_secs(1);
/// How long a client may take no answers.
const STUCK: Duration = Duration::from_secs(60);

impl Front {
    /// Does it.
    pub(super) fn look_at_clocks(&mut self) {
        let now = self.now;
        if self.counts.looked_at + TICK > now {
            return;
        }
        self.counts.looked_at = now;
        self.folders.look();
        if self.unneeded.as_ref().is_some_and(|unneeded| unneeded()) {
            self.stop();
        }
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
        self.lock_where_idle();
        self.scrape.expire(now);
        self.close_questions();
        self.probe_sick();
        self.seal_in_time();
    }
}
