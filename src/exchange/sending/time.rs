//! Where an exchange tells its time, and how it writes it.

use super::{Field, TimeFile};
use crate::{
    error::{Result, bad_input},
    exchange::stamps::Unit,
};

/// Where an exchange tells its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSource {
    /// The path of an endpoint that answers a GET without a signature.
    pub path: String,
    /// The place of the time in its answer; none where the answer's `Date` header is what tells it.
    pub field: Option<(Field, TimeUnit)>,
}

/// What an exchange's time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Units since 1970, a fraction behind a point allowed.
    Count(Unit),
    /// RFC 3339, as `2023-11-14T22:13:20.5Z`.
    Iso,
}

impl TimeSource {
    /// The source, and the paths of the requests that are measured by it.
    pub(super) fn read(file: TimeFile) -> Result<(Option<String>, Self)> {
        if !file.path.starts_with('/') || file.path.chars().any(|char| !('!'..='~').contains(&char)) {
            return Err(
                bad_input(format!("the path {:?} cannot be asked for", file.path)).fix("begin it with `/`")
            );
        }
        if let Some(paths) = file.paths.as_ref().filter(|paths| !paths.starts_with('/')) {
            return Err(bad_input(format!(
                "`for` is {paths:?}, which does not begin with `/`"
            )));
        }
        let field = match (file.field, file.unit) {
            (None, None) => None,
            (Some(field), Some(unit)) => {
                let unit = match unit.as_str() {
                    "iso" => TimeUnit::Iso,
                    unit => TimeUnit::Count(Unit::parse(unit).ok_or_else(|| {
                        bad_input(format!("there is no unit {unit:?}")).fix("use s, ms, us, ns or iso")
                    })?),
                };
                Some((Field::read(&field)?, unit))
            }
            _ => {
                return Err(bad_input("it has one of `field` and `unit` without the other")
                    .fix("give both, or neither where the Date header tells the time"));
            }
        };
        let source = Self {
            path: file.path,
            field,
        };
        Ok((file.paths, source))
    }
}

impl TimeUnit {
    /// Milliseconds since 1970 of a time as the exchange writes it, and how many of them it leaves out at most; none
    /// where it is no time.
    pub fn millis(self, text: &str) -> Option<(i64, u64)> {
        let cut = |whole_seconds| {
            if whole_seconds && !text.contains('.') {
                1000
            } else {
                0
            }
        };
        let unit = match self {
            Self::Iso => {
                let time = text.parse::<jiff::Timestamp>().ok()?;
                return Some((time.as_millisecond(), cut(true)));
            }
            Self::Count(unit) => unit,
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) {
            return None;
        }
        // Thousandths of the unit, so that seconds with a fraction keep their milliseconds.
        let thousandths: String = part.chars().chain("000".chars()).take(3).collect();
        let count = format!("{whole}{thousandths}").parse::<u128>().ok()?;
        let millis = i64::try_from(count / u128::from(unit.per_second())).ok()?;
        Some((millis, cut(unit == Unit::Seconds)))
    }
}
