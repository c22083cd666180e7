//! What a file says of sending, in words: for `hsmsign exchanges check`.

use std::fmt;

use super::{
    Sending, TimeSource, TimeUnit,
    rules::{ErrorRule, Field, When},
};
use crate::exchange::stamps::Unit;

impl Sending {
    /// A line for each thing that the file says; for what it leaves out, what holds then.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self.errors.as_slice() {
            [] => words.push("no answer with a status of 2xx is an error".to_owned()),
            rules => words.extend(rules.iter().map(|rule| format!("a 2xx is an error where {rule}"))),
        }
        if self.times.is_empty() {
            words.push("the time: the Date header of the exchange's front page".to_owned());
        }
        words.extend(self.times.iter().map(|(paths, time)| match paths {
            Some(paths) => format!("the time for {paths}: {time}"),
            None => format!("the time: {time}"),
        }));
        for (what, texts) in [
            ("a wrong clock", &self.clock_errors),
            ("a nonce that was used", &self.nonce_errors),
        ] {
            if !texts.is_empty() {
                words.push(format!("{what} is known by {}", quoted(texts)));
            }
        }
        words.push(match self.acting.as_slice() {
            [] => "sent again, since they only read: every GET".to_owned(),
            acting => format!(
                "sent again, since they only read: GETs but to {}",
                acting.join(", ")
            ),
        });
        if !self.read_only.is_empty() {
            words.push(format!("and POSTs to {}", self.read_only.join(", ")));
        }
        words.extend(
            self.testnet
                .iter()
                .map(|(real, test)| format!("the testnet of {real} is {test}")),
        );
        words
    }
}

fn quoted(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| format!("`{text}`")).collect();
    texts.join(" or ")
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("the whole answer"),
            names => write!(f, "`{}`", names.join(".")),
        }
    }
}

impl fmt::Display for ErrorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::NonEmpty => write!(f, "{} is not empty", self.field)?,
            When::Negative => write!(f, "{} is negative", self.field)?,
            When::Is(values) => write!(f, "{} is {}", self.field, quoted(values))?,
            When::Not(values) => write!(f, "{} is not {}", self.field, quoted(values))?,
        }
        match &self.text {
            Some(text) => write!(f, "; its words are {text}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            None => write!(f, "the Date header of GET {}", self.path),
            Some((field, unit)) => {
                let unit = match unit {
                    TimeUnit::Iso => "RFC 3339",
                    TimeUnit::Count(Unit::Seconds) => "seconds",
                    TimeUnit::Count(Unit::Millis) => "milliseconds",
                    TimeUnit::Count(Unit::Micros) => "microseconds",
                    TimeUnit::Count(Unit::Nanos) => "nanoseconds",
                };
                write!(f, "{field} of GET {}, in {unit}", self.path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::exchange::{Scheme, builtin};

    fn words(id: &str) -> Vec<String> {
        let scheme = Scheme::parse(builtin(id).unwrap(), id).unwrap();
        scheme.sending().words()
    }

    #[test]
    fn all_that_a_file_says_is_told() {
        assert_eq!(
            words("bitvavo"),
            [
                "a 2xx is an error where `errorCode` is not empty; its words are `error`",
                "the time: `time` of GET /v2/time, in milliseconds",
                "a wrong clock is known by `\"errorcode\":304` or `\"errorcode\":311` or `acceptable window` or `timestamp`",
                "sent again, since they only read: every GET",
            ]
        );
        let kraken = words("kraken").join("\n");
        assert!(kraken.contains("and POSTs to /0/private/Balance"), "{kraken}");
        assert!(kraken.contains("nonce that was used is known by"), "{kraken}");
        let mexc = words("mexc").join("\n");
        assert!(
            mexc.contains("the time for /api/v1/*: `data` of GET /api/v1/contract/ping, in milliseconds"),
            "{mexc}"
        );
        assert!(
            mexc.contains("where `success` is `false`; its words are `message`"),
            "{mexc}"
        );
        assert!(mexc.contains("`code` is not `200` or `0`"), "{mexc}");
        let woo = words("woofipro").join("\n");
        assert!(
            woo.ends_with("the testnet of api-evm.orderly.org is testnet-api-evm.orderly.org"),
            "{woo}"
        );
        assert!(
            words("revolutx")
                .contains(&"the time: the Date header of GET /api/1.0/public/trades/all".to_owned())
        );
    }
}
