//! Sealing the log by a token, and having it keep how far the log is sealed.

use std::time::Duration;

use super::{
    Front,
    flights::{Client, Work},
};
use crate::{
    agent::frame::Ask,
    error::{Code, Error},
    process::tell,
};

/// How often a token keeps how far the log is sealed, beside the end: each time is a write to memory that wears out.
const MARK_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long a token that makes no seal is passed over where another will do.
const PASSED_OVER: Duration = Duration::from_secs(60);

/// How far the log is closed, once no request is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closing {
    /// It is open.
    Open,
    /// The last seal was asked for.
    Sealed,
    /// So was that the token keeps it.
    Marked,
}

impl Front {
    /// At the end: seals what there is of the log, and then has the token keep that. Each is one more on its way.
    pub(super) fn close_log(&mut self) {
        if self.closing == Closing::Open {
            self.closing = Closing::Sealed;
            // A line is sealed when it is written. That it cannot be is told at the very end.
            if self.road.log().flush().is_ok() && self.seal(true) {
                return self.flush();
            }
        }
        if self.closing == Closing::Sealed {
            self.closing = Closing::Marked;
            if self.road.log().flush().is_ok() {
                self.mark();
                self.flush();
            }
        }
    }

    /// What a clock says is due of that.
    pub(super) fn seal_in_time(&mut self) {
        self.seal(false);
        if self.marked.is_none_or(|marked| marked + MARK_EVERY < self.now) {
            self.mark();
        }
    }

    /// The first token that is open, and did not refuse to seal just now.
    fn open_worker(&self) -> Option<usize> {
        self.workers.iter().position(|worker| {
            worker.holds_token()
                && worker.is_running()
                && worker.open
                && !worker.locked
                && worker.seals_from.is_none_or(|from| from <= self.now)
        })
    }

    /// A token made no seal, as one that makes no MAC keys: the next one is asked.
    pub(super) fn not_sealed(&mut self, number: usize) {
        self.workers[number].seals_from = Some(self.now + PASSED_OVER);
        if self.closing == Closing::Sealed {
            self.closing = Closing::Open;
        }
    }

    /// Has a token that is open seal the log, where that is due. Answers whether one is at it.
    fn seal(&mut self, at_the_end: bool) -> bool {
        let Some(number) = self.open_worker() else {
            return false;
        };
        let Some(due) = self.road.log().seal_due(at_the_end) else {
            return false;
        };
        let token = self.workers[number].token.clone();
        let message = due.message();
        self.ask_for_nobody(number, Work::Seal(Box::new((due, token))), &Ask::Seal(&message));
        true
    }

    /// Has a token that is open keep the last seal, where there is one.
    fn mark(&mut self) {
        let Some(number) = self.open_worker() else { return };
        let Ok(Some(marked)) = self.road.log().to_be_marked() else {
            return;
        };
        self.marked = Some(self.now);
        let marked = serde_json::json!(marked).to_string();
        self.ask_for_nobody(number, Work::Mark, &Ask::Mark(marked.as_bytes()));
    }

    /// A token does not keep it. One that cannot is told of by `audit verify`.
    pub(super) fn not_marked(&self, number: usize, error: &Error) {
        if error.code() != Code::Unsupported {
            let token = &self.workers[number].token;
            tell(&format!(
                "hsmsign agent: token {token} does not keep how far the audit log is sealed: {error}"
            ));
        }
    }

    /// Asks a worker for what the front itself wants.
    pub(super) fn ask_for_nobody(&mut self, number: usize, work: Work, ask: &Ask<'_>) {
        let nobody = Client {
            index: u32::MAX,
            generation: 0,
            place: 0,
        };
        let mut flight = self.flight(nobody, None, work);
        flight.worker = Some(number);
        flight.told = true;
        let id = self.flights.put(flight);
        let now = self.now;
        self.workers[number].ask(id, ask, Vec::new(), now);
    }
}
