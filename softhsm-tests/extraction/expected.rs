//! What each token answers to each attack, and the table of docs/tokens.md that is made of it.

use std::{fs, path::PathBuf};

/// The tokens, as the table's heads name them.
pub const TOKENS: [&str; 4] = [
    "SoftHSM 2.6.1",
    "kryoptic 1.5.4",
    "NSS softokn 3.87",
    "opencryptoki 3.8.1, software token",
];

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

/// The private keys of each token, as the second table's heads name them.
pub const PAIRS: [(&str, &str); 7] = [
    ("SoftHSM 2.6.1", "ed25519"),
    ("SoftHSM 2.6.1", "p256"),
    ("SoftHSM 2.6.1", "rsa2048"),
    ("kryoptic 1.5.4", "p256"),
    ("kryoptic 1.5.4", "rsa2048"),
    ("NSS softokn 3.87", "p256"),
    ("NSS softokn 3.87", "rsa2048"),
];

/// Verdicts on private keys by attack, a column a kind of key on a token.
#[rustfmt::skip]
pub const PAIR_VERDICTS: [(&str, [&str; 7]); 11] = [
    ("pair-read",               ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted"]),
    ("pair-wrap-aes",           ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "leaked",         "leaked"]),
    ("pair-wrap-rsa",           ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "leaked",         "resisted"]),
    ("pair-digest-key",         ["guess-oracle",   "guess-oracle",   "resisted",       "resisted",       "resisted",       "resisted",       "resisted"]),
    ("pair-derive",             ["resisted",       "resisted",       "not-applicable", "leaked",         "resisted",       "leaked",         "resisted"]),
    ("pair-decrypt",            ["not-applicable", "not-applicable", "resisted",       "not-applicable", "resisted",       "not-applicable", "weakened"]),
    ("pair-other-signatures",   ["not-applicable", "not-applicable", "resisted",       "resisted",       "resisted",       "weakened",       "weakened"]),
    ("pair-change-protection",  ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted"]),
    ("pair-change-uses",        ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "resisted"]),
    ("pair-copy",               ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "leaked",         "leaked"]),
    ("pair-same-id",            ["resisted",       "resisted",       "resisted",       "resisted",       "resisted",       "weakened",       "weakened"]),
];

/// The verdicts on keys of one kind on a token; none where it has no such keys.
pub fn of_pairs(token: &str, algorithm: &str) -> Option<Vec<(String, String)>> {
    let column = PAIRS
        .iter()
        .position(|(name, kind)| name.starts_with(token) && *kind == algorithm)?;
    let verdicts = PAIR_VERDICTS
        .iter()
        .map(|(attack, verdicts)| ((*attack).to_owned(), verdicts[column].to_owned()));
    Some(verdicts.collect())
}

/// The verdicts of one token.
pub fn of(token: &str) -> Vec<(String, String)> {
    let column = TOKENS.iter().position(|name| name.starts_with(token)).unwrap();
    VERDICTS
        .iter()
        .map(|(attack, verdicts)| ((*attack).to_owned(), verdicts[column].to_owned()))
        .collect()
}

/// Whether anything leaks.
pub fn leaks(verdicts: &[(String, String)]) -> bool {
    verdicts.iter().any(|(_, verdict)| verdict == "leaked")
}

fn table<'a>(
    heads: &[String],
    rows: impl Iterator<Item = (&'a str, &'a [&'a str])>,
    does: &dyn Fn(&str) -> String,
) -> String {
    let mut text = format!("| attack | what it does | {} |\n", heads.join(" | "));
    text.push_str(&format!("|{}\n", "---|".repeat(heads.len() + 2)));
    for (attack, verdicts) in rows {
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

/// Holds the tables of docs/tokens.md against the verdicts; with HSMSIGN_DOCS=write writes them.
pub fn check_page(does: &dyn Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/tokens.md");
    let page = fs::read_to_string(&path).unwrap();
    let macs = table(
        &TOKENS.map(str::to_owned),
        VERDICTS.iter().map(|(attack, verdicts)| (*attack, &verdicts[..])),
        does,
    );
    let pairs = table(
        &PAIRS.map(|(token, algorithm)| format!("{token}, {algorithm}")),
        PAIR_VERDICTS
            .iter()
            .map(|(attack, verdicts)| (*attack, &verdicts[..])),
        does,
    );
    let wanted = [("extraction suite", macs), ("extraction suite on pairs", pairs)]
        .into_iter()
        .fold(page.clone(), |page, (mark, table)| {
            with_table(&page, mark, &table)
        });
    if std::env::var("HSMSIGN_DOCS").as_deref() == Ok("write") {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "the tables of docs/tokens.md are not what the suite finds; write them anew: HSMSIGN_DOCS=write cargo test --test extraction"
    );
}

/// The page with this table between its marks.
fn with_table(page: &str, mark: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {mark}: begin -->"), format!("<!-- {mark}: end -->"));
    let (before, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("docs/tokens.md has no {begin}"));
    let (_, after) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("docs/tokens.md has no {end}"));
    format!("{before}{begin}\n{table}{end}{after}")
}
