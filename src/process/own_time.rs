//! A loop's own time, by which others are given up. While the process stood still, as stopped by a signal or with its whole
//! container, nobody could answer it, and that is not their fault.

use std::time::{Duration, Instant};

/// By how much a round may be late before the process counts as having stood still.
const LATE: Duration = Duration::from_secs(1);

/// Tells a loop's own time.
#[derive(Default)]
pub struct OwnTime {
    /// How long it stood still in all.
    stood: Duration,
}

impl OwnTime {
    /// What time it is, at this moment of the clock, in a round that begins after one that began `before`, in own time, and
    /// waited no longer than `longest`.
    pub fn at(&mut self, clock: Instant, before: Instant, longest: Duration) -> Instant {
        let now = clock.checked_sub(self.stood).unwrap_or(clock);
        let late = now.saturating_duration_since(before).saturating_sub(longest);
        if late < LATE {
            return now;
        }
        self.stood += late;
        now.checked_sub(late).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_it_stood_still() {
        let begun = Instant::now();
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        let mut time = OwnTime::default();
        let tick = Duration::from_secs(1);
        assert_eq!(time.at(at(1.5), at(0.0), tick), at(1.5));
        // A minute later, of which it waited one second.
        assert_eq!(time.at(at(61.5), at(1.5), tick), at(2.5));
        assert_eq!(time.at(at(62.0), at(2.5), tick), at(3.0));
        assert_eq!(time.at(at(70.0), at(3.0), tick), at(4.0));
        assert_eq!(time.at(at(70.5), at(4.0), Duration::ZERO), at(4.5));
    }
}
