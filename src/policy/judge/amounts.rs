//! Symbols, values and caps: what rules say of what stands in fields.

use super::{Case, Judged, Wanted, one_of, told};
use crate::{
    error::Result,
    policy::{
        decimal::{Amount, Decimal},
        known,
        rules::{Cap, Window},
        subject::{Field, Fields, Subject, folded},
    },
};

impl Case<'_> {
    pub(super) fn symbols(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
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
        if let Some(name) = self
            .policy
            .symbol_names()
            .find(|name| name.len() > 3 && fields.runs_into(name))
        {
            return Err(self
                .deny(
                    "symbols",
                    &format!("{name} could be read in it, since nothing keeps names and values apart in what is signed"),
                )
                .fix("send values that have no such name in them"));
        }
        // An amount of something that no field names may be of anything, as where the path names it.
        for (at, group) in fields.groups.iter().enumerate() {
            let amount = group.fields.iter().find(|field| known::is_amount(&field.name));
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
        // Caps ask more of the same.
        if self.policy.caps.is_empty() {
            self.trades_unnamed(subject, fields)?;
        }
        Ok(())
    }

    pub(super) fn values(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
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

    pub(super) fn caps(&self, subject: &dyn Subject, judged: &mut Judged) -> Result<()> {
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
            let amount = self.sum(&rule, cap, subject, fields, &mut counted)?;
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
        self.uncapped(fields, &counted)?;
        self.sized_otherwise(subject, fields, &counted)?;
        self.trades_unsized(subject, fields)
    }

    /// What of a cap's field the request has, all its objects together.
    pub(super) fn sum(
        &self,
        rule: &str,
        cap: &Cap,
        subject: &dyn Subject,
        fields: &Fields,
        counted: &mut Vec<(usize, *const Field)>,
    ) -> Result<Amount> {
        let mut sum = Amount::default();
        for (group, field) in fields.of(&cap.field) {
            let mut names = self.policy.symbol_names();
            if !cap.symbols.is_empty()
                && let Some(traded) = names.find_map(|name| fields.near(group, name))
            {
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
                self.absolute(rule, factor)?;
                self.absolute(rule, field)?;
                self.priced_otherwise(rule, subject, fields, group)?;
                let factor = number(factor)?;
                value = value.and_then(|value| value.times(factor));
            }
            let amount = value.and_then(Decimal::amount).ok_or_else(|| {
                self.deny(rule, &format!("{} is too great to be counted", told(field)))
                    .fix("ask for less")
            })?;
            if amount == Amount::default() {
                return Err(self
                    .deny(rule, &format!("{} may stand for all there is", told(field)))
                    .fix("send the amount that is meant"));
            }
            sum = sum.plus(amount);
            counted.push((group, std::ptr::from_ref(field)));
        }
        Ok(sum)
    }

    /// The two sides of what is traded, where fields bear their names: at Indodax `idr` is how much of `btc_idr` is spent.
    pub(super) fn currencies(&self, fields: &Fields) -> Vec<String> {
        let all = || fields.groups.iter().flat_map(|group| &group.fields);
        let named = all().filter(|field| self.policy.symbol_names().any(|name| name == field.name));
        let sides = named
            .filter_map(|field| field.value.as_deref())
            .flat_map(|value| {
                let sides = value.split(|char: char| !char.is_ascii_alphanumeric());
                sides.map(folded)
            });
        sides
            .filter(|side| all().any(|field| field.name == *side))
            .collect()
    }

    /// Refuses an amount for which there is no cap: it may stand for the one that is capped.
    pub(super) fn uncapped(&self, fields: &Fields, counted: &[(usize, *const Field)]) -> Result<()> {
        let currencies = self.currencies(fields);
        let sets_amount = |name: &str| {
            (known::is_amount(name)
                || self.policy.caps.iter().any(|cap| cap.field == name)
                || currencies.iter().any(|currency| currency == name))
                && !self.policy.uncapped.iter().any(|free| free == name)
        };
        if fields.run.is_some()
            && let Some(name) = known::amounts().find(|name| sets_amount(name) && fields.runs_into(name))
        {
            return Err(self
                .deny(
                    "cap",
                    &format!("{name} could be read in it, since nothing keeps names and values apart in what is signed"),
                )
                .fix("send values that have no such name in them"));
        }
        let mut counted: Vec<*const Field> = counted.iter().map(|(_, field)| *field).collect();
        counted.sort_unstable();
        let mut all = fields.groups.iter().flat_map(|group| &group.fields);
        if let Some(field) = all.find(|field| {
            sets_amount(&field.name) && counted.binary_search(&std::ptr::from_ref(*field)).is_err()
        }) {
            return Err(self
                .deny("cap", &format!("no cap is for {} here", told(field)))
                .fix("add a [[cap]] for it, or name the field in `uncapped`"));
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
}
