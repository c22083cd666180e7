//! Prices that a product goes by: an order must be filled at the price that it names, or at a better one.

use super::{Asked, Case, told};
use crate::{
    error::Result,
    policy::{
        known,
        subject::{Field, Fields},
    },
};

impl Case<'_, '_> {
    /// Refuses an order that may be filled at another price than it names, as one at the market's: the exchange does not look
    /// at that price.
    pub(super) fn priced_otherwise(
        &self,
        rule: &str,
        asked: &Asked<'_>,
        fields: &Fields<'_>,
        group: usize,
    ) -> Result<()> {
        if let Some(pattern) = known::AT_MARKET.iter().find(|pattern| asked.could_be(pattern)) {
            return Err(self
                .deny(
                    rule,
                    &format!("{} is at the market's price, as {pattern}", asked.endpoint()),
                )
                .fix("ask for orders with a limit; or deny the endpoint and cap the quantity"));
        }
        for name in known::ORDER_TYPES {
            let Some(field) = fields.near(group, name) else {
                continue;
            };
            self.certain(rule, name, fields)?;
            let pinned = self.policy.values.iter().any(|(pinned, ..)| pinned == name);
            if !pinned && !known::holds_its_price(field.value.as_deref().unwrap_or_default()) {
                return Err(self
                    .deny(
                        rule,
                        &format!("{} may be filled at another price than it names", told(field)),
                    )
                    .fix(format!(
                        "send limit orders; where these hold their price: values = {{ {} = [\"…\"] }}",
                        field.given
                    )));
            }
        }
        Ok(())
    }

    /// Refuses a price with a sign: exchanges take it as a distance from the market's.
    pub(super) fn absolute(&self, rule: &str, field: &Field<'_>) -> Result<()> {
        let signed = field
            .value
            .as_ref()
            .is_some_and(|value| value.starts_with(['+', '-']));
        if signed && known::is_price(&field.name) {
            return Err(self
                .deny(
                    rule,
                    &format!("{} may be a distance from the market's price", told(field)),
                )
                .fix("send the price itself"));
        }
        Ok(())
    }
}
