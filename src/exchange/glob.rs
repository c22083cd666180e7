//! Patterns for paths: `*` stands for any characters, everything else for itself.

/// Whether the whole text fits the pattern.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
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
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

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
        }
        for (pattern, text) in [
            ("/a", "/ab"),
            ("/a*b", "/a"),
            ("", "a"),
            ("/a/*", "/a"),
            ("*x", "xy"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
