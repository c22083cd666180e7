//! What a bot did for a while, as the smallest policy that would have let it through: for its owner to edit.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    decimal::{Amount, Decimal},
    known,
    subject::folded,
};
use crate::json::Json;

/// What was seen of a key, line of the log by line.
#[derive(Debug, Default)]
pub struct Seen {
    /// Names of fields, by method and path.
    endpoints: BTreeMap<(String, String), BTreeSet<String>>,
    symbols: BTreeSet<String>,
    /// By field: the units that amounts were in.
    units: BTreeMap<String, BTreeSet<String>>,
    /// Fields that say that an order's amount is in another place.
    spending: BTreeSet<String>,
    /// Fields of orders without an amount.
    unsized_orders: BTreeSet<String>,
    /// Endpoints of requests without an amount, each with the names of their fields.
    without: BTreeMap<(String, String), BTreeSet<String>>,
    /// By field: the most of a request, and what each day had.
    amounts: BTreeMap<String, (Amount, BTreeMap<String, Amount>)>,
    callers: BTreeSet<(String, String)>,
    /// Requests by second, minute and day.
    rates: [BTreeMap<String, u64>; 3],
    websocket: bool,
}

/// What the exchange's file says of requests.
pub trait Told {
    /// Whether one of this method and path only looks.
    fn looks(&self, method: &str, path: &str) -> bool;
    /// The endpoints that close or trade what no amount says, and that the signature for such a request fits as well; `has`
    /// says which fields it has, by their folded names.
    fn closings(&self, method: &str, path: &str, has: &dyn Fn(&str) -> bool) -> Vec<&str>;
}

/// What the exchange's signature covers of every request.
#[derive(Debug, Clone, Copy)]
pub struct Signs {
    /// Whether it covers the method.
    pub method: bool,
    /// Whether it covers the path.
    pub path: bool,
}

impl Seen {
    /// Takes a line of the log in, if it is a signature.
    pub fn take(&mut self, line: &Json) {
        let text = |name: &str| line.get(name).and_then(Json::scalar).unwrap_or_default();
        if text("what") != "sign" || text("outcome") != "signed" {
            return;
        }
        let time = text("t");
        for (counts, length) in self.rates.iter_mut().zip([19, 16, 10]) {
            *counts
                .entry(time.get(..length).unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        let unit = text("cgroup")
            .rsplit('/')
            .next()
            .filter(|last| last.ends_with(".service"));
        self.callers
            .insert((text("uid").to_owned(), unit.unwrap_or_default().to_owned()));
        if text("method") == "WS" {
            self.websocket = true;
            return;
        }
        let names = self
            .endpoints
            .entry((text("method").to_owned(), general(text("path"))))
            .or_default();
        let mut request: BTreeMap<&str, Amount> = BTreeMap::new();
        let mut orders = BTreeSet::new();
        if let Some(Json::Object(fields)) = line.get("fields") {
            for (name, value) in fields {
                names.insert(name.clone());
                let (folded, value) = (folded(super::last_part(name)), value.scalar().unwrap_or_default());
                if known::SYMBOLS.contains(&folded.as_str()) {
                    self.symbols.insert(value.to_owned());
                } else if known::is_unit(&folded) {
                    self.units
                        .entry(name.clone())
                        .or_default()
                        .insert(value.to_owned());
                } else if known::spends(&folded, value) {
                    self.spending.insert(name.clone());
                } else if known::is_amount(&folded) {
                    let amount = Decimal::parse(value)
                        .and_then(Decimal::amount)
                        .unwrap_or_default();
                    let sum = request.entry(name).or_default();
                    *sum = sum.plus(amount);
                } else if known::ORDERS.contains(&folded.as_str()) {
                    orders.insert(name.clone());
                }
            }
        }
        let path = text("path").to_lowercase();
        let otherwise = known::TRADES_OTHERWISE.stand_in(&path);
        if request.is_empty() || otherwise {
            self.unsized_orders.extend(orders);
            let endpoint = (text("method").to_owned(), general(text("path")));
            if let Some(Json::Object(fields)) = line.get("fields") {
                let names = fields.iter().map(|(name, _)| name.clone());
                self.without.entry(endpoint).or_default().extend(names);
            }
        }
        for (name, amount) in request {
            let (most, days) = self.amounts.entry(name.to_owned()).or_default();
            *most = (*most).max(amount);
            let day = days
                .entry(time.get(..10).unwrap_or_default().to_owned())
                .or_default();
            *day = day.plus(amount);
        }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && !self.websocket
    }

    /// What caps would be asked to let through without an amount.
    fn uncapped(&self, signs: Signs, told: &dyn Told) -> BTreeSet<String> {
        let mut free = &self.unsized_orders | &self.spending;
        for ((method, path), names) in &self.without {
            if !signs.path {
                let calm = |name: &&String| known::is_calm_field(&folded(super::last_part(name)));
                free.extend(names.iter().filter(|name| !calm(name)).cloned());
            } else if !told.looks(method, path) && !known::is_calm_path(&path.to_lowercase()) {
                free.insert(path.clone());
            }
        }
        for ((method, path), names) in &self.endpoints {
            let has = |name: &str| names.iter().any(|given| folded(super::last_part(given)) == name);
            let closings = told.closings(method, path, &has);
            free.extend(closings.into_iter().map(str::to_owned));
        }
        free
    }

    /// The text of the file.
    pub fn propose(&self, signs: Signs, told: &dyn Told) -> String {
        let mut text = String::from(
            "policy = 1\n# What was seen, and no more: give it room where the bot needs some.\nwithdrawals = false\n",
        );
        if self.websocket {
            text.push_str("websocket = true\n");
        }
        if !self.symbols.is_empty() {
            text.push_str(&format!("symbols = {}\n", list(self.symbols.iter())));
        }
        if !self.units.is_empty() {
            let units = self
                .units
                .iter()
                .map(|(name, values)| format!("{name} = {}", list(values)));
            text.push_str(&format!(
                "values = {{ {} }}\n",
                units.collect::<Vec<_>>().join(", ")
            ));
        }
        let free = self.uncapped(signs, told);
        let asked = !self.amounts.is_empty() || !self.symbols.is_empty();
        if asked && !free.is_empty() {
            text.push_str(&format!("uncapped = {}\n", list(&free)));
        }
        let [second, minute, day] = self
            .rates
            .each_ref()
            .map(|counts| counts.values().max().copied().unwrap_or_default());
        text.push_str(&format!(
            "rate = {{ second = {second}, minute = {minute}, day = {day} }}\n"
        ));
        let mut by_method: BTreeMap<&str, Vec<(&String, &BTreeSet<String>)>> = BTreeMap::new();
        for ((method, path), names) in &self.endpoints {
            by_method
                .entry(if signs.method { method } else { "" })
                .or_default()
                .push((path, names));
        }
        for (method, paths) in by_method {
            let method = if method.is_empty() {
                String::new()
            } else {
                format!("method = {method:?}\n")
            };
            if signs.path {
                let paths: BTreeSet<_> = paths.into_iter().map(|(path, _)| path).collect();
                text.push_str(&format!("\n[[allow]]\n{method}path = {}\n", list(paths)));
                continue;
            }
            for (path, names) in paths {
                text.push_str(&format!(
                    "\n[[allow]]\n{method}path = {path:?}\nfields = {}\n",
                    list(names)
                ));
            }
        }
        for (name, (most, days)) in &self.amounts {
            let day = days.values().max().copied().unwrap_or_default();
            text.push_str(&format!(
                "\n[[cap]]\nfield = {name:?}\nrequest = \"{most}\"\nday = \"{day}\"\n"
            ));
        }
        for (uid, unit) in &self.callers {
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!("unit = {unit:?}\n")
            };
            text.push_str(&format!("\n[[client]]\nuid = {uid}\n{unit}"));
        }
        text
    }
}

/// The path with numbers and long ids as `*`.
fn general(path: &str) -> String {
    let is_id = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        part.len() > 3 && digits == part.len() || part.len() >= 16 && digits >= 4
    };
    let parts: Vec<_> = path
        .split('/')
        .map(|part| if is_id(part) { "*" } else { part })
        .collect();
    parts.join("/")
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    /// An exchange of which one endpoint only looks, and any request closes by these.
    struct Looks(&'static str, &'static [&'static str]);

    impl Told for Looks {
        fn looks(&self, _: &str, path: &str) -> bool {
            path == self.0
        }

        fn closings(&self, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> Vec<&str> {
            self.1.to_vec()
        }
    }

    #[test]
    fn units_and_orders_without_an_amount_are_let_through_as_they_were_seen() {
        let mut seen = Seen::default();
        for fields in [
            r#"{"instId":"BTC-USDT","side":"","ordType":"","sz":"0.1","tgtCcy":"base_ccy"}"#,
            r#"{"instId":"BTC-USDT","side":"","ordType":""}"#,
        ] {
            let line = format!(
                r#"{{"t":"2026-01-01T00:00:00","what":"sign","outcome":"signed","method":"POST","path":"/o","uid":1,"fields":{fields}}}"#
            );
            seen.take(&Json::parse(&line).unwrap());
        }
        let signs = Signs {
            method: true,
            path: true,
        };
        let text = seen.propose(signs, &Looks("/o", &["/close"]));
        assert!(text.contains(r#"values = { tgtCcy = ["base_ccy"] }"#), "{text}");
        assert!(
            text.contains(r#"uncapped = ["/close", "ordType", "side"]"#),
            "{text}"
        );
        Policy::parse(&text, "k").unwrap();
    }

    #[test]
    fn endpoints_without_an_amount_are_let_through_as_they_were_seen() {
        let mut seen = Seen::default();
        for (path, fields) in [
            ("/v1/order", r#"{"size":"0.1"}"#),
            ("/v1/order/cancel", r#"{"id":""}"#),
            ("/v1/leverage", r#"{"symbol":"A","leverage":""}"#),
            ("/v1/looks", "{}"),
        ] {
            let line = format!(
                r#"{{"t":"2026-01-01T00:00:00","what":"sign","outcome":"signed","method":"POST","path":"{path}","uid":1,"fields":{fields}}}"#
            );
            seen.take(&Json::parse(&line).unwrap());
        }
        for (path, free) in [(true, r#"["/v1/leverage"]"#), (false, r#"["leverage"]"#)] {
            let signs = Signs { method: true, path };
            let text = seen.propose(signs, &Looks("/v1/looks", &[]));
            assert!(text.contains(&format!("uncapped = {free}\n")), "{text}");
            Policy::parse(&text, "k").unwrap();
        }
    }
}
