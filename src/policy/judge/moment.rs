//! When requests are signed: until a policy expires, and in its hours.

use std::time::Duration;

use super::Case;
use crate::error::{Result, rarely};

/// How far ahead of this machine's clock an exchange's may be, so that a request that brings its time is one of now.
const SOON: Duration = Duration::from_secs(60);

/// The minutes of a week.
const WEEK: usize = 7 * 24 * 60;

impl Case<'_, '_> {
    pub(super) fn moment(&self) -> Result<()> {
        if self.policy.deny_all {
            return Err(rarely(|| {
                self.deny("deny-all", "everything is denied")
                    .fix("take the line out to allow again")
            }));
        }
        if self.policy.expires.is_none() && self.policy.hours.is_empty() {
            return Ok(());
        }
        self.time("it is", self.now)?;
        // What is signed now may be meant for later.
        let Some(asked) = self.asked else { return Ok(()) };
        let (from, until) = asked.holds(self.now);
        let soon = self.now + SOON;
        if from > soon {
            self.time("the request brings the time", from)?;
        }
        if until <= soon {
            return Ok(());
        }
        // Hours begin and end with a minute, and are the same every week.
        let minutes = (from.max(self.now).as_secs() / 60 + 1)..=(until.as_secs() / 60);
        minutes
            .take(WEEK)
            .map(|minute| Duration::from_secs(minute * 60))
            .chain([until])
            .try_for_each(|time| self.time("the request holds at", time))
    }

    fn time(&self, whose: &str, time: Duration) -> Result<()> {
        if let Some((until, shown)) = &self.policy.expires
            && *until <= time.as_secs()
        {
            return Err(rarely(|| {
                self.deny(
                    "expires",
                    &format!("the policy held until {shown}, and {whose} {}", stamp(time)),
                )
                .fix("set a later `expires`")
            }));
        }
        if !self.policy.hours.is_empty() && !self.policy.hours.iter().any(|hours| hours.has(time)) {
            let all: Vec<_> = self
                .policy
                .hours
                .iter()
                .map(|hours| hours.shown.as_str())
                .collect();
            return Err(rarely(|| {
                self.deny(
                    "hours",
                    &format!(
                        "{whose} {}, and requests are signed {} (UTC)",
                        stamp(time),
                        all.join(", ")
                    ),
                )
                .fix("wait, or widen `hours`")
            }));
        }
        Ok(())
    }
}

/// A time for a person, in UTC.
fn stamp(now: Duration) -> String {
    i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |stamp| stamp.to_string())
}
