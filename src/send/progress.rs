//! How far a request got: what is known of each attempt, for whoever asks from another thread too.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::nonce;

/// Whether a request reached the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Not a byte of it was written.
    No,
    /// Some of it was written and no whole answer came: the exchange may have done it.
    Maybe,
    /// The exchange answered.
    Yes,
}

impl Sent {
    /// As JSON says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
            Self::Yes => "yes",
        }
    }
}

/// One attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whether it reached the exchange.
    pub sent: Sent,
    /// The answer's status, as soon as it was read.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

/// The attempts so far.
#[derive(Debug, Default)]
pub struct Progress {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    attempts: Vec<Attempt>,
    /// Whether the last attempt is on its way: then what is written is the request.
    under_way: bool,
    written_at: Option<Duration>,
}

impl Progress {
    /// The attempts so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    /// Whether the exchange may have got the request, over all attempts: doubt about one is doubt about all.
    pub fn sent(&self) -> Sent {
        overall(&self.lock().attempts)
    }

    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.attempts.push(Attempt {
            sent: Sent::No,
            status: None,
            error: None,
        });
        state.under_way = true;
    }

    /// A new connection: nothing is written to it yet.
    pub(super) fn connecting(&self) {
        self.lock().written_at = None;
    }

    /// From here on bytes of what is sent may be on the wire.
    pub(super) fn writing(&self) {
        let mut state = self.lock();
        state.written_at.get_or_insert_with(nonce::now);
        if state.under_way
            && let Some(attempt) = state.attempts.last_mut()
        {
            attempt.sent = Sent::Maybe;
        }
    }

    /// When the first byte was written to the connection at hand, since 1970.
    pub(super) fn written_at(&self) -> Option<Duration> {
        self.lock().written_at
    }

    pub(super) fn status(&self, status: u16) {
        let mut state = self.lock();
        if state.under_way
            && let Some(attempt) = state.attempts.last_mut()
        {
            attempt.status = Some(status);
        }
    }

    /// The attempt is over; `whole` says that its answer is.
    pub(super) fn end(&self, whole: bool, error: Option<&str>) {
        let mut state = self.lock();
        state.under_way = false;
        if let Some(attempt) = state.attempts.last_mut() {
            if whole {
                attempt.sent = Sent::Yes;
            }
            attempt.error = error.map(str::to_owned);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn overall(attempts: &[Attempt]) -> Sent {
    let any = |sent| attempts.iter().any(|attempt| attempt.sent == sent);
    if any(Sent::Maybe) {
        Sent::Maybe
    } else if any(Sent::Yes) {
        Sent::Yes
    } else {
        Sent::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_about_one_attempt_is_doubt_about_all() {
        let progress = Progress::default();
        assert_eq!(progress.sent(), Sent::No);
        progress.begin();
        assert_eq!(progress.sent(), Sent::No);
        progress.writing();
        assert_eq!(progress.sent(), Sent::Maybe);
        progress.end(true, None);
        assert_eq!(progress.sent(), Sent::Yes);
        progress.begin();
        progress.writing();
        progress.status(200);
        progress.end(false, Some("broke"));
        assert_eq!(progress.sent(), Sent::Maybe);
        progress.begin();
        progress.writing();
        progress.end(true, None);
        assert_eq!(progress.sent(), Sent::Maybe);
        assert_eq!(progress.attempts()[1].status, Some(200));
    }

    #[test]
    fn what_is_written_between_attempts_is_not_the_request() {
        let progress = Progress::default();
        progress.begin();
        progress.end(false, Some("refused"));
        progress.connecting();
        progress.writing();
        assert!(progress.written_at().is_some());
        assert_eq!(progress.sent(), Sent::No);
    }
}
