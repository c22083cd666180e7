//! Prices that a product goes by: an order must be filled at the price that it names, or at a better one; of several, the
//! greatest counts.

use super::{Asked, Case, orders::other_reading, told};
use crate::{
    error::{Result, rarely},
    policy::{
        decimal::{Amount, Decimal},
        known::{AMENDS, prices as known},
        rules::Cap,
        subject::{Field, Fields, last_part},
    },
};

/// Whether it changes an order, which has its type.
fn changes(asked: &Asked<'_>) -> bool {
    matches!(asked.method(), "PUT" | "PATCH") || AMENDS.stand_in(asked.plain_path())
}

/// Whether a field is named just as the owner's rule has it.
fn is_spelled(field: &Field<'_>, name: &str) -> bool {
    let given: &str = &field.given;
    !given.contains('.') && last_part(given) == name
}

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
            return Err(rarely(|| {
                self.deny(
                    rule,
                    &format!("{} is at the market's price, as {pattern}", asked.endpoint()),
                )
                .fix("ask for orders with a limit; or deny the endpoint and cap the quantity")
            }));
        }
        if let Some(kind) = asked.market_without().filter(|_| !changes(asked)) {
            let mut all = fields.fields_around(group);
            if !all.any(|field| field.given == kind) {
                return Err(rarely(|| {
                    self.deny(rule, &format!("the request has no {kind}, and the exchange takes such an order for one at the market's price"))
                        .fix("say of which type the order is")
                }));
            }
        }
        let pinned = |name: &str| self.policy.values.iter().any(|(pinned, ..)| pinned == name);
        for field in fields.fields_around(group) {
            let (name, value) = (&*field.name, field.value.as_deref());
            let nearest = || {
                fields
                    .near(group, name)
                    .is_some_and(|near| std::ptr::eq(near, field))
            };
            let is_type = known::ORDER_TYPES.contains(&name) && nearest();
            if is_type {
                self.certain(rule, name, fields)?;
            }
            let otherwise = match value {
                // As the name of an object that says what kind of order stands in it.
                None => !field.listed && name.contains("market"),
                Some(value) if is_type && !known::holds_its_price(name, value) => true,
                Some(value) => {
                    let says_what_is_asked =
                        asked.asked_by() == Some(name) && value.to_lowercase().contains("market");
                    says_what_is_asked || known::says_market(name, value) || known::sets_price(name, value)
                }
            };
            if otherwise && !pinned(name) {
                return Err(rarely(|| {
                    self.deny(
                        rule,
                        &format!("{} may be filled at another price than it names", told(field)),
                    )
                    .fix(format!(
                        "send limit orders; where these hold their price: values = {{ {} = [\"…\"] }}",
                        field.given
                    ))
                }));
            }
        }
        Ok(())
    }

    /// Refuses an order that says no type where `values` names the types: left out, the exchange takes its own, as one at the
    /// market's price.
    pub(super) fn typeless(&self, asked: &Asked<'_>) -> Result<()> {
        let is_type = |name: &str| known::ORDER_TYPES.contains(&name);
        let mut values = self.policy.values.iter();
        let Some((name, rule, _)) = values.find(|(name, ..)| is_type(name)) else {
            return Ok(());
        };
        if !asked.bound().path || changes(asked) || asked.only_looks() {
            return Ok(());
        }
        let spelled = asked.market_without();
        let fields = asked.fields();
        let order = (0..fields.objects()).find_map(|at| {
            let amount = fields.amount_of(at)?;
            let typed = fields
                .fields_around(at)
                .any(|field| is_type(&field.name) && spelled.is_none_or(|name| field.given == name));
            (!typed && self.traded(fields, at).is_some()).then_some(amount)
        });
        match order {
            Some(amount) => Err(rarely(|| {
                self.deny(rule, &format!("the request has {} and no {name}", told(amount)))
                    .fix("say of which type the order is")
            })),
            None => Ok(()),
        }
    }

    /// The greatest price that the order names, since the exchange may look at any of them: beside the limit there can be the
    /// one that a stop becomes an order at, under a name of its own.
    pub(super) fn greatest_price<'f, 'r>(
        &self,
        rule: &str,
        fields: &'f Fields<'r>,
        group: usize,
        named: &'f Field<'r>,
    ) -> Result<&'f Field<'r>> {
        if let Some((given, shown)) = other_reading(fields, |name, _| known::is_price(name)) {
            return Err(rarely(|| {
                self.deny(rule, &format!("{shown} may be its price"))
                    .fix(format!("send {given} plainly, or not at all"))
            }));
        }
        let number = |field: &Field<'_>| field.value.as_deref().and_then(Decimal::parse)?.amount();
        // Nothing may stand for whatever the market asks, and is denied.
        if number(named) == Some(Amount::default()) {
            return Ok(named);
        }
        let mut greatest = named;
        for field in fields
            .fields_around(group)
            .filter(|field| known::is_price(&field.name))
        {
            let Some(value) = &field.value else { continue };
            // Beside numbers there are words, which say what a price is compared with.
            if !value.bytes().any(|byte| byte.is_ascii_digit()) {
                continue;
            }
            self.absolute(rule, field)?;
            let Some(price) = number(field) else {
                return Err(rarely(|| {
                    self.deny(rule, &format!("{} is a price, and no plain number", told(field)))
                        .fix("write numbers as 0.1")
                }));
            };
            if number(greatest).is_some_and(|greatest| price > greatest) {
                greatest = field;
            }
        }
        Ok(greatest)
    }

    /// Refuses a price by another spelling of its name than the owner's: to an exchange that takes them for two the order has
    /// none, as one at the market's.
    pub(super) fn spelled(&self, rule: &str, factors: [&Field<'_>; 2], cap: &Cap) -> Result<()> {
        let mut both = factors.into_iter().zip(&cap.given);
        let Some((field, given)) =
            both.find(|(field, given)| known::is_price(&field.name) && !is_spelled(field, given))
        else {
            return Ok(());
        };
        Err(rarely(|| {
            self.deny(
                rule,
                &format!(
                    "{} is not spelled as {given}, and may be no price to the exchange",
                    told(field)
                ),
            )
            .fix("write the price's name in the cap as the exchange spells it")
        }))
    }

    /// Refuses a price with a sign: exchanges take it as a distance from the market's.
    pub(super) fn absolute(&self, rule: &str, field: &Field<'_>) -> Result<()> {
        let signed = field
            .value
            .as_ref()
            .is_some_and(|value| value.starts_with(['+', '-']));
        if signed && known::is_price(&field.name) {
            return Err(rarely(|| {
                self.deny(
                    rule,
                    &format!("{} may be a distance from the market's price", told(field)),
                )
                .fix("send the price itself")
            }));
        }
        Ok(())
    }
}
