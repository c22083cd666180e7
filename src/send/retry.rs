//! Whether a request is sent again, and when.

use std::time::Duration;

use super::answer::Answer;

/// The rules of sending again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, beside the first time.
    pub times: u32,
    /// How long to wait before the second attempt; before each further one it doubles.
    pub first: Duration,
    /// The longest wait by doubling.
    pub longest: Duration,
    /// The longest wait that the exchange may ask for. Where it asks for more the request ends.
    pub patience: Duration,
    /// Whether what may have placed an order is sent again all the same.
    pub even_unsafe: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 3,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            even_unsafe: false,
        }
    }
}

/// What is known of a request, as far as it matters for sending it again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    /// It changes nothing, so the exchange may get it twice.
    pub only_reads: bool,
    /// It brings its own timestamp or nonce, so signing it again makes no fresh one.
    pub brings_stamps: bool,
}

/// How an attempt came out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Came<'a> {
    /// Not a byte of the request was written.
    Unwritten,
    /// It was written, and no whole answer came.
    Broken,
    /// The answer is longer than what is read, and would be again.
    TooLong,
    /// An answer, whole.
    Answered(&'a Answer),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// No more.
    End,
    /// Once more after this time.
    After(Duration),
    /// No more, since the exchange asks for a longer wait than is allowed.
    TooLongAWait(Duration),
}

impl Retry {
    /// What to do after an attempt, the `done`th.
    pub(super) fn next(&self, nature: Nature, came: Came<'_>, done: u32) -> Next {
        if !self.is_worth_it(nature, came) || done > self.times {
            return Next::End;
        }
        let asked = match came {
            Came::Answered(answer) => retry_after(answer),
            _ => None,
        };
        match asked.filter(|wait| !wait.is_zero()) {
            Some(wait) if wait > self.patience => Next::TooLongAWait(wait),
            Some(wait) => Next::After(wait),
            // Where the system gives no random bytes the wait is the whole one.
            None => Next::After(self.backoff(done, getrandom::u32().unwrap_or(u32::MAX))),
        }
    }

    fn is_worth_it(&self, nature: Nature, came: Came<'_>) -> bool {
        let may_repeat = nature.only_reads || self.even_unsafe;
        match came {
            Came::Unwritten => true,
            // What was seen once with its stamps is refused with them.
            _ if nature.brings_stamps => false,
            Came::Broken => may_repeat,
            Came::TooLong => false,
            Came::Answered(answer) => match answer.status {
                429 => true,
                500..=599 => may_repeat,
                _ => false,
            },
        }
    }

    /// Between half of the doubled wait and all of it, by a number from 0 to `u32::MAX`.
    fn backoff(&self, done: u32, random: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << (done.saturating_sub(1)).min(20));
        let most = doubled.min(self.longest);
        most / 2 + (most / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// How long the exchange asks to wait: seconds, or a date, which is compared with the answer's own.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let asked = answer.header("retry-after")?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let until = http_date(asked)?;
    let now = answer
        .header("date")
        .and_then(http_date)
        .unwrap_or(answer.read_at);
    Some(until.saturating_sub(now))
}

/// A date of HTTP (RFC 9110), since 1970; the form that all servers send today.
pub(super) fn http_date(text: &str) -> Option<Duration> {
    let stamp = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    u64::try_from(stamp.as_millisecond())
        .ok()
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nonce;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: Vec::new(),
            read_at: nonce::now(),
        }
    }

    fn again(retry: &Retry, only_reads: bool, came: Came<'_>) -> bool {
        let nature = Nature {
            only_reads,
            brings_stamps: false,
        };
        matches!(retry.next(nature, came, 1), Next::After(_))
    }

    #[test]
    fn what_may_have_placed_an_order_is_not_sent_again() {
        let retry = Retry::default();
        let bold = Retry {
            even_unsafe: true,
            ..Retry::default()
        };
        for (status, reading, acting, bold_acting) in [
            (200, false, false, false),
            (302, false, false, false),
            (400, false, false, false),
            (401, false, false, false),
            (408, false, false, false),
            (418, false, false, false),
            (425, false, false, false),
            (429, true, true, true),
            (500, true, false, true),
            (502, true, false, true),
            (503, true, false, true),
            (504, true, false, true),
        ] {
            let answer = answer(status, &[]);
            let came = Came::Answered(&answer);
            assert_eq!(again(&retry, true, came), reading, "{status}");
            assert_eq!(again(&retry, false, came), acting, "{status}");
            assert_eq!(again(&bold, false, came), bold_acting, "{status}");
        }
        for (came, acting) in [
            (Came::Unwritten, true),
            (Came::Broken, false),
            (Came::TooLong, false),
        ] {
            assert_eq!(again(&retry, false, came), acting, "{came:?}");
        }
        assert!(again(&retry, true, Came::Broken) && again(&bold, false, Came::Broken));
        assert!(!again(&bold, true, Came::TooLong));
    }

    #[test]
    fn stamps_that_were_brought_are_seen_by_the_exchange_once() {
        let nature = Nature {
            only_reads: true,
            brings_stamps: true,
        };
        let retry = Retry {
            even_unsafe: true,
            ..Retry::default()
        };
        let answer = answer(429, &[]);
        for came in [Came::Broken, Came::Answered(&answer)] {
            assert_eq!(retry.next(nature, came, 1), Next::End);
        }
        assert!(matches!(retry.next(nature, Came::Unwritten, 1), Next::After(_)));
    }

    #[test]
    fn attempts_end_after_their_number() {
        let nature = Nature {
            only_reads: true,
            brings_stamps: false,
        };
        let retry = Retry {
            times: 2,
            ..Retry::default()
        };
        assert_ne!(retry.next(nature, Came::Unwritten, 2), Next::End);
        assert_eq!(retry.next(nature, Came::Unwritten, 3), Next::End);
        let never = Retry {
            times: 0,
            ..Retry::default()
        };
        assert_eq!(never.next(nature, Came::Unwritten, 1), Next::End);
    }

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let retry = Retry::default();
        for (done, most) in [(1, 500), (2, 1_000), (3, 2_000), (7, 30_000), (4_000_000, 30_000)] {
            let most = Duration::from_millis(most);
            assert_eq!(retry.backoff(done, 0), most / 2);
            assert_eq!(retry.backoff(done, u32::MAX), most);
            let between = retry.backoff(done, u32::MAX / 2);
            assert!(between > most / 2 && between < most);
        }
    }

    #[test]
    fn the_exchange_is_waited_for_as_long_as_it_asks() {
        let retry = Retry::default();
        let nature = Nature {
            only_reads: false,
            brings_stamps: false,
        };
        let next = |headers: &[(&str, &str)]| retry.next(nature, Came::Answered(&answer(429, headers)), 1);
        assert_eq!(next(&[("retry-after", "7")]), Next::After(Duration::from_secs(7)));
        assert_eq!(
            next(&[("retry-after", "61")]),
            Next::TooLongAWait(Duration::from_secs(61))
        );
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            next(&[date, ("retry-after", "Sun, 06 Nov 1994 08:49:49 GMT")]),
            Next::After(Duration::from_secs(12))
        );
        assert!(matches!(
            next(&[("retry-after", "99999999999999999999999")]),
            Next::TooLongAWait(_)
        ));
        for none in ["0", "soon", "", "-1", "1.5", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            let Next::After(wait) = next(&[("retry-after", none)]) else {
                panic!("{none}")
            };
            assert!(
                wait >= Duration::from_millis(250) && wait <= Duration::from_millis(500),
                "{none}"
            );
        }
    }
}
