//! A password manager's export, `{"site":{"user":"secret"}}`: which of its entries are an exchange's.

use super::{
    json,
    scalar::Scalar,
    words::{Named, exchange, words},
};
use crate::{
    error::{Result, bad_input},
    exchange::Catalogue,
    secret::{Secret, traceless},
};

/// An entry whose site is an exchange's.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The site, as it is named there.
    pub site: String,
    /// The user.
    pub user: String,
    /// The exchange's id.
    pub exchange: String,
    /// What the key would be called.
    pub name: String,
    secret: Scalar,
}

/// An export, in locked memory.
#[derive(Debug)]
pub struct Vault {
    text: Secret,
    /// The entries of exchanges.
    pub entries: Vec<Entry>,
    /// How many entries are of no exchange.
    pub others: usize,
}

impl Vault {
    /// Reads an export.
    ///
    /// # Errors
    /// When it is not JSON of that form. Nothing of it is shown.
    pub fn read(text: Secret, catalogue: &Catalogue) -> Result<Self> {
        let (entries, others) = traceless(|| -> Result<_> {
            let mut entries = Vec::new();
            let mut others = 0;
            for secret in json::scalars(text.expose())? {
                let [site, user] = &secret.path[..] else {
                    return Err(
                        bad_input("the export is not of the form {\"site\":{\"user\":\"secret\"}}")
                            .fix("export the entries as JSON of that form, and give them on standard input"),
                    );
                };
                match exchange(&words(site), catalogue) {
                    Some(Named::Known(scheme, _)) => entries.push(Entry {
                        site: site.clone(),
                        user: user.clone(),
                        exchange: scheme.id().to_owned(),
                        name: scheme.id().to_owned(),
                        secret,
                    }),
                    _ => others += 1,
                }
            }
            Ok((entries, others))
        })?;
        Ok(Self {
            text,
            entries,
            others,
        })
    }

    pub(super) fn secret(&self, entry: &Entry) -> Result<Secret> {
        entry.secret.secret(self.text.expose())
    }
}

impl Entry {
    /// The user's name where it looks like an API key, and not like a person's.
    pub fn likely_api_key(&self) -> Option<&str> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
        let mixed = self.user.bytes().any(|byte| byte.is_ascii_digit()) && self.user.len() >= 16;
        (mixed && self.user.bytes().all(plain)).then_some(self.user.as_str())
    }
}
