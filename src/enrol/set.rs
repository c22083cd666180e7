use super::Enrol;
use crate::{
    clock::Offset,
    error::{Code, Error, Result, bad_input},
    keyring::{KeyName, Record},
};

/// What is to change of a key; what is none stays as it is.
#[derive(Debug, Default)]
pub struct Changes {
    /// The API key that the exchange shows.
    pub api_key: Option<String>,
    /// The host in place of the exchange's; empty for the exchange's own.
    pub base_url: Option<String>,
    /// The receive window, in the exchange's unit; empty for the exchange's own.
    pub window: Option<String>,
    /// How far the exchange's clock is ahead of this machine's.
    pub offset: Option<Offset>,
}

impl Enrol {
    /// Changes what is known of a key. Where a new key waits for its API key, that puts it in force. Answers whether it
    /// did.
    ///
    /// # Errors
    /// When there is no such key, a value cannot stand in a request, or the keyring cannot be written.
    pub fn set(&self, name: &KeyName, changes: Changes) -> Result<(Record, bool)> {
        let _lock = self.lock()?;
        let mut record = self.keyring.get(name)?;
        let waits = record.next.is_some() && changes.api_key.is_some();
        if let Some(api_key) = changes.api_key {
            self.set_api_key(&mut record, api_key)?;
        }
        if let Some(url) = changes.base_url {
            record.base_url = if url.is_empty() {
                None
            } else {
                crate::exchange::check_base_url(&url)?;
                Some(url)
            };
        }
        if let Some(window) = changes.window {
            record.window = self.window(&record, &window)?;
        }
        if let Some(offset) = changes.offset {
            self.refuse_generic(&record, "clock")?;
            record.offset_ms = offset;
        }
        self.keyring.put(&record)?;
        Ok((record, waits))
    }

    fn window(&self, record: &Record, given: &str) -> Result<Option<u32>> {
        if given.is_empty() {
            return Ok(None);
        }
        self.refuse_generic(record, "window")?;
        let scheme = self.catalogue.get(&record.exchange)?;
        if !scheme.knows_window() {
            return Err(Error::new(
                Code::Unsupported,
                format!("requests to {} have no receive window", scheme.name()),
            )
            .fix("leave --window out; a clock that is off is set right by --offset-ms"));
        }
        let digits = given.bytes().all(|byte| byte.is_ascii_digit());
        let window = given.parse().ok().filter(|&window| digits && window > 0);
        window.map(Some).ok_or_else(|| {
            let shown: String = given.chars().take(40).collect();
            bad_input(format!("the window {shown:?} is not a whole number above 0")).fix(
                "give it in the exchange's unit, mostly milliseconds, as 5000; '' for the exchange's own",
            )
        })
    }

    fn refuse_generic(&self, record: &Record, what: &str) -> Result<()> {
        if !record.is_generic() {
            return Ok(());
        }
        let name = &record.name;
        Err(Error::new(
            Code::Unsupported,
            format!("the key {name} is for no exchange, so there is no request with a {what}"),
        )
        .fix("set it for a key of an exchange"))
    }
}
