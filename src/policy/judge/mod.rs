//! What a policy says of a request: which rule decides, what is to be counted, whether a person is to be asked.

mod amounts;
mod asked;
mod endpoints;
mod ground;
mod moment;
mod numbers;
mod orders;
mod otherwise;
mod prices;
mod sessions;
mod symbols;
mod usual;

use std::{fmt::Display, sync::Arc, time::Duration};

use self::ground::Ground;
pub(super) use self::{asked::Asked, ground::Grounds};
use super::{
    decimal::Amount,
    rules::{Limit, Policy},
    subject::{Field, Fields, Subject},
};
use crate::{
    caller::Caller,
    error::{Code, Error, Result, rarely},
};

/// What policies say of a request that no rule denies.
#[derive(Debug, Default)]
pub(super) struct Judged<'p> {
    /// The rules that allow it; none where nothing speaks against it.
    pub rules: Vec<Arc<str>>,
    /// What is to be counted.
    pub wanted: Vec<Wanted<'p>>,
    /// The first rule by which a person is to be asked.
    pub confirm: Option<String>,
    /// The folded names of the fields that rules looked at.
    pub looked_at: Vec<&'p str>,
}

/// Something to be counted.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'p> {
    pub limit: &'p Limit,
    pub amount: Amount,
}

/// A request before one policy.
pub(super) struct Case<'p, 'r> {
    pub policy: &'p Policy,
    pub caller: &'p Caller,
    pub now: Duration,
    /// None where bytes are to be MACed that hsmsign did not compose.
    pub asked: Option<&'p Asked<'r>>,
    /// The exchange's rule by which it moves money out, if one says so.
    pub moves_money: Option<&'p str>,
}

impl<'p> Case<'p, '_> {
    /// Goes through the rules: what denies first. What is found is added to what other policies said.
    pub(super) fn judge(&self, judged: &mut Judged<'p>) -> Result<()> {
        self.moment()?;
        self.client()?;
        match self.asked {
            None => {
                self.raw()?;
                self.money()?;
            }
            Some(asked) => {
                self.money()?;
                let ground = self.ground(asked)?;
                if let Some(by) = &ground.by {
                    judged.rules.push(Arc::clone(by));
                }
                self.symbols(asked, &ground, judged)?;
                self.values(asked, judged)?;
                self.caps(asked, &ground, judged)?;
                if judged.confirm.is_none() && !self.policy.confirm.is_empty() {
                    judged.confirm = self.confirm(asked);
                }
            }
        }
        let amount = Amount::whole(1);
        let rates = self.policy.rates.iter();
        judged.wanted.extend(rates.map(|limit| Wanted { limit, amount }));
        Ok(())
    }

    #[cold]
    fn deny(&self, rule: impl Display, saw: &str) -> Error {
        let rule = format!("{rule} of {}", self.policy.origin);
        Error::new(Code::Denied, format!("{rule}: {saw}")).by(rule)
    }

    fn client(&self) -> Result<()> {
        let Some(clients) = &self.policy.clients else {
            return Ok(());
        };
        let caller = self.caller;
        if clients.iter().any(|client| client.is(caller)) {
            return Ok(());
        }
        let program = caller
            .executable
            .as_ref()
            .map(|path| format!(", {}", path.display()));
        let unit = caller.cgroup.as_ref().map(|cgroup| format!(", cgroup {cgroup}"));
        Err(rarely(|| {
            self.deny(
                "client",
                &format!(
                    "uid {}, gid {}, process {}{}{} is none of them",
                    caller.uid,
                    caller.gid,
                    caller.pid,
                    program.unwrap_or_default(),
                    unit.unwrap_or_default()
                ),
            )
            .fix("add a [[client]] that it fits")
        }))
    }

    fn raw(&self) -> Result<()> {
        if self.policy.raw == Some(false) {
            return Err(rarely(|| {
                self.deny("raw", "raw MACs are denied").fix("set raw = true")
            }));
        }
        if let Some(rule) = self.policy.looks_inside() {
            return Err(rarely(|| {
                self.deny(rule, "it looks at the request, which raw bytes do not show")
                    .fix("sign whole requests with this key, or take the rule out")
            }));
        }
        Ok(())
    }

    fn money(&self) -> Result<()> {
        if self.policy.withdrawals != Some(false) {
            return Ok(());
        }
        match self.moves_money {
            Some(rule) => Err(rarely(|| {
                self.deny("withdrawals", rule)
                    .fix("take `withdrawals = false` out")
            })),
            None => Ok(()),
        }
    }

    /// The fields, where a rule is about to rely on them.
    fn relied_on<'a, 'r>(&self, rule: impl Display, asked: &'a Asked<'r>) -> Result<&'a Fields<'r>> {
        let fields = asked.fields();
        match &fields.odd {
            Some(why) => Err(rarely(|| {
                self.deny(rule, &format!("it looks at the fields, and {why}"))
                    .fix("send plain names, each once")
            })),
            None => Ok(fields),
        }
    }

    fn certain(&self, rule: &str, name: &str, fields: &Fields<'_>) -> Result<()> {
        match fields.doubt(name) {
            Some(why) => Err(rarely(|| {
                self.deny(rule, &why).fix("send the field once, plainly")
            })),
            None => Ok(()),
        }
    }

    fn confirm(&self, asked: &Asked<'_>) -> Option<String> {
        let bound = asked.bound();
        let told = bound.path || bound.login;
        let mut rules = self.policy.confirm.about(asked.sole_path().filter(|_| told));
        let (_, hit) = rules.find(|(_, rule)| {
            let fields = rule.fields.as_ref().is_none_or(|names| {
                let fields = asked.fields();
                // What is not signed may be added later.
                let free = !bound.fields && !bound.login;
                free || fields.odd.is_some() || names.iter().all(|name| fields.has(name))
            });
            let method = rule.methods.is_empty()
                || !bound.method
                || rule.methods.iter().any(|one| one == asked.method());
            let path = || rule.paths.is_empty() || rule.paths.iter().any(|path| asked.could_be(path));
            fields && (!told || method && path())
        })?;
        Some(hit.name.to_string())
    }
}

fn one_of(field: &Field<'_>, values: &[String]) -> bool {
    let is_in = |value: &str| match value.is_ascii() {
        // What is compared with is in lower case.
        true => values.iter().any(|known| known.eq_ignore_ascii_case(value)),
        false => values.contains(&value.to_lowercase()),
    };
    field.value.as_deref().is_some_and(is_in)
}

fn told(field: &Field<'_>) -> String {
    match &field.value {
        None => format!("{} without a plain value", field.given),
        Some(value) => {
            let shown: String = value.chars().take(40).collect();
            format!("{} = {shown:?}", field.given)
        }
    }
}

/// Method and path, for a person.
pub(super) fn endpoint(subject: &dyn Subject) -> String {
    format!("{} {}", subject.method(), shown_path(subject))
        .trim_end()
        .to_owned()
}

fn shown_path(subject: &dyn Subject) -> String {
    shortened(subject.plain_path())
}

/// A path for a person.
fn shortened(path: &str) -> String {
    path.chars().take(200).collect()
}
