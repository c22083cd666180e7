//! Backup and restore of everything but secrets: keys' records, tokens' settings, own schemes, policies, marks of nonces.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    config::{self, Config, TokenConfig},
    error::{Error, Result, bad_input, failed},
    home::{FileLock, Home, create_folder, list_folder, read_private, write_private},
    json,
    keyring::{self, FileKeyring, KeyName, Keyring, Record},
    nonce::{self, Nonces},
    policy::{Denied, Policies, Policy, Whose},
    token::uri::TokenUri,
};

/// The version of the format; a newer one is refused.
pub const VERSION: u32 = 1;
const LIMIT: u64 = 64 << 20;

/// A snapshot. It holds API keys, and nothing that signs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    version: u32,
    /// When it was made, microseconds since 1970.
    made: u64,
    config: String,
    schemes: BTreeMap<String, String>,
    keys: Vec<Record>,
    nonces: BTreeMap<KeyName, u64>,
    /// Policies by their files' names.
    #[serde(default)]
    policies: BTreeMap<String, String>,
    /// What was switched off.
    #[serde(default)]
    denied: Denied,
}

/// What a restore did.
#[derive(Debug, Default)]
pub struct Restored {
    /// Keys that were put back.
    pub keys: Vec<KeyName>,
    /// Keys that were there already, the same.
    pub same: usize,
    /// Tokens that were put back into `config.toml`.
    pub tokens: Vec<String>,
    /// Schemes that were put back.
    pub schemes: Vec<String>,
    /// Policies that were put back.
    pub policies: Vec<Whose>,
    /// What the backup says is switched off, which it is from here on.
    pub denied: Denied,
}

/// Takes a snapshot.
///
/// # Errors
/// When something cannot be read.
pub fn take(home: &Home) -> Result<Snapshot> {
    let _lock = lock(home)?;
    let text = |name: &str| -> Result<String> {
        let path = home.config(name);
        let bytes = read_private(&path, LIMIT)?.unwrap_or_default();
        String::from_utf8(bytes).map_err(|_| failed(format!("{} is not UTF-8", path.display())))
    };
    let keyring = FileKeyring::new(home);
    let nonces = Nonces::new(home);
    let policies = Policies::new(home).only_looking();
    let mut snapshot = Snapshot {
        version: VERSION,
        made: micros(nonce::now()),
        config: text("config.toml")?,
        schemes: BTreeMap::new(),
        keys: Vec::new(),
        nonces: BTreeMap::new(),
        policies: BTreeMap::new(),
        denied: policies.switch().read()?,
    };
    for (whose, text) in policies.texts()? {
        snapshot.policies.insert(whose.to_string(), text);
    }
    for file in list_folder(&home.config("schemes"))? {
        snapshot
            .schemes
            .insert(file.clone(), text(&format!("schemes/{file}"))?);
    }
    for name in keyring.names()? {
        snapshot.keys.push(keyring.get(&name)?);
        snapshot.nonces.insert(name.clone(), nonces.high_water(&name)?);
    }
    Ok(snapshot)
}

impl Snapshot {
    /// As text, to be kept.
    ///
    /// # Errors
    /// Never for a snapshot that was taken.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| failed(format!("the backup cannot be written: {error}")))
    }

    /// From text that was kept.
    ///
    /// # Errors
    /// When it is no snapshot, or of a newer version.
    pub fn parse(text: &str) -> Result<Self> {
        let told = |error: serde_json::Error| bad_input(format!("this is not a backup of hsmsign: {error}"));
        let version = json::version(text.as_bytes()).map_err(told)?;
        if version > VERSION {
            return Err(bad_input(format!(
                "the backup has version {version}, and this hsmsign knows up to {VERSION}"
            ))
            .fix("use the newer hsmsign that wrote it"));
        }
        let snapshot: Self = serde_json::from_str(text).map_err(told)?;
        if let Some(odd) = snapshot.keys.iter().find(|key| key.version != keyring::VERSION) {
            return Err(bad_input(format!(
                "the backup's record of {} has version {}, and this hsmsign knows {}",
                odd.name,
                odd.version,
                keyring::VERSION
            ))
            .fix("use the newer hsmsign that wrote it"));
        }
        Ok(snapshot)
    }

    /// Puts back what is missing. What is there is never overwritten; nonces are only raised, above every one that
    /// may have been given out since the snapshot.
    ///
    /// # Errors
    /// When a key, token or scheme of the same name is there and differs: then nothing is changed.
    pub fn restore(&self, home: &Home) -> Result<Restored> {
        home.create()?;
        let _lock = lock(home)?;
        let keyring = FileKeyring::new(home);
        let mut restored = Restored::default();
        let mut missing = Vec::new();
        for record in &self.keys {
            if !keyring.contains(&record.name)? {
                missing.push(record);
            } else if same(&keyring.get(&record.name)?, record)? {
                restored.same += 1;
            } else {
                return Err(bad_input(format!("the key {} is here already, and differs from the backup's", record.name))
                    .fix("restore into another HSMSIGN_HOME, or remove the key that is not wanted; nothing was changed"));
            }
        }
        let theirs = Config::parse(&self.config, "the backup's config.toml")?;
        for name in theirs.tokens.keys() {
            config::check_token_name(name).map_err(|error| error.within("the backup"))?;
        }
        let ours = Config::load(home)?;
        same_tokens(&ours, &theirs)?;
        let folder = home.config("schemes");
        for (file, text) in &self.schemes {
            if file.contains('/') || file.starts_with('.') {
                return Err(bad_input(format!(
                    "the backup names a scheme {file:?}, which is no plain file's name"
                )));
            }
            match read_private(&folder.join(file), LIMIT)? {
                Some(here) if here == text.as_bytes() => {}
                Some(_) => {
                    return Err(bad_input(format!(
                        "schemes/{file} is here already, and differs from the backup's"
                    ))
                    .fix("move it away first; nothing was changed"));
                }
                None => restored.schemes.push(file.clone()),
            }
        }
        let policies = Policies::new(home);
        let here = policies.texts()?;
        let mut rules = Vec::new();
        for (name, text) in &self.policies {
            let whose: Whose = name.parse().map_err(|error: Error| error.within("the backup"))?;
            match here.get(&whose) {
                Some(same) if same == text => {}
                Some(_) => {
                    return Err(bad_input(format!("{name} is here already, and differs from the backup's"))
                        .fix("hsmsign policy remove takes out what is here, where the backup's is the right one; nothing was changed"));
                }
                None => {
                    Policy::parse(text, format_args!("the backup's {name}"))?;
                    rules.push((whose, text));
                }
            }
        }
        for file in &restored.schemes {
            create_folder(&folder)?;
            write_private(&folder.join(file), self.schemes[file].as_bytes())?;
        }
        for (name, token) in &theirs.tokens {
            if !ours.tokens.contains_key(name) {
                config::add_token(home, name, token)?;
                restored.tokens.push(name.clone());
            }
        }
        // The rules first: a key that is there must never be without them.
        for (whose, text) in rules {
            policies.put(&whose, text, nonce::now())?;
            restored.policies.push(whose);
        }
        if self.denied.all || !self.denied.keys.is_empty() {
            restored.denied = self.denied.clone();
            policies.switch().change(|denied| {
                denied.all |= self.denied.all;
                denied.keys.extend(self.denied.keys.iter().cloned());
            })?;
        }
        // Nonces before keys: a key that is there must never find a mark that is too low.
        let nonces = Nonces::new(home);
        let then = Duration::from_micros(self.made);
        for (name, mark) in &self.nonces {
            let mark = Nonces::mark_after(*mark, then, nonce::now());
            nonces.restore(name, mark)?;
        }
        for record in missing {
            keyring.put(record)?;
            restored.keys.push(record.name.clone());
        }
        Ok(restored)
    }
}

/// Refuses another token behind a name of the backup's: the keys that it brings would be looked for there.
fn same_tokens(ours: &Config, theirs: &Config) -> Result<()> {
    for (name, token) in &theirs.tokens {
        let (Some(here), Some(backed_up)) = (ours.tokens.get(name).and_then(serial), serial(token)) else {
            continue;
        };
        if here != backed_up {
            return Err(bad_input(format!(
                "the token {name} is here already, and is another one than the backup's: its serial number is {here}, and that of the backup's is {backed_up}"
            ))
            .fix(format!(
                "set the backup's token up by that name; what has it is taken away by: hsmsign token remove {name}; nothing was changed"
            )));
        }
    }
    Ok(())
}

fn serial(token: &TokenConfig) -> Option<String> {
    let of_uri = || token.uri.as_ref()?.parse::<TokenUri>().ok()?.serial;
    token.serial.clone().or_else(of_uri)
}

fn same(one: &Record, other: &Record) -> Result<bool> {
    let value = |record| {
        serde_json::to_value(record).map_err(|error| failed(format!("a record cannot be read: {error}")))
    };
    Ok(value(one)? == value(other)?)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn lock(home: &Home) -> Result<FileLock> {
    FileLock::acquire(
        &home.state("keyring.lock"),
        Duration::from_secs(60),
        "another hsmsign process has been changing keys",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restore_could_not_put_back_whole_is_refused_before_anything_is_written() {
        let snapshot = |config: &str, nonce: &str, key: &str| {
            Snapshot::parse(&format!(
                r#"{{"version":1,"made":0,"config":{config:?},"schemes":{{"x.toml":""}},"keys":[{key}],"nonces":{{{nonce:?}:5}}}}"#
            ))
        };
        let key = r#"{"version":2,"name":"k","exchange":"kraken","algorithm":"hmac-sha512","current":{"created":"","copies":[]}}"#;
        assert!(
            snapshot("", "k", key)
                .unwrap_err()
                .message()
                .contains("record of k has version 2")
        );
        assert!(snapshot("", "../k", "").is_err());
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home"));
        for config in ["[token.\"a/b\"]", "[token.a]\npin = \"471108\""] {
            let error = snapshot(config, "k", "").unwrap().restore(&home).unwrap_err();
            assert!(
                error.message().contains("the backup") && !error.message().contains("471108"),
                "{error}"
            );
            assert!(!home.config("schemes").exists());
        }
    }
}
