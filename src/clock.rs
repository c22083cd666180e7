//! The time, and how far another clock is from this machine's.

use std::time::Duration;

/// The time since 1970, zero for a clock before it.
pub fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// How far another clock is ahead of this machine's, in milliseconds; behind it where it is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    millis: i64,
}

impl Offset {
    /// The two agree.
    pub const NONE: Self = Self { millis: 0 };

    /// Of this many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// In milliseconds.
    pub const fn millis(self) -> i64 {
        self.millis
    }

    /// What the other clock shows when this machine's shows `now`, since 1970; never before 1970.
    pub const fn apply(self, now: Duration) -> Duration {
        let by = Duration::from_millis(self.millis.unsigned_abs());
        if self.millis < 0 {
            now.saturating_sub(by)
        } else {
            now.saturating_add(by)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_the_time_both_ways_and_stops_at_1970() {
        let now = Duration::from_millis(10_000);
        for (millis, shown) in [(0, 10_000), (1_500, 11_500), (-1_500, 8_500), (-20_000, 0)] {
            assert_eq!(
                Offset::from_millis(millis).apply(now),
                Duration::from_millis(shown)
            );
        }
    }
}
