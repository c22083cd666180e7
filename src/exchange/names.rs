//! The names that a file's templates may use.

use super::{
    plan::Plan,
    template::{NAMES, Name, Scope, Template},
};

/// The names of a file that its plans share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub credentials: Vec<String>,
    pub sets: Vec<String>,
    pub has_endpoints: bool,
}

/// What a template may name, for errors and for resolving.
pub(crate) struct Names<'a> {
    pub plan: &'a Plan,
    pub shared: &'a Shared,
    pub signatures: usize,
}

impl Scope for Names<'_> {
    fn resolve(&self, name: &str) -> Option<Name> {
        let at = |list: &[(String, Template)]| list.iter().position(|(have, _)| have == name);
        if let Some((_, known)) = NAMES.iter().find(|(have, _)| *have == name) {
            let there = match known {
                Name::Timestamp => self.plan.clock.is_some(),
                Name::Nonce => self.plan.nonce.is_some(),
                Name::Challenge => self.plan.takes_challenge,
                Name::Endpoint => self.shared.has_endpoints,
                _ => true,
            };
            return there.then_some(*known);
        }
        if let Some(json) = name.strip_prefix("json.") {
            return self
                .plan
                .jsons
                .iter()
                .position(|(have, _)| have == json)
                .map(Name::Json);
        }
        let signature = || {
            self.plan.signatures[..self.signatures]
                .iter()
                .position(|have| have.name == name)
        };
        at(&self.plan.lets)
            .map(Name::Let)
            .or_else(|| {
                self.plan
                    .options
                    .iter()
                    .position(|(have, _)| have == name)
                    .map(Name::Opt)
            })
            .or_else(|| {
                self.shared
                    .credentials
                    .iter()
                    .position(|have| have == name)
                    .map(Name::Credential)
            })
            .or_else(|| {
                self.shared
                    .sets
                    .iter()
                    .position(|have| have == name)
                    .map(Name::Set)
            })
            .or_else(|| signature().map(Name::Signature))
    }

    fn known(&self) -> Vec<String> {
        let own = NAMES.iter().map(|(name, _)| (*name).to_owned());
        let lets = self.plan.lets.iter().map(|(name, _)| name.clone());
        let jsons = self.plan.jsons.iter().map(|(name, _)| format!("json.{name}"));
        let options = self.plan.options.iter().map(|(name, _)| name.clone());
        let signatures = self.plan.signatures[..self.signatures]
            .iter()
            .map(|signature| signature.name.clone());
        own.filter(|name| self.resolve(name).is_some())
            .chain(lets)
            .chain(jsons)
            .chain(options)
            .chain(self.shared.credentials.iter().cloned())
            .chain(self.shared.sets.iter().cloned())
            .chain(signatures)
            .collect()
    }
}
