//! Lines that a look since some time misses, because the clock was set back or was wrong: they stand behind others of that
//! time, and tell an earlier one.

use jiff::Timestamp;

use super::Filter;
use crate::json::Json;

/// How many seconds a line may tell less than one in front of it: it was asked before that, and written later.
const USUAL: i64 = 60;

/// How many such lines there are.
#[derive(Debug, Default)]
pub struct SetBack {
    since: Option<String>,
    latest: Option<String>,
    lines: u64,
}

impl SetBack {
    /// For those that this asks for.
    pub fn of(filter: &Filter) -> Self {
        Self {
            since: filter.since.clone(),
            ..Self::default()
        }
    }

    /// Takes the next line in.
    pub fn take(&mut self, line: &Json) {
        let Some(since) = &self.since else { return };
        let time = line.get("t").and_then(Json::scalar).unwrap_or_default();
        if time >= since.as_str() {
            if self.latest.as_deref().is_none_or(|latest| latest < time) {
                self.latest = Some(time.to_owned());
            }
        } else if self.latest.as_deref().is_some_and(|latest| is_back(latest, time)) {
            self.lines += 1;
        }
    }

    /// That there are any, in words.
    pub fn told(&self) -> Option<String> {
        (self.lines > 0).then(|| {
            format!(
                "{} lines stand behind others of that time and tell an earlier one, as where the clock was set back: they are shown without --since alone",
                self.lines
            )
        })
    }
}

fn is_back(latest: &str, time: &str) -> bool {
    match (latest.parse::<Timestamp>(), time.parse::<Timestamp>()) {
        (Ok(latest), Ok(time)) => latest.as_second().saturating_sub(time.as_second()) > USUAL,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_clock_that_was_set_back_are_counted_and_late_ones_are_not() {
        let told = |since: Option<&str>, times: &[&str]| {
            let mut back = SetBack::of(&Filter {
                since: since.map(str::to_owned),
                ..Filter::default()
            });
            for time in times {
                back.take(&Json::parse(&format!("{{\"t\":\"2026-01-02T{time}.000000Z\"}}")).unwrap());
            }
            back.told()
        };
        let since = Some("2026-01-02T10:00:00.000000Z");
        assert_eq!(
            told(since, &["08:00:00", "10:00:01", "09:59:30", "11:00:00"]),
            None
        );
        let back = [
            "08:00:00", "10:00:01", "12:00:00", "09:00:00", "09:00:01", "12:00:00",
        ];
        assert!(told(since, &back).unwrap().starts_with("2 lines"));
        assert_eq!(told(None, &back), None);
    }
}
