//! What the owner of a policy should know of it.

use std::time::Duration;

use super::Policy;
use crate::{
    caller::is_unit,
    policy::{decimal::Amount, known},
};

impl Policy {
    /// What the owner should know of the file: rules that can never match, and rules that say less than they seem to.
    pub fn warnings(&self, now: Duration) -> Vec<String> {
        let mut warnings = Vec::new();
        for client in self.clients.iter().flatten() {
            if let Some(unit) = client.unit.as_deref().filter(|unit| !is_unit(unit)) {
                warnings.push(format!(
                    "client: the unit {unit:?} can never match; write it with its kind, as bot.service"
                ));
            }
            let path = client.executable.as_deref();
            if let Some((path, real)) = path.and_then(|path| Some((path, path.canonicalize().ok()?)))
                && path != real
            {
                warnings.push(format!(
                    "client: {} can never match here, since it is a link or behind one, and the kernel tells the program itself; write {}",
                    path.display(),
                    real.display()
                ));
            }
            let name = path.and_then(std::path::Path::file_name);
            if let Some(name) = name.map(std::ffi::OsStr::to_string_lossy)
                && known::is_interpreter(&name)
            {
                warnings.push(format!(
                    "client: {name} runs whatever script it is given; name a `uid`, a `unit` or a `cgroup` instead"
                ));
            }
        }
        if let Some((until, shown)) = &self.expires
            && *until <= now.as_secs()
        {
            warnings.push(format!("expires: {shown} is over, so nothing is signed"));
        }
        for (name, empty) in [
            ("allow", self.allow.as_ref().is_some_and(|allow| allow.is_empty())),
            ("client", self.clients.as_ref().is_some_and(Vec::is_empty)),
            ("symbols", self.symbols.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if empty {
                warnings.push(format!("{name}: the list is empty, so it lets nothing through"));
            }
        }
        for (_, shown, _) in self.values.iter().filter(|(.., values)| values.is_empty()) {
            warnings.push(format!(
                "values.{shown}: the list is empty, so no request may have the field"
            ));
        }
        for rate in self.rates.iter().filter(|rate| rate.most == Amount::default()) {
            warnings.push(format!("rate.{}: it lets nothing through", rate.window.name()));
        }
        for value in self.symbols.iter().flatten().filter(|symbol| is_odd(symbol)) {
            warnings.push(format!(
                "symbols: {value:?} can hardly match; values are compared whole, and `*` stands for itself"
            ));
        }
        for (at, rule) in self.allow.as_deref().into_iter().flatten().enumerate() {
            if let Some(deny) = self.deny.iter().position(|deny| deny.covers(rule)) {
                warnings.push(format!(
                    "allow {}: it can never match, since deny {} is for all of it",
                    at + 1,
                    deny + 1
                ));
            }
        }
        for (at, cap) in self.caps.iter().enumerate() {
            if let (Some(request), Some(day)) = (cap.request, &cap.day)
                && request > day.most
            {
                warnings.push(format!(
                    "cap {}: a request may have more than a day, so only `day` counts",
                    at + 1
                ));
            }
            let other = |symbol: &String| {
                self.symbols
                    .as_ref()
                    .is_some_and(|symbols| !symbols.contains(symbol))
            };
            for value in cap.symbols.iter().filter(|symbol| is_odd(symbol)) {
                warnings.push(format!(
                    "cap {}: {value:?} can hardly match; values are compared whole, and `*` stands for itself",
                    at + 1
                ));
            }
            if !cap.symbols.is_empty() && cap.symbols.iter().all(other) {
                warnings.push(format!(
                    "cap {}: it can never match, since `symbols` has none of its own",
                    at + 1
                ));
            }
        }
        warnings
    }
}

/// Whether a value is written as no request's can be expected to be.
fn is_odd(value: &str) -> bool {
    value.is_empty() || value.trim() != value || value.contains('*')
}
