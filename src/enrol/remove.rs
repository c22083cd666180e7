use std::collections::BTreeSet;

use super::{Enrol, objects};
use crate::{
    error::{Code, Error, Result, bad_input},
    keyring::{Copy, KeyName, Pair, Pending, Record},
    token::{ObjectId, TokenError},
};

/// What stays on a token that could not be reached when its key was forgotten.
#[derive(Debug)]
pub struct Left {
    /// The token's name.
    pub token: String,
    /// Its serial number when the key was stored, where it is known.
    pub serial: String,
    /// The ids of the objects.
    pub objects: Vec<ObjectId>,
    /// Why it could not be reached.
    pub why: Error,
}

impl Enrol {
    /// Takes a key off its tokens and out of the keyring.
    ///
    /// # Errors
    /// When a token that holds it cannot be opened: then nothing is changed.
    pub fn remove(&self, name: &KeyName) -> Result<()> {
        let _lock = self.lock()?;
        let record = self.keyring.get(name)?;
        let pairs: Vec<&Pair> = record.pairs().map(|(_, pair)| pair).collect();
        for copy in pairs.iter().flat_map(|pair| &pair.copies) {
            self.tokens
                .present(&copy.token)
                .map_err(|error| if_lost(error, name))?;
        }
        let pending = self
            .journal
            .begin(name, pairs.iter().flat_map(|pair| objects(pair)).collect())?;
        self.switch(&pending, self.keyring.remove(name))?;
        for pair in pairs {
            self.delete(pair)?;
        }
        self.journal.end(&pending)
    }

    /// Takes a key out of the keyring and the journal, and off those of its tokens that can be reached. Answers what
    /// stays on the others.
    ///
    /// # Errors
    /// When there is no such key and nothing of it under way, or a token that opened does not let its objects go.
    pub fn forget(&self, name: &KeyName) -> Result<Vec<Left>> {
        let _lock = self.lock()?;
        let mut entries = self.journal.pending()?;
        entries.retain(|entry| entry.key == *name);
        let record = match self.keyring.get(name) {
            Ok(record) => Some(record),
            Err(error) if error.code() == Code::UnknownKey && !entries.is_empty() => None,
            Err(error) => return Err(error),
        };
        let pairs: Vec<&Pair> = record
            .iter()
            .flat_map(Record::pairs)
            .map(|(_, pair)| pair)
            .collect();
        let copies: Vec<&Copy> = pairs.iter().flat_map(|pair| &pair.copies).collect();
        let mut all: Vec<_> = pairs.iter().flat_map(|pair| objects(pair)).collect();
        for object in entries.iter().flat_map(|entry| &entry.objects) {
            if !all.contains(object) {
                all.push(object.clone());
            }
        }
        let tokens: BTreeSet<&str> = all.iter().map(|(token, _)| token.as_str()).collect();
        let mut left = Vec::new();
        for token in tokens {
            let serial = copies
                .iter()
                .find(|copy| copy.token == token)
                .map_or("", |copy| copy.serial.as_str());
            if let Err(why) = self.reach(token, serial) {
                let of_it = all.iter().filter(|(other, _)| other == token);
                left.push(Left {
                    token: token.to_owned(),
                    serial: serial.to_owned(),
                    objects: of_it.map(|(_, id)| id.clone()).collect(),
                    why,
                });
            }
        }
        all.retain(|(token, _)| left.iter().all(|left| left.token != *token));
        self.forget_now(name, record.is_some(), all, &entries)?;
        Ok(left)
    }

    /// Whether the token opens, and is the one that the key was stored on.
    fn reach(&self, token: &str, serial: &str) -> Result<()> {
        let open = self.tokens.present(token)?;
        let there = &open.identity().serial;
        if serial.is_empty() || there == serial {
            return Ok(());
        }
        Err(bad_input(format!(
            "token {token} is another one by now: its serial number is {there}, and the key was stored on {serial}"
        )))
    }

    /// Cut off anywhere, the next start finishes on the tokens that were reached.
    fn forget_now(
        &self,
        name: &KeyName,
        known: bool,
        reached: Vec<(String, ObjectId)>,
        entries: &[Pending],
    ) -> Result<()> {
        let pending = (!reached.is_empty())
            .then(|| self.journal.begin(name, reached))
            .transpose()?;
        if known {
            self.keyring.remove(name)?;
        }
        for entry in entries {
            // The one that was just begun may have the same name, and stands for it.
            if pending
                .as_ref()
                .is_none_or(|pending| pending.objects.first() != entry.objects.first())
            {
                self.journal.end(entry)?;
            }
        }
        pending.map_or(Ok(()), |pending| self.settle_pending(&pending))
    }

    pub(super) fn delete(&self, pair: &Pair) -> Result<()> {
        for Copy { token, objects, .. } in &pair.copies {
            let token = self.tokens.get(token)?;
            for material in objects.values() {
                match token.delete(&material.key) {
                    // What another program deleted before is gone as it should be.
                    Ok(()) | Err(TokenError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

/// The way out where the token will not come back.
fn if_lost(error: Error, name: &KeyName) -> Error {
    if error.code() != Code::TokenMissing {
        return error;
    }
    let advice = error.advice().to_owned();
    error.fix(format!(
        "{advice}; if the token is lost for good: hsmsign remove {name} --forget"
    ))
}
