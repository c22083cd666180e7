//! Policies to begin with, by what an exchange's file says of its endpoints.

use std::{collections::BTreeMap, str::FromStr};

use super::{file::ClassesFile, scheme::Scheme};
use crate::error::{Code, Error, Result, bad_input};

/// What a key may do, as a person picks it at import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// Looking at balances, orders and trades.
    ReadOnly,
    /// That, and placing and cancelling orders.
    Trade,
    /// That, and nothing on credit.
    TradeNoLeverage,
    /// Everything but withdrawals.
    Full,
}

impl Template {
    const ALL: [Self; 4] = [Self::ReadOnly, Self::Trade, Self::TradeNoLeverage, Self::Full];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Trade => "trade",
            Self::TradeNoLeverage => "trade-no-leverage",
            Self::Full => "full",
        }
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|template| template.name() == name)
            .ok_or_else(|| {
                bad_input(format!("there is no policy named {name:?}"))
                    .fix("use read-only, trade, trade-no-leverage or full")
            })
    }
}

impl Scheme {
    /// The text of a policy file to begin with.
    ///
    /// # Errors
    /// `unsupported` where the exchange's file does not say which endpoints these are, or where signatures cannot be told
    /// apart.
    pub fn policy_template(&self, template: Template) -> Result<String> {
        let mut text = format!(
            "policy = 1\n\n# {} at {}, as `--policy {}` wrote it. docs/policy.md\nwithdrawals = false\n",
            match template {
                Template::ReadOnly => "Looking only",
                Template::Trade => "Looking and trading",
                Template::TradeNoLeverage => "Looking and trading without leverage",
                Template::Full => "Everything but withdrawals",
            },
            self.name(),
            template.name()
        );
        if template == Template::Full {
            return Ok(text);
        }
        let Some(classes) = &self.classes else {
            return self.by_method(template, text);
        };
        if template == Template::TradeNoLeverage {
            let Some(without) = &classes.no_leverage else {
                return Err(Error::new(
                    Code::Unsupported,
                    format!("a signature for an order at {} fits one on credit as well", self.name()),
                )
                .fix("take the rights to margin and futures from the API key at the exchange, and use --policy trade"));
            };
            if !without.values.is_empty() {
                text.push_str(&format!("values = {}\n", values(&without.values)));
            }
            for field in &without.deny {
                text.push_str(&format!("\n[[deny]]\nfields = [{field:?}]\n"));
            }
            if !without.deny_values.is_empty() {
                text.push_str(&format!(
                    "\n[[deny]]\nvalues = {}\n",
                    values(&without.deny_values)
                ));
            }
        }
        allow(&mut text, &classes.read, &classes.read_fields);
        if template != Template::ReadOnly {
            allow(&mut text, &classes.trade, &classes.trade_fields);
        }
        Ok(text)
    }

    /// Where method and path are signed, GET reads.
    fn by_method(&self, template: Template, mut text: String) -> Result<String> {
        let signed = self
            .rest_plans()
            .all(|plan| plan.facts.signs_path && plan.facts.signs_method);
        let runs_on = |plan: &super::plan::Plan| !plan.facts.seams.is_empty();
        if template == Template::ReadOnly && signed && !self.rest_plans().any(runs_on) {
            text.push_str("\n[[allow]]\nmethod = \"GET\"\npath = \"*\"\n");
            // Some act by GET, too.
            let acting = self.sending().acting();
            if !acting.is_empty() {
                text.push_str(&format!("\n[[deny]]\npath = {}\n", list(acting)));
            }
            return Ok(text);
        }
        Err(Error::new(
            Code::Unsupported,
            format!(
                "what {} is, the file of {} does not say",
                template.name(),
                self.name()
            ),
        )
        .fix("use --policy full, and write the endpoints that the bot needs into its policy: docs/policy.md"))
    }
}

fn allow(text: &mut String, endpoints: &[String], fields: &[String]) {
    let mut by_method: Vec<(&str, Vec<String>)> = Vec::new();
    for endpoint in endpoints {
        let (method, path) = endpoint.split_once(' ').unwrap_or(("", endpoint));
        match by_method.iter_mut().find(|(known, _)| *known == method) {
            Some((_, paths)) => paths.push(path.to_owned()),
            None => by_method.push((method, vec![path.to_owned()])),
        }
    }
    for (method, paths) in by_method {
        text.push_str("\n[[allow]]\n");
        if !method.is_empty() {
            text.push_str(&format!("method = {method:?}\n"));
        }
        text.push_str(&format!("path = {}\n", list(&paths)));
        if !fields.is_empty() {
            text.push_str(&format!("fields = {}\n", list(fields)));
        }
    }
}

fn values(by_name: &BTreeMap<String, Vec<String>>) -> String {
    let each = by_name
        .iter()
        .map(|(name, values)| format!("{name} = {}", list(values)));
    format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

impl ClassesFile {
    /// Refuses what cannot stand in a policy.
    ///
    /// # Errors
    /// When an endpoint does not begin with `/` or `*` behind its method.
    pub(crate) fn check(&self) -> Result<()> {
        let odd = |endpoint: &&String| {
            let path = endpoint
                .split_once(' ')
                .map_or(endpoint.as_str(), |(_, path)| path);
            !path.starts_with(['/', '*'])
        };
        match self.read.iter().chain(&self.trade).find(odd) {
            Some(endpoint) => {
                Err(bad_input(format!("`classes` has {endpoint:?}")).fix("write \"POST /path\" or \"/path\""))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exchange::{builtin, builtin_ids},
        policy::Policy,
    };

    #[test]
    fn every_template_that_there_is_is_a_policy() {
        let mut classed = 0;
        for id in builtin_ids() {
            let scheme = Scheme::parse(builtin(id).unwrap(), id).unwrap();
            if let Some(classes) = &scheme.classes
                && classes.read.iter().any(|endpoint| endpoint == "GET *")
            {
                let text = scheme.by_method(Template::ReadOnly, String::new());
                assert!(
                    text.is_ok_and(|text| !text.contains("deny")),
                    "{id}: a GET that is no look"
                );
            }
            for template in Template::ALL {
                match scheme.policy_template(template) {
                    Ok(text) => {
                        let policy = Policy::parse(&text, id).unwrap();
                        assert_eq!(policy.warnings(crate::clock::now()), Vec::<String>::new(), "{id}");
                        classed += usize::from(template == Template::Trade);
                    }
                    Err(error) => {
                        assert_eq!(error.code(), Code::Unsupported, "{id}: {error}");
                        assert_ne!(template, Template::Full);
                    }
                }
            }
        }
        assert!(classed >= 21, "{classed}");
    }
}
