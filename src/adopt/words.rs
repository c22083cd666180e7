//! The words of a field's name, and what they say: what the field holds, and of which exchange.

use std::{ops::Range, sync::Arc};

use crate::exchange::{Catalogue, Scheme, impossible};

/// What a field of an API key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Secret,
    ApiKey,
    Passphrase,
    UserId,
}

/// The names of each role, in small letters and without what stands between words.
const ROLES: [(Role, &[&str]); 4] = [
    (
        Role::Secret,
        &[
            "secret",
            "apisecret",
            "secretkey",
            "apisecretkey",
            "privatekey",
            "apiprivatekey",
            "secretaccesskey",
            "clientsecret",
            "apikeysecret",
            "secretapikey",
        ],
    ),
    (
        Role::ApiKey,
        &[
            "apikey",
            "key",
            "accesskey",
            "apikeyid",
            "accesskeyid",
            "clientid",
            "apiid",
            "publickey",
            "apipublickey",
            "keyid",
        ],
    ),
    (
        Role::Passphrase,
        &[
            "passphrase",
            "password",
            "apipassphrase",
            "apipassword",
            "secretpassphrase",
        ],
    ),
    (Role::UserId, &["uid", "userid", "customerid", "accountid"]),
];

/// The names under which the exchange itself is written.
const NAMING: [&str; 8] = [
    "name",
    "id",
    "exchange",
    "exchangeid",
    "exchangename",
    "connector",
    "ccxtid",
    "venue",
];

/// The words of a name: `KRAKEN_API_KEY`, `krakenApiKey` and `kraken-api-key` have the same three.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
        if !letter.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What the words say that a field holds, and the words that are left.
pub(super) fn role(words: &[String]) -> Option<(Role, Vec<String>)> {
    runs(words).find_map(|run| {
        let name = words[run.clone()].concat();
        let (role, _) = ROLES.iter().find(|(_, names)| names.contains(&name.as_str()))?;
        Some((*role, [&words[..run.start], &words[run.end..]].concat()))
    })
}

/// Whether a field of this name says which exchange it is.
pub(super) fn names_exchange(name: &str) -> bool {
    NAMING.contains(&words(name).concat().as_str())
}

/// An exchange that words name.
pub(super) enum Named {
    /// One that can be signed for, and the words besides.
    Known(Arc<Scheme>, Vec<String>),
    /// One that hsmsign cannot sign for, and why.
    Impossible(String),
}

/// The exchange that the words name, if any.
pub(super) fn exchange(words: &[String], catalogue: &Catalogue) -> Option<Named> {
    runs(words).find_map(|run| {
        let parts = &words[run.clone()];
        let rest = [&words[..run.start], &words[run.end..]].concat();
        [parts.concat(), parts.join("-"), parts.join("")]
            .iter()
            .find_map(|name| {
                if let Some(known) = impossible().iter().find(|known| known.id == name) {
                    return Some(Named::Impossible(format!("{} {}", known.name, known.why)));
                }
                catalogue
                    .get(name)
                    .ok()
                    .map(|scheme| Named::Known(scheme, rest.clone()))
            })
    })
}

/// The runs of neighbouring words, the longest first.
fn runs(words: &[String]) -> impl Iterator<Item = Range<usize>> {
    let count = words.len();
    (1..=count.min(4))
        .rev()
        .flat_map(move |length| (0..=count - length).map(move |start| start..start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words_however_they_are_written() {
        for name in [
            "KRAKEN_API_KEY",
            "krakenApiKey",
            "kraken-api-key",
            "Kraken.Api.Key",
        ] {
            assert_eq!(words(name), ["kraken", "api", "key"], "{name}");
        }
        assert_eq!(words("__"), Vec::<String>::new());
    }

    #[test]
    fn a_role_is_known_by_its_longest_name() {
        for (name, wanted, rest) in [
            ("KRAKEN_API_SECRET_KEY", Role::Secret, "kraken"),
            ("apiKey", Role::ApiKey, ""),
            ("KEY", Role::ApiKey, ""),
            ("BINANCE_SECRET_MAIN", Role::Secret, "binance main"),
            ("OKX_PASSPHRASE", Role::Passphrase, "okx"),
            ("uid", Role::UserId, ""),
        ] {
            let (role, left) = role(&words(name)).unwrap();
            assert_eq!((role, left.join(" ").as_str()), (wanted, rest), "{name}");
        }
        assert!(role(&words("TELEGRAM_TOKEN")).is_none());
    }
}
