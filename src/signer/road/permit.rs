//! What the policy says, and a person whom it has asked.

use super::{Asking, Road, entry};
use crate::{
    algorithm::Algorithm,
    ask::Agreed,
    audit::{Entry, What},
    clock,
    error::{Code, Error, Result},
    exchange::Prepared,
    keyring::Record,
    nonce,
    policy::{self, Caller, Mode, Question, Verdict, What as Asked},
    request::Request,
    signer::{
        ReadyKey,
        ready::{no_exchange, prepare},
    },
};

impl Road {
    /// Permits bytes to be MACed that hsmsign did not compose, and counts them where they were not `counted` before.
    ///
    /// # Errors
    /// `denied` unless the key allows raw; where the bytes carry what moves money out, the rule for that holds too.
    /// `unsupported` for a key that makes signatures. What is permitted is to be recorded when it came out.
    pub fn permit_raw(
        &self,
        key: &ReadyKey,
        message: &[u8],
        asking: Asking<'_>,
        counted: bool,
    ) -> Result<Box<Entry>> {
        self.log.check()?;
        let mut entry = Box::new(entry(What::Raw, key, asking.caller));
        entry.parameters = Some(message.into());
        let mode = if counted { Mode::Counted } else { Mode::Sign };
        match self.permit(key, message, asking, mode) {
            Ok(verdict) => {
                entry.rules = verdict.rules;
                Ok(entry)
            }
            Err(error) => {
                self.record(Some(entry), Some(&error));
                Err(error)
            }
        }
    }

    fn permit(&self, key: &ReadyKey, message: &[u8], asking: Asking<'_>, mode: Mode) -> Result<Verdict> {
        let name = &key.record.name;
        if let Algorithm::Signature(algorithm) = key.record.algorithm {
            return Err(Error::new(
                Code::Unsupported,
                format!("the key {name} makes {algorithm} signatures of whole requests, and no MACs"),
            )
            .fix(format!("sign a request with it: hsmsign sign {name} METHOD PATH")));
        }
        let moves_money = key
            .scheme
            .as_ref()
            .and_then(|scheme| scheme.raw_moves_money(message));
        self.decide(&key.record, Asked::Raw(moves_money.as_deref()), asking, mode)
    }

    /// Which rules decide about a request, without counting or signing it. No token is asked.
    ///
    /// # Errors
    /// As [`Road::compose`].
    pub fn judge(&self, request: &Request, caller: &Caller) -> Result<Verdict> {
        let record = self.record_of(request)?;
        if record.is_generic() {
            return Err(no_exchange(&record));
        }
        let scheme = self.catalogue.get(&record.exchange)?;
        let prepared = prepare(&record, &scheme, request)?;
        self.decide(
            &record,
            Asked::Request(&prepared),
            self.asking(caller),
            Mode::Look,
        )
    }

    pub(super) fn decide(
        &self,
        record: &Record,
        what: Asked<'_>,
        asking: Asking<'_>,
        mode: Mode,
    ) -> Result<Verdict> {
        let Asking { caller, epoch } = asking;
        let question = Question {
            key: &record.name,
            allow: &record.allow,
            caller,
            what,
            now: nonce::now(),
            epoch,
        };
        let decided = self.policies.decide(&question, mode);
        for change in self.policies.take_changes() {
            let entry = Entry::new(What::Policy, caller, record.name.as_str(), clock::now());
            // Whoever asks did not edit the file, as the line would say.
            let change = format!("{change}; found at a request: who changed it is not known");
            self.log.record(entry.detail(change));
        }
        decided
    }

    /// Asks a person. Answers whether they agreed; false where they are being asked.
    pub(super) fn ask(
        &self,
        key: &ReadyKey,
        rule: &str,
        prepared: &Prepared<'_>,
        caller: &Caller,
    ) -> Result<bool> {
        let name = &key.record.name;
        let within = |error: Error| {
            error
                .within(format_args!("denied to the key {name}: {rule}"))
                .by(rule)
        };
        let denied = |saw: &str, fix: &str| Err(within(Error::new(Code::Denied, saw).fix(fix)));
        let Some(confirm) = &self.confirm else {
            return denied(
                "a person is to be asked, and nobody can be",
                "sign it at a terminal",
            );
        };
        let exchange = key
            .scheme
            .as_ref()
            .map_or(key.record.exchange.as_str(), |scheme| scheme.name());
        let question =
            policy::question(caller, name, exchange, prepared.origin(), prepared).map_err(within)?;
        match confirm(question).map_err(within)? {
            Agreed::Yes => Ok(true),
            Agreed::Later => Ok(false),
            Agreed::No => denied(
                "the person who was asked did not agree",
                "ask again, and answer yes",
            ),
            Agreed::Silent => denied(
                "the person who was asked gave no answer",
                "ask again, and answer in time",
            ),
        }
    }
}
