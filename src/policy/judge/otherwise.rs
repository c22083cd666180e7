//! Requests that are no orders by their fields. Under caps, what only looks, takes orders back or has an amount passes;
//! whatever else may trade does not.

use super::{
    Case, endpoint,
    orders::{last_part, other_reading},
    told,
};
use crate::{
    error::Result,
    policy::{
        known,
        subject::{Fields, Subject, folded},
    },
};

impl Case<'_> {
    /// Refuses, where there are caps, what may trade, close or lend by an endpoint from which no amount can be read.
    pub(super) fn trades_otherwise(&self, subject: &dyn Subject, fields: &Fields) -> Result<()> {
        if subject.bound().login {
            return Ok(());
        }
        let free = |path: &str| self.policy.uncapped_paths.contains(&path.to_lowercase());
        if let Some(path) = subject.fits_closing(fields).filter(|path| !free(path)) {
            return Err(self
                .deny(
                    "cap",
                    &format!("the exchange does not sign the path, so the signature fits {path}, which no amount caps"),
                )
                .fix(format!("where that is meant to be allowed: uncapped = [{path:?}]")));
        }
        if subject.only_looks() || self.is_free(subject) || self.asks_calmly(subject, fields)? {
            return Ok(());
        }
        let sized = has_amount(fields);
        if !subject.bound().path {
            return if sized {
                Ok(())
            } else {
                self.told_by_its_fields(fields)
            };
        }
        let mut paths = subject.other_paths();
        paths.push(subject.plain_path().to_owned());
        if paths.iter().all(|path| known::is_calm_path(path)) && !subject.bound().path_goes_on {
            return Ok(());
        }
        let has = |words: &[&str]| {
            words
                .iter()
                .any(|word| paths.iter().any(|path| path.contains(word)))
        };
        if !has(known::TRADES_OTHERWISE) && (sized || self.leaves_the_amount(subject, has(known::AMENDS))) {
            return Ok(());
        }
        Err(self
            .deny(
                "cap",
                &format!(
                    "{} may trade, and has no amount that a cap is for",
                    endpoint(subject)
                ),
            )
            .fix(format!(
                "trade by orders that have the amount; where this is meant to be allowed: uncapped = [{:?}]",
                subject.plain_path()
            )))
    }

    /// Whether the owner names the endpoint in `uncapped`: by its path, or by the last part of that.
    pub(super) fn is_free(&self, subject: &dyn Subject) -> bool {
        let policy = self.policy;
        let named = || {
            let last = folded(last_part(subject.plain_path()));
            policy.uncapped.contains(&last) && subject.other_paths().is_empty()
        };
        subject.bound().path
            && (policy.uncapped_paths.iter().any(|free| subject.fits(free))
                || !policy.uncapped.is_empty() && named())
    }

    /// Whether an order keeps its amount: it is taken back, or changed otherwise where no cap looks at that.
    fn leaves_the_amount(&self, subject: &dyn Subject, amends: bool) -> bool {
        let bound = subject.bound();
        match subject.method() {
            "DELETE" if bound.method => !subject.could_be("*position*"),
            // Where the method is not signed, it may be another; but an order has fields.
            "GET" => bound.bare,
            method => {
                (amends || bound.method && matches!(method, "PUT" | "PATCH"))
                    && subject.could_be("*order*")
                    && self.policy.caps.iter().all(|cap| cap.times.is_none())
            }
        }
    }

    /// Whether a field says what is asked, and that only looks or takes orders back.
    fn asks_calmly(&self, subject: &dyn Subject, fields: &Fields) -> Result<bool> {
        let asked = subject.asked_by().and_then(|name| fields.of(name).next());
        let Some((_, field)) = asked else { return Ok(false) };
        self.certain("cap", &field.name, fields)?;
        Ok(known::is_calm(
            &field.value.as_deref().unwrap_or_default().to_lowercase(),
        ))
    }

    /// Refuses a request without an amount that has a field of which it is not known that it trades nothing, where the
    /// fields alone tell what it is.
    fn told_by_its_fields(&self, fields: &Fields) -> Result<()> {
        let free = |name: &str| self.policy.uncapped.iter().any(|free| free == name);
        let trades = |name: &str| !known::is_calm_field(name) && !free(name);
        let mut all = fields.groups.iter().flat_map(|group| &group.fields);
        let found = all
            .find(|field| trades(&field.name))
            .map(|field| (field.given.clone(), told(field)))
            .or_else(|| other_reading(fields, |name, _| trades(name)));
        match found {
            Some((given, shown)) => Err(self
                .deny(
                    "cap",
                    &format!("the request has {shown} and no amount, and the exchange does not sign the path, so it may be one that trades without"),
                )
                .fix(format!("leave the field out; where it needs no cap: uncapped = [{given:?}]"))),
            None => Ok(()),
        }
    }
}

/// Whether some field says how much; each was counted, or needs no cap.
fn has_amount(fields: &Fields) -> bool {
    let mut all = fields.groups.iter().flat_map(|group| &group.fields);
    all.any(|field| known::is_amount(&field.name))
}
