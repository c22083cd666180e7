//! How far this machine's clock is from an exchange's.

use std::time::Duration;

use super::{
    answer::Answer,
    outgoing::Outgoing,
    retry::http_date,
    wire::{Fault, Wire},
};
use crate::{
    clock::Offset,
    error::{Error, Result, failed},
    exchange::TimeSource,
};

/// A clock that differs by more is not believed.
const FARTHEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Less than this says nothing, in milliseconds.
const FINEST: u64 = 100;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// How far the exchange's clock is ahead of this machine's.
    pub offset: Offset,
    /// By how much that may be wrong, in milliseconds, both ways.
    pub within: u64,
}

impl Measured {
    /// Whether the two clocks may be the same, as far as was measured.
    pub(super) fn agrees(self) -> bool {
        self.offset.millis().unsigned_abs() <= self.within.max(FINEST)
    }

    /// How far the exchange's clock is from another one.
    pub(super) const fn from(self, other: Offset) -> Self {
        Self {
            offset: self.offset.less(other),
            within: self.within,
        }
    }

    /// As a person would say it: `is 3.2 s behind api.kraken.com's (to 0.1 s)`.
    pub(super) fn words(self, host: &str) -> String {
        let seconds = |millis: u64| format!("{}.{} s", millis / 1000, millis % 1000 / 100);
        let (by, within) = (
            self.offset.millis().unsigned_abs(),
            seconds(self.within.max(FINEST)),
        );
        if self.agrees() {
            return format!("agrees with {host}'s to {within}");
        }
        let way = if self.offset.millis() > 0 {
            "behind"
        } else {
            "ahead of"
        };
        format!("is {} {way} {host}'s (to {within})", seconds(by))
    }
}

/// Asks the exchange for its time; without a source, its front page for the `Date` of its answer.
///
/// # Errors
/// When no time can be had of it, or one that lies more than a day away.
pub(super) fn measure(wire: &Wire, origin: &str, source: Option<&TimeSource>) -> Result<Measured> {
    let path = source.map_or("/", |source| source.path.as_str());
    let request = Outgoing::get(&format!("{origin}{path}"))?;
    let answer = wire
        .exchange(&request)
        .map_err(|Fault { error, .. }| error.within("its clock"))?;
    let sent = wire.written_at().unwrap_or(answer.read_at);
    let measured = by_field(&answer, source, sent).or_else(|| by_date(&answer, sent));
    let measured = measured.ok_or_else(|| {
        failed(format!("{} tells no time at {path}", wire.host()))
            .fix("send without --measure-clock, and keep this machine's clock right by NTP")
    })?;
    if measured.offset.millis().unsigned_abs() > u64::try_from(FARTHEST.as_millis()).unwrap_or(u64::MAX) {
        return Err(too_far(measured, wire.host()));
    }
    Ok(measured)
}

fn too_far(measured: Measured, host: &str) -> Error {
    failed(format!(
        "this machine's clock {}: that is more than a day",
        measured.words(host)
    ))
    .fix("set this machine's clock; nothing was sent")
}

fn by_field(answer: &Answer, source: Option<&TimeSource>, sent: Duration) -> Option<Measured> {
    let (field, unit) = source?.field.as_ref().filter(|_| answer.status == 200)?;
    let json = answer.json()?;
    let (millis, cut) = unit.millis(field.of(&json)?.scalar()?)?;
    Some(between(millis, sent, answer.read_at, cut))
}

/// By the answer's `Date`, which is cut to whole seconds.
pub(super) fn by_date(answer: &Answer, sent: Duration) -> Option<Measured> {
    let date = answer.header("date").and_then(http_date)?;
    Some(between(millis(date), sent, answer.read_at, 1000))
}

/// The exchange read its clock at some time between the two, and left out up to `cut` milliseconds of it.
fn between(theirs: i64, sent: Duration, read: Duration, cut: u64) -> Measured {
    let (sent, read) = (millis(sent), millis(read));
    let theirs = theirs.saturating_add_unsigned(cut / 2);
    Measured {
        offset: Offset::from_millis(theirs.saturating_sub(sent.midpoint(read))),
        within: read.abs_diff(sent).div_ceil(2) + cut / 2,
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_read_its_clock_between_sending_and_reading() {
        let measured = between(
            20_000,
            Duration::from_millis(9_900),
            Duration::from_millis(10_101),
            0,
        );
        assert_eq!(measured.offset.millis(), 10_000);
        assert_eq!(measured.within, 101);
        let behind = between(5_000, Duration::from_secs(8), Duration::from_secs(8), 1000);
        assert_eq!((behind.offset.millis(), behind.within), (-2_500, 500));
    }

    #[test]
    fn an_offset_is_told_as_a_person_would() {
        let words = |millis, within| {
            Measured {
                offset: Offset::from_millis(millis),
                within,
            }
            .words("x.com")
        };
        assert_eq!(words(3_250, 40), "is 3.2 s behind x.com's (to 0.1 s)");
        assert_eq!(words(-3_250, 600), "is 3.2 s ahead of x.com's (to 0.6 s)");
        assert_eq!(words(80, 20), "agrees with x.com's to 0.1 s");
        assert_eq!(words(-400, 600), "agrees with x.com's to 0.6 s");
    }
}
