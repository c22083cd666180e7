//! Timestamps: the exchange's clock.

use std::time::Duration;

use super::{Unit, misshapen};
use crate::error::{Result, bad_input, failed};

/// The form of a timestamp on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole number of a unit since 1970; brought seconds may have a fraction.
    Count(Unit),
    /// `2023-11-14T22:13:20`, UTC.
    Iso,
    /// `2023-11-14T22:13:20.000Z`.
    IsoMillis,
}

/// An exchange's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub form: Form,
    /// Another form that a brought timestamp may have.
    pub also: Option<Form>,
    /// How far ahead of now the timestamp lies, for exchanges that want an expiry.
    pub ahead: Duration,
}

impl Form {
    fn parse(unit: &str) -> Result<Self> {
        Ok(match unit {
            "iso" => Self::Iso,
            "iso-ms" => Self::IsoMillis,
            unit => Self::Count(Unit::parse(unit).ok_or_else(|| {
                bad_input(format!("there is no clock unit {unit:?}")).fix("use s, ms, us, ns, iso or iso-ms")
            })?),
        })
    }

    fn fits(self, stamp: &str) -> bool {
        match self {
            Self::Count(Unit::Seconds) => seconds(stamp),
            Self::Count(Unit::Millis) => digits(stamp, 13),
            Self::Count(Unit::Micros) => digits(stamp, 16),
            Self::Count(Unit::Nanos) => digits(stamp, 19),
            Self::Iso => shaped(stamp, "0000-00-00T00:00:00"),
            Self::IsoMillis => shaped(stamp, "0000-00-00T00:00:00.000Z"),
        }
    }

    /// What it looks like, for errors.
    const fn example(self) -> &'static str {
        match self {
            Self::Count(Unit::Seconds) => "seconds since 1970: 10 digits, as 1700000000",
            Self::Count(Unit::Millis) => "milliseconds since 1970: 13 digits",
            Self::Count(Unit::Micros) => "microseconds since 1970: 16 digits",
            Self::Count(Unit::Nanos) => "nanoseconds since 1970: 19 digits",
            Self::Iso => "UTC as 2023-11-14T22:13:20",
            Self::IsoMillis => "UTC as 2023-11-14T22:13:20.000Z",
        }
    }
}

impl Clock {
    pub(crate) fn new(unit: &str, also: Option<&str>, ahead: u32) -> Result<Self> {
        Ok(Self {
            form: Form::parse(unit)?,
            also: also.map(Form::parse).transpose()?,
            ahead: Duration::from_secs(ahead.into()),
        })
    }

    /// Whether it is written in digits, so that it can meet a path's own digits.
    pub(crate) const fn is_digits(self) -> bool {
        matches!(self.form, Form::Count(_))
    }

    /// The timestamp for a time since 1970.
    pub(crate) fn make(self, now: Duration) -> Result<String> {
        let time = now.saturating_add(self.ahead);
        let pattern = match self.form {
            Form::Count(unit) => return Ok(unit.of(time).to_string()),
            Form::Iso => "%Y-%m-%dT%H:%M:%S",
            Form::IsoMillis => "%Y-%m-%dT%H:%M:%S.%3fZ",
        };
        let seconds = i64::try_from(time.as_secs()).ok();
        let nanos = i32::try_from(time.subsec_nanos()).unwrap_or(0);
        let stamp = seconds.and_then(|seconds| jiff::Timestamp::new(seconds, nanos).ok());
        stamp
            .map(|stamp| stamp.strftime(pattern).to_string())
            .ok_or_else(|| failed("the clock is beyond the years that a timestamp can hold"))
    }

    /// The time since 1970 for which a timestamp stands; none where it has no form that the exchange takes.
    pub(crate) fn read(self, stamp: &str) -> Option<Duration> {
        let form = [Some(self.form), self.also];
        let form = form.into_iter().flatten().find(|form| form.fits(stamp))?;
        let number = || stamp.parse::<u64>().ok();
        let time = match form {
            Form::Count(Unit::Seconds) => Duration::from_secs(stamp.split('.').next()?.parse().ok()?),
            Form::Count(Unit::Millis) => Duration::from_millis(number()?),
            Form::Count(Unit::Micros) => Duration::from_micros(number()?),
            Form::Count(Unit::Nanos) => Duration::from_nanos(number()?),
            Form::Iso | Form::IsoMillis => {
                let zone = if form == Form::Iso { "Z" } else { "" };
                let time: jiff::Timestamp = format!("{stamp}{zone}").parse().ok()?;
                Duration::from_millis(u64::try_from(time.as_millisecond()).ok()?)
            }
        };
        Some(time.saturating_sub(self.ahead))
    }

    /// Refuses a timestamp that is not exactly of a form that the exchange takes.
    pub(crate) fn check(self, stamp: &str) -> Result<()> {
        if self.form.fits(stamp) || self.also.is_some_and(|also| also.fits(stamp)) {
            return Ok(());
        }
        let also = self
            .also
            .map_or_else(String::new, |also| format!(", or {}", also.example()));
        Err(misshapen("timestamp", stamp).fix(format!("this exchange wants {}{also}", self.form.example())))
    }
}

fn digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn seconds(text: &str) -> bool {
    match text.split_once('.') {
        None => digits(text, 10),
        Some((whole, part)) => {
            digits(whole, 10)
                && (1..=9).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// Whether it has digits where the shape has them, and the shape's own characters elsewhere.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| {
            if wanted == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == wanted
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_made_in_every_form() {
        let now = Duration::new(1_700_000_000, 123_456_789);
        for (unit, ahead, wanted) in [
            ("s", 0, "1700000000"),
            ("s", 5, "1700000005"),
            ("ms", 0, "1700000000123"),
            ("us", 0, "1700000000123456"),
            ("ns", 0, "1700000000123456789"),
            ("iso", 0, "2023-11-14T22:13:20"),
            ("iso-ms", 0, "2023-11-14T22:13:20.123Z"),
        ] {
            let clock = Clock::new(unit, None, ahead).unwrap();
            assert_eq!(clock.make(now).unwrap(), wanted);
            clock.check(wanted).unwrap();
        }
    }

    #[test]
    fn what_is_made_is_read_as_the_time_that_it_was_made_for() {
        let now = Duration::from_secs(1_700_000_000);
        for unit in ["s", "ms", "us", "ns", "iso", "iso-ms"] {
            for ahead in [0, 30] {
                let clock = Clock::new(unit, Some("ms"), ahead).unwrap();
                assert_eq!(clock.read(&clock.make(now).unwrap()), Some(now), "{unit}");
            }
            let clock = Clock::new(unit, Some("ms"), 0).unwrap();
            assert_eq!(clock.read("1700000000000"), Some(now), "{unit}");
            assert_eq!(clock.read("17000000000000"), None, "{unit}");
        }
        let clock = Clock::new("s", None, 0).unwrap();
        assert_eq!(clock.read("1700000000.5"), Some(now));
    }

    #[test]
    fn brought_timestamps_must_have_the_exact_form() {
        let check = |unit: &str, stamp: &str| Clock::new(unit, None, 0).unwrap().check(stamp);
        check("s", "1700000000.123").unwrap();
        let both = Clock::new("ms", Some("s"), 0).unwrap();
        both.check("1700000000123").unwrap();
        both.check("1700000000.123").unwrap();
        let error = both.check("170000000012").unwrap_err();
        assert!(
            error
                .remedy()
                .unwrap()
                .contains("milliseconds since 1970: 13 digits, or seconds")
        );
        for (unit, stamp) in [
            ("s", "170000000"),
            ("s", "1700000000."),
            ("s", "1700000000.1234567890"),
            ("s", "17000000001"),
            ("ms", "1700000000"),
            ("ms", "1700000000123 "),
            ("ms", "+170000000012"),
            ("iso", "2023-11-14T22:13:20Z"),
            ("iso-ms", "2023-11-14T22:13:20Z"),
            ("iso-ms", "2023-11-14 22:13:20.000Z"),
        ] {
            assert!(check(unit, stamp).is_err(), "{unit} {stamp}");
        }
    }
}
