//! What a policy says of a request: which rule decides, what is to be counted, whether a person is to be asked.

use std::{cell::OnceCell, time::Duration};

use super::{
    decimal::{Amount, Decimal},
    known,
    rules::{Cap, Endpoint, Policy, Window},
    subject::{Bound, Field, Fields, Subject},
};
use crate::{
    caller::Caller,
    error::{Code, Error, Result},
};

/// What a policy says of a request that no rule denies.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The rule that allows it; none where nothing speaks against it.
    pub rule: Option<String>,
    /// What is to be counted.
    pub wanted: Vec<Wanted>,
    /// The rule by which a person is to be asked.
    pub confirm: Option<String>,
    /// The folded names of the fields that rules looked at.
    pub looked_at: Vec<String>,
}

/// Something to be counted, and how much of it there may be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What tells it from every other count of the key; the limit is no part of it.
    pub identity: String,
    /// The rule, for a denial.
    pub rule: String,
    pub window: Window,
    pub limit: Amount,
    pub amount: Amount,
}

/// A request before one policy.
pub(super) struct Case<'a> {
    pub policy: &'a Policy,
    pub caller: &'a Caller,
    pub now: Duration,
    /// None where bytes are to be MACed that hsmsign did not compose.
    pub subject: Option<&'a dyn Subject>,
    pub fields: &'a OnceCell<Fields>,
}

impl Case<'_> {
    /// Goes through the rules: what denies first.
    pub(super) fn judge(&self) -> Result<Judged> {
        let mut judged = Judged::default();
        self.moment()?;
        self.client()?;
        match self.subject {
            None => self.raw()?,
            Some(subject) => {
                self.money(subject)?;
                self.login(subject)?;
                self.denied(subject)?;
                judged.rule = self.allowed(subject)?;
                self.symbols(subject, &mut judged)?;
                self.values(subject, &mut judged)?;
                self.caps(subject, &mut judged)?;
                judged.confirm = self.confirm(subject);
            }
        }
        for rate in &self.policy.rates {
            let name = rate.window.name();
            judged.wanted.push(Wanted {
                identity: format!("{}|rate|{name}", self.policy.origin),
                rule: format!("rate.{name} of {}", self.policy.origin),
                window: rate.window,
                limit: Amount::whole(rate.most),
                amount: Amount::whole(1),
            });
        }
        Ok(judged)
    }

    fn deny(&self, rule: &str, saw: &str) -> Error {
        Error::new(Code::Denied, format!("{rule} of {}: {saw}", self.policy.origin))
    }

    fn moment(&self) -> Result<()> {
        if self.policy.deny_all {
            return Err(self
                .deny("deny-all", "everything is denied")
                .fix("take the line out to allow again"));
        }
        if let Some((until, shown)) = &self.policy.expires
            && *until <= self.now.as_secs()
        {
            return Err(self
                .deny(
                    "expires",
                    &format!(
                        "the policy held until {shown}, and the clock shows {}",
                        stamp(self.now)
                    ),
                )
                .fix("set a later `expires`"));
        }
        if !self.policy.hours.is_empty() && !self.policy.hours.iter().any(|hours| hours.has(self.now)) {
            let all: Vec<_> = self
                .policy
                .hours
                .iter()
                .map(|hours| hours.shown.as_str())
                .collect();
            return Err(self
                .deny(
                    "hours",
                    &format!(
                        "it is {}, and requests are signed {} (UTC)",
                        stamp(self.now),
                        all.join(", ")
                    ),
                )
                .fix("wait, or widen `hours`"));
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
        Err(self
            .deny(
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
            .fix("add a [[client]] that it fits"))
    }

    fn raw(&self) -> Result<()> {
        if self.policy.raw == Some(false) {
            return Err(self.deny("raw", "raw MACs are denied").fix("set raw = true"));
        }
        if let Some(rule) = self.policy.looks_inside() {
            return Err(self
                .deny(rule, "it looks at the request, which raw bytes do not show")
                .fix("sign whole requests with this key, or take the rule out"));
        }
        Ok(())
    }

    fn money(&self, subject: &dyn Subject) -> Result<()> {
        if self.policy.withdrawals != Some(false) {
            return Ok(());
        }
        match subject.moves_money() {
            Some(rule) => Err(self
                .deny("withdrawals", &rule)
                .fix("take `withdrawals = false` out")),
            None => Ok(()),
        }
    }

    /// Behind a login nothing is signed, so that no rule about requests could hold.
    fn login(&self, subject: &dyn Subject) -> Result<()> {
        if !subject.bound().login || self.policy.websocket {
            return Ok(());
        }
        let named = |rule: &Endpoint| rule.methods.iter().any(|method| method == "WS");
        if self.policy.allow.iter().flatten().any(named) {
            return Ok(());
        }
        match self.policy.looks_inside() {
            None => Ok(()),
            Some(rule) => Err(self
                .deny(
                    rule,
                    "a WebSocket login opens a connection on which nothing more is signed, and no rule holds",
                )
                .fix("set websocket = true if the key may log in all the same")),
        }
    }

    fn fields(&self, subject: &dyn Subject) -> &Fields {
        self.fields.get_or_init(|| subject.fields())
    }

    /// The fields, where a rule is about to rely on them.
    fn relied_on(&self, rule: &str, subject: &dyn Subject) -> Result<&Fields> {
        let fields = self.fields(subject);
        match &fields.odd {
            Some(why) => Err(self
                .deny(rule, &format!("it looks at the fields, and {why}"))
                .fix("send plain names, each once")),
            None => Ok(fields),
        }
    }

    fn denied(&self, subject: &dyn Subject) -> Result<()> {
        let bound = subject.bound();
        for (at, rule) in self.policy.deny.iter().enumerate() {
            let name = format!("deny {}", at + 1);
            let has_fields = |names: &Vec<String>| -> Result<bool> {
                let fields = self.relied_on(&name, subject)?;
                Ok(names.iter().all(|name| fields.has(name)))
            };
            let hit = if bound.path || bound.login {
                let method = rule.methods.is_empty()
                    || !bound.method
                    || rule.methods.iter().any(|method| method == subject.method());
                let path = rule.paths.is_empty() || rule.paths.iter().any(|path| subject.could_be(path));
                method && path && rule.fields.as_ref().map_or(Ok(true), has_fields)?
            } else if let Some(names) = &rule.fields {
                has_fields(names)?
            } else {
                return Err(self
                    .deny(
                        &format!("{name} ({})", rule.shown),
                        "the exchange does not sign method and path, so a signature for this request may be used for that one",
                    )
                    .fix("say by which fields such a request is known: fields = [\"side\"]"));
            };
            if hit {
                return Err(self
                    .deny(
                        &format!("{name} ({})", rule.shown),
                        &format!("it fits {}", endpoint(subject)),
                    )
                    .fix("take the rule out or narrow it"));
            }
        }
        Ok(())
    }

    fn allowed(&self, subject: &dyn Subject) -> Result<Option<String>> {
        let Some(allow) = &self.policy.allow else {
            return Ok(None);
        };
        let bound = subject.bound();
        if bound.login {
            return Ok(Some(format!("websocket of {}", self.policy.origin)));
        }
        let mut why_not = None;
        for (at, rule) in allow.iter().enumerate() {
            let method = if rule.methods.is_empty() {
                subject.method() != "WS"
            } else {
                rule.methods.iter().any(|method| method == subject.method())
            };
            if !method || !(rule.paths.is_empty() || rule.paths.iter().any(|path| subject.fits(path))) {
                continue;
            }
            let name = format!("allow {}", at + 1);
            match self.reaches(&name, rule, bound, subject)? {
                None => return Ok(Some(format!("{name} ({}) of {}", rule.shown, self.policy.origin))),
                Some(reason) => why_not = why_not.or(Some((name, reason))),
            }
        }
        Err(match why_not {
            Some((name, (saw, fix))) => self.deny(&name, &saw).fix(fix),
            None => self
                .deny("allow", &format!("no rule fits {}", endpoint(subject)))
                .fix(format!("add it: [[allow]] with path = {:?}", shown_path(subject))),
        })
    }

    /// Why a rule whose method and path fit does not allow the request after all, and what to do; none where it does.
    fn reaches(
        &self,
        name: &str,
        rule: &Endpoint,
        bound: Bound,
        subject: &dyn Subject,
    ) -> Result<Option<(String, String)>> {
        if rule.fields.is_none() {
            if !bound.path && rule.paths.iter().any(|path| path != "*") {
                return Ok(Some((
                    "the exchange does not sign the path, so a signature for this request may be used for another".into(),
                    "name all fields that the request may have, which are signed: fields = [\"symbol\"]".into(),
                )));
            }
            if bound.path_goes_on && rule.paths.iter().any(|path| path != "*") {
                return Ok(Some((
                    "the path runs into the fields where it is signed, so the signature may be used for a longer path".into(),
                    "name all fields that the request may have: fields = [\"symbol\"]".into(),
                )));
            }
        }
        if !bound.method && bound.path && !rule.methods.is_empty() {
            return Ok(Some((
                "the exchange does not sign the method, so a signature for this one may be used with another"
                    .into(),
                "leave `method` out of the rule, if every method of the path may be used".into(),
            )));
        }
        let Some(names) = &rule.fields else {
            return Ok(None);
        };
        if !bound.fields {
            return Ok(Some((
                "it looks at the fields, which the exchange does not sign here".into(),
                "leave `fields` out of the rule, if every field may be sent".into(),
            )));
        }
        let fields = self.relied_on(name, subject)?;
        let given = fields.groups.iter().flat_map(|group| &group.fields);
        let mut all = given
            .map(|field| (&field.name, &field.given))
            .chain(fields.readings.iter().map(|(name, _)| (name, name)));
        Ok(all.find(|(name, _)| !names.contains(name)).map(|(_, given)| {
            (
                format!("the field {given:?} is not among its `fields`"),
                "add the field to the rule, if every request that has it may be signed".into(),
            )
        }))
    }

    /// Refuses where a rule looks at fields that the signature does not cover.
    fn covered(&self, rule: &str, subject: &dyn Subject) -> Result<()> {
        if subject.bound().fields || subject.bound().login {
            return Ok(());
        }
        Err(self
            .deny(
                rule,
                "it looks at fields, which the exchange does not sign in this request",
            )
            .fix("allow the endpoints that are needed in a key's own policy, without this rule"))
    }

    fn certain(&self, rule: &str, name: &str, fields: &Fields) -> Result<()> {
        match fields.doubt(name) {
            Some(why) => Err(self.deny(rule, &why).fix("send the field once, plainly")),
            None => Ok(()),
        }
    }

    fn symbols(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
        let Some(symbols) = &self.policy.symbols else {
            return Ok(());
        };
        self.covered("symbols", subject)?;
        let fields = self.relied_on("symbols", subject)?;
        let names: Vec<&str> = self
            .policy
            .symbol_names()
            .filter(|name| fields.has(name))
            .collect();
        for name in names {
            self.certain("symbols", name, fields)?;
            for (_, field) in fields.of(name) {
                if !one_of(field, symbols) {
                    return Err(self
                        .deny("symbols", &format!("the request has {}", told(field)))
                        .fix("add the symbol as the request spells it"));
                }
            }
            judged.looked_at.push(name.to_owned());
        }
        // An amount of something that no field names may be of anything, as where the path names it.
        for (at, group) in fields.groups.iter().enumerate() {
            let amount = group
                .fields
                .iter()
                .find(|field| known::AMOUNTS.contains(&field.name.as_str()));
            let Some(amount) = amount else { continue };
            if !self
                .policy
                .symbol_names()
                .any(|name| fields.near(at, name).is_some())
            {
                return Err(self
                    .deny("symbols", &format!("the request has {} and no field that names what is traded", told(amount)))
                    .fix("name the exchange's own in `symbol-fields`; where the path has it, allow that path in place of `symbols`"));
            }
        }
        Ok(())
    }

    fn values(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
        for (name, shown, values) in &self.policy.values {
            let rule = format!("values.{shown}");
            self.covered(&rule, subject)?;
            let fields = self.relied_on(&rule, subject)?;
            self.certain(&rule, name, fields)?;
            for (_, field) in fields.of(name) {
                if !one_of(field, values) {
                    return Err(self
                        .deny(&rule, &format!("the request has {}", told(field)))
                        .fix("add the value as the request spells it"));
                }
            }
            judged.looked_at.push(name.clone());
        }
        Ok(())
    }

    fn caps(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
        if self.policy.caps.is_empty() {
            return Ok(());
        }
        self.covered("cap", subject)?;
        let fields = self.relied_on("cap", subject)?;
        let mut counted: Vec<(usize, *const Field)> = Vec::new();
        for (at, cap) in self.policy.caps.iter().enumerate() {
            let rule = format!("cap {} ({})", at + 1, cap.shown);
            // Where the path is not signed, a cap for one is a cap for all.
            let here = cap.paths.is_empty()
                || !subject.bound().path
                || cap.paths.iter().any(|path| subject.could_be(path));
            if !here {
                continue;
            }
            self.certain(&rule, &cap.field, fields)?;
            let before = counted.len();
            let amount = self.sum(&rule, cap, fields, &mut counted)?;
            let asked = cap.paths.iter().any(|path| subject.could_be(path));
            if counted.len() == before && asked && fields.of(&cap.field).next().is_none() {
                return Err(self
                    .deny(&rule, "the request does not have the field")
                    .fix("send the field, or narrow the cap's `path`"));
            }
            if let Some(most) = cap.request
                && amount > most
            {
                return Err(self
                    .deny(
                        &rule,
                        &format!("the request has {amount}, and a request may have {most}"),
                    )
                    .fix("ask for less, or raise `request`"));
            }
            if let (Some(limit), false) = (cap.day, counted.len() == before) {
                let with = [
                    cap.times.as_deref().unwrap_or_default(),
                    &cap.symbols.join(","),
                    &cap.paths.join(","),
                ];
                judged.wanted.push(Wanted {
                    identity: format!("{}|cap|{}|{}", self.policy.origin, cap.field, with.join("|")),
                    rule: format!("{rule}.day of {}", self.policy.origin),
                    window: Window::Day,
                    limit,
                    amount,
                });
            }
            judged.looked_at.push(cap.field.clone());
            judged.looked_at.extend(cap.times.clone());
        }
        self.uncapped(fields, &counted)
    }

    /// What of a cap's field the request has, all its objects together.
    fn sum(
        &self,
        rule: &str,
        cap: &Cap,
        fields: &Fields,
        counted: &mut Vec<(usize, *const Field)>,
    ) -> Result<Amount> {
        let mut sum = Amount::default();
        for (group, field) in fields.of(&cap.field) {
            let traded = self
                .policy
                .symbol_names()
                .find_map(|name| fields.near(group, name));
            if let (Some(traded), false) = (traded, cap.symbols.is_empty()) {
                self.certain(rule, &traded.name, fields)?;
                if !one_of(traded, &cap.symbols) {
                    continue;
                }
            }
            let number = |field: &Field| {
                let number = field.value.as_deref().and_then(Decimal::parse);
                number.ok_or_else(|| {
                    self.deny(rule, &format!("{}, which is no plain number", told(field)))
                        .fix("write numbers as 0.1")
                })
            };
            let mut value = Some(number(field)?);
            if let Some(times) = &cap.times {
                self.certain(rule, times, fields)?;
                let factor = fields.near(group, times).ok_or_else(|| {
                    self.deny(rule, &format!("the request has {} and no {times}", told(field)))
                        .fix("send both; an order at the market's price has none")
                })?;
                let factor = number(factor)?;
                value = value.and_then(|value| value.times(factor));
            }
            let amount = value.and_then(Decimal::amount).ok_or_else(|| {
                self.deny(rule, &format!("{} is too great to be counted", told(field)))
                    .fix("ask for less")
            })?;
            sum = sum.plus(amount);
            counted.push((group, std::ptr::from_ref(field)));
        }
        Ok(sum)
    }

    /// Refuses an amount for which there is no cap: it may stand for the one that is capped.
    fn uncapped(&self, fields: &Fields, counted: &[(usize, *const Field)]) -> Result<()> {
        let sets_amount = |name: &str| {
            (known::AMOUNTS.contains(&name) || self.policy.caps.iter().any(|cap| cap.field == name))
                && !self.policy.uncapped.iter().any(|free| free == name)
        };
        for (at, group) in fields.groups.iter().enumerate() {
            for field in group.fields.iter().filter(|field| sets_amount(&field.name)) {
                if !counted.contains(&(at, std::ptr::from_ref(field))) {
                    return Err(self
                        .deny("cap", &format!("no cap is for {} here", told(field)))
                        .fix("add a [[cap]] for it, or name the field in `uncapped`"));
                }
            }
        }
        match fields.readings.iter().find(|(name, value)| {
            sets_amount(name)
                && !fields
                    .of(name)
                    .any(|(_, field)| field.value.as_ref() == Some(value))
        }) {
            Some((name, _)) => Err(self
                .deny("cap", &format!("another reading of the request finds {name}"))
                .fix("send plain fields, each once")),
            None => Ok(()),
        }
    }

    fn confirm(&self, subject: &dyn Subject) -> Option<String> {
        let bound = subject.bound();
        let hit = self.policy.confirm.iter().position(|rule| {
            let fields = rule.fields.as_ref().is_none_or(|names| {
                let fields = self.fields(subject);
                fields.odd.is_some() || names.iter().all(|name| fields.has(name))
            });
            let method = rule.methods.is_empty()
                || !bound.method
                || rule.methods.iter().any(|one| one == subject.method());
            let path = rule.paths.is_empty() || rule.paths.iter().any(|path| subject.could_be(path));
            fields && (!(bound.path || bound.login) || method && path)
        })?;
        Some(format!(
            "confirm {} ({}) of {}",
            hit + 1,
            self.policy.confirm[hit].shown,
            self.policy.origin
        ))
    }
}

fn one_of(field: &Field, values: &[String]) -> bool {
    let value = field.value.as_ref().map(|value| value.to_lowercase());
    value.is_some_and(|value| values.contains(&value))
}

fn told(field: &Field) -> String {
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
    subject.plain_path().chars().take(200).collect()
}

/// A time for a person, in UTC.
fn stamp(now: Duration) -> String {
    i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |stamp| stamp.to_string())
}
