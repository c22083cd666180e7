//! What a bot did for a while, as the smallest policy that would have let it through: for its owner to edit.

mod propose;
mod spans;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::spans::Taken;
pub use self::told::{NoExchange, Signs, Told};
use super::{
    CONSENT,
    decimal::{Amount, Decimal},
    known,
    rules::field_name,
    subject::{folded, last_part},
};
use crate::{caller::Unit, json::Json};

/// What was seen of a key, line of the log by line.
#[derive(Debug, Default)]
pub struct Seen {
    /// Names of fields, by method and path.
    endpoints: BTreeMap<(String, String), BTreeSet<String>>,
    symbols: BTreeSet<String>,
    /// By field: the units that amounts were in, and what was asked where a field says that.
    values: BTreeMap<String, BTreeSet<String>>,
    /// Fields that say that an order's amount is in another place, or all that there is.
    spending: BTreeSet<String>,
    /// Endpoints of requests with a field that no rule can name.
    unnamable: BTreeSet<(String, String)>,
    /// Endpoints of requests with an amount of something that no field named.
    unnamed: BTreeSet<(String, String)>,
    /// Endpoints of requests without an amount.
    without: BTreeMap<(String, String), Without>,
    amounts: BTreeMap<String, Amounts>,
    callers: BTreeSet<(String, String)>,
    /// All requests, each as one.
    requests: Taken,
    /// Whether some were messages for a socket without fields, as logins are.
    bare_sockets: bool,
    /// Whether some moved money out, and whether some were raw bytes.
    withdrawals: bool,
    raw: bool,
}

/// What was seen of requests without an amount.
#[derive(Debug, Default)]
struct Without {
    /// The names of their fields.
    names: BTreeSet<String>,
    /// Those that orders have.
    orders: BTreeSet<String>,
}

/// What was seen of an amount.
#[derive(Debug, Default)]
struct Amounts {
    all: Taken,
    /// By symbol, in lower case, with its first spelling.
    by_symbol: BTreeMap<String, (String, Taken)>,
    /// Whether of some no field said what they are of.
    unnamed: bool,
    /// Whether of some two did.
    mixed: bool,
}

impl Seen {
    /// Takes a line of the log in, if it is a signature.
    pub fn take(&mut self, line: &Json) {
        let text = |name: &str| line.get(name).and_then(Json::scalar).unwrap_or_default();
        let raw = text("what") == "raw";
        if !(raw || text("what") == "sign") || text("outcome") != "signed" {
            return;
        }
        let time = text("t");
        let time = time
            .parse()
            .ok()
            .map_or(0, |time: jiff::Timestamp| time.as_millisecond());
        let time = Duration::from_millis(u64::try_from(time).unwrap_or_default());
        self.requests.add(time, Amount::whole(1));
        let unit = Unit::of(text("cgroup")).map(|unit| unit.name);
        let service = unit.filter(|name| name.ends_with(".service"));
        self.callers
            .insert((text("uid").to_owned(), service.unwrap_or_default().to_owned()));
        self.withdrawals |= text("rule").starts_with(CONSENT);
        self.raw |= raw;
        if raw {
            return;
        }
        let fields = match line.get("fields") {
            Some(Json::Object(fields)) => fields.as_slice(),
            _ => &[],
        };
        self.bare_sockets |= text("method") == "WS" && fields.is_empty();
        let names = self
            .endpoints
            .entry((text("method").to_owned(), general(text("path"))))
            .or_default();
        let mut request: BTreeMap<&str, Amount> = BTreeMap::new();
        let mut orders = BTreeSet::new();
        let mut symbols: Vec<(&str, &str)> = Vec::new();
        let traded: Vec<&str> = fields
            .iter()
            .flat_map(each_value)
            .filter(|(name, _)| known::SYMBOLS.contains(&folded(last_part(name)).as_str()))
            .filter_map(|(_, value)| value.scalar())
            .collect();
        let is_side = |name: &str| traded.iter().any(|traded| known::is_side(traded, name));
        for (name, value) in fields.iter().flat_map(each_value) {
            let (first, name) = (first_part(name), last_part(name));
            if is_namable(name) {
                names.extend(
                    first
                        .into_iter()
                        .filter(|first| is_namable(first))
                        .chain([name])
                        .map(str::to_owned),
                );
            } else {
                self.unnamable
                    .insert((text("method").to_owned(), general(text("path"))));
            }
            let (folded, value) = (folded(name), value.scalar().unwrap_or_default());
            if known::SYMBOLS.contains(&folded.as_str()) {
                self.symbols.insert(value.to_owned());
                symbols.push((name, value));
            } else if known::spends(&folded, value) || known::closes(&folded, value) {
                self.spending.insert(name.to_owned());
            } else if known::is_amount(&folded) || is_side(&folded) {
                let amount = Decimal::parse(value)
                    .and_then(Decimal::amount)
                    .unwrap_or_default();
                let sum = request.entry(name).or_default();
                *sum = sum.plus(amount);
            } else if known::is_unit(&folded) || !value.is_empty() {
                // Of what says what is asked the log has the value, and of no others.
                self.values
                    .entry(name.to_owned())
                    .or_default()
                    .insert(value.to_owned());
            } else if known::ORDERS.contains(&folded.as_str()) {
                orders.insert(name.to_owned());
            }
        }
        let path = text("path").to_lowercase();
        let otherwise = known::TRADES_OTHERWISE.stand_in(&path) || known::closes_by_path(&path);
        if request.is_empty() || otherwise {
            let endpoint = (text("method").to_owned(), general(text("path")));
            let without = self.without.entry(endpoint).or_default();
            if request.is_empty() {
                without.orders.extend(orders);
            }
            let names = fields.iter().map(|(name, _)| last_part(name));
            without
                .names
                .extend(names.filter(|name| is_namable(name)).map(str::to_owned));
        }
        if symbols.is_empty() && !request.is_empty() {
            self.unnamed
                .insert((text("method").to_owned(), general(text("path"))));
        }
        for (name, amount) in request {
            let amounts = self.amounts.entry(name.to_owned()).or_default();
            amounts.all.add(time, amount);
            // Two fields may name two things, or one thing in two ways.
            amounts.unnamed |= symbols.is_empty();
            amounts.mixed |= symbols.iter().any(|(name, _)| *name != symbols[0].0);
            // In a list of orders each may be of any of its symbols.
            let each: BTreeMap<_, _> = symbols
                .iter()
                .map(|(_, value)| (value.to_lowercase(), value))
                .collect();
            for (symbol, shown) in each {
                let new = || ((*shown).to_owned(), Taken::default());
                amounts
                    .by_symbol
                    .entry(symbol)
                    .or_insert_with(new)
                    .1
                    .add(time, amount);
            }
        }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && !self.raw
    }
}

/// The part in front of a name such as `close[price]`, which may be read as a field of its own.
fn first_part(name: &str) -> Option<&str> {
    let (first, rest) = name.split_once(['[', '.'])?;
    (!first.is_empty() && rest.bytes().any(|byte| byte.is_ascii_alphabetic())).then_some(first)
}

/// Whether a rule can name it.
fn is_namable(name: &str) -> bool {
    field_name(name).is_ok()
}

/// A field with each of its values: one that is there more than once has a list.
fn each_value((name, value): &(String, Json)) -> impl Iterator<Item = (&String, &Json)> {
    let values = match value {
        Json::List(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    values.iter().map(move |value| (name, value))
}

/// The path with numbers and long ids as `*`, and what no pattern may have.
fn general(path: &str) -> String {
    let is_odd = |char: char| !char.is_ascii_graphic() || matches!(char, '%' | '?' | '#');
    let is_id = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        part.len() > 3 && digits == part.len() || part.len() >= 16 && digits >= 4
    };
    let parts: Vec<_> = path
        .split('/')
        .map(|part| {
            if is_id(part) || part.contains(is_odd) {
                "*"
            } else {
                part
            }
        })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{caller::Caller, policy::Policy};

    /// An exchange of which one endpoint only looks, and any request closes by these; and whether it signs paths.
    struct Looks(&'static str, &'static [&'static str], bool);

    impl Told for Looks {
        fn looks(&self, _: &str, path: &str) -> bool {
            path == self.0
        }

        fn closings(&self, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> Vec<&str> {
            self.1.to_vec()
        }

        fn signs(&self, _: &str, _: &str) -> Signs {
            Signs {
                method: true,
                path: self.2,
                path_goes_on: false,
                fields: true,
            }
        }

        fn alike(&self, _: &str, _: &str) -> Vec<&str> {
            Vec::new()
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
        let text = seen.propose(&Looks("/o", &["/close"], true));
        assert!(text.contains(r#"values = { "tgtCcy" = ["base_ccy"] }"#), "{text}");
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
            let text = seen.propose(&Looks("/v1/looks", &[], path));
            assert!(text.contains(&format!("uncapped = {free}\n")), "{text}");
            Policy::parse(&text, "k").unwrap();
        }
    }

    /// Named there, the path would let an order without an amount pass as well.
    #[test]
    fn what_takes_orders_back_or_changes_them_needs_no_leave() {
        let mut seen = Seen::default();
        for (method, path, fields) in [
            ("POST", "/orders", r#"{"symbol":"A","quantity":"0.1"}"#),
            ("DELETE", "/orders", r#"{"symbol":"A"}"#),
            ("DELETE", "/orders/1", "{}"),
            ("PUT", "/orders/1", r#"{"price":""}"#),
            ("DELETE", "/positions", r#"{"symbol":"A"}"#),
            ("PUT", "/leverage", r#"{"symbol":"A"}"#),
        ] {
            let line = format!(
                r#"{{"t":"2026-01-01T00:00:00","what":"sign","outcome":"signed","method":"{method}","path":"{path}","uid":1,"fields":{fields}}}"#
            );
            seen.take(&Json::parse(&line).unwrap());
        }
        let text = seen.propose(&Looks("", &[], true));
        assert!(
            text.contains("uncapped = [\"/leverage\", \"/positions\"]\n"),
            "{text}"
        );
    }
    #[test]
    fn a_client_is_proposed_by_the_unit_that_rules_know() {
        for cgroup in [
            "/system.slice/bot.service",
            "/system.slice/bot.service/worker",
            "/system.slice/run.service/bot.service",
            "/user.slice/user-7.slice/user@7.service/app.slice/bot.service",
            "/docker/17/bot.service",
            "/",
        ] {
            let mut seen = Seen::default();
            let line = format!(
                r#"{{"t":"2026-01-01T00:00:00","what":"sign","outcome":"signed","method":"GET","path":"/o","uid":7,"cgroup":"{cgroup}"}}"#
            );
            seen.take(&Json::parse(&line).unwrap());
            let policy = Policy::parse(&seen.propose(&Looks("/o", &[], true)), "k").unwrap();
            let mut caller = Caller::this_process();
            (caller.uid, caller.cgroup) = (7, Some(cgroup.into()));
            let clients = policy.clients.unwrap();
            assert!(
                clients.iter().any(|client| client.is(&caller)),
                "{cgroup}: {clients:?}"
            );
        }
    }
}
