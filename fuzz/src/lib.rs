//! What is fuzzed: one module a target, each a function of bytes that panics where a promise is broken.
//!
//! They know nothing of libFuzzer, so that `softhsm-tests/corpus.rs` runs them over the committed corpus as well.

pub mod audit;
pub mod card;
pub mod config;
pub mod import;
mod judging;
pub mod keyring;
pub mod nonce;
mod place;
pub mod policy;
pub mod protocol;
pub mod request;
pub mod rules;
pub mod scheme;
pub mod secret;
mod signing;
mod told;
pub mod uri;

/// A target: its name, as in `fuzz/corpus/NAME`, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("audit", audit::run),
    ("card", card::run),
    ("config", config::run),
    ("import", import::run),
    ("keyring", keyring::run),
    ("nonce", nonce::run),
    ("policy", policy::run),
    ("protocol", protocol::run),
    ("request", request::run),
    ("rules", rules::run),
    ("scheme", scheme::run),
    ("secret", secret::run),
    ("uri", uri::run),
];
