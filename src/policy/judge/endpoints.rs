//! Which endpoints are denied, and which are allowed.

use std::{borrow::Cow, sync::Arc};

use super::{Asked, Case, numbers::is_number, shortened};
use crate::{
    error::{Result, rarely},
    glob,
    policy::{
        decimal::Decimal,
        rules::{Endpoint, Listed},
    },
};

/// A value as a reader of numbers takes it, whichever of their spellings it has, and without blanks around it.
pub(super) fn plain(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    match Decimal::parse(value).and_then(Decimal::amount) {
        Some(amount) if value.starts_with('-') => format!("-{amount}").into(),
        Some(amount) => amount.to_string().into(),
        None => value.into(),
    }
}

impl Case<'_, '_> {
    pub(super) fn denied(&self, asked: &Asked<'_>) -> Result<()> {
        let bound = asked.bound();
        let told = bound.path || bound.login;
        for (at, rule) in self.policy.deny.about(asked.sole_path().filter(|_| told)) {
            let name = format_args!("deny {}", at + 1);
            let looks = rule.fields.is_some() || !rule.values.is_empty();
            let hit = if told {
                let method = rule.methods.is_empty()
                    || !bound.method
                    || rule.methods.iter().any(|method| method == asked.method());
                let path = || rule.paths.is_empty() || rule.paths.iter().any(|path| asked.could_be(path));
                method && path() && (!looks || self.has_denied(&name.to_string(), rule, asked)?)
            } else if looks {
                self.has_denied(&name.to_string(), rule, asked)?
            } else {
                return Err(rarely(|| {
                    self
                    .deny(
                        format_args!("{name} ({})", rule.shown),
                        "the exchange does not sign method and path, so a signature for this request may be used for that one",
                    )
                    .fix("say by which fields such a request is known: fields = [\"side\"]")
                }));
            };
            if hit {
                return Err(rarely(|| {
                    self.deny(
                        format_args!("{name} ({})", rule.shown),
                        &format!("it fits {}", asked.endpoint()),
                    )
                    .fix("take the rule out or narrow it")
                }));
            }
        }
        Ok(())
    }

    /// Whether a request has the fields and values by which a rule that denies knows it.
    fn has_denied(&self, name: &str, rule: &Endpoint, asked: &Asked<'_>) -> Result<bool> {
        self.covered(name, asked)?;
        let fields = self.relied_on(name, asked)?;
        if !rule.fields.iter().flatten().all(|name| fields.has(name)) {
            return Ok(false);
        }
        for (field, patterns) in &rule.values {
            self.certain(name, field, fields)?;
            let mut values = fields.of(field).filter_map(|field| field.value.as_deref());
            let fits = |value: &str| {
                let value = value.to_lowercase();
                patterns.iter().any(|pattern| {
                    glob::fits(pattern, &value)
                        || glob::fits(&plain(pattern), &plain(&value))
                        || is_number(pattern, &value)
                })
            };
            if !values.any(fits) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn allowed(&self, asked: &Asked<'_>) -> Result<Option<Arc<str>>> {
        let Some(allow) = &self.policy.allow else {
            return Ok(None);
        };
        if asked.bound().login {
            return Ok(Some(format!("websocket of {}", self.policy.origin).into()));
        }
        let by = self.allowed_at(allow, asked, asked.plain_path())?;
        for other in asked.other_paths() {
            self.allowed_at(allow, asked, &other)?;
        }
        Ok(Some(by))
    }

    /// The first rule that allows the request to go to one of the paths that it may go to.
    fn allowed_at(&self, allow: &Listed<Endpoint>, asked: &Asked<'_>, path: &str) -> Result<Arc<str>> {
        let method = asked.method();
        let mut why_not = None;
        for (at, rule) in allow.about(Some(path)) {
            let fits = if rule.methods.is_empty() {
                method != "WS"
            } else {
                rule.methods.iter().any(|one| one == method)
            };
            if !fits || !(rule.paths.is_empty() || rule.paths.iter().any(|wanted| glob::fits(wanted, path))) {
                continue;
            }
            match self.reaches(at, rule, asked)? {
                None => return Ok(Arc::clone(&rule.name)),
                Some(reason) => why_not = why_not.or(Some((at, reason))),
            }
        }
        let own = path == asked.plain_path();
        let shown = shortened(path);
        Err(match why_not {
            Some((at, (saw, fix))) => self.deny(format_args!("allow {}", at + 1), &saw).fix(fix),
            None if method == "WS" => self
                .deny("allow", "no rule fits a message for a socket")
                .fix("add one: [[allow]] with method = \"WS\", and the fields that it may have in `fields`"),
            None if own => self
                .deny("allow", &format!("no rule fits {}", asked.endpoint()))
                .fix(format!("add it: [[allow]] with path = {shown:?}")),
            None => self
                .deny(
                    "allow",
                    &format!(
                        "{} may go to {shown} as well, and no rule fits that",
                        asked.endpoint()
                    ),
                )
                .fix(format!("add it, too: [[allow]] with path = {shown:?}")),
        })
    }

    /// Why a rule whose method and path fit does not allow the request after all, and what to do; none where it does.
    pub(super) fn reaches(
        &self,
        at: usize,
        rule: &Endpoint,
        asked: &Asked<'_>,
    ) -> Result<Option<(String, String)>> {
        let bound = asked.bound();
        if rule.fields.is_none() {
            if !bound.path && rule.paths.iter().any(|path| path != "*") {
                return Ok(Some((
                    "the exchange does not sign the path, so a signature for this request may be used for another".into(),
                    "name all fields that the request may have, which are signed: fields = [\"symbol\"]".into(),
                )));
            }
            if bound.path_goes_on && rule.paths.iter().any(|path| path != "*") {
                return Ok(Some((
                    "the path runs into the fields where it is signed, so the signature may be used for a longer path".into(),
                    "name all fields that the request may have: fields = [\"symbol\"]".into(),
                )));
            }
        }
        if !bound.method && bound.path && !rule.methods.is_empty() {
            return Ok(Some((
                "the exchange does not sign the method, or a field such as _method stands for it, so a signature for this one may be used with another"
                    .into(),
                "leave `method` out of the rule, if every method of the path may be used".into(),
            )));
        }
        let Some(names) = &rule.fields else {
            return Ok(None);
        };
        // Where only the fields tell, a look has them in its query: behind another method exchanges read a body.
        if !bound.method && !bound.path && bound.fields && !bound.bare && rule.methods == ["GET"] {
            return Ok(Some((
                "it has a body, and the exchange does not sign the method, so the signature may be used with another".into(),
                "send the fields of a GET in its query".into(),
            )));
        }
        if !bound.fields {
            return Ok(Some((
                "it looks at the fields, which the exchange does not sign here".into(),
                "leave `fields` out of the rule, if every field may be sent".into(),
            )));
        }
        let fields = self.relied_on(format_args!("allow {}", at + 1), asked)?;
        let given = fields.all().map(|field| (&*field.name, &*field.given));
        let readings = fields
            .readings
            .iter()
            .map(|(name, _)| (name.as_str(), name.as_str()));
        let mut all = given.chain(readings);
        let other = |(name, _): &(&str, &str)| !names.iter().any(|one| one == name);
        Ok(all.find(other).map(|(_, given)| {
            (
                format!("the field {given:?} is not among its `fields`"),
                "add the field to the rule, if every request that has it may be signed".into(),
            )
        }))
    }

    /// Refuses where a rule looks at fields that the signature does not cover.
    pub(super) fn covered(&self, rule: &str, asked: &Asked<'_>) -> Result<()> {
        if asked.bound().fields || asked.bound().login {
            return Ok(());
        }
        Err(rarely(|| {
            self.deny(
                rule,
                "it looks at fields, which the exchange does not sign in this request",
            )
            .fix("allow the endpoints that are needed in a key's own policy, without this rule")
        }))
    }
}
