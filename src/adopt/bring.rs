//! Bringing the secrets that were found onto tokens, and placeholders into their files: all of a file's, or none.

use std::collections::BTreeMap;

use super::{
    Document, Entry, Found, Vault, keyfile,
    rewrite::{replaced, rewrite},
};
use crate::{
    algorithm::Algorithm,
    enrol::{Enrol, Enrolled, NewKey, Secrets},
    error::{Error, Result, bad_input},
    exchange::Scheme,
    keyring::{KeyName, Keyring, Record},
    placeholder::{is_placeholder, placeholder},
    private_key::is_pem,
    secret::{BlockKey, Secret},
};

/// What the owner wishes for the keys that are made.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The name of the key, where there is but one.
    pub name: Option<KeyName>,
    /// What else is said of each: tokens, what is allowed. Exchange and API key come from the file.
    pub new: NewKey,
}

/// Moves secrets onto tokens.
pub struct Adoption<'e> {
    enrol: &'e Enrol,
    keyring: &'e dyn Keyring,
    wishes: Wishes,
}

/// A key that a secret is in.
#[derive(Debug)]
pub struct Brought {
    /// Its name.
    pub name: KeyName,
    /// The line of the file in which the secret stood, from 1; 0 where it stood in none.
    pub line: usize,
    /// The import; none where the same secret was on a token already.
    pub enrolled: Option<Enrolled>,
}

/// What became of a file.
#[derive(Debug)]
pub struct Adopted {
    /// The keys, in the file's order.
    pub keys: Vec<Brought>,
    /// The lines that held a placeholder already, encrypted.
    pub already: Vec<usize>,
    /// What the owner should know of the file.
    pub notes: Vec<String>,
}

/// A secret at hand, with what belongs to it.
struct AtHand {
    secret: Secret,
    passphrase: Option<Secret>,
    api_key: Option<String>,
    user_id: Option<String>,
}

impl<'e> Adoption<'e> {
    /// Over these keys.
    pub fn new(enrol: &'e Enrol, keyring: &'e dyn Keyring, wishes: Wishes) -> Self {
        Self {
            enrol,
            keyring,
            wishes,
        }
    }

    /// Imports all secrets of a file, then writes their placeholders into it. `password` opens those that are encrypted.
    ///
    /// # Errors
    /// When one cannot be imported or the file cannot be written. The file is then as it was, and no key is left of it.
    pub fn adopt(&self, document: &Document, password: Option<&Secret>) -> Result<Adopted> {
        let mut adopted = Adopted {
            keys: Vec::new(),
            already: Vec::new(),
            notes: Vec::new(),
        };
        match self.bring_all(document, password, &mut adopted) {
            Ok(()) => Ok(adopted),
            Err(error) => Err(self.undo(&adopted.keys, error)),
        }
    }

    fn bring_all(&self, document: &Document, password: Option<&Secret>, adopted: &mut Adopted) -> Result<()> {
        if self.wishes.name.is_some() && document.found.len() > 1 {
            return Err(bad_input(format!(
                "{} holds {} secrets, and one name was given",
                document.path().display(),
                document.found.len()
            ))
            .fix("leave --key out, and each key is named after its exchange"));
        }
        let mut changes = Vec::new();
        for found in &document.found {
            let told = |error: Error| {
                Error::new(
                    error.code(),
                    format!(
                        "{}, line {}: {}",
                        document.path().display(),
                        found.line,
                        error.message()
                    ),
                )
                .fix(error.advice())
            };
            let at_hand = at_hand(document, found, password).map_err(told)?;
            if is_placeholder(at_hand.secret.expose()) {
                adopted.already.push(found.line);
                continue;
            }
            let mut brought = self.bring(&found.exchange, &found.name, at_hand).map_err(told)?;
            brought.line = found.line;
            let mut text = placeholder(&brought.name);
            if found.encrypted {
                let password = password.ok_or_else(no_password)?;
                text =
                    keyfile::seal(found.secret.raw(document.text.expose()), &text, password).map_err(told)?;
            }
            adopted.keys.push(brought);
            changes.push((found.secret.span.clone(), text));
        }
        if !changes.is_empty() {
            let new = replaced(&document.text, &changes)?;
            adopted.notes = rewrite(document.path(), &document.text, document.inode, &new)?;
        }
        Ok(())
    }

    /// Takes away the keys that were made for a file that stays as it was. Answers the error, with what could not be undone.
    fn undo(&self, keys: &[Brought], error: Error) -> Error {
        let made = keys.iter().filter(|key| key.enrolled.is_some());
        let stays: Vec<_> = made
            .filter(|key| self.enrol.remove(&key.name).is_err())
            .map(|key| key.name.as_str())
            .collect();
        if stays.is_empty() {
            return error;
        }
        let advice = format!(
            "{}; then take away what was imported before it: hsmsign remove {}",
            error.advice(),
            stays.join(" ")
        );
        error.fix(advice)
    }

    /// Imports an entry of a password manager's export.
    ///
    /// # Errors
    /// As an import.
    pub fn entry(&self, vault: &Vault, entry: &Entry, api_key: Option<String>) -> Result<Brought> {
        let secret = vault.secret(entry)?;
        self.bring(
            &entry.exchange,
            &entry.name,
            AtHand {
                secret,
                passphrase: None,
                api_key,
                user_id: None,
            },
        )
    }

    fn bring(&self, exchange: &str, name: &str, at_hand: AtHand) -> Result<Brought> {
        let scheme = self.enrol.catalogue().get(exchange)?;
        let AtHand {
            secret,
            passphrase,
            api_key,
            user_id,
        } = at_hand;
        if let Some(name) = self.same(&scheme, &secret)? {
            return Ok(Brought {
                name,
                line: 0,
                enrolled: None,
            });
        }
        let mut extra = BTreeMap::new();
        if let Some(user_id) = user_id.filter(|_| scheme.credentials().iter().any(|name| name == "user_id")) {
            extra.insert("user_id".to_owned(), user_id);
        }
        let new = NewKey {
            exchange: exchange.to_owned(),
            name: Some(self.free_name(name)?),
            algorithm: self.wishes.new.algorithm.or_else(|| algorithm(&scheme, &secret)),
            api_key,
            extra,
            ..self.wishes.new.clone()
        };
        let plan = self.enrol.plan(new)?;
        let enrolled = self.enrol.import(
            plan,
            Secrets {
                secret: Some(secret),
                passphrase,
                partner_secret: None,
            },
        )?;
        Ok(Brought {
            name: enrolled.record.name.clone(),
            line: 0,
            enrolled: Some(enrolled),
        })
    }

    /// The name that was wished; else this one, with a number behind it where it is taken.
    fn free_name(&self, name: &str) -> Result<KeyName> {
        if let Some(name) = &self.wishes.name {
            return Ok(name.clone());
        }
        let mut free: KeyName = name.parse()?;
        let mut number = 1;
        while self.keyring.contains(&free)? {
            number += 1;
            free = format!("{name}-{number}").parse()?;
        }
        Ok(free)
    }

    /// The key of this exchange that holds the very secret, if there is one: it makes the MAC that proved that key.
    fn same(&self, scheme: &Scheme, secret: &Secret) -> Result<Option<KeyName>> {
        for name in self.keyring.names()? {
            let record = self.keyring.get(&name)?;
            let wished = self.wishes.name.as_ref().is_none_or(|wished| *wished == name);
            if wished && record.exchange == scheme.id() && proves(&record, scheme, secret).unwrap_or(false) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Whether the secret makes the MAC that was recorded when the key was imported.
fn proves(record: &Record, scheme: &Scheme, secret: &Secret) -> Option<bool> {
    let Algorithm::Mac(algorithm) = record.algorithm else {
        return None;
    };
    let proof = record
        .current
        .copies
        .first()?
        .objects
        .get("secret")?
        .proof
        .as_ref()?;
    let (read, _) = scheme
        .kind(Some(record.algorithm))
        .ok()?
        .read_secret(secret)
        .ok()?;
    let message = base16ct::lower::decode_vec(&proof.message).ok()?;
    let mac = BlockKey::new(algorithm, &read).ok()?.mac(&message).ok()?;
    Some(base16ct::lower::encode_string(&mac) == proof.mac)
}

/// The algorithm of a private key that the exchange takes, where the text is one.
fn algorithm(scheme: &Scheme, secret: &Secret) -> Option<Algorithm> {
    let kinds = scheme.kinds().iter().filter(|_| is_pem(secret.expose()));
    kinds
        .filter(|kind| matches!(kind.algorithm(), Algorithm::Signature(_)))
        .find(|kind| kind.read_private(secret).is_ok())
        .map(|kind| kind.algorithm())
}

/// The texts of a secret that was found.
fn at_hand(document: &Document, found: &Found, password: Option<&Secret>) -> Result<AtHand> {
    let text = document.text.expose();
    let open = |field: &super::scalar::Scalar| {
        let raw = field.raw(text);
        if keyfile::is_keyfile(raw) {
            keyfile::open(raw, password.ok_or_else(no_password)?)
        } else {
            field.secret(text)
        }
    };
    let public = |field: &super::scalar::Scalar| {
        String::from_utf8(open(field)?.expose().to_vec()).map_err(|_| bad_input("the API key is not UTF-8"))
    };
    let filled = |text: &String| !text.trim().is_empty();
    Ok(AtHand {
        secret: open(&found.secret)?,
        passphrase: found.passphrase.as_ref().map(open).transpose()?,
        api_key: found.api_key.as_ref().map(public).transpose()?.filter(filled),
        user_id: found.user_id.as_ref().map(public).transpose()?.filter(filled),
    })
}

fn no_password() -> Error {
    bad_input("the value is encrypted, and no password was given")
}
