//! Symbols, values and caps: what rules say of what stands in fields.

use super::{Asked, Case, Ground, Judged, Wanted, one_of, told};
use crate::{
    error::{Error, Result, rarely},
    policy::{
        decimal::{Amount, Decimal},
        known::{self, Marks},
        rules::Cap,
        subject::{Field, Fields},
    },
};

/// The places of the fields that caps counted.
#[derive(Default)]
pub(super) struct Counted(Vec<usize>);

impl Counted {
    /// Once all are there.
    fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0.binary_search(&at).is_ok()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a field names what is traded; `own` as [`Case::own_symbols`].
pub(super) fn names_traded(own: Option<&[String]>, field: &Field<'_>) -> bool {
    match own {
        None => field.marks.has(Marks::SYMBOL),
        Some(own) => own.iter().any(|own| *own == field.name),
    }
}

impl<'p> Judged<'p> {
    /// What of a cap's field the request has, if that is there.
    fn capped(&mut self, cap: &'p Cap, amount: Option<Amount>) {
        if let (Some(limit), Some(amount)) = (&cap.day, amount) {
            self.wanted.push(Wanted { limit, amount });
        }
        self.looked_at.push(&cap.field);
        self.looked_at.extend(cap.times.as_deref());
    }
}

impl<'p> Case<'p, '_> {
    /// The folded names of fields that name what is traded, as the owner or the exchange's file says; none where neither does.
    pub(super) fn own_symbols(&self) -> Option<&'p [String]> {
        let own = &self.policy.symbol_fields;
        match own.is_empty() {
            true => self.asked.and_then(|asked| asked.traded()),
            false => Some(own),
        }
    }

    /// All such names.
    fn symbol_names(&self) -> impl Iterator<Item = &'p str> {
        let own = self.own_symbols();
        let known = if own.is_none() { known::SYMBOLS } else { &[] };
        let own = own.unwrap_or_default().iter().map(String::as_str);
        known.iter().copied().chain(own)
    }

    /// The names that are there, in any reading, of those that name what is traded; in the order of the rules.
    pub(super) fn symbols_in(&self, fields: &Fields<'_>) -> Vec<&'p str> {
        if self.own_symbols().is_some() || !fields.readings.is_empty() {
            return self.symbol_names().filter(|name| fields.has(name)).collect();
        }
        let mut places: Vec<usize> = fields.all().filter_map(known::place_of_symbol).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| known::SYMBOLS[place]).collect()
    }

    /// Whether one of those names is there.
    pub(super) fn names_traded(&self, fields: &Fields<'_>) -> bool {
        match self.own_symbols() {
            None if fields.readings.is_empty() => fields.marks.has(Marks::SYMBOL),
            _ => self.symbol_names().any(|name| fields.has(name)),
        }
    }

    /// The field of an object, or of the nearest one around it, that names what is traded; the first in the order of the
    /// rules.
    pub(super) fn traded<'f, 'r>(&self, fields: &'f Fields<'r>, group: usize) -> Option<&'f Field<'r>> {
        if self.own_symbols().is_some() {
            return self.symbol_names().find_map(|name| fields.near(group, name));
        }
        let named = |field: &'f Field<'r>| Some((known::place_of_symbol(field)?, field));
        let all = fields.fields_around(group).filter_map(named);
        all.min_by_key(|(place, _)| *place).map(|(_, field)| field)
    }

    pub(super) fn symbols(&self, asked: &Asked<'_>, ground: &Ground, judged: &mut Judged<'p>) -> Result<()> {
        let Some(symbols) = &self.policy.symbols else {
            return Ok(());
        };
        self.covered("symbols", asked)?;
        let fields = self.relied_on("symbols", asked)?;
        for name in self.symbols_in(fields) {
            self.certain("symbols", name, fields)?;
            for field in fields.of(name) {
                if !one_of(field, symbols) {
                    return Err(rarely(|| {
                        self.deny("symbols", &format!("the request has {}", told(field)))
                            .fix("add the symbol as the request spells it")
                    }));
                }
            }
            judged.looked_at.push(name);
        }
        if fields.run.is_some()
            && let Some(name) = self
                .symbol_names()
                .find(|name| name.len() > 3 && fields.runs_into(name))
        {
            return Err(rarely(|| {
                self
                .deny(
                    "symbols",
                    &format!("{name} could be read in it, since nothing keeps names and values apart in what is signed"),
                )
                .fix("send values that have no such name in them")
            }));
        }
        // An amount of something that no field names may be of anything, as where the path names it.
        let orders = match self.looks_unsized(asked, fields) {
            true => 0,
            false => fields.objects(),
        };
        for at in 0..orders {
            let Some(amount) = fields.amount_of(at) else {
                continue;
            };
            if self.traded(fields, at).is_none() && !(asked.bound().path && self.names_path(asked)) {
                return Err(rarely(|| {
                    self
                    .deny("symbols", &format!("the request has {} and no field that names what is traded", told(amount)))
                    .fix(format!(
                        "name the exchange's own in `symbol-fields`; where the path has it, allow that path in place of `symbols`; where it changes an order: uncapped = [{:?}]",
                        asked.plain_path()
                    ))
                }));
            }
        }
        // Caps ask more of the same.
        if self.policy.caps.is_empty() {
            self.trades_unnamed(asked, ground, fields)?;
        }
        Ok(())
    }

    pub(super) fn values(&self, asked: &Asked<'_>, judged: &mut Judged<'p>) -> Result<()> {
        for (name, rule, values) in &self.policy.values {
            self.covered(rule, asked)?;
            let fields = self.relied_on(rule, asked)?;
            self.certain(rule, name, fields)?;
            for field in fields.of(name) {
                if !one_of(field, values) {
                    return Err(rarely(|| {
                        self.deny(rule, &format!("the request has {}", told(field)))
                            .fix("add the value as the request spells it")
                    }));
                }
            }
            judged.looked_at.push(name);
        }
        self.typeless(asked)
    }

    pub(super) fn caps(&self, asked: &Asked<'_>, ground: &Ground, judged: &mut Judged<'p>) -> Result<()> {
        if self.policy.caps.is_empty() {
            return Ok(());
        }
        // A look stays one, whatever is put into a query that is not signed.
        if asked.bound().path && !asked.bound().fields && asked.only_looks() {
            return Ok(());
        }
        self.covered("cap", asked)?;
        let fields = self.relied_on("cap", asked)?;
        if let Some((cap, amount)) = self.usual_order(asked, ground, fields) {
            debug_assert_eq!(
                {
                    let mut closely = Judged::default();
                    let result = self.all_caps(asked, ground, fields, &mut closely);
                    format!("{:?}", result.map(|()| closely))
                },
                {
                    let mut alone = Judged::default();
                    alone.capped(cap, Some(amount));
                    format!("{:?}", Ok::<_, Error>(alone))
                },
            );
            judged.capped(cap, Some(amount));
            return Ok(());
        }
        self.all_caps(asked, ground, fields, judged)
    }

    #[inline(never)]
    fn all_caps(
        &self,
        asked: &Asked<'_>,
        ground: &Ground,
        fields: &Fields<'_>,
        judged: &mut Judged<'p>,
    ) -> Result<()> {
        if self.looks_unsized(asked, fields) {
            return Ok(());
        }
        let mut counted = Counted::default();
        for &(at, is_asked) in &ground.caps {
            let cap = &self.policy.caps[at];
            let rule = cap.name.as_str();
            self.certain(rule, &cap.field, fields)?;
            let sum = self.sum(rule, cap, asked, fields, &mut counted)?;
            let missing = sum.is_none() && is_asked && fields.of(&cap.field).next().is_none();
            if missing && !self.needs_no_amount(asked, fields) {
                return Err(rarely(|| {
                    self.deny(rule, "the request does not have the field")
                        .fix("send the field, or narrow the cap's `path`")
                }));
            }
            if let (Some(most), Some(amount)) = (cap.request, sum)
                && amount > most
            {
                return Err(rarely(|| {
                    self.deny(
                        rule,
                        &format!("the request has {amount}, and a request may have {most}"),
                    )
                    .fix("ask for less, or raise `request`")
                }));
            }
            judged.capped(cap, sum);
        }
        let counted = counted.sorted();
        self.uncapped(fields, &counted)?;
        self.sized_otherwise(asked, ground, fields, &counted)?;
        self.trades_unsized(asked, ground, fields)
    }

    /// Whether a cap for some symbols is for what is traded in this object. Where fields name two things, it could be either:
    /// which of them the exchange looks at is not known here.
    #[inline(never)]
    fn is_for(&self, rule: &str, cap: &Cap, fields: &Fields<'_>, group: usize) -> Result<bool> {
        let Some(first) = self.traded(fields, group) else {
            return Ok(true);
        };
        let first_in = one_of(first, &cap.symbols);
        self.certain(rule, &first.name, fields)?;
        let own = self.own_symbols();
        let mut inner: Vec<&str> = Vec::new();
        for around in fields.around(group) {
            let mut named = fields.group(around).iter().filter(|field| {
                // The second of a pair, as of CEX.IO.
                let second = field.name == "currency2" && first.name == "currency1";
                names_traded(own, field) && !second && field.value.is_some() && !inner.contains(&&*field.name)
            });
            if let Some(other) = named.find(|field| one_of(field, &cap.symbols) != first_in) {
                return Err(rarely(|| {
                    self
                    .deny(
                        rule,
                        &format!("the request has {} and {}, and the cap is for one of them", told(first), told(other)),
                    )
                    .fix("send one name of what is traded; or say in `symbol-fields` which field the exchange goes by")
                }));
            }
            inner.extend(fields.group(around).iter().map(|field| &*field.name));
        }
        Ok(first_in)
    }

    /// What of a cap's field the request has, all its objects together; none where none of it is what the cap is for.
    pub(super) fn sum(
        &self,
        rule: &str,
        cap: &Cap,
        asked: &Asked<'_>,
        fields: &Fields<'_>,
        counted: &mut Counted,
    ) -> Result<Option<Amount>> {
        let mut sum: Option<Amount> = None;
        for (at, field) in fields.all().enumerate() {
            if field.name != cap.field {
                continue;
            }
            let group = field.group;
            if !cap.symbols.is_empty() && !self.is_for(rule, cap, fields, group)? {
                continue;
            }
            let number = |field: &Field<'_>| {
                let number = field.value.as_deref().and_then(Decimal::parse);
                number.ok_or_else(|| {
                    rarely(|| {
                        self.deny(rule, &format!("{}, which is no plain number", told(field)))
                            .fix("write numbers as 0.1")
                    })
                })
            };
            let mut value = Some(number(field)?);
            if let Some(times) = &cap.times {
                self.certain(rule, times, fields)?;
                let factor = fields.near(group, times).ok_or_else(|| {
                    rarely(|| {
                        self.deny(rule, &format!("the request has {} and no {times}", told(field)))
                            .fix("send both; an order at the market's price has none")
                    })
                })?;
                self.spelled(rule, [field, factor], cap)?;
                self.absolute(rule, factor)?;
                self.absolute(rule, field)?;
                self.priced_otherwise(rule, asked, fields, group)?;
                number(factor)?;
                let price = self.greatest_price(rule, fields, group, factor)?;
                let factor = number(price)?;
                value = value.and_then(|value| value.times(factor));
            }
            let amount = value.and_then(Decimal::amount).ok_or_else(|| {
                rarely(|| {
                    self.deny(rule, &format!("{} is too great to be counted", told(field)))
                        .fix("ask for less")
                })
            })?;
            if amount == Amount::default() {
                return Err(rarely(|| {
                    self.deny(rule, &format!("{} may stand for all there is", told(field)))
                        .fix("send the amount that is meant")
                }));
            }
            sum = Some(sum.unwrap_or_default().plus(amount));
            counted.0.push(at);
        }
        Ok(sum)
    }

    /// Whether a field bears the name of a side of what is traded.
    pub(super) fn is_a_side(&self, fields: &Fields<'_>, name: &str) -> bool {
        self.any_traded(fields, |traded| known::is_side(traded, name))
    }

    /// Whether one of the fields does.
    pub(super) fn has_a_side(&self, fields: &Fields<'_>) -> bool {
        self.any_traded(fields, |traded| {
            known::sides(traded).any(|side| {
                let mut names = fields.all().map(|field| field.name.as_bytes());
                names.any(|name| side.eq_ignore_ascii_case(name))
            })
        })
    }

    fn any_traded(&self, fields: &Fields<'_>, is_it: impl Fn(&str) -> bool) -> bool {
        let own = self.own_symbols();
        if own.is_none() && !fields.marks.has(Marks::SYMBOL) {
            return false;
        }
        let mut values = fields
            .all()
            .filter(|field| names_traded(own, field))
            .filter_map(|field| field.value.as_deref());
        values.any(is_it)
    }

    /// Refuses an amount for which there is no cap: it may stand for the one that is capped.
    pub(super) fn uncapped(&self, fields: &Fields<'_>, counted: &Counted) -> Result<()> {
        let policy = self.policy;
        let capped = |name: &str| {
            policy
                .capped
                .binary_search_by(|cap| cap.as_str().cmp(name))
                .is_ok()
        };
        let free = |name: &str| policy.uncapped.iter().any(|free| free == name);
        let sets_amount = |name: &str| {
            (known::is_amount(name) || capped(name) || self.is_a_side(fields, name)) && !free(name)
        };
        if fields.run.is_some()
            && let Some(name) = known::amounts().find(|name| sets_amount(name) && fields.runs_into(name))
        {
            return Err(rarely(|| {
                self
                .deny(
                    "cap",
                    &format!("{name} could be read in it, since nothing keeps names and values apart in what is signed"),
                )
                .fix("send values that have no such name in them")
            }));
        }
        let sides = self.has_a_side(fields);
        let sets = |field: &Field<'_>| {
            let amount = field.marks.has(Marks::AMOUNT) || capped(&field.name);
            (amount || sides && self.is_a_side(fields, &field.name)) && !free(&field.name)
        };
        let mut all = fields.all().enumerate();
        if let Some((_, field)) = all.find(|(at, field)| sets(field) && !counted.has(*at)) {
            return Err(rarely(|| {
                self.deny("cap", &format!("no cap is for {} here", told(field)))
                    .fix("add a [[cap]] for it, or name the field in `uncapped`")
            }));
        }
        match fields.readings.iter().find(|(name, value)| {
            sets_amount(name) && !fields.of(name).any(|field| field.value.as_deref() == Some(value))
        }) {
            Some((name, _)) => Err(rarely(|| {
                self.deny("cap", &format!("another reading of the request finds {name}"))
                    .fix("send plain fields, each once")
            })),
            None => Ok(()),
        }
    }
}
