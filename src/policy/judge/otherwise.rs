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
    pub(super) fn trades_unsized(&self, subject: &dyn Subject, fields: &Fields) -> Result<()> {
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
        let mut all = fields.groups.iter().flat_map(|group| &group.fields);
        // Each was counted, or needs no cap.
        let currencies = self.currencies(fields);
        let sized = all.any(|field| known::is_amount(&field.name) || currencies.contains(&field.name));
        self.trades_otherwise("cap", sized, "no amount that a cap is for", subject, fields)
    }

    /// Refuses, where the symbols are listed, what may trade by an endpoint that does not go by a symbol.
    pub(super) fn trades_unnamed(&self, subject: &dyn Subject, fields: &Fields) -> Result<()> {
        if subject.bound().login {
            return Ok(());
        }
        let named = self.policy.symbol_names().any(|name| fields.has(name));
        self.trades_otherwise("symbols", named, "no field that names what", subject, fields)
    }

    fn trades_otherwise(
        &self,
        rule: &str,
        says: bool,
        lacks: &str,
        subject: &dyn Subject,
        fields: &Fields,
    ) -> Result<()> {
        let bound = subject.bound();
        let others = subject.other_paths();
        let mut paths = others.iter().map(String::as_str).chain([subject.plain_path()]);
        // A path that is not signed still says what whoever asks means to do. Looks are GET, and a stop of a symbol that is
        // allowed is one where nothing is capped.
        let means = |path: &str| {
            let acts = subject.method() != "GET" && !known::is_calm_path(path);
            bound.path || acts && !(says && self.policy.caps.is_empty()) && !self.names_path(subject)
        };
        let otherwise = paths.any(|path| has(path, known::TRADES_OTHERWISE) && means(path));
        // Orders end here; what follows costs more.
        if says && !otherwise
            || subject.only_looks()
            || self.is_free(subject)
            || self.asks_calmly(rule, subject, fields)?
        {
            return Ok(());
        }
        if !bound.path && !otherwise {
            return self.told_by_its_fields(rule, lacks, fields);
        }
        let mut paths = others.iter().map(String::as_str).chain([subject.plain_path()]);
        if bound.path && !bound.path_goes_on && paths.all(known::is_calm_path) {
            return Ok(());
        }
        let amends = has(subject.plain_path(), known::AMENDS);
        if !otherwise && self.leaves_the_amount(subject, amends) {
            return Ok(());
        }
        Err(self
            .deny(rule, &format!("{} may trade, and has {lacks}", endpoint(subject)))
            .fix(format!(
                "trade by orders; where this endpoint is meant to be allowed: uncapped = [{:?}]",
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
        subject.bound().path && (self.names_path(subject) || !policy.uncapped.is_empty() && named())
    }

    /// Whether the owner names the path in `uncapped`.
    fn names_path(&self, subject: &dyn Subject) -> bool {
        self.policy.uncapped_paths.iter().any(|free| subject.fits(free))
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
    fn asks_calmly(&self, rule: &str, subject: &dyn Subject, fields: &Fields) -> Result<bool> {
        let asked = subject.asked_by().and_then(|name| fields.of(name).next());
        let Some((_, field)) = asked else { return Ok(false) };
        self.certain(rule, &field.name, fields)?;
        Ok(known::is_calm(
            &field.value.as_deref().unwrap_or_default().to_lowercase(),
        ))
    }

    /// Refuses a request without an amount that has a field of which it is not known that it trades nothing, where the
    /// fields alone tell what it is.
    fn told_by_its_fields(&self, rule: &str, lacks: &str, fields: &Fields) -> Result<()> {
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
                    rule,
                    &format!("the request has {shown} and {lacks}, and the exchange does not sign the path, so it may be one that trades all the same"),
                )
                .fix(format!("leave the field out; where it is harmless: uncapped = [{given:?}]"))),
            None => Ok(()),
        }
    }
}

fn has(path: &str, words: &[&str]) -> bool {
    words.iter().any(|word| path.contains(word))
}
