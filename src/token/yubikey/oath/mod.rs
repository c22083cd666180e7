//! MAC keys in the OATH applet: credentials of the time-based type, whose challenge is the caller's message.

pub mod answers;
mod applet;
mod code;
mod names;
mod probe;
mod reach;

pub(super) use self::reach::Unlocked;
use self::{
    answers::Selected,
    applet::{Applet, LONGEST_KEY, LONGEST_MESSAGE, Refused, status},
};
use super::{Settings, YubiKey, firmware::Firmware, touch::Awaited};
use crate::{
    algorithm::MacAlgorithm,
    secret::BlockKey,
    token::{Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, Result, TokenError},
};

impl YubiKey {
    /// Stores a MAC key as a new credential.
    pub(super) fn import_credential(&self, key: &BlockKey, meta: &KeyMeta) -> Result<Imported> {
        let algorithm = key.algorithm();
        self.firmware().can_make(algorithm)?;
        self.refuse_long(key)?;
        let name = names::of(meta);
        let touch = meta.wishes.touch;
        self.with_oath(|applet| {
            let listed = applet.list()?;
            for one in listed.iter().filter(|one| names::is_probe(&one.name)) {
                applet.delete(&one.name)?;
            }
            if listed
                .iter()
                .any(|one| names::id(&one.name).as_ref() == Some(&meta.id))
            {
                return Err(TokenError::Exists(meta.id.to_string()));
            }
            self.put(applet, name.as_bytes(), key, touch, listed.len())
        })?;
        let mut hardening = vec!["not-extractable".to_owned()];
        if touch {
            hardening.push("touch".to_owned());
        }
        Ok(Imported {
            key: KeyRef::Credential {
                id: meta.id.clone(),
                name,
                touch,
            },
            hardening,
            rung: 0,
            attestation: None,
        })
    }

    fn put(
        &self,
        applet: &Applet<'_, '_>,
        name: &[u8],
        key: &BlockKey,
        touch: bool,
        there: usize,
    ) -> Result<()> {
        applet.put(name, key, touch).map_err(|refused| match refused {
            Refused::Status(status::FULL) => TokenError::TooLarge {
                what: "one key more".to_owned(),
                actual: there + 1,
                limit: there,
                fix: format!(
                    "the key is full: it has room for {} credentials; delete one that you do not need (ykman oath accounts list, and delete), or use another key",
                    self.firmware().credentials()
                ),
            },
            other => other.told("store the secret"),
        })
    }

    /// Refuses a block key that no credential has room for, before the card is asked.
    fn refuse_long(&self, key: &BlockKey) -> Result<()> {
        let used = key
            .expose()
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if used <= LONGEST_KEY {
            return Ok(());
        }
        Err(TokenError::TooLarge {
            what: "a secret".to_owned(),
            actual: used,
            limit: LONGEST_KEY,
            fix: "a YubiKey stores secrets of up to 64 bytes for hmac-sha512, and such of more than 128, which HMAC hashes: have the exchange issue another one if it issues shorter ones, or use a token with a PKCS#11 module".to_owned(),
        })
    }

    /// The MAC of a message.
    pub(super) fn calculate(&self, key: &KeyRef, algorithm: MacAlgorithm, message: &[u8]) -> Result<Mac> {
        let KeyRef::Credential { name, touch, id } = key else {
            return Err(super::other_kind());
        };
        refuse_long_message(&self.settings, message)?;
        let awaited = touch.then(|| Awaited::begin(&self.ask, &self.settings.called()));
        let mac = self.with_oath(|applet| {
            applet
                .calculate(name.as_bytes(), algorithm, message)
                .map_err(|refused| match refused {
                    Refused::Status(status) if status::NONE.contains(&status) => TokenError::NotFound(
                        format!("the {} has no key with the id {id}", self.settings.called()),
                    ),
                    // It was open: an applet that is locked says so when it is selected.
                    Refused::Status(status::LOCKED | status::NOT_NOW) if *touch => {
                        super::untouched(&self.settings)
                    }
                    Refused::Status(status::WRONG) if message.is_empty() => {
                        TokenError::Unsupported("this key makes no MAC of an empty message".to_owned())
                    }
                    other => other.told("make the MAC"),
                })
        });
        drop(awaited);
        mac?.ok_or_else(|| {
            TokenError::Failed("the key gave a code of some digits in place of the MAC".to_owned())
        })
    }

    /// The credentials.
    pub(super) fn list_credentials(&self) -> Result<Vec<KeyInfo>> {
        let listed = self.with_oath(|applet| applet.list())?;
        let each = listed.into_iter().map(|one| {
            let name = String::from_utf8_lossy(&one.name).into_owned();
            let id = one.algorithm.and_then(|_| names::id(&one.name));
            KeyInfo {
                label: names::label(&name).to_owned(),
                // Whether it wants a touch is not listed.
                key: id.map(|id| KeyRef::Credential {
                    id,
                    name,
                    touch: false,
                }),
            }
        });
        Ok(each.collect())
    }

    /// Deletes one credential.
    pub(super) fn delete_credential(&self, name: &str) -> Result<()> {
        self.with_oath(|applet| applet.delete(name.as_bytes())).map(drop)
    }

    /// Deletes the credentials with this id.
    pub(super) fn sweep_credentials(&self, id: &ObjectId) -> Result<usize> {
        self.with_oath(|applet| {
            let mut swept = 0;
            for one in applet.list()? {
                if names::id(&one.name).as_ref() == Some(id) && applet.delete(&one.name)? {
                    swept += 1;
                }
            }
            Ok(swept)
        })
    }

    fn firmware(&self) -> &Firmware {
        &self.settings.firmware
    }
}

fn refuse_long_message(settings: &Settings, message: &[u8]) -> Result<()> {
    if message.len() <= LONGEST_MESSAGE {
        return Ok(());
    }
    Err(TokenError::TooLarge {
        what: "a message".to_owned(),
        actual: message.len(),
        limit: LONGEST_MESSAGE,
        fix: format!(
            "`hsmsign exchanges --token {}` shows which requests fit; for this one import the secret into a token with a PKCS#11 module, or, where the exchange takes keys that you make (hsmsign generate), use one of Ed25519, P-256 or RSA, whose messages may be long",
            settings.name
        ),
    })
}

/// What the applet of a card says; none where it has none.
pub(super) fn selected(transaction: &crate::token::pcsc::Transaction<'_>) -> Result<Option<Selected>> {
    Ok(Applet::select(transaction)?.map(|applet| applet.selected))
}

/// The longest message of a MAC, in bytes.
pub(super) const LONGEST: usize = LONGEST_MESSAGE;
