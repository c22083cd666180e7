//! Lines of `import --json`, whose strings hsmsign unescapes itself, from locked memory into locked memory.

use hsmsign::{
    enrol::{ImportLine, NewKey},
    error::Error,
    secret::Secret,
};
use serde_json::Value;

use super::told::{hides_place, told};

const SECRETS: [&str; 3] = ["secret", "passphrase", "partner_secret"];

/// Runs one input, a line.
pub fn run(data: &[u8]) {
    // What another reader makes of it.
    let value: Option<Value> = serde_json::from_slice(data).ok();
    let said = |name: &str| value.as_ref().and_then(|value| value.get(name)?.as_str());
    let line = Secret::take(&mut data.to_vec()).unwrap();
    match ImportLine::parse(&line, &NewKey::default()) {
        Err(error) => {
            told(&error, None);
            let text = std::str::from_utf8(data).unwrap_or_default();
            for secret in SECRETS.iter().filter_map(|name| said(name)) {
                // Where it stands once, and as it is.
                let mut places = text.match_indices(secret).map(|(at, _)| at..at + secret.len());
                if let (Some(place), None) = (places.next(), places.next())
                    && !secret.contains('\\')
                {
                    hides_place(text, place, parse_error);
                }
            }
        }
        Ok(line) => {
            let secrets = line.secrets();
            let read = [&secrets.secret, &secrets.passphrase, &secrets.partner_secret];
            for (name, secret) in SECRETS.iter().zip(read) {
                assert_eq!(
                    said(name).map(str::as_bytes),
                    secret.as_ref().map(Secret::expose),
                    "{name}"
                );
            }
            assert!(line.name().is_some());
            assert!(!format!("{line:?}").contains("xpose"));
        }
    }
}

fn parse_error(text: &str) -> Option<Error> {
    let line = Secret::take(&mut text.as_bytes().to_vec()).unwrap();
    ImportLine::parse(&line, &NewKey::default()).err()
}
