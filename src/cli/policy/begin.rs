//! The policy of `--policy` at `import` and `generate`: in force before the key is there, so that nothing is signed without it.

use hsmsign::{
    enrol::{Enrol, Enrolled, Plan},
    error::{Code, Error, Result},
    exchange::Template,
    keyring::{GENERIC, Keyring as _},
    policy::{Policies, Whose},
};

use super::tell_changes;
use crate::cli::{Around, output};

/// A policy with which a key begins.
pub struct Beginning {
    policies: Policies,
    whose: Whose,
    text: String,
}

impl Beginning {
    /// What the exchange's file says for the template; refused where the key's name has another policy already.
    pub fn new(around: &Around, enrol: &Enrol, plan: &Plan, template: Template) -> Result<Self> {
        if plan.exchange_id() == GENERIC {
            return Err(Error::new(
                Code::Unsupported,
                "a generic key signs no requests, so no template fits it",
            )
            .fix("import it without --policy; rates, hours, an end and clients hold for raw MACs: docs/policy.md"));
        }
        let scheme = enrol.catalogue().get(plan.exchange_id())?;
        let beginning = Self {
            policies: Policies::new(&around.home),
            whose: Whose::Key(plan.name().clone()),
            text: scheme.policy_template(template)?,
        };
        beginning
            .policies
            .check_beginning(&beginning.whose, &beginning.text)?;
        Ok(beginning)
    }

    /// Puts it into force for an import, and takes it away where that fails.
    pub fn with(self, around: &Around, import: impl FnOnce() -> Result<Enrolled>) -> Result<Enrolled> {
        let key_is_there = || match &self.whose {
            Whose::Key(key) => around.keyring().get(key).is_ok(),
            Whose::Everyone => true,
        };
        let Self {
            policies,
            whose,
            text,
        } = &self;
        let first = policies.begin(whose, text)?;
        let enrolled = import().inspect_err(|_| {
            // Without its key it is of no use; left behind, it would hold for the next of that name. Another import of the
            // same name may have been faster, and needs it.
            if first && !key_is_there() {
                let _ = policies.remove(whose);
            }
        })?;
        output::aside(&format!("its policy: {}", policies.path(whose).display()));
        tell_changes(around, policies, whose);
        Ok(enrolled)
    }
}
