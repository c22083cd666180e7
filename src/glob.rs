//! Patterns for paths and values: `*` stands for any characters, everything else for itself.

/// Whether the whole text fits the pattern.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    if pattern == text {
        return true;
    }
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // What stands behind the last star must be the text's end. Most patterns are told by that.
    while let Some((last, rest)) = pattern.split_last()
        && *last != b'*'
    {
        match text.split_last() {
            Some((end, before)) if end == last => (pattern, text) = (rest, before),
            _ => return false,
        }
    }
    if pattern.is_empty() {
        return text.is_empty();
    }
    used_up(pattern, walk(pattern, text, false))
}

/// Whether a beginning of the text fits the pattern.
pub(crate) fn fits_beginning(pattern: &str, text: &str) -> bool {
    used_up(
        pattern.as_bytes(),
        walk(pattern.as_bytes(), text.as_bytes(), true),
    )
}

/// Whether some text that begins with this one fits the pattern.
pub(crate) fn begins(pattern: &str, text: &str) -> bool {
    walk(pattern.as_bytes(), text.as_bytes(), false).is_some()
}

/// Whether pattern and text part before the pattern's first star, so that neither the text, nor a beginning of it, nor a text
/// that goes on from it fits. Most rules are about another path, and this is told by their first characters.
pub(crate) fn parts(pattern: &str, text: &str) -> bool {
    let mut pairs = pattern
        .bytes()
        .zip(text.bytes())
        .take_while(|(one, _)| *one != b'*');
    pairs.any(|(one, other)| one != other)
}

fn used_up(pattern: &[u8], walked: Option<usize>) -> bool {
    walked.is_some_and(|rest| pattern[rest..].iter().all(|byte| *byte == b'*'))
}

/// How much of the pattern the text uses up, or a beginning of it where that is enough; nothing if it cannot.
fn walk(pattern: &[u8], text: &[u8], beginning: bool) -> Option<usize> {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() && !(beginning && p == pattern.len()) {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return None;
        }
    }
    Some(p)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{begins, fits, fits_beginning, parts};

    /// The same, one character after the other from the front.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((b'*', rest)), _) => (0..=text.len()).any(|from| plainly(rest, &text[from..])),
            (Some((one, rest)), Some((other, behind))) => one == other && plainly(rest, behind),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_as_its_characters_do(pattern in "[ab/*]{0,7}", text in "[ab/*]{0,7}") {
            prop_assert_eq!(fits(&pattern, &text), plainly(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn what_parts_fits_in_no_way(pattern in "[ab/*]{0,6}", text in "[ab/*]{0,6}") {
            if parts(&pattern, &text) {
                prop_assert!(!fits(&pattern, &text) && !fits_beginning(&pattern, &text) && !begins(&pattern, &text));
            }
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("", ""),
            ("/a", "/a"),
            ("/a*", "/a"),
            ("/a*", "/a/b/c"),
            ("/*/b", "/a/b/b"),
            ("*x*y", "axbxyy"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
            for more in ["", "b", "/b/c"] {
                assert!(
                    fits_beginning(pattern, &format!("{text}{more}")),
                    "{pattern} {text}{more}"
                );
            }
        }
        for (pattern, text) in [
            ("/a", "/ab"),
            ("/a*b", "/a"),
            ("", "a"),
            ("/a/*", "/a"),
            ("*x", "xy"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
            assert_eq!(
                fits_beginning(pattern, text),
                fits(&format!("{pattern}*"), text),
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_beginning_may_go_on_to_fit() {
        for (pattern, text) in [("/ab", "/a"), ("/ab", "/ab"), ("/a*b", "/axx"), ("/ab*", "/abc")] {
            assert!(begins(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("/ab", "/abc"), ("/ab", "/b"), ("/a*b", "x")] {
            assert!(!begins(pattern, text), "{pattern} {text}");
        }
    }
}
