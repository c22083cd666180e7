//! A line of `import --json`: read in place, so that its secrets are copied from locked memory to locked memory only.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Enrol, Enrolled, NewKey, Secrets};
use crate::{
    error::{Result, bad_input},
    keyring::KeyName,
    secret::{Secret, traceless},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(borrow)]
    exchange: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
    api_key: Option<&'a RawValue>,
    secret: Option<&'a RawValue>,
    passphrase: Option<&'a RawValue>,
    algorithm: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    partner: Option<&'a RawValue>,
    partner_secret: Option<&'a RawValue>,
    allow: Option<Vec<&'a RawValue>>,
}

/// What tells of a line that is wrong elsewhere which key it is about. The rest is passed over where it lies.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    exchange: Option<&'a RawValue>,
    key: Option<&'a RawValue>,
}

/// One key to import, its secrets in locked memory.
#[derive(Debug)]
pub struct ImportLine {
    new: NewKey,
    secrets: Secrets,
}

impl ImportLine {
    /// Reads a line; what it leaves out comes from `flags`.
    ///
    /// # Errors
    /// When it is no object of the fields there are. The error shows nothing of the line but a field's name.
    pub fn parse(line: &Secret, flags: &NewKey) -> Result<Self> {
        traceless(|| Self::read(line, flags))
    }

    /// As [`ImportLine::name`], of a line that cannot be read otherwise; none where that is no name.
    pub fn name_in(line: &Secret, flags: &NewKey) -> Option<String> {
        let called: Called<'_> = traceless(|| serde_json::from_slice(line.expose())).ok()?;
        let name = match (called.key, &flags.name, called.exchange) {
            (Some(key), _, _) => text(key, "key").ok()?,
            (None, Some(name), _) => name.to_string(),
            (None, None, Some(exchange)) => text(exchange, "exchange").ok()?,
            (None, None, None) => flags.exchange.clone(),
        };
        name.parse::<KeyName>().ok().map(|name| name.to_string())
    }

    fn read(line: &Secret, flags: &NewKey) -> Result<Self> {
        let raw: Raw<'_> = serde_json::from_slice(line.expose()).map_err(|error| told(&error))?;
        let mut new = flags.clone();
        if let Some(exchange) = raw.exchange {
            new.exchange = text(exchange, "exchange")?;
        }
        if new.exchange.is_empty() {
            return Err(bad_input("the line names no exchange").fix("add \"exchange\", or give --exchange"));
        }
        if let Some(key) = raw.key {
            new.name = Some(text(key, "key")?.parse()?);
        }
        if let Some(api_key) = raw.api_key {
            new.api_key = Some(text(api_key, "api_key")?);
        }
        if let Some(algorithm) = raw.algorithm {
            new.algorithm = Some(text(algorithm, "algorithm")?.parse()?);
        }
        if let Some(allow) = raw.allow {
            new.allow = allow
                .iter()
                .map(|allow| text(allow, "allow")?.parse())
                .collect::<Result<_>>()?;
        }
        let mut extra: BTreeMap<String, String> = new.extra.clone();
        for (name, value) in [("user_id", raw.user_id), ("partner", raw.partner)] {
            if let Some(value) = value {
                extra.insert(name.to_owned(), text(value, name)?);
            }
        }
        new.extra = extra;
        let wanted = raw
            .secret
            .ok_or_else(|| bad_input("the line has no secret").fix("add \"secret\""))?;
        Ok(Self {
            new,
            secrets: Secrets {
                secret: Some(secret(wanted, "secret")?),
                passphrase: raw
                    .passphrase
                    .map(|value| secret(value, "passphrase"))
                    .transpose()?,
                partner_secret: raw
                    .partner_secret
                    .map(|value| secret(value, "partner_secret"))
                    .transpose()?,
            },
        })
    }

    /// Its secrets.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The key's name as far as the line or the flags say it; else the exchange's.
    pub fn name(&self) -> Option<String> {
        Some(
            self.new
                .name
                .as_ref()
                .map_or_else(|| self.new.exchange.clone(), ToString::to_string),
        )
    }
}

impl Enrol {
    /// Imports the key of a line.
    ///
    /// # Errors
    /// As [`Enrol::plan`] and [`Enrol::import`].
    pub fn import_line(&self, line: ImportLine) -> Result<Enrolled> {
        let plan = self.plan(line.new)?;
        self.import(plan, line.secrets)
    }
}

/// The library's own words may quote a value; what is told is the place, or the name of a field.
fn told(error: &serde_json::Error) -> crate::error::Error {
    let words = error.to_string();
    let at = format!("column {}", error.column());
    let named = words
        .split_once("unknown field `")
        .and_then(|(_, rest)| rest.split_once('`'));
    let doubled = words
        .split_once("duplicate field `")
        .and_then(|(_, rest)| rest.split_once('`'));
    match (named, doubled) {
        (Some((field, _)), _) => bad_input(format!("there is no field {field:?} in a line of import")).fix(
            "the fields are exchange, key, api_key, secret, passphrase, algorithm, user_id, partner, partner_secret, allow",
        ),
        (_, Some((field, _))) => bad_input(format!("the field {field:?} stands twice")),
        _ => bad_input(format!("the line is not a JSON object as it should be, at {at}"))
            .fix("send one object a line, its values strings, allow a list of strings"),
    }
}

fn text(value: &RawValue, field: &str) -> Result<String> {
    serde_json::from_str(value.get()).map_err(|_| bad_input(format!("{field} is not a string")))
}

/// The string's content, from locked memory into locked memory.
fn secret(value: &RawValue, field: &str) -> Result<Secret> {
    let wrong = || bad_input(format!("{field} is not a string"));
    let inner = value
        .get()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or_else(wrong)?;
    Secret::from_json_string(inner.as_bytes())?.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<ImportLine> {
        ImportLine::parse(
            &Secret::take(&mut line.as_bytes().to_vec()).unwrap(),
            &NewKey::default(),
        )
    }

    #[test]
    fn a_line_is_read_with_its_escapes() {
        let line = parse(
            r#"{"exchange":"kraken","key":"k","api_key":"a","secret":"a\/b\u002b\u00e9\ud83d\ude00\"\\","allow":["raw"]}"#,
        )
        .unwrap();
        assert_eq!(
            line.secrets.secret.as_ref().unwrap().expose(),
            "a/b+é😀\"\\".as_bytes()
        );
        assert_eq!(line.name().as_deref(), Some("k"));
        assert_eq!(line.new.allow.len(), 1);
    }

    #[test]
    fn a_bad_line_tells_its_key_and_nothing_else() {
        let name = |line: &str| {
            let line = Secret::take(&mut line.as_bytes().to_vec()).unwrap();
            ImportLine::name_in(&line, &NewKey::default())
        };
        for line in [
            r#"{"exchange":"kraken","key":"k","secret":5}"#,
            r#"{"exchange":"kraken","key":"k","secret":"a","secret":"b"}"#,
            r#"{"secret":"hush","hush":1,"\u006bey":"k"}"#,
        ] {
            assert_eq!(name(line).as_deref(), Some("k"), "{line}");
        }
        assert_eq!(
            name(r#"{"exchange":"kraken","allow":"x"}"#).as_deref(),
            Some("kraken")
        );
        for line in [
            r#"{"key":"No Name"}"#,
            r#"{"key":1}"#,
            "{}",
            "[]",
            r#"{"key":"k""#,
        ] {
            assert_eq!(name(line), None, "{line}");
        }
    }

    #[test]
    fn nothing_of_a_bad_line_is_shown() {
        for line in [
            r#"{"exchange":"kraken","secret":["hush"]}"#,
            r#"{"exchange":"kraken","secret":"hush","api_key":{"hush":1}}"#,
            r#"{"exchange":"kraken","secret":"hush","passphrase":1}"#,
            r#"{"exchange":"kraken","secret":"hush""#,
            r#"{"exchange":"kraken","secret":"hush","allow":"hush"}"#,
            r#""hush""#,
        ] {
            let error = parse(line).unwrap_err();
            assert!(
                !format!("{} {:?}", error.message(), error.remedy()).contains("hush"),
                "{line}: {error}"
            );
        }
        assert!(
            parse(r#"{"exchange":"kraken"}"#)
                .unwrap_err()
                .message()
                .contains("no secret")
        );
        assert!(
            parse(r#"{"secret":"x"}"#)
                .unwrap_err()
                .message()
                .contains("no exchange")
        );
        assert!(
            parse(r#"{"exchange":"k","secret":"x","new":1}"#)
                .unwrap_err()
                .message()
                .contains("\"new\"")
        );
        assert!(
            parse(r#"{"exchange":"k","secret":"x","secret":"y"}"#)
                .unwrap_err()
                .message()
                .contains("twice")
        );
    }
}
