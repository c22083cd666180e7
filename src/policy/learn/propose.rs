//! What was seen, as the text of a policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Seen, Told, Without, spans::Taken};
use crate::policy::{known, rules::Window, subject::folded};

/// For how many symbols an amount has caps of their own: a key can have but so many counts, and an owner reads but so much.
const MOST: usize = 100;

impl Seen {
    /// The text of the file.
    pub fn propose(&self, told: &dyn Told) -> String {
        let mut text = String::from(
            "policy = 1\n# What was seen, and no more: give it room where the bot needs some.\n",
        );
        text.push_str(match self.withdrawals {
            true => "# Money was moved out: `withdrawals = false` would deny that.\n",
            false => "withdrawals = false\n",
        });
        let is_login = |(method, path): &(String, String)| method == "WS" && !told.signs(method, path).fields;
        if self.bare_sockets || self.endpoints.keys().any(is_login) {
            text.push_str("websocket = true\n");
        }
        // Where the fields of one are not signed, rules that look at fields deny it.
        let mut requests = self.endpoints.keys().filter(|endpoint| !is_login(endpoint));
        let signed = requests.all(|(method, path)| told.signs(method, path).fields);
        if self.raw {
            text.push_str("# Raw MACs were seen, of which a rule that looks at requests denies all: none can say which, and how much.\n");
        } else if signed {
            self.limits(&mut text, told);
        } else {
            text.push_str("# The exchange does not sign the fields of all that was seen: no rule can say which, and how much.\n");
        }
        let [second, minute, day] =
            [Window::Second, Window::Minute, Window::Day].map(|window| self.requests.most_of(window));
        text.push_str(&format!(
            "rate = {{ second = {second}, minute = {minute}, day = {day} }}\n"
        ));
        if !self.raw {
            self.allowed(&mut text, told);
        }
        for (name, amounts) in self.amounts.iter().filter(|_| signed && !self.raw) {
            if amounts.mixed || amounts.unnamed || !(2..=MOST).contains(&amounts.by_symbol.len()) {
                cap(&mut text, name, "", &amounts.all);
                continue;
            }
            for (symbol, taken) in amounts.by_symbol.values() {
                cap(&mut text, name, &format!("symbol = {}\n", quoted(symbol)), taken);
            }
        }
        for (uid, unit) in &self.callers {
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!("unit = {}\n", quoted(unit))
            };
            text.push_str(&format!("\n[[client]]\nuid = {uid}\n{unit}"));
        }
        text
    }

    /// Symbols, units, and what caps let through.
    fn limits(&self, text: &mut String, told: &dyn Told) {
        // A list of them denies an amount that has none beside it, but for changes of orders that are let through.
        let named = !self.symbols.is_empty()
            && self
                .unnamed
                .iter()
                .all(|(method, path)| changes_an_order(method, path, told));
        if named {
            text.push_str(&format!("symbols = {}\n", list(&self.symbols)));
        }
        if !self.values.is_empty() {
            let values = self
                .values
                .iter()
                .map(|(name, values)| format!("{} = {}", quoted(name), list(values)));
            text.push_str(&format!(
                "values = {{ {} }}\n",
                values.collect::<Vec<_>>().join(", ")
            ));
        }
        let free = self.uncapped(told);
        if (named || !self.amounts.is_empty()) && !free.is_empty() {
            text.push_str(&format!("uncapped = {}\n", list(&free)));
        }
    }

    /// What caps would be asked to let through without an amount.
    fn uncapped(&self, told: &dyn Told) -> BTreeSet<String> {
        let mut free = self.spending.clone();
        for ((method, path), Without { names, orders }) in &self.without {
            let signs = told.signs(method, path);
            let places_none = signs.path && signs.method && matches!(method.as_str(), "GET" | "DELETE");
            free.extend(orders.iter().filter(|_| !places_none).cloned());
            let lower = path.to_lowercase();
            let calm = known::is_calm_path(&lower);
            if signs.path {
                let needs_none = told.looks(method, path) || leaves_the_amount(method, &lower, signs.method);
                if !needs_none && (!calm || signs.path_goes_on) {
                    free.extend(paths(told, method, path));
                }
                continue;
            }
            let calm_field = |name: &&String| known::is_calm_field(&folded(name));
            free.extend(names.iter().filter(|name| !calm_field(name)).cloned());
            let otherwise = method != "GET" && !calm && known::TRADES_OTHERWISE.stand_in(&lower);
            if otherwise || known::closes_by_path(&lower) {
                free.insert(path.clone());
            }
        }
        let changes = self.unnamed.iter();
        let changes = changes.filter(|(method, path)| changes_an_order(method, path, told));
        free.extend(changes.flat_map(|(method, path)| paths(told, method, path)));
        for ((method, path), names) in &self.endpoints {
            let has = |name: &str| names.iter().any(|given| folded(given) == name);
            let closings = told.closings(method, path, &has);
            free.extend(closings.into_iter().map(str::to_owned));
        }
        free
    }

    /// The endpoints, with the fields that they were sent with where those can be told.
    fn allowed(&self, text: &mut String, told: &dyn Told) {
        type Rule<'s> = (&'s str, Option<&'s BTreeSet<String>>);
        let mut rules: BTreeMap<Rule<'_>, BTreeSet<String>> = BTreeMap::new();
        let none = BTreeSet::new();
        for (endpoint, names) in &self.endpoints {
            let (method, path) = endpoint;
            let mut signs = told.signs(method, path);
            // Where the path is signed it can be allowed whatever the fields are.
            signs.fields &= !(signs.path && self.unnamable.contains(endpoint));
            if method == "WS" {
                // Of logins it says that they are all there is; without a rule here all requests would pass.
                let names = if signs.fields { names } else { &none };
                rules.entry((method, Some(names))).or_default();
                continue;
            }
            let named = if signs.method { method } else { "" };
            let rule = rules.entry((named, signs.fields.then_some(names))).or_default();
            match (signs.path, signs.fields) {
                (false, false) => _ = rule.insert("*".to_owned()),
                _ => rule.extend(paths(told, method, path)),
            }
        }
        for ((method, names), paths) in rules {
            text.push_str("\n[[allow]]\n");
            if !method.is_empty() {
                text.push_str(&format!("method = {method:?}\n"));
            }
            if !paths.is_empty() {
                text.push_str(&format!("path = {}\n", list(&paths)));
            }
            if let Some(names) = names {
                text.push_str(&format!("fields = {}\n", list(names)));
            }
        }
    }
}

/// Whether it changes an order, which names what it trades, and is told by its path.
fn changes_an_order(method: &str, path: &str, told: &dyn Told) -> bool {
    let lower = path.to_lowercase();
    let signs = told.signs(method, path);
    let changes = known::AMENDS.stand_in(&lower) || signs.method && matches!(method, "PUT" | "PATCH");
    changes && signs.path && lower.contains("order")
}

/// Whether caps let it through as one that takes orders back, or leaves their amounts.
fn leaves_the_amount(method: &str, lower: &str, signed: bool) -> bool {
    let changes = known::AMENDS.stand_in(lower) || signed && matches!(method, "PUT" | "PATCH");
    let leaves = match method {
        "DELETE" if signed => !lower.contains("position"),
        "GET" => false,
        _ => changes && lower.contains("order"),
    };
    leaves && !known::TRADES_OTHERWISE.stand_in(lower)
}

/// The path, and those that what is signed does not tell from it.
fn paths<'p>(told: &'p dyn Told, method: &str, path: &'p str) -> impl Iterator<Item = String> + use<'p> {
    let alike = told.alike(method, path).into_iter();
    let others = alike.filter(move |other| !other.eq_ignore_ascii_case(path));
    std::iter::once(path).chain(others).map(str::to_owned)
}

fn cap(text: &mut String, field: &str, symbol: &str, taken: &Taken) {
    let (most, day) = (taken.most, taken.most_of(Window::Day));
    text.push_str(&format!(
        "\n[[cap]]\nfield = {}\n{symbol}request = \"{most}\"\nday = \"{day}\"\n",
        quoted(field)
    ));
}

fn list(texts: &BTreeSet<String>) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A text that a bot chose as a string of TOML, with nothing in it that a terminal could show as something else.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            ' ' | '!'..='~' => out.push(char),
            char if char.is_alphanumeric() => out.push(char),
            char => out.push_str(&format!("\\U{:08x}", u32::from(char))),
        }
    }
    out.push('"');
    out
}
