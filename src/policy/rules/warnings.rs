//! What the owner of a policy should know of it.

use std::time::Duration;

use super::Policy;
use crate::policy::known;

impl Policy {
    /// What the owner should know of the file: rules that can never match, and rules that say less than they seem to.
    pub fn warnings(&self, now: Duration) -> Vec<String> {
        let mut warnings = Vec::new();
        for client in self.clients.iter().flatten() {
            let name = client.executable.as_ref().and_then(|path| path.file_name());
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
