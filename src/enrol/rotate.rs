use super::{Enrol, Enrolled, NewKey, Plan, Secrets, objects, secrets::read_secrets};
use crate::{
    error::{Result, bad_input},
    keyring::{KeyName, Record},
};

impl Enrol {
    /// Looks at everything that a rotation needs beside the secret. Without a new API key the old one stays.
    ///
    /// # Errors
    /// When an earlier rotation is neither committed nor undone, or a token cannot be opened.
    pub fn plan_rotation(&self, name: &KeyName, api_key: Option<String>) -> Result<Plan> {
        let record = self.keyring.get(name)?;
        refuse_unfinished(&record)?;
        let new = NewKey {
            exchange: record.exchange.clone(),
            tokens: record
                .current
                .copies
                .iter()
                .map(|copy| copy.token.clone())
                .collect(),
            api_key: api_key.or_else(|| record.current.api_key.clone()),
            extra: record.current.extra.clone(),
            encoding: record.encoding.clone(),
            ..NewKey::default()
        };
        self.plan_again(&record, new)
    }

    /// Imports the new secret, proves it, and switches secret and API key at once; the old pair is kept.
    ///
    /// # Errors
    /// As [`Enrol::import`]; the old pair is then still in force.
    pub fn rotate(&self, plan: &Plan, secrets: Secrets) -> Result<Enrolled> {
        let (read, warnings) = read_secrets(plan, secrets)?;
        let _lock = self.lock()?;
        let record = self.keyring.get(plan.name())?;
        refuse_unfinished(&record)?;
        self.sweep_locked()?;
        let record = self.place(plan, &read, |current| Record {
            previous: Some(record.current.clone()),
            current,
            ..record
        })?;
        Ok(Enrolled {
            public_key: self.public_text(&record, &record.current),
            record,
            warnings,
        })
    }

    /// Deletes the pair before the last rotation.
    ///
    /// # Errors
    /// When there is none, or a token cannot be opened.
    pub fn commit(&self, name: &KeyName) -> Result<Record> {
        self.settle(name, |record| record.previous = None)
    }

    /// Goes back to the pair before the last rotation and deletes the new one.
    ///
    /// # Errors
    /// When there is none, or a token cannot be opened.
    pub fn undo(&self, name: &KeyName) -> Result<Record> {
        self.settle(name, |record| {
            if let Some(previous) = record.previous.take() {
                record.current = previous;
            }
        })
    }

    fn settle(&self, name: &KeyName, change: impl FnOnce(&mut Record)) -> Result<Record> {
        let _lock = self.lock()?;
        let before = self.keyring.get(name)?;
        let Some(previous) = &before.previous else {
            return Err(
                bad_input(format!("the key {name} has no rotation to commit or undo"))
                    .fix(format!("rotate it first: hsmsign rotate {name}")),
            );
        };
        let mut after = before.clone();
        change(&mut after);
        let kept = objects(&after.current);
        let gone = if objects(previous) == kept {
            &before.current
        } else {
            previous
        };
        for copy in &gone.copies {
            self.tokens.get(&copy.token)?;
        }
        let pending = self.journal.begin(name, objects(gone))?;
        self.keyring.put(&after)?;
        self.delete(gone)?;
        self.journal.end(&pending)?;
        Ok(after)
    }
}

fn refuse_unfinished(record: &Record) -> Result<()> {
    if record.previous.is_none() {
        return Ok(());
    }
    let name = &record.name;
    Err(bad_input(format!(
        "the last rotation of {name} is neither committed nor undone"
    ))
    .fix(format!(
        "when the new pair works: hsmsign rotate {name} --commit; to go back: hsmsign rotate {name} --undo"
    )))
}
