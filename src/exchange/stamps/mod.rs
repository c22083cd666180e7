//! Timestamps and nonces: made in the exchange's form, or brought in exactly that form.

mod clock;
mod nonce;

use std::time::Duration;

pub(crate) use self::{
    clock::{Clock, Form},
    nonce::{Series, Shape, is_uuid},
};
use crate::error::{Error, bad_input};

/// What a counting nonce counts: how many to a second it starts from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl Unit {
    /// How many of them there are in a second.
    pub const fn per_second(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }

    /// A time since 1970 in this unit.
    pub fn of(self, time: Duration) -> u64 {
        let count = match self {
            Self::Seconds => u128::from(time.as_secs()),
            Self::Millis => time.as_millis(),
            Self::Micros => time.as_micros(),
            Self::Nanos => time.as_nanos(),
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "s" => Self::Seconds,
            "ms" => Self::Millis,
            "us" => Self::Micros,
            "ns" => Self::Nanos,
            _ => return None,
        })
    }
}

fn misshapen(what: &str, text: &str) -> Error {
    let shown: String = text.chars().take(40).collect();
    bad_input(format!("the {what} {shown:?} does not have the exchange's form"))
}
