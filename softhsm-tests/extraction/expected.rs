//! What each token answers to each attack, and the table of docs/tokens.md that is made of it.

use std::{fs, path::PathBuf};

/// The tokens, as the table's heads name them.
pub const TOKENS: [&str; 4] = [
    "SoftHSM 2.6.1",
    "kryoptic 1.5.4",
    "NSS softokn 3.87",
    "opencryptoki 3.8.1, software token",
];

const BEGIN: &str = "<!-- extraction suite: begin -->";
const END: &str = "<!-- extraction suite: end -->";

/// Verdicts by attack, a column a token. What changes here is worth a look, in either direction.
#[rustfmt::skip]
pub const VERDICTS: [(&str, [&str; 4]); 19] = [
    ("read-value",        ["resisted",       "resisted",     "resisted",     "resisted"]),
    ("wrap-aes",          ["resisted",       "resisted",     "leaked",       "resisted"]),
    ("wrap-rsa",          ["resisted",       "resisted",     "leaked",       "resisted"]),
    ("digest-key",        ["guess-oracle",   "guess-oracle", "guess-oracle", "guess-oracle"]),
    ("digest-key-state",  ["resisted",       "resisted",     "leaked",       "leaked"]),
    ("mac-state",         ["not-applicable", "resisted",     "resisted",     "weakened"]),
    ("derive-with-data",  ["not-applicable", "resisted",     "leaked",       "not-applicable"]),
    ("derive-as-base",    ["not-applicable", "resisted",     "leaked",       "not-applicable"]),
    ("derive-as-second",  ["not-applicable", "leaked",       "leaked",       "not-applicable"]),
    ("derive-extract",    ["not-applicable", "resisted",     "leaked",       "not-applicable"]),
    ("derive-hash",       ["not-applicable", "resisted",     "weakened",     "not-applicable"]),
    ("derive-hkdf",       ["not-applicable", "resisted",     "weakened",     "not-applicable"]),
    ("other-macs",        ["resisted",       "resisted",     "weakened",     "weakened"]),
    ("truncated-macs",    ["not-applicable", "resisted",     "resisted",     "weakened"]),
    ("search-value",      ["guess-oracle",   "resisted",     "resisted",     "guess-oracle"]),
    ("change-protection", ["resisted",       "resisted",     "resisted",     "resisted"]),
    ("change-uses",       ["resisted",       "resisted",     "resisted",     "resisted"]),
    ("copy",              ["resisted",       "resisted",     "leaked",       "weakened"]),
    ("same-id",           ["resisted",       "resisted",     "weakened",     "resisted"]),
];

/// The verdicts of one token.
pub fn of(token: &str) -> Vec<(String, String)> {
    let column = TOKENS.iter().position(|name| name.starts_with(token)).unwrap();
    VERDICTS
        .iter()
        .map(|(attack, verdicts)| ((*attack).to_owned(), verdicts[column].to_owned()))
        .collect()
}

/// Whether anything leaks from a token.
pub fn leaks(token: &str) -> bool {
    of(token).iter().any(|(_, verdict)| verdict == "leaked")
}

fn table(does: &dyn Fn(&str) -> String) -> String {
    let mut text = format!("| attack | what it does | {} |\n", TOKENS.join(" | "));
    text.push_str(&format!("|{}\n", "---|".repeat(TOKENS.len() + 2)));
    for (attack, verdicts) in VERDICTS {
        let cells: Vec<_> = verdicts
            .iter()
            .map(|verdict| match *verdict {
                "leaked" => "**LEAKED**",
                "not-applicable" => "not there",
                other => other,
            })
            .collect();
        text.push_str(&format!(
            "| `{attack}` | {} | {} |\n",
            does(attack),
            cells.join(" | ")
        ));
    }
    text
}

/// Holds the table of docs/tokens.md against the verdicts; with HSMSIGN_DOCS=write writes it.
pub fn check_page(does: &dyn Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/tokens.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("docs/tokens.md has the mark of the table's begin");
    let (now, after) = rest
        .split_once(END)
        .expect("docs/tokens.md has the mark of the table's end");
    let wanted = format!("\n{}", table(does));
    if std::env::var("HSMSIGN_DOCS").as_deref() == Ok("write") {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(
        now == wanted,
        "the table of docs/tokens.md is not what the suite finds; write it anew: HSMSIGN_DOCS=write cargo test --test extraction"
    );
}
