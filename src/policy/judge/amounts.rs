//! Caps: how much of something a request has, and whether all that says how much is counted.

use super::{Asked, Case, Ground, Judged, Wanted, one_of, symbols::names_traded, told};
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

impl<'p> Judged<'p> {
    /// What of a cap's field the request has, if that is there.
    #[inline]
    fn capped(&mut self, cap: &'p Cap, amount: Option<Amount>) {
        if let (Some(limit), Some(amount)) = (&cap.day, amount) {
            self.wanted.push(Wanted { limit, amount });
        }
        self.looked_at.push(&cap.field);
        self.looked_at.extend(cap.times.as_deref());
    }
}

impl<'p> Case<'p, '_> {
    pub(super) fn caps(&self, asked: &Asked<'_>, ground: &Ground, judged: &mut Judged<'p>) -> Result<()> {
        if self.policy.caps.is_empty() {
            return Ok(());
        }
        if let Some((cap, amount)) = self.usual_order(asked, ground) {
            debug_assert_eq!(
                {
                    let mut closely = Judged::default();
                    let result = self.all_caps(asked, ground, &mut closely);
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
        self.all_caps(asked, ground, judged)
    }

    #[inline(never)]
    fn all_caps(&self, asked: &Asked<'_>, ground: &Ground, judged: &mut Judged<'p>) -> Result<()> {
        // A look stays one, whatever is put into a query that is not signed.
        if asked.bound().path && !asked.bound().fields && asked.only_looks() {
            return Ok(());
        }
        self.covered("cap", asked)?;
        let fields = self.relied_on("cap", asked)?;
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
