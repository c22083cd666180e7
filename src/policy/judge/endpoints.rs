//! Which endpoints are denied, and which are allowed.

use super::{Case, endpoint, shown_path};
use crate::{
    error::Result,
    policy::{
        rules::Endpoint,
        subject::{Bound, Subject},
    },
};

impl Case<'_> {
    pub(super) fn denied(&self, subject: &dyn Subject) -> Result<()> {
        let (bound, asked) = (subject.bound(), subject.method());
        for (at, rule) in self.policy.deny.iter().enumerate() {
            let name = || format!("deny {}", at + 1);
            let has_fields = |names: &Vec<String>| -> Result<bool> {
                let fields = self.relied_on(&name(), subject)?;
                Ok(names.iter().all(|name| fields.has(name)))
            };
            let hit = if bound.path || bound.login {
                let method = rule.methods.is_empty()
                    || !bound.method
                    || rule.methods.iter().any(|method| method == asked);
                let path = rule.paths.is_empty() || rule.paths.iter().any(|path| subject.could_be(path));
                method && path && rule.fields.as_ref().map_or(Ok(true), has_fields)?
            } else if let Some(names) = &rule.fields {
                has_fields(names)?
            } else {
                return Err(self
                    .deny(
                        &format!("{} ({})", name(), rule.shown),
                        "the exchange does not sign method and path, so a signature for this request may be used for that one",
                    )
                    .fix("say by which fields such a request is known: fields = [\"side\"]"));
            };
            if hit {
                return Err(self
                    .deny(
                        &format!("{} ({})", name(), rule.shown),
                        &format!("it fits {}", endpoint(subject)),
                    )
                    .fix("take the rule out or narrow it"));
            }
        }
        Ok(())
    }

    pub(super) fn allowed(&self, subject: &dyn Subject) -> Result<Option<String>> {
        let Some(allow) = &self.policy.allow else {
            return Ok(None);
        };
        let bound = subject.bound();
        if bound.login {
            return Ok(Some(format!("websocket of {}", self.policy.origin)));
        }
        let asked = subject.method();
        let mut why_not = None;
        for (at, rule) in allow.iter().enumerate() {
            let method = if rule.methods.is_empty() {
                asked != "WS"
            } else {
                rule.methods.iter().any(|method| method == asked)
            };
            if !method || !(rule.paths.is_empty() || rule.paths.iter().any(|path| subject.fits(path))) {
                continue;
            }
            let name = format!("allow {}", at + 1);
            match self.reaches(&name, rule, bound, subject)? {
                None => return Ok(Some(format!("{name} ({}) of {}", rule.shown, self.policy.origin))),
                Some(reason) => why_not = why_not.or(Some((name, reason))),
            }
        }
        Err(match why_not {
            Some((name, (saw, fix))) => self.deny(&name, &saw).fix(fix),
            None => self
                .deny("allow", &format!("no rule fits {}", endpoint(subject)))
                .fix(format!("add it: [[allow]] with path = {:?}", shown_path(subject))),
        })
    }

    /// Why a rule whose method and path fit does not allow the request after all, and what to do; none where it does.
    pub(super) fn reaches(
        &self,
        name: &str,
        rule: &Endpoint,
        bound: Bound,
        subject: &dyn Subject,
    ) -> Result<Option<(String, String)>> {
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
        if !bound.fields {
            return Ok(Some((
                "it looks at the fields, which the exchange does not sign here".into(),
                "leave `fields` out of the rule, if every field may be sent".into(),
            )));
        }
        let fields = self.relied_on(name, subject)?;
        let given = fields.groups.iter().flat_map(|group| &group.fields);
        let mut all = given
            .map(|field| (&field.name, &field.given))
            .chain(fields.readings.iter().map(|(name, _)| (name, name)));
        Ok(all.find(|(name, _)| !names.contains(name)).map(|(_, given)| {
            (
                format!("the field {given:?} is not among its `fields`"),
                "add the field to the rule, if every request that has it may be signed".into(),
            )
        }))
    }

    /// Refuses where a rule looks at fields that the signature does not cover.
    pub(super) fn covered(&self, rule: &str, subject: &dyn Subject) -> Result<()> {
        if subject.bound().fields || subject.bound().login {
            return Ok(());
        }
        Err(self
            .deny(
                rule,
                "it looks at fields, which the exchange does not sign in this request",
            )
            .fix("allow the endpoints that are needed in a key's own policy, without this rule"))
    }
}
