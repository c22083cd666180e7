//! Keys on tokens that do not open.

use super::Report;
use crate::keyring::{KeyName, Keyring, Pair};

/// How many names are told.
const MOST: usize = 8;

impl Report {
    /// Tells them together: each would ask for the PIN again, and say the same.
    pub(super) fn not_looked_at(&mut self, keyring: &dyn Keyring, names: &[KeyName], closed: &[&str]) {
        for token in closed {
            let on = |pair: &Pair| pair.copies.iter().any(|copy| copy.token == *token);
            let there = |name: &&KeyName| {
                keyring
                    .get(name)
                    .is_ok_and(|record| record.pairs().any(|(_, pair)| on(pair)))
            };
            let keys: Vec<_> = names.iter().filter(there).map(KeyName::as_str).collect();
            if !keys.is_empty() {
                self.note(
                    format!(
                        "not looked at, since token {token} does not open: {}",
                        shown(&keys)
                    ),
                    None,
                );
            }
        }
    }
}

/// Some of these names, and how many more there are.
fn shown(names: &[&str]) -> String {
    let (first, more) = names.split_at(names.len().min(MOST));
    match more.len() {
        0 => format!("the keys {}", first.join(", ")),
        more => format!("the keys {} and {more} more", first.join(", ")),
    }
}
