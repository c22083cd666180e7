//! What sending must know of an exchange beside the request: by what an answer is an error, what may be sent twice,
//! where the exchange tells its time, and the hosts of its testnet.

#[cfg(test)]
mod known;
mod rules;
#[cfg(test)]
mod tests;
mod time;
mod words;

use serde::de::DeserializeOwned;
use toml::Value;

use self::rules::ErrorRule;
pub use self::{
    rules::Field,
    time::{TimeSource, TimeUnit},
};
use super::{
    file::{ErrorFile, SendFile, TimeFile},
    glob::fits,
    scheme::is_host,
    withdrawal::Rules,
};
use crate::{
    error::{Result, bad_input},
    json::Json,
};

/// The `[send]` table of a scheme file; empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct Sending {
    times: Vec<(Option<String>, TimeSource)>,
    errors: Vec<ErrorRule>,
    clock_errors: Vec<String>,
    nonce_errors: Vec<String>,
    read_only: Vec<String>,
    acting: Vec<String>,
    testnet: Vec<(String, String)>,
    testnet_headers: Vec<(String, String)>,
}

impl Sending {
    /// The paths at which a GET does more than read.
    pub(crate) fn acting(&self) -> &[String] {
        &self.acting
    }

    pub(crate) fn read(file: SendFile, hosts: &[String], withdrawal: Option<&Rules>) -> Result<Self> {
        let times = list::<TimeFile>(file.time.as_ref()).map_err(|error| error.within("time"))?;
        let errors = list::<ErrorFile>(file.error.as_ref()).map_err(|error| error.within("error"))?;
        for (key, patterns) in [("read-only", &file.read_only), ("acting", &file.acting)] {
            if let Some(odd) = patterns.iter().find(|pattern| !pattern.starts_with('/')) {
                return Err(bad_input(format!(
                    "`{key}` has {odd:?}, which does not begin with `/`"
                )));
            }
        }
        let moves = |path: &&String| withdrawal.is_some_and(|rules| rules.has_path(path));
        if let Some(odd) = file.read_only.iter().find(moves) {
            return Err(bad_input(format!(
                "`read-only` has {odd:?}, which moves money out by `withdrawal`"
            )));
        }
        for (key, texts) in [
            ("clock-errors", &file.clock_errors),
            ("nonce-errors", &file.nonce_errors),
        ] {
            if texts.iter().any(|text| text.trim().is_empty()) {
                return Err(bad_input(format!(
                    "`{key}` has an empty text, which every answer holds"
                )));
            }
        }
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
        check_testnet(&file, hosts)?;
        Ok(Self {
            times: times
                .into_iter()
                .map(|time| TimeSource::read(time).map_err(|error| error.within("time")))
                .collect::<Result<_>>()?,
            errors: errors
                .into_iter()
                .map(|rule| ErrorRule::read(rule).map_err(|error| error.within("error")))
                .collect::<Result<_>>()?,
            clock_errors: lower(&file.clock_errors),
            nonce_errors: lower(&file.nonce_errors),
            read_only: file.read_only,
            acting: file.acting,
            testnet: file.testnet.into_iter().collect(),
            testnet_headers: file.testnet_headers.into_iter().collect(),
        })
    }

    /// Whether the request changes nothing, so that the exchange may get it twice: a GET or POST that the file calls
    /// read-only, or a GET that it does not call acting. PUT, DELETE and PATCH never are.
    pub fn only_reads(&self, method: &str, path: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, path));
        match method {
            "GET" => any(&self.read_only) || !any(&self.acting),
            "POST" => any(&self.read_only),
            _ => false,
        }
    }

    /// Whether the file says that a GET of this path may change something.
    pub fn acts(&self, path: &str) -> bool {
        self.acting.iter().any(|pattern| fits(pattern, path))
    }

    /// Where to ask for the time that a request of this path is measured by.
    pub fn time(&self, path: &str) -> Option<&TimeSource> {
        let found = self
            .times
            .iter()
            .find(|(paths, _)| paths.as_ref().is_none_or(|pattern| fits(pattern, path)));
        found.map(|(_, time)| time)
    }

    /// The words of the error that an answer holds by the file's rules, if it does.
    pub fn error(&self, answer: &Json) -> Option<String> {
        self.errors.iter().find_map(|rule| rule.find(answer))
    }

    /// Whether the answer says that the request's time was outside of what the exchange takes.
    pub fn is_clock_error(&self, answer: &str) -> bool {
        has_one(answer, &self.clock_errors)
    }

    /// Whether the answer says that the exchange has seen a nonce as great before.
    pub fn is_nonce_error(&self, answer: &str) -> bool {
        has_one(answer, &self.nonce_errors)
    }

    /// The exchange's hosts, each with the testnet's that stands in for it.
    pub fn testnet(&self) -> &[(String, String)] {
        &self.testnet
    }

    /// Headers that a request to the testnet carries besides.
    pub(crate) fn testnet_headers(&self) -> &[(String, String)] {
        &self.testnet_headers
    }
}

/// In the answer as it came, or as JSON without blanks, as the texts are written.
fn has_one(answer: &str, texts: &[String]) -> bool {
    let compact = Json::parse(answer).map_or_else(|_| String::new(), |json| json.to_compact());
    [answer, &compact].iter().any(|answer| {
        let answer = answer.to_lowercase();
        texts.iter().any(|text| answer.contains(text))
    })
}

/// A table or a list of tables.
fn list<T: DeserializeOwned>(value: Option<&Value>) -> Result<Vec<T>> {
    let read = |value: &Value| {
        let read = value.clone().try_into();
        read.map_err(|error: toml::de::Error| bad_input(error.message().trim().to_owned()))
    };
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(read).collect(),
        Some(one) => Ok(vec![read(one)?]),
    }
}

fn check_testnet(file: &SendFile, hosts: &[String]) -> Result<()> {
    for (real, test) in &file.testnet {
        if !hosts.contains(real) {
            return Err(bad_input(format!(
                "`testnet` names {real:?}, which is not among `hosts`"
            )));
        }
        if !is_host(test) {
            return Err(bad_input(format!("`testnet` has {test:?}"))
                .fix("write hosts in lower case, without https:// and path"));
        }
        if hosts.contains(test) && file.testnet_headers.is_empty() {
            return Err(
                bad_input(format!("`testnet` has {test:?}, which is the exchange itself"))
                    .fix("where a header makes the difference, give it in `testnet-headers`"),
            );
        }
    }
    for (name, value) in &file.testnet_headers {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_name || value.is_empty() || value.chars().any(|char| !(' '..='~').contains(&char)) {
            return Err(bad_input(format!(
                "`testnet-headers` has {name:?}, which cannot be a header"
            )));
        }
    }
    if file.testnet.is_empty() && !file.testnet_headers.is_empty() {
        return Err(
            bad_input("`testnet-headers` stands without `testnet`").fix("name the hosts in `testnet`")
        );
    }
    Ok(())
}
