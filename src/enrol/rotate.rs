use super::{
    Enrol, Enrolled, NewKey, Plan, Secrets, objects, plan::Mark, secrets::read_secrets, wanted::check_api_key,
};
use crate::{
    error::{Result, bad_input, failed},
    keyring::{KeyName, Pair, Record},
    token::Wishes,
};

impl Enrol {
    /// Looks at everything that a rotation needs beside the secret. Without a new API key the old one stays, but that of a
    /// key that the token made belongs to it alone.
    ///
    /// # Errors
    /// When an earlier rotation is neither committed nor undone, or a token cannot be opened.
    pub fn plan_rotation(&self, name: &KeyName, api_key: Option<String>) -> Result<Plan> {
        let record = self.keyring.get(name)?;
        refuse_unfinished(&record)?;
        let on_token = record.current.is_generated();
        let old = || {
            let of_its_own = on_token || self.api_key_is_public(&record);
            record.current.api_key.clone().filter(|_| !of_its_own)
        };
        let new = NewKey {
            exchange: record.exchange.clone(),
            tokens: record
                .current
                .copies
                .iter()
                .map(|copy| copy.token.clone())
                .collect(),
            on_token,
            wishes: Wishes {
                touch: takes_touch(&record.current),
                ..Wishes::default()
            },
            api_key: api_key.or_else(old),
            extra: record.current.extra.clone(),
            encoding: record.encoding.clone(),
            ..NewKey::default()
        };
        self.plan_again(&record, new)
    }

    /// Imports the new secret, proves it, and switches secret and API key at once; the old pair is kept. A key that the
    /// token makes waits beside the old one until its API key is known, since the exchange must know it first.
    ///
    /// # Errors
    /// As [`Enrol::import`]; the old pair is then still in force.
    pub fn rotate(&self, plan: &Plan, secrets: Secrets) -> Result<Enrolled> {
        let mut read = read_secrets(plan, secrets)?;
        let _lock = self.lock()?;
        let record = self.keyring.get(plan.name())?;
        refuse_unfinished(&record)?;
        // The secret may have been waited for: what was planned for another pair is not for this one.
        if plan
            .replaces
            .as_ref()
            .is_some_and(|planned| *planned != Mark::of(&record.current))
        {
            return Err(failed(format!(
                "the key {} was changed meanwhile, and is left as it is",
                record.name
            ))
            .fix(format!(
                "see hsmsign show {0}, then: hsmsign rotate {0}",
                record.name
            )));
        }
        self.sweep_locked()?;
        let waits = !plan.needs_secret() && plan.api_key().is_none();
        let record = self.place(plan, &read, |pair| {
            if waits {
                Record {
                    next: Some(pair),
                    ..record
                }
            } else {
                Record {
                    previous: Some(record.current.clone()),
                    current: pair,
                    ..record
                }
            }
        })?;
        let made = record.next.as_ref().unwrap_or(&record.current);
        if record.previous.as_ref().is_some_and(|old| read.is_of(old, made)) {
            read.warnings.push(format!(
                "this is the secret that the key {0} had before: whoever knows that one can go on signing. Take it back with hsmsign rotate {0} --undo, and have the exchange issue another",
                record.name
            ));
        }
        Ok(Enrolled {
            public_key: self.public_text(&record, made),
            attested: self.attested(made),
            record,
            warnings: read.warnings,
        })
    }

    /// Deletes the pair before the last rotation.
    ///
    /// # Errors
    /// When there is none, or a token cannot be opened.
    pub fn commit(&self, name: &KeyName) -> Result<Record> {
        self.settle(name, |record| {
            if record.next.is_some() {
                return Err(waits(&record.name));
            }
            Ok(record.previous.take())
        })
    }

    /// Goes back to the pair before the last rotation and deletes the new one, or deletes the one that waits.
    ///
    /// # Errors
    /// When there is none, or a token cannot be opened.
    pub fn undo(&self, name: &KeyName) -> Result<Record> {
        self.settle(name, |record| {
            if let Some(next) = record.next.take() {
                return Ok(Some(next));
            }
            Ok(record
                .previous
                .take()
                .map(|previous| std::mem::replace(&mut record.current, previous)))
        })
    }

    /// Takes a pair out of the record, and then off its tokens.
    fn settle(
        &self,
        name: &KeyName,
        take: impl FnOnce(&mut Record) -> Result<Option<Pair>>,
    ) -> Result<Record> {
        let _lock = self.lock()?;
        let mut record = self.keyring.get(name)?;
        let Some(gone) = take(&mut record)? else {
            return Err(
                bad_input(format!("the key {name} has no rotation to commit or undo"))
                    .fix(format!("rotate it first: hsmsign rotate {name}")),
            );
        };
        for copy in &gone.copies {
            self.tokens.present(&copy.token)?;
        }
        let pending = self.journal.begin(name, objects(&gone))?;
        self.switch(&pending, self.keyring.put(&record))?;
        self.delete(&gone)?;
        self.journal.end(&pending)?;
        Ok(record)
    }

    /// Gives the key its API key. A new one that waited for it is in force then, and the old one is kept.
    pub(super) fn set_api_key(&self, record: &mut Record, api_key: String) -> Result<()> {
        check_api_key(&api_key)?;
        self.check_public(record, record.next.as_ref().unwrap_or(&record.current), &api_key)?;
        if let Some(next) = record.next.take() {
            record.previous = Some(std::mem::replace(&mut record.current, next));
        }
        record.current.api_key = Some(api_key);
        Ok(())
    }

    fn api_key_is_public(&self, record: &Record) -> bool {
        let scheme = self.catalogue.get(&record.exchange).ok();
        scheme.is_some_and(|scheme| {
            scheme
                .kind(Some(record.algorithm))
                .is_ok_and(|kind| kind.api_key_is_public())
        })
    }

    /// Refuses another API key than the public key, where the exchange knows the key by that.
    fn check_public(&self, record: &Record, pair: &Pair, api_key: &str) -> Result<()> {
        let Some(public) = pair.public_key() else {
            return Ok(());
        };
        let scheme = self.catalogue.get(&record.exchange)?;
        let kind = scheme.kind(Some(record.algorithm))?;
        if !kind.may_be_known_as(api_key, public) {
            return Err(bad_input(format!(
                "the API key of {} is the public key itself, and this is another",
                scheme.name()
            ))
            .fix(format!("see it: hsmsign show {}", record.name)));
        }
        Ok(())
    }
}

fn refuse_unfinished(record: &Record) -> Result<()> {
    let name = &record.name;
    if record.next.is_some() {
        return Err(waits(name));
    }
    if record.previous.is_none() {
        return Ok(());
    }
    Err(bad_input(format!(
        "the last rotation of {name} is neither committed nor undone"
    ))
    .fix(format!(
        "when the new pair works: hsmsign rotate {name} --commit; to go back: hsmsign rotate {name} --undo"
    )))
}

fn waits(name: &KeyName) -> crate::error::Error {
    bad_input(format!("a new key for {name} is made, and waits for its API key")).fix(format!(
        "register its public key (hsmsign show {name}), then: hsmsign rotate {name} --api-key KEY; or drop it: hsmsign rotate {name} --undo"
    ))
}

/// Whether its signatures take a touch.
fn takes_touch(pair: &Pair) -> bool {
    let mut materials = pair.copies.iter().flat_map(|copy| copy.objects.values());
    materials.any(|material| material.hardening.iter().any(|word| word == "touch"))
}
