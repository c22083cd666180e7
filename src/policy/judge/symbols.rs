//! Symbols and values: what rules say of what is traded, and of what else stands in fields.

use super::{Asked, Case, Ground, Judged, one_of, told};
use crate::{
    error::{Result, rarely},
    policy::{
        known::{self, Marks},
        subject::{Field, Fields},
    },
};

/// Whether a field names what is traded; `own` as [`Case::own_symbols`].
pub(super) fn names_traded(own: Option<&[String]>, field: &Field<'_>) -> bool {
    match own {
        None => field.marks.has(Marks::SYMBOL),
        Some(own) => own.iter().any(|own| *own == field.name),
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
}
