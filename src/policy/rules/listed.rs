//! Rules in the order of their file, and those of them that may be about a path, found without a look at each.

use std::ops::Deref;

/// Rules in their order.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Listed<R> {
    all: Vec<R>,
    /// In the order of their texts, each once.
    beginnings: Vec<Beginning>,
    /// How many bytes all those texts begin with together.
    common: usize,
    /// What follows that in each, [`key`]: side by side, so that a search does not go to each text.
    keys: Vec<u64>,
}

/// What stands in front of the first star of some patterns.
#[derive(Debug, Clone)]
struct Beginning {
    text: String,
    /// The longest other one that this begins with.
    above: Option<usize>,
    /// The rules that have such a pattern, by number; a rule for every path has an empty one.
    rules: Vec<usize>,
}

impl<R> Default for Listed<R> {
    fn default() -> Self {
        Self::new(Vec::new(), |_| &[])
    }
}

impl<R> Deref for Listed<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.all
    }
}

impl<R> Listed<R> {
    /// Rules, each for the paths that fit one of its patterns, or for every path where it has none.
    pub fn new(all: Vec<R>, patterns: impl Fn(&R) -> &[String]) -> Self {
        let begin = |pattern: &String| pattern.split('*').next().unwrap_or_default().to_owned();
        let mut pairs: Vec<(String, usize)> = Vec::new();
        for (at, rule) in all.iter().enumerate() {
            match patterns(rule) {
                [] => pairs.push((String::new(), at)),
                patterns => pairs.extend(patterns.iter().map(|pattern| (begin(pattern), at))),
            }
        }
        pairs.sort();
        pairs.dedup();
        let mut beginnings: Vec<Beginning> = Vec::new();
        for (text, rule) in pairs {
            match beginnings.last_mut() {
                Some(last) if last.text == text => last.rules.push(rule),
                last => {
                    let before = last.is_some().then(|| beginnings.len() - 1);
                    let above = up(&beginnings, before).find(|at| text.starts_with(&beginnings[*at].text));
                    beginnings.push(Beginning {
                        text,
                        above,
                        rules: vec![rule],
                    });
                }
            }
        }
        Self::of(all, beginnings)
    }

    fn of(all: Vec<R>, beginnings: Vec<Beginning>) -> Self {
        let ends = beginnings.first().zip(beginnings.last());
        // In order, so that what the first and the last have together all have.
        let common = ends.map_or(0, |(first, last)| {
            let mut pairs = first.text.bytes().zip(last.text.bytes());
            pairs
                .position(|(one, other)| one != other)
                .unwrap_or(first.text.len())
        });
        let keys = beginnings
            .iter()
            .map(|one| key(&one.text.as_bytes()[common..]))
            .collect();
        Self {
            all,
            beginnings,
            common,
            keys,
        }
    }

    /// The rules with their numbers: all, or those of which a pattern does not part from the path before its first star.
    pub fn about(&self, path: Option<&str>) -> impl Iterator<Item = (usize, &R)> {
        let (few, all) = match path {
            Some(path) => (self.found(path), 0..0),
            None => (Found::default(), 0..self.all.len()),
        };
        let few = few.only.into_iter().chain(few.several);
        few.chain(all).map(|at| (at, &self.all[at]))
    }

    /// How many of the texts stand before the path in order, or are it.
    fn behind(&self, path: &str) -> usize {
        let Some(first) = self.beginnings.first() else {
            return 0;
        };
        let common = &first.text.as_bytes()[..self.common];
        let Some(rest) = path.as_bytes().strip_prefix(common) else {
            return if path.as_bytes() < common {
                0
            } else {
                self.keys.len()
            };
        };
        let wanted = key(rest);
        let from = self.keys.partition_point(|key| *key < wanted);
        let alike = self.keys[from..].iter().take_while(|key| **key == wanted).count();
        from + self.beginnings[from..from + alike].partition_point(|one| one.text.as_str() <= path)
    }

    fn found(&self, path: &str) -> Found {
        let mut found = Found::default();
        let behind = self.behind(path);
        // What the path begins with is the last text that is not behind it, or stands above that.
        for at in up(&self.beginnings, behind.checked_sub(1)) {
            let one = &self.beginnings[at];
            if path.starts_with(&one.text) {
                found.add(&one.rules);
            }
        }
        for one in &self.beginnings[behind..] {
            if !one.text.starts_with(path) {
                break;
            }
            found.add(&one.rules);
        }
        found.several.sort_unstable();
        found.several.dedup();
        found
    }
}

/// The numbers of rules that were found; one alone, as there mostly is, takes no memory.
#[derive(Default)]
struct Found {
    only: Option<usize>,
    several: Vec<usize>,
}

impl Found {
    fn add(&mut self, rules: &[usize]) {
        match (rules, self.only, self.several.is_empty()) {
            ([one], None, true) => self.only = Some(*one),
            _ => {
                self.several.extend(self.only.take());
                self.several.extend_from_slice(rules);
            }
        }
    }
}

#[cfg(test)]
impl<R> Listed<R> {
    /// Has every rule be about every path.
    pub fn go_through(&mut self) {
        let every = Beginning {
            text: String::new(),
            above: None,
            rules: (0..self.all.len()).collect(),
        };
        *self = Self::of(std::mem::take(&mut self.all), vec![every]);
    }
}

/// The first bytes of a text as a number; of two texts that differ in it, the one that is first in order has the lower.
fn key(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(first.len());
    first[..len].copy_from_slice(&text[..len]);
    u64::from_be_bytes(first)
}

/// A beginning and those above it.
fn up(all: &[Beginning], from: Option<usize>) -> impl Iterator<Item = usize> {
    std::iter::successors(from, |at| all[*at].above)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether they differ before the pattern's first star.
    fn parts(pattern: &str, path: &str) -> bool {
        let mut pairs = pattern
            .chars()
            .zip(path.chars())
            .take_while(|(one, _)| *one != '*');
        pairs.any(|(one, other)| one != other)
    }

    proptest! {
        #[test]
        fn the_rules_about_a_path_are_those_whose_patterns_do_not_part_from_it(
            rules in prop::collection::vec(prop::collection::vec("(/aa)?[/*][ab/*]{0,4}(abababab)?[ab]?", 0..3), 0..12),
            path in "(/aa)?/[ab/]{0,5}(abababab)?[ab]?",
        ) {
            let listed = Listed::new(rules.clone(), |patterns| patterns);
            let found: Vec<usize> = listed.about(Some(&path)).map(|(at, _)| at).collect();
            let plainly: Vec<usize> = (0..rules.len())
                .filter(|at| rules[*at].is_empty() || rules[*at].iter().any(|pattern| !parts(pattern, &path)))
                .collect();
            prop_assert_eq!(found, plainly);
            prop_assert_eq!(listed.about(None).count(), rules.len());
        }
    }
}
