//! The hours of a week in which requests are signed, in UTC.

use std::time::Duration;

use crate::error::{Error, Result, bad_input};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u64 = 24 * 60 * 60;

/// A span of hours on some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours {
    days: [bool; 7],
    /// Minutes of the day; `to` is the first that is outside. Over midnight where it is less than `from`.
    from: u64,
    to: u64,
    pub shown: String,
}

impl Hours {
    /// Reads `mon-fri 08:00-18:00`, `08:00-18:00`, `sat,sun 00:00-24:00`.
    pub(super) fn read(text: &str) -> Result<Self> {
        let odd = || odd(text);
        let (days, span) = match text.split_once(' ') {
            Some((days, span)) => (read_days(days).ok_or_else(odd)?, span.trim()),
            None => ([true; 7], text),
        };
        let (from, to) = span.split_once('-').ok_or_else(odd)?;
        let (from, to) = (minute(from).ok_or_else(odd)?, minute(to).ok_or_else(odd)?);
        if from == to || from == 24 * 60 {
            return Err(odd());
        }
        Ok(Self {
            days,
            from,
            to,
            shown: text.to_owned(),
        })
    }

    /// Whether the time, since 1970 in UTC, lies in it.
    pub(super) fn has(&self, now: Duration) -> bool {
        let minute = now.as_secs() % DAY / 60;
        // 1970 began on a Thursday.
        let day = usize::try_from((now.as_secs() / DAY + 3) % 7).unwrap_or_default();
        if self.from < self.to {
            return self.days[day] && (self.from..self.to).contains(&minute);
        }
        self.days[day] && minute >= self.from || self.days[(day + 6) % 7] && minute < self.to
    }
}

fn odd(text: &str) -> Error {
    bad_input(format!("`hours` has {text:?}"))
        .fix("write \"mon-fri 08:00-18:00\", in UTC; the days may be left out")
}

fn read_days(text: &str) -> Option<[bool; 7]> {
    let number = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (number(first)?, number(last)?);
        days[at] = true;
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

fn minute(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())?
    };
    let minutes = two(hour)? * 60 + two(minute)?;
    (two(minute)? < 60 && minutes <= 24 * 60).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_on_their_days_and_over_midnight() {
        // 2026-01-05 was a Monday.
        let at = |day: u64, hour: u64, minute: u64| {
            Duration::from_secs(1_767_571_200 + day * DAY + hour * 3600 + minute * 60)
        };
        let week = Hours::read("mon-fri 08:00-18:00").unwrap();
        assert!(week.has(at(0, 8, 0)) && week.has(at(4, 17, 59)));
        assert!(!week.has(at(0, 7, 59)) && !week.has(at(4, 18, 0)) && !week.has(at(5, 12, 0)));
        let night = Hours::read("fri 22:00-02:00").unwrap();
        assert!(night.has(at(4, 22, 0)) && night.has(at(5, 1, 59)));
        assert!(!night.has(at(4, 1, 0)) && !night.has(at(5, 22, 0)));
        assert!(Hours::read("00:00-24:00").unwrap().has(at(6, 23, 59)));
        assert!(Hours::read("sat-mon 00:00-24:00").unwrap().has(at(0, 1, 0)));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "08:00",
            "8:00-9:00",
            "08:00-08:00",
            "mon 25:00-26:00",
            "day 08:00-09:00",
            "08:60-09:00",
            "24:00-01:00",
        ] {
            assert!(Hours::read(text).is_err(), "{text}");
        }
    }
}
