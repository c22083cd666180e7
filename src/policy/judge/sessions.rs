//! Logins and sessions, in which nothing more is signed.

use super::{Asked, Case};
use crate::{
    error::{Result, rarely},
    policy::rules::Endpoint,
};

impl Case<'_, '_> {
    /// Behind a login nothing is signed, so that no rule about requests could hold.
    pub(super) fn login(&self, asked: &Asked<'_>) -> Result<()> {
        if !asked.bound().login || self.policy.websocket {
            return Ok(());
        }
        // Where the socket's requests are signed, as at Binance, a rule for WS is about those.
        let named =
            |rule: &Endpoint| !asked.bound().fields && rule.methods.iter().any(|method| method == "WS");
        if self.policy.allow.as_deref().into_iter().flatten().any(named) {
            return Ok(());
        }
        match self.policy.looks_inside() {
            None => Ok(()),
            Some(rule) => Err(rarely(|| {
                self.deny(
                    rule,
                    "a WebSocket login opens a connection on which nothing more is signed, and no rule holds",
                )
                .fix("set websocket = true if the key may log in all the same")
            })),
        }
    }

    /// A request whose signature is that of a login as well is one, unless the owner allowed just this endpoint.
    pub(super) fn logs_in(&self, asked: &Asked<'_>) -> Result<()> {
        let rule = match self.policy.looks_inside() {
            Some(rule) if !self.policy.websocket && asked.logs_in() => rule,
            _ => return Ok(()),
        };
        if self.allows_by(asked, |path| !path.contains('*')) {
            return Ok(());
        }
        Err(rarely(|| {
            self
            .deny(
                rule,
                &format!(
                    "the signature for {} may log in to a WebSocket, on which nothing more is signed, and no rule holds",
                    asked.endpoint()
                ),
            )
            .fix(format!(
                "set websocket = true if the key may log in, or allow just this path: [[allow]] with path = {:?}",
                asked.shown_path()
            ))
        }))
    }

    /// Whether the owner allowed the endpoint by a path that names it so.
    fn allows_by(&self, asked: &Asked<'_>, names: fn(&str) -> bool) -> bool {
        let allow = self.policy.allow.as_deref().into_iter().flatten();
        asked.is_among(allow.flat_map(|rule| &rule.paths).filter(|path| names(path)))
    }

    /// What a token for a socket opens is as a login, unless the owner allowed just this endpoint.
    pub(super) fn session(&self, asked: &Asked<'_>) -> Result<()> {
        let policy = self.policy;
        let rule = match () {
            () if policy.websocket => return Ok(()),
            () if !policy.caps.is_empty() => "cap",
            () if policy.symbols.is_some() => "symbols",
            () if !policy.values.is_empty() => "values",
            () => return Ok(()),
        };
        if !asked.opens_session() {
            return Ok(());
        }
        if self.allows_by(asked, |path| path != "*") {
            return Ok(());
        }
        Err(rarely(|| {
            self.deny(
                rule,
                &format!(
                    "{} gives a token for a connection on which nothing more is signed, and no rule holds",
                    asked.endpoint()
                ),
            )
            .fix(format!(
                "allow it by name, [[allow]] with path = {:?}, or set websocket = true",
                asked.shown_path()
            ))
        }))
    }
}
