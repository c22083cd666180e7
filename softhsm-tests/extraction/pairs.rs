//! Private keys for a token, as exchanges take them.

use crate::{expected, user::User};

/// Each kind of key, an exchange that takes such ones, and one of them.
pub const KEYS: [(&str, &str, &str); 3] = [
    ("ed25519", "binance", include_str!("../data/keys/ed25519.pem")),
    ("p256", "coinbase", include_str!("../data/keys/p256.pem")),
    ("rsa2048", "binance", include_str!("../data/keys/rsa2048.pem")),
];

/// Stores a key named `stored`.
pub fn import(user: &User, exchange: &str, algorithm: &str, pem: &str) -> bool {
    let args = [
        "import",
        "--exchange",
        exchange,
        "--algorithm",
        algorithm,
        "--key",
        "stored",
        "--api-key",
        "a",
    ];
    let done = user.run(&args, pem);
    assert_eq!(done.code, 0, "{done:?}");
    true
}

/// Makes a key named `made`, where an exchange takes such ones: none takes a P-256 key that a token made.
pub fn generate(user: &User, algorithm: &str) -> bool {
    if algorithm == "p256" {
        return false;
    }
    let args = [
        "generate",
        "--exchange",
        "binance",
        "--algorithm",
        algorithm,
        "--key",
        "made",
    ];
    let done = user.run(&args, "");
    assert_eq!(done.code, 0, "{done:?}");
    true
}

/// How many keys a token is tried with: each kind that it has stored, and but for P-256 made.
pub fn on(token: &str) -> usize {
    let kinds = expected::PAIRS.iter().filter(|(name, _)| name.starts_with(token));
    kinds.map(|(_, kind)| if *kind == "p256" { 1 } else { 2 }).sum()
}
