//! Orders that say how much in another way than the field that is capped: in another unit, by closing what there is, or
//! not at all.

use std::cell::LazyCell;

use super::{Asked, Case, Ground, amounts::Counted, told};
use crate::{
    error::{Result, rarely},
    policy::{
        known::{self, Marks},
        subject::Fields,
    },
};

impl Case<'_, '_> {
    /// Refuses such an order where there are caps.
    pub(super) fn sized_otherwise(
        &self,
        asked: &Asked<'_>,
        ground: &Ground,
        fields: &Fields<'_>,
        counted: &Counted,
    ) -> Result<()> {
        let free = |name: &str| self.policy.uncapped.iter().any(|free| free == name);
        let pinned = |name: &str| self.policy.values.iter().any(|(pinned, ..)| pinned == name);
        if ground.closes {
            // A name's last part alone frees where the path is signed.
            let free = match asked.bound().path {
                true => last_part(asked.plain_path()),
                false => asked.plain_path(),
            };
            return Err(rarely(|| {
                self
                .deny("cap", &format!("{} closes what there is, and no number says how much", asked.endpoint()))
                .fix(format!(
                    "close with an order that has the amount; where closing all is meant to be allowed: uncapped = [{free:?}]"
                ))
            }));
        }
        let unit = |name: &str, value: &str| known::sets_unit(name, value) && !free(name) && !pinned(name);
        if !counted.is_empty()
            && let Some((given, shown)) = find(fields, Marks::UNIT.with(Marks::SPENDS), unit)
        {
            return Err(rarely(|| {
                self.deny("cap", &format!("{shown} says in which unit the amount is"))
                    .fix(format!(
                        "name the units that the cap is meant in: values = {{ {given} = [\"…\"] }}"
                    ))
            }));
        }
        if let Some((_, shown)) = find(fields, Marks::CLOSES, |name, value| {
            known::closes(name, value) && !free(name)
        }) {
            return Err(rarely(|| {
                self.deny("cap", &format!("{shown} is an amount that no number says"))
                    .fix("close with the amount that a cap is for, or name the field in `uncapped`")
            }));
        }
        let bound = asked.bound();
        if bound.path && bound.method && matches!(asked.method(), "GET" | "DELETE") {
            return Ok(());
        }
        let of_order = |name: &str| known::ORDERS.contains(&name) && !free(name);
        let sized = LazyCell::new(|| Sized::of(fields, counted));
        let order = (0..fields.objects()).find_map(|at| {
            let mut orders = fields
                .group(at)
                .iter()
                .filter(|field| field.marks.has(Marks::ORDER));
            let order = orders.find(|field| !free(&field.name))?;
            if fields.amount_of(at).is_some() {
                return None;
            }
            (!sized.is(fields, at)).then(|| (order.given.to_string(), told(order)))
        });
        let order = order.or_else(|| other_reading(fields, |name, _| of_order(name)));
        match order {
            Some((given, shown)) => Err(rarely(|| {
                self
                .deny(
                    "cap",
                    &format!("the request has {shown} and no amount, as an order"),
                )
                .fix(format!(
                    "send the amount that a cap is for; where these are no orders, or need no cap: uncapped = [\"{given}\"]"
                ))
            })),
            None => Ok(()),
        }
    }
}

/// Whether the request goes to an endpoint that closes positions; what tells of closed ones does not.
pub(super) fn closes_by_its_path(asked: &Asked<'_>) -> bool {
    let tells = || {
        known::tells_of_closed(asked.plain_path())
            && !asked.bound().path_goes_on
            && asked.other_paths().is_empty()
    };
    asked.could_be("*close*") && known::CLOSING.iter().any(|pattern| asked.could_be(pattern)) && !tells()
}

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The first field that is wanted by its folded name and its value: its name as it was given, and how it is shown. What is
/// wanted has the mark.
fn find(fields: &Fields<'_>, mark: Marks, wanted: impl Fn(&str, &str) -> bool) -> Option<(String, String)> {
    if !fields.marks.has(mark) && fields.readings.is_empty() {
        return None;
    }
    let mut marked = fields.all().filter(|field| field.marks.has(mark));
    marked
        .find(|field| wanted(&field.name, field.value.as_deref().unwrap_or_default()))
        .map(|field| (field.given.to_string(), told(field)))
        .or_else(|| other_reading(fields, wanted))
}

/// The same, of what only another reading of the request finds.
pub(super) fn other_reading(
    fields: &Fields<'_>,
    wanted: impl Fn(&str, &str) -> bool,
) -> Option<(String, String)> {
    let (name, value) = fields.readings.iter().find(|(name, value)| {
        let known = || fields.of(name).any(|field| field.value.as_deref() == Some(value));
        wanted(name, value) && !known()
    })?;
    let value: String = value.chars().take(40).collect();
    Some((name.clone(), format!("{name} = {value:?}, in another reading,")))
}

/// The objects that say how much.
struct Sized {
    /// By number, whether the object does.
    itself: Vec<bool>,
    /// Whether it or one that stands in it does.
    within: Vec<bool>,
}

impl Sized {
    fn of(fields: &Fields<'_>, counted: &Counted) -> Self {
        let mut itself: Vec<bool> = (0..fields.objects())
            .map(|at| fields.amount_of(at).is_some())
            .collect();
        for (at, field) in fields.all().enumerate() {
            itself[field.group] |= counted.has(at);
        }
        let mut within = vec![false; itself.len()];
        for (at, says) in itself.iter().enumerate() {
            let mut next = says.then_some(at);
            // Above one that is marked all are.
            while let Some(at) = next.filter(|at| !std::mem::replace(&mut within[*at], true)) {
                next = fields.within(at);
            }
        }
        Self { itself, within }
    }

    /// Whether the object, one around it or one in it does.
    fn is(&self, fields: &Fields<'_>, at: usize) -> bool {
        self.within[at] || fields.around(at).any(|at| self.itself[at])
    }
}
