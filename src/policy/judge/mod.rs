//! What a policy says of a request: which rule decides, what is to be counted, whether a person is to be asked.

mod amounts;
mod asked;
mod endpoints;
mod ground;
mod numbers;
mod orders;
mod otherwise;
mod prices;
mod usual;

use std::{fmt::Display, sync::Arc, time::Duration};

use self::ground::Ground;
pub(super) use self::{asked::Asked, ground::Grounds};
use super::{
    decimal::Amount,
    rules::{Endpoint, Limit, Policy},
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

/// How far ahead of this machine's clock an exchange's may be, so that a request that brings its time is one of now.
const SOON: Duration = Duration::from_secs(60);

/// The minutes of a week.
const WEEK: usize = 7 * 24 * 60;

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

    fn moment(&self) -> Result<()> {
        if self.policy.deny_all {
            return Err(rarely(|| {
                self.deny("deny-all", "everything is denied")
                    .fix("take the line out to allow again")
            }));
        }
        if self.policy.expires.is_none() && self.policy.hours.is_empty() {
            return Ok(());
        }
        self.time("it is", self.now)?;
        // What is signed now may be meant for later.
        let Some(asked) = self.asked else { return Ok(()) };
        let (from, until) = asked.holds(self.now);
        let soon = self.now + SOON;
        if from > soon {
            self.time("the request brings the time", from)?;
        }
        if until <= soon {
            return Ok(());
        }
        // Hours begin and end with a minute, and are the same every week.
        let minutes = (from.max(self.now).as_secs() / 60 + 1)..=(until.as_secs() / 60);
        minutes
            .take(WEEK)
            .map(|minute| Duration::from_secs(minute * 60))
            .chain([until])
            .try_for_each(|time| self.time("the request holds at", time))
    }

    fn time(&self, whose: &str, time: Duration) -> Result<()> {
        if let Some((until, shown)) = &self.policy.expires
            && *until <= time.as_secs()
        {
            return Err(rarely(|| {
                self.deny(
                    "expires",
                    &format!("the policy held until {shown}, and {whose} {}", stamp(time)),
                )
                .fix("set a later `expires`")
            }));
        }
        if !self.policy.hours.is_empty() && !self.policy.hours.iter().any(|hours| hours.has(time)) {
            let all: Vec<_> = self
                .policy
                .hours
                .iter()
                .map(|hours| hours.shown.as_str())
                .collect();
            return Err(rarely(|| {
                self.deny(
                    "hours",
                    &format!(
                        "{whose} {}, and requests are signed {} (UTC)",
                        stamp(time),
                        all.join(", ")
                    ),
                )
                .fix("wait, or widen `hours`")
            }));
        }
        Ok(())
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

    /// Behind a login nothing is signed, so that no rule about requests could hold.
    fn login(&self, asked: &Asked<'_>) -> Result<()> {
        if !asked.bound().login || self.policy.websocket {
            return Ok(());
        }
        // Where the socket's requests are signed, as at Binance, a rule for WS is about those.
        let named =
            |rule: &Endpoint| !asked.bound().fields && rule.methods.iter().any(|method| method == "WS");
        if self.policy.allow.as_deref().into_iter().flatten().any(named) {
            return Ok(());
        }
        match self.policy.looks_inside() {
            None => Ok(()),
            Some(rule) => Err(rarely(|| {
                self.deny(
                    rule,
                    "a WebSocket login opens a connection on which nothing more is signed, and no rule holds",
                )
                .fix("set websocket = true if the key may log in all the same")
            })),
        }
    }

    /// A request whose signature is that of a login as well is one, unless the owner allowed just this endpoint.
    fn logs_in(&self, asked: &Asked<'_>) -> Result<()> {
        let rule = match self.policy.looks_inside() {
            Some(rule) if !self.policy.websocket && asked.logs_in() => rule,
            _ => return Ok(()),
        };
        if self.allows_by(asked, |path| !path.contains('*')) {
            return Ok(());
        }
        Err(rarely(|| {
            self
            .deny(
                rule,
                &format!(
                    "the signature for {} may log in to a WebSocket, on which nothing more is signed, and no rule holds",
                    asked.endpoint()
                ),
            )
            .fix(format!(
                "set websocket = true if the key may log in, or allow just this path: [[allow]] with path = {:?}",
                asked.shown_path()
            ))
        }))
    }

    /// Whether the owner allowed the endpoint by a path that names it so.
    fn allows_by(&self, asked: &Asked<'_>, names: fn(&str) -> bool) -> bool {
        let allow = self.policy.allow.as_deref().into_iter().flatten();
        asked.is_among(allow.flat_map(|rule| &rule.paths).filter(|path| names(path)))
    }

    /// What a token for a socket opens is as a login, unless the owner allowed just this endpoint.
    fn session(&self, asked: &Asked<'_>) -> Result<()> {
        let policy = self.policy;
        let rule = match () {
            () if policy.websocket => return Ok(()),
            () if !policy.caps.is_empty() => "cap",
            () if policy.symbols.is_some() => "symbols",
            () if !policy.values.is_empty() => "values",
            () => return Ok(()),
        };
        if !asked.opens_session() {
            return Ok(());
        }
        if self.allows_by(asked, |path| path != "*") {
            return Ok(());
        }
        Err(rarely(|| {
            self.deny(
                rule,
                &format!(
                    "{} gives a token for a connection on which nothing more is signed, and no rule holds",
                    asked.endpoint()
                ),
            )
            .fix(format!(
                "allow it by name, [[allow]] with path = {:?}, or set websocket = true",
                asked.shown_path()
            ))
        }))
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

/// A time for a person, in UTC.
fn stamp(now: Duration) -> String {
    i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |stamp| stamp.to_string())
}
