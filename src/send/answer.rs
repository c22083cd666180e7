//! What an exchange answered.

use std::time::Duration;

use ureq::http::StatusCode;

use crate::json::Json;

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case and values, in order; bytes of a value that are no UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// The body's exact bytes.
    pub body: Vec<u8>,
    /// When its head was read, by this machine's clock, since 1970.
    pub read_at: Duration,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON, if it is that.
    pub fn json(&self) -> Option<Json> {
        Json::parse_bytes(&self.body).ok()
    }

    /// The status with its words, as `503 Service Unavailable`.
    pub fn status_line(&self) -> String {
        status_line(self.status)
    }
}

/// The status with its words.
pub(super) fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

/// Text of the exchange's, for one line of a message: at most 200 characters, control characters made harmless.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_stays_short_and_in_its_line() {
        assert_eq!(quoted("a\u{1b}[31m\nb"), "a [31m b");
        let long = quoted(&"x".repeat(300));
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
        assert_eq!(status_line(503), "503 Service Unavailable");
        assert_eq!(status_line(599), "599");
    }
}
