//! What may be the name of a key or a token: it stands in paths, in commands and in files.

/// How a name is to look, for whoever gave another.
pub(crate) const RULE: &str = "use 1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit";

/// Whether a text is `[a-z0-9][a-z0-9._-]{0,62}`.
pub(crate) fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(legal)
        && bytes.all(|byte| legal(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_contract_says() {
        for good in ["kraken", "a", "0", "kraken-main.2_x", &"a".repeat(63)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            ".a",
            "A",
            "a b",
            "a/b",
            "ä",
            "..",
            "a\n",
            &"a".repeat(64),
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
