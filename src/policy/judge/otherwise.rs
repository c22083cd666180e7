//! Requests that are no orders by their fields. Under caps, what only looks, takes orders back or has an amount passes;
//! whatever else may trade does not.

use super::{
    Asked, Case, Ground,
    orders::{last_part, other_reading},
    told,
};
use crate::{
    error::{Result, rarely},
    policy::{
        known::{self, Marks},
        subject::{Fields, folded},
    },
};

impl Case<'_, '_> {
    /// Refuses, where there are caps, what may trade, close or lend by an endpoint from which no amount can be read.
    pub(super) fn trades_unsized(
        &self,
        asked: &Asked<'_>,
        ground: &Ground,
        fields: &Fields<'_>,
    ) -> Result<()> {
        if asked.bound().login {
            return Ok(());
        }
        let free = |path: &str| self.policy.uncapped_paths.contains(&path.to_lowercase());
        if let Some(path) = asked.fits_closing(fields).filter(|path| !free(path)) {
            return Err(rarely(|| {
                self
                .deny(
                    "cap",
                    &format!("the exchange does not sign the path, so the signature fits {path}, which no amount caps"),
                )
                .fix(format!("where that is meant to be allowed: uncapped = [{path:?}]"))
            }));
        }
        // Each was counted, or needs no cap.
        let sized = fields.marks.has(Marks::AMOUNT) || self.has_a_side(fields);
        self.trades_otherwise(
            ("cap", "no amount that a cap is for"),
            sized,
            asked,
            ground,
            fields,
        )
    }

    /// Refuses, where the symbols are listed, what may trade by an endpoint that does not go by a symbol.
    pub(super) fn trades_unnamed(
        &self,
        asked: &Asked<'_>,
        ground: &Ground,
        fields: &Fields<'_>,
    ) -> Result<()> {
        if asked.bound().login {
            return Ok(());
        }
        let named = self.names_traded(fields);
        self.trades_otherwise(
            ("symbols", "no field that names what"),
            named,
            asked,
            ground,
            fields,
        )
    }

    /// Whether it is a look without an amount: `size` is how long its page is.
    pub(super) fn looks_unsized(&self, asked: &Asked<'_>, fields: &Fields<'_>) -> bool {
        let mut amounts = fields.all().filter(|field| field.marks.has(Marks::AMOUNT));
        let mut readings = fields.readings.iter();
        // Most orders are told by the first, which costs least.
        amounts.all(|field| field.name == "size")
            && !readings.any(|(name, _)| known::is_amount(name))
            && asked.bound().path
            && asked.only_looks()
    }

    fn trades_otherwise(
        &self,
        (rule, lacks): (&str, &str),
        says: bool,
        asked: &Asked<'_>,
        ground: &Ground,
        fields: &Fields<'_>,
    ) -> Result<()> {
        // Orders end here; what follows costs more.
        if says && !ground.otherwise {
            return Ok(());
        }
        let bound = asked.bound();
        let others = asked.other_paths();
        let mut paths = others.iter().map(String::as_str).chain([asked.plain_path()]);
        // A path that is not signed still says what whoever asks means to do. Looks are GET, and a stop of a symbol that is
        // allowed is one where nothing is capped.
        let means = |path: &str| {
            let acts = asked.method() != "GET" && !known::is_calm_path(path);
            bound.path || acts && !(says && self.policy.caps.is_empty()) && !self.names_path(asked)
        };
        let otherwise =
            ground.otherwise && paths.any(|path| known::TRADES_OTHERWISE.stand_in(path) && means(path));
        if says && !otherwise
            || asked.only_looks()
            || self.is_free(asked)
            || self.asks_calmly(rule, asked, fields)?
        {
            return Ok(());
        }
        if !bound.path && !otherwise {
            return self.told_by_its_fields(rule, lacks, fields);
        }
        let mut paths = others.iter().map(String::as_str).chain([asked.plain_path()]);
        // Where text could stand before the path, its last part tells alone.
        let calm = |path: &str| match bound.path_goes_on {
            true => known::is_calm(last_part(path)),
            false => known::is_calm_path(path),
        };
        if bound.path && bound.path_ends && paths.all(calm) {
            return Ok(());
        }
        let amends = known::AMENDS.stand_in(asked.plain_path());
        if !otherwise && self.leaves_the_amount(asked, amends) {
            return Ok(());
        }
        let mut free = vec![asked.plain_path()];
        free.extend(others.iter().map(String::as_str));
        Err(rarely(|| {
            self.deny(rule, &format!("{} may trade, and has {lacks}", asked.endpoint()))
                .fix(format!(
                    "trade by orders; where this endpoint is meant to be allowed: uncapped = {free:?}"
                ))
        }))
    }

    /// Whether the owner names the endpoint in `uncapped`: by its path, or by the last part of that.
    pub(super) fn is_free(&self, asked: &Asked<'_>) -> bool {
        let policy = self.policy;
        let named = || {
            let last = folded(last_part(asked.plain_path()));
            policy.uncapped.contains(&last) && asked.other_paths().is_empty()
        };
        asked.bound().path && (self.names_path(asked) || !policy.uncapped.is_empty() && named())
    }

    /// Whether the owner names the path in `uncapped`.
    pub(super) fn names_path(&self, asked: &Asked<'_>) -> bool {
        asked.is_among(self.policy.uncapped_paths.iter())
    }

    /// Whether it takes orders back, or leaves their amounts, or may look by its fields where these tell alone: at many
    /// exchanges an order is placed and taken back at one path.
    pub(super) fn needs_no_amount(&self, asked: &Asked<'_>, fields: &Fields<'_>) -> bool {
        let (bound, path) = (asked.bound(), asked.plain_path());
        if !bound.path {
            return self.told_by_its_fields("cap", "", fields).is_ok();
        }
        let calm = || bound.path_ends && !bound.path_goes_on && known::is_calm_path(path);
        self.leaves_the_amount(asked, known::AMENDS.stand_in(path))
            || asked.other_paths().is_empty() && calm()
    }

    /// Whether an order keeps its amount: it is taken back, or changed otherwise where no cap looks at that.
    fn leaves_the_amount(&self, asked: &Asked<'_>, amends: bool) -> bool {
        let bound = asked.bound();
        match asked.method() {
            // Bare, it is no order under another method either.
            "DELETE" if bound.method || bound.bare => !asked.could_be("*position*"),
            // Where the method is not signed, it may be another; but an order has fields.
            "GET" => bound.bare,
            method => {
                (amends || bound.method && matches!(method, "PUT" | "PATCH"))
                    && asked.could_be("*order*")
                    && self.policy.caps.iter().all(|cap| cap.times.is_none())
            }
        }
    }

    /// Whether a field says what is asked, and that only looks or takes orders back.
    fn asks_calmly(&self, rule: &str, asked: &Asked<'_>, fields: &Fields<'_>) -> Result<bool> {
        let said = asked.asked_by().and_then(|name| fields.of(name).next());
        let Some(field) = said else { return Ok(false) };
        self.certain(rule, &field.name, fields)?;
        Ok(known::is_calm(
            &field.value.as_deref().unwrap_or_default().to_lowercase(),
        ))
    }

    /// Refuses a request without an amount that has a field of which it is not known that it trades nothing, where the
    /// fields alone tell what it is.
    fn told_by_its_fields(&self, rule: &str, lacks: &str, fields: &Fields<'_>) -> Result<()> {
        let free = |name: &str| self.policy.uncapped.iter().any(|free| free == name);
        let trades = |name: &str| !known::is_calm_field(name) && !free(name);
        let found = fields
            .all()
            .find(|field| trades(&field.name))
            .map(|field| (field.given.to_string(), told(field)))
            .or_else(|| other_reading(fields, |name, _| trades(name)));
        match found {
            Some((given, shown)) => Err(rarely(|| {
                self
                .deny(
                    rule,
                    &format!("the request has {shown} and {lacks}, and the exchange does not sign the path, so it may be one that trades all the same"),
                )
                .fix(format!("leave the field out; where it is harmless: uncapped = [{given:?}]"))
            })),
            None => Ok(()),
        }
    }
}
