//! Rules in the order of their file, and those of them that may be about a path, found without a look at each.

use std::ops::Deref;

/// Rules in their order.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Listed<R> {
    all: Vec<R>,
    /// In the order of their texts, each once.
    beginnings: Vec<Beginning>,
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
        Self { all, beginnings }
    }

    /// The rules with their numbers: all, or those of which a pattern does not part from the path before its first star.
    pub fn about(&self, path: Option<&str>) -> impl Iterator<Item = (usize, &R)> {
        let (only, several, all) = match path {
            None => (None, Vec::new(), 0..self.all.len()),
            Some(path) => {
                let mut found = self.found(path);
                match (found.next(), found.next()) {
                    (only, None) => (only, Vec::new(), 0..0),
                    (first, second) => {
                        let mut several: Vec<usize> = first.into_iter().chain(second).chain(found).collect();
                        several.sort_unstable();
                        several.dedup();
                        (None, several, 0..0)
                    }
                }
            }
        };
        only.into_iter()
            .chain(several)
            .chain(all)
            .map(|at| (at, &self.all[at]))
    }

    /// The numbers of the rules about a path, in no order; one may stand there twice.
    fn found(&self, path: &str) -> impl Iterator<Item = usize> {
        let behind = self.beginnings.partition_point(|one| one.text.as_str() <= path);
        // What the path begins with is the last text that is not behind it, or stands above that.
        let shorter = up(&self.beginnings, behind.checked_sub(1));
        let shorter = shorter
            .map(|at| &self.beginnings[at])
            .filter(move |one| path.starts_with(&one.text));
        let longer = self.beginnings[behind..]
            .iter()
            .take_while(move |one| one.text.starts_with(path));
        shorter.chain(longer).flat_map(|one| one.rules.iter().copied())
    }
}

#[cfg(test)]
impl<R> Listed<R> {
    /// Has every rule be about every path.
    pub fn go_through(&mut self) {
        self.beginnings = vec![Beginning {
            text: String::new(),
            above: None,
            rules: (0..self.all.len()).collect(),
        }];
    }
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
            rules in prop::collection::vec(prop::collection::vec("[/*][ab/*]{0,4}", 0..3), 0..12),
            path in "/[ab/]{0,5}",
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
