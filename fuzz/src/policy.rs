//! A policy file.

use std::time::Duration;

use hsmsign::policy::Policy;

use super::told::told;

/// Runs one input, the text of the file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Policy::parse(text, "policy.toml") {
        Err(error) => {
            told(&error);
            assert!(error.message().starts_with("policy.toml"), "{error}");
        }
        Ok(policy) => {
            assert_eq!(policy.text(), text);
            for warning in policy.warnings(Duration::from_secs(1_790_000_000)) {
                assert!(!warning.is_empty() && !warning.contains('\n'), "{warning}");
            }
            // More rules of these kinds never make it a policy that cannot be read.
            let more = format!("{text}\n[[deny]]\npath = \"*\"\n");
            assert!(
                Policy::parse(&more, "policy.toml").is_ok() || !text.ends_with('\n'),
                "{more}"
            );
        }
    }
}
