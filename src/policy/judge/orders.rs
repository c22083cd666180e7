//! Orders that say how much in another way than the field that is capped: in another unit, by closing what there is, or
//! not at all.

use super::{Case, told};
use crate::{
    error::Result,
    policy::{
        known,
        subject::{Field, Fields, Subject},
    },
};

impl Case<'_> {
    /// Refuses such an order where there are caps.
    pub(super) fn sized_otherwise(
        &self,
        subject: &dyn Subject,
        fields: &Fields,
        counted: &[(usize, *const Field)],
    ) -> Result<()> {
        let free = |field: &Field| self.policy.uncapped.contains(&field.name);
        let pinned = |field: &Field| self.policy.values.iter().any(|(name, ..)| *name == field.name);
        let all = || fields.groups.iter().flat_map(|group| &group.fields);
        if !counted.is_empty()
            && let Some(unit) = all().find(|field| known::sets_unit(field) && !free(field) && !pinned(field))
        {
            return Err(self
                .deny("cap", &format!("{} says in which unit the amount is", told(unit)))
                .fix(format!(
                    "name the units that the cap is meant in: values = {{ {} = [\"…\"] }}",
                    unit.given
                )));
        }
        if let Some(closes) = all().find(|field| known::closes(field) && !free(field)) {
            return Err(self
                .deny(
                    "cap",
                    &format!("{} is an amount that no number says", told(closes)),
                )
                .fix("close with the amount that a cap is for, or name the field in `uncapped`"));
        }
        let bound = subject.bound();
        if bound.path && bound.method && matches!(subject.method(), "GET" | "DELETE") {
            return Ok(());
        }
        let sized: Vec<usize> = (0..fields.groups.len())
            .filter(|at| {
                let group = &fields.groups[*at];
                group.fields.iter().any(|field| known::is_amount(&field.name))
                    || counted.iter().any(|(counted, _)| counted == at)
            })
            .collect();
        for (at, group) in fields.groups.iter().enumerate() {
            let related = |other: &usize| around(fields, at, *other) || around(fields, *other, at);
            let order = group
                .fields
                .iter()
                .find(|field| known::ORDERS.contains(&field.name.as_str()) && !free(field));
            if let (Some(order), false) = (order, sized.iter().any(related)) {
                return Err(self
                    .deny(
                        "cap",
                        &format!("the request has {} and no amount, as an order", told(order)),
                    )
                    .fix(format!(
                        "send the amount that a cap is for; where these are no orders, or need no cap: uncapped = [\"{}\"]",
                        order.given
                    )));
            }
        }
        Ok(())
    }
}

/// Whether an object is another or stands in it.
fn around(fields: &Fields, outer: usize, inner: usize) -> bool {
    std::iter::successors(Some(inner), |at| fields.groups.get(*at)?.within).any(|at| at == outer)
}
