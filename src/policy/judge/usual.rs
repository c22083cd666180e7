//! Orders as most are: plain fields, each once, with one amount before one cap. Whether a request is one is asked of each
//! field once; what may be anything else takes the long way, which says the same of these.

use super::{Asked, Case, Ground};
use crate::policy::{
    decimal::{Amount, Decimal},
    known::{self, Marks},
    rules::Cap,
    subject::Field,
};

impl<'p> Case<'p, '_> {
    /// The cap and the amount of such an order; none where it is another request, or the cap denies it.
    pub(super) fn usual_order(&self, asked: &Asked<'_>, ground: &Ground) -> Option<(&'p Cap, Amount)> {
        let bound = asked.bound();
        let told = bound.path && bound.fields && !bound.login;
        if !told || ground.closes || ground.otherwise || ground.looks {
            return None;
        }
        let fields = asked.fields();
        if !fields.are_plain() {
            return None;
        }
        let (&[(at, _)], [_]) = (ground.caps.as_slice(), self.policy.capped.as_slice()) else {
            return None;
        };
        let cap = &self.policy.caps[at];
        if !cap.symbols.is_empty() || cap.times.is_some() {
            return None;
        }
        let mut capped = None;
        for field in fields.all() {
            if field.name == cap.field {
                capped = Some(field);
            } else if says_more(field) {
                return None;
            }
        }
        let capped = capped.filter(|field| field.marks.has(Marks::AMOUNT))?;
        if self.has_a_side(fields) {
            return None;
        }
        let amount = Decimal::parse(capped.value.as_deref()?)?.amount()?;
        let within = cap.request.is_none_or(|most| amount <= most);
        (within && amount != Amount::default()).then_some((cap, amount))
    }
}

/// Whether it may say how much, in which unit, or that all is closed.
fn says_more(field: &Field<'_>) -> bool {
    let marks = field.marks;
    marks.has(Marks::AMOUNT.with(Marks::UNIT).with(Marks::CLOSES))
        || marks.has(Marks::SPENDS) && known::spends(&field.name, field.value.as_deref().unwrap_or_default())
}
