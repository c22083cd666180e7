//! What of each key is on which tokens.

use std::collections::BTreeSet;

use super::Enrol;
use crate::{
    error::{Error, Result},
    keyring::{KeyName, Record},
    token::KeyRef,
};

/// How a key stands on one token.
#[derive(Debug)]
pub struct Placed {
    /// The key.
    pub key: KeyName,
    /// The token's name.
    pub token: String,
    /// Whether it is there.
    pub held: Held,
}

/// Whether a key is on a token.
#[derive(Debug)]
pub enum Held {
    /// All of it is.
    Whole,
    /// It was never brought there.
    Never,
    /// Another token made it, so that it can never be there.
    Made,
    /// It was, and these of its objects are not there: `secret`, `passphrase` …
    Lost(Vec<String>),
    /// The token cannot be looked at.
    Unknown(Error),
}

impl Enrol {
    /// How each key stands on these tokens; where none is named, on all of `config.toml` and those that keys name.
    ///
    /// # Errors
    /// When the keyring cannot be read, or a token is named that is not set up. What is wrong with one token is in its
    /// answers.
    pub fn sync(&self, tokens: &[String]) -> Result<Vec<Placed>> {
        let config = self.tokens.config();
        for name in tokens {
            config.token(name)?;
        }
        let mut records = Vec::new();
        for name in self.keyring.names()? {
            records.push(self.keyring.get(&name)?);
        }
        let named = records.iter().flat_map(|record| &record.current.copies);
        let all: BTreeSet<&String> = if tokens.is_empty() {
            config
                .tokens
                .keys()
                .chain(named.map(|copy| &copy.token))
                .collect()
        } else {
            tokens.iter().collect()
        };
        let mut placed = Vec::new();
        for token in all {
            let there = self.objects(token);
            placed.extend(records.iter().map(|record| Placed {
                key: record.name.clone(),
                token: token.clone(),
                held: held(record, token, &there),
            }));
        }
        placed.sort_by(|one, other| (&one.key, &one.token).cmp(&(&other.key, &other.token)));
        Ok(placed)
    }

    fn objects(&self, token: &str) -> Result<Vec<KeyRef>> {
        let found = self.tokens.get(token)?.list()?;
        Ok(found.into_iter().filter_map(|object| object.key).collect())
    }
}

fn held(record: &Record, token: &str, there: &Result<Vec<KeyRef>>) -> Held {
    let Some(copy) = record.current.copies.iter().find(|copy| copy.token == token) else {
        return if record.current.is_generated() {
            Held::Made
        } else {
            Held::Never
        };
    };
    let there = match there {
        Ok(there) => there,
        Err(error) => return Held::Unknown(error.clone()),
    };
    let lost: Vec<_> = copy
        .objects
        .iter()
        .filter(|(_, material)| !there.contains(&material.key))
        .map(|(slot, _)| slot.clone())
        .collect();
    if lost.is_empty() {
        Held::Whole
    } else {
        Held::Lost(lost)
    }
}
