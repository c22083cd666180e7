//! The time, and how far another clock is from this machine's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Result, bad_input};

/// The time since 1970, zero for a clock before it.
pub fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// How far another clock is ahead of this machine's, in milliseconds; behind it where it is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
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

    /// The farthest that is set by hand, in milliseconds: a day.
    const FARTHEST: i64 = 24 * 60 * 60 * 1000;

    /// What somebody gave, in milliseconds.
    ///
    /// # Errors
    /// When it is no whole number, or more than a day.
    pub fn parse(millis: &str) -> Result<Self> {
        let unsigned = millis.strip_prefix('-').unwrap_or(millis);
        let digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        let shown: String = millis.chars().take(40).collect();
        if !digits {
            return Err(bad_input(format!(
                "the offset {shown:?} is not a whole number of milliseconds"
            ))
            .fix("give by how much the exchange's clock is ahead of this machine's, as 1500 or -120"));
        }
        let within = |millis: &i64| millis.unsigned_abs() <= Self::FARTHEST.unsigned_abs();
        millis
            .parse()
            .ok()
            .filter(within)
            .map(Self::from_millis)
            .ok_or_else(|| {
                bad_input(format!("an offset of {shown} ms is more than a day"))
                    .fix("set this machine's clock")
            })
    }

    /// Whether the two agree.
    pub const fn is_none(&self) -> bool {
        self.millis == 0
    }

    /// How far it is from another one.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self::from_millis(self.millis.saturating_sub(other.millis))
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

    #[test]
    fn an_offset_is_a_whole_number_of_milliseconds_within_a_day() {
        for (given, millis) in [
            ("0", 0),
            ("-120", -120),
            ("1500", 1_500),
            ("86400000", 86_400_000),
            ("-86400000", -86_400_000),
        ] {
            assert_eq!(Offset::parse(given).unwrap().millis(), millis, "{given}");
        }
        for given in [
            "",
            "-",
            "+5",
            "1.5",
            "5ms",
            " 5",
            "--5",
            "86400001",
            "-86400001",
            "99999999999999999999",
        ] {
            assert!(Offset::parse(given).is_err(), "{given:?}");
        }
    }
}
