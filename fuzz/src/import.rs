//! Lines of `import --json`, whose strings hsmsign unescapes itself, from locked memory into locked memory.

use hsmsign::{
    enrol::{ImportLine, NewKey},
    secret::Secret,
};
use serde_json::Value;

use super::told::told;

const SECRETS: [&str; 3] = ["secret", "passphrase", "partner_secret"];

/// Runs one input, a line.
pub fn run(data: &[u8]) {
    // What another reader makes of it.
    let value: Option<Value> = serde_json::from_slice(data).ok();
    let said = |name: &str| value.as_ref().and_then(|value| value.get(name)?.as_str());
    let line = Secret::take(&mut data.to_vec()).unwrap();
    match ImportLine::parse(&line, &NewKey::default()) {
        Err(error) => told(&error, &SECRETS.map(|name| said(name).unwrap_or_default())),
        Ok(line) => {
            let secrets = line.secrets();
            let read = [&secrets.secret, &secrets.passphrase, &secrets.partner_secret];
            assert!(secrets.secret.is_some());
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
