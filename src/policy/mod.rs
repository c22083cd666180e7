//! May this request be signed? Asked once for every signature, on every path, before a nonce is given out.

mod counts;
mod decimal;
mod file;
mod hours;
mod judge;
mod known;
mod learn;
mod mark;
mod put;
mod rules;
mod store;
mod subject;
mod switch;
mod told;

use std::{sync::Arc, time::Duration};

pub use crate::caller::Caller;
pub use learn::{NoExchange, Seen, Signs, Told};
pub use rules::Policy;
pub use store::{InForce, Policies, Whose};
pub use subject::{Bound, Field, Fields, Sent, Spot, Subject, folded, last_part};
pub use switch::{Denied, Switch};
pub use told::{plain, question, told};

use self::{
    judge::{Asked, Case, Judged},
    known::Marks,
};
use crate::{
    error::{Code, Error, Result},
    keyring::{Allow, KeyName},
    watch::Epoch,
};

/// What is asked.
pub struct Question<'a> {
    /// The key.
    pub key: &'a KeyName,
    /// What its owner allowed it.
    pub allow: &'a [Allow],
    /// Who asks.
    pub caller: &'a Caller,
    /// What is to be signed.
    pub what: What<'a>,
    /// This machine's time since 1970.
    pub now: Duration,
    /// The state of the files: what was found in it stands.
    pub epoch: Epoch,
}

/// What is to be signed.
#[derive(Clone, Copy)]
pub enum What<'a> {
    /// A request.
    Request(&'a dyn Subject),
    /// Bytes that hsmsign did not compose, with the rule of the exchange by which they move money out, if one does.
    Raw(Option<&'a str>),
}

/// Whether a request that is permitted counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is about to be signed, unless a person is to be asked first: then it counts when they agreed.
    Sign,
    /// It is about to be signed, and a person agreed where one is to be asked.
    Agreed,
    /// It was counted already, and begins anew.
    Counted,
    /// It is only asked whether it would be.
    Look,
}

/// What permits a request.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The rules that allow it; none where nothing speaks against it.
    pub rules: Vec<Arc<str>>,
    /// The rule by which a person is to be asked first.
    pub confirm: Option<String>,
    /// The fields that rules looked at, as they were given, with their values.
    pub fields: Vec<(String, String)>,
}

impl Verdict {
    /// The rules' names.
    pub fn told(&self) -> Vec<&str> {
        self.rules.iter().map(|rule| &**rule).collect()
    }
}

/// The rule that permits what moves money out, where the key's owner allowed that.
pub(crate) const CONSENT: &str = "withdrawals, allowed at import";

/// The rules that hold without any policy: no withdrawals, no raw bytes, unless the owner allowed them at import. Answers
/// the rule by which the request moves money out, if one says so.
///
/// # Errors
/// `denied`, with the rule, what it saw and how the owner can allow it.
fn consent(question: &Question<'_>) -> Result<Option<String>> {
    let key = question.key;
    let moves_money = match question.what {
        What::Request(subject) => subject.moves_money(),
        What::Raw(moves_money) => {
            if !question.allow.contains(&Allow::Raw) {
                return Err(Error::new(Code::Denied, format!("the key {key} signs no raw bytes, only whole requests"))
                    .by("raw")
                    .fix("raw MACs are allowed at import, by the owner: --allow raw; where a message does not carry the path, a withdrawal cannot be told from an order then"));
            }
            moves_money.map(str::to_owned)
        }
    };
    match moves_money {
        Some(rule) if !question.allow.contains(&Allow::Withdrawals) => Err(Error::new(
            Code::Denied,
            format!("the key {key} is not allowed to move money out: {rule}"),
        )
        .by("withdrawals")
        .fix("if this key is to withdraw and transfer, its owner imports it with --allow withdrawals")),
        moves_money => Ok(moves_money),
    }
}

impl Policies {
    /// Permits or denies. What is permitted is counted, where `mode` says that it will be signed.
    ///
    /// # Errors
    /// `denied`, with the rule, what it saw and how the owner can allow it; and where a count cannot be written.
    pub fn decide(&self, question: &Question<'_>, mode: Mode) -> Result<Verdict> {
        let key = question.key;
        let known = self.standing(key, question.epoch);
        let learning = match &known {
            Some(standing) => standing.learning,
            None => self.switch().ask(key)?,
        };
        let moves_money = consent(question)?;
        let standing = match known {
            Some(standing) => standing,
            None => self.stand(key, learning, question.epoch)?,
        };
        let mut rules = Vec::new();
        if moves_money.is_some() {
            rules.push(CONSENT.into());
        }
        if standing.policies.is_empty() && !learning {
            return Ok(Verdict {
                rules,
                ..Verdict::default()
            });
        }
        let asked = match question.what {
            What::Request(subject) => Some(Asked::new(subject)),
            What::Raw(_) => None,
        };
        let mut judged = Judged {
            rules,
            ..Judged::default()
        };
        for policy in &standing.policies {
            let case = Case {
                policy,
                caller: question.caller,
                now: question.now,
                asked: asked.as_ref(),
                moves_money: moves_money.as_deref(),
            };
            case.judge(&mut judged)
                .map_err(|error| error.within(format_args!("denied to the key {key}")))?;
        }
        let mut verdict = Verdict {
            rules: judged.rules,
            confirm: judged.confirm,
            fields: Vec::new(),
        };
        if let Some(asked) = &asked {
            if learning {
                verdict.fields = learned(asked.fields(), asked.asked_by());
            } else if let Some(fields) = asked.looked_into() {
                verdict.fields.reserve_exact(judged.looked_at.len());
                for field in fields.all() {
                    if judged.looked_at.contains(&&*field.name) {
                        let value = field.value.as_deref().unwrap_or_default();
                        verdict.fields.push((field.given.to_string(), value.to_owned()));
                    }
                }
            }
        }
        let counts = match mode {
            Mode::Sign => verdict.confirm.is_none(),
            Mode::Agreed => true,
            Mode::Counted => return Ok(verdict),
            Mode::Look => false,
        };
        self.counts
            .count(key, &judged.wanted, question.now, counts)
            .map_err(|error| match error.code() {
                Code::Denied => error.within(format_args!("denied to the key {key}")),
                _ => error,
            })?;
        Ok(verdict)
    }
}

/// All fields, with the values of those that name what is traded and how much, and of the one that says what is asked.
fn learned(fields: &Fields<'_>, asked_by: Option<&str>) -> Vec<(String, String)> {
    let symbols = || fields.all().filter(|field| field.marks.has(Marks::SYMBOL));
    let shown = |field: &Field<'_>| {
        let told = [Marks::SYMBOL, Marks::AMOUNT, Marks::UNIT]
            .iter()
            .any(|mark| field.marks.has(*mark));
        let told = told
            || asked_by == Some(&*field.name)
            || symbols()
                .filter_map(|symbol| symbol.value.as_deref())
                .any(|traded| known::is_side(traded, &field.name));
        let value = field.value.as_deref();
        let value = value
            .filter(|value| told || known::spends(&field.name, value) || known::closes(&field.name, value));
        (field.given.to_string(), value.unwrap_or_default().to_owned())
    };
    fields.all().map(shown).collect()
}

impl Policy {
    /// What this policy alone says of a request, without counting.
    ///
    /// # Errors
    /// `denied`, as [`Policies::decide`].
    pub fn judge(&self, subject: &dyn Subject, caller: &Caller, now: Duration) -> Result<()> {
        let moves_money = subject.moves_money();
        let case = Case {
            policy: self,
            caller,
            now,
            asked: Some(&Asked::new(subject)),
            moves_money: moves_money.as_deref(),
        };
        case.judge(&mut Judged::default())
    }
}

#[cfg(test)]
impl Policy {
    /// The same, with every rule gone through at every request.
    pub(crate) fn gone_through(&self) -> Self {
        let mut policy = self.clone();
        policy.allow.iter_mut().for_each(|allow| allow.go_through());
        policy.deny.go_through();
        policy.confirm.go_through();
        policy.caps.go_through();
        policy
    }

    /// All that it says of a request, as text.
    pub(crate) fn tell(&self, subject: &dyn Subject, caller: &Caller, now: Duration) -> String {
        let case = Case {
            policy: self,
            caller,
            now,
            asked: Some(&Asked::new(subject)),
            moves_money: None,
        };
        let mut judged = Judged::default();
        let result = case.judge(&mut judged);
        format!("{:?}", result.map(|()| judged))
    }
}
