//! MAC keys in the OATH applet: credentials of the time-based type, whose challenge is the caller's message.

pub mod answers;
mod applet;
mod code;
mod names;
mod probe;

use std::time::Duration;

use self::{
    answers::Selected,
    applet::{Applet, LONGEST_KEY, LONGEST_MESSAGE, Refused, status},
};
use super::{Settings, YubiKey, device, firmware::Firmware, touch::Awaited};
use crate::{
    algorithm::MacAlgorithm,
    secret::{BlockKey, Secret},
    token::{
        Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, PinRequest, Result, TokenError,
        pcsc::{Reader, Service},
    },
};

/// What is wanted of the person in place of a PIN.
const CODE: &str = "OATH access code";
/// How long a key waits for a touch before it gives up.
const TOUCH_TIME: Duration = Duration::from_secs(15);

/// The key of the access code, with the applet that it is of.
pub(super) struct Unlocked {
    id: Vec<u8>,
    key: Secret,
}

/// What opening an applet came to.
enum Opened {
    /// It can be used.
    Yes,
    /// Its code must be asked of a person, which is not done in a transaction.
    Ask(Selected),
}

impl YubiKey {
    /// Does some work with the applet, in one transaction. Where another program reset the key meanwhile, once more.
    fn with_oath<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        let mut again = true;
        loop {
            match self.once_with_oath(&work) {
                Err(TokenError::Transient(_)) if again => again = false,
                Ok(Err(selected)) => self.ask_code(&selected)?,
                Ok(Ok(done)) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// The same; none, with what the applet said, where a person is to be asked for its code first.
    fn once_with_oath<T>(&self, work: &impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<Result<T, Selected>> {
        let service = Service::connect()?;
        let readers = self.in_order(service.readers()?);
        let mut trouble = None;
        for reader in &readers {
            let begun = service.begin(reader);
            let selected = begun.as_ref().map_err(Clone::clone).and_then(Applet::select);
            let applet = match selected {
                Ok(Some(applet)) if self.is_ours(&applet.selected) => applet,
                Ok(_) => continue,
                Err(error) => {
                    trouble = Some(worse(trouble, error));
                    continue;
                }
            };
            self.remember(reader);
            return match self.open_applet(&applet)? {
                Opened::Yes => work(&applet).map(Ok),
                Opened::Ask(selected) => Ok(Err(selected)),
            };
        }
        Err(self.not_found(&service, &readers, trouble))
    }

    fn is_ours(&self, selected: &Selected) -> bool {
        selected.id == self.settings.applet
    }

    fn open_applet(&self, applet: &Applet<'_, '_>) -> Result<Opened> {
        let Some(challenge) = &applet.selected.challenge else {
            return Ok(Opened::Yes);
        };
        let mut unlocked = super::lock(&self.unlocked);
        if let Some(known) = unlocked.as_ref().filter(|known| known.id == applet.selected.id)
            && applet.validate(&known.key, challenge)?
        {
            return Ok(Opened::Yes);
        }
        // The code was changed.
        *unlocked = None;
        if self.pin.interactive() {
            return Ok(Opened::Ask(applet.selected.clone()));
        }
        let key = self.code_key(&applet.selected)?;
        if !applet.validate(&key, challenge)? {
            return Err(self.refused_code());
        }
        *unlocked = Some(Unlocked {
            id: applet.selected.id.clone(),
            key,
        });
        Ok(Opened::Yes)
    }

    /// Asks a person, and tries what was typed once.
    fn ask_code(&self, selected: &Selected) -> Result<()> {
        let key = self.code_key(selected)?;
        let service = Service::connect()?;
        for reader in self.in_order(service.readers()?) {
            let transaction = service.begin(&reader)?;
            if let Some(applet) = Applet::select(&transaction)?
                && self.is_ours(&applet.selected)
            {
                if let Some(challenge) = &applet.selected.challenge
                    && !applet.validate(&key, challenge)?
                {
                    return Err(self.refused_code());
                }
                *super::lock(&self.unlocked) = Some(Unlocked {
                    id: selected.id.clone(),
                    key,
                });
                return Ok(());
            }
        }
        Err(TokenError::Missing {
            what: "the key was pulled out while its access code was asked for".to_owned(),
            fix: "put it back and try again".to_owned(),
        })
    }

    fn code_key(&self, selected: &Selected) -> Result<Secret> {
        let request = PinRequest {
            what: Some(CODE),
            label: self.identity.label.clone(),
            serial: self.identity.serial.clone(),
            ..PinRequest::default()
        };
        let code = self
            .pin
            .pin(&request)
            .map_err(|error| TokenError::of_provider(&error))?;
        Ok(code::derive(&code, &selected.id)?)
    }

    fn refused_code(&self) -> TokenError {
        self.pin.refused(None);
        TokenError::WrongPin {
            tries_left: None,
            from: self.pin.describe(),
        }
    }

    /// Sets the access code, or takes it away, after the present one where there is one.
    ///
    /// # Errors
    /// When the key is not there or locked.
    pub fn set_access_code(&self, code: Option<&Secret>) -> Result<()> {
        let key = code
            .map(|code| code::derive(code, &self.settings.applet))
            .transpose()?;
        self.with_oath(|applet| applet.set_code(key.as_ref()))?;
        *super::lock(&self.unlocked) = key.map(|key| Unlocked {
            id: self.settings.applet.clone(),
            key,
        });
        Ok(())
    }

    /// Whether the applet wants an access code.
    ///
    /// # Errors
    /// When the key is not there.
    pub fn is_locked(&self) -> Result<bool> {
        self.look_at_oath().map(|selected| selected.challenge.is_some())
    }

    /// Whether the key is there; no code is asked for.
    pub(super) fn look_at_oath(&self) -> Result<Selected> {
        let service = Service::connect()?;
        let readers = self.in_order(service.readers()?);
        let mut trouble = None;
        for reader in &readers {
            let selected = service
                .begin(reader)
                .and_then(|transaction| Ok(Applet::select(&transaction)?.map(|applet| applet.selected)));
            match selected {
                Ok(Some(selected)) if self.is_ours(&selected) => {
                    self.remember(reader);
                    return Ok(selected);
                }
                Ok(_) => {}
                Err(error) => trouble = Some(worse(trouble, error)),
            }
        }
        Err(self.not_found(&service, &readers, trouble))
    }

    /// Why the key was found in none of the readers.
    fn not_found(&self, service: &Service, readers: &[Reader], trouble: Option<TokenError>) -> TokenError {
        if let Some(held @ TokenError::Held { .. }) = trouble {
            return held;
        }
        let name = &self.settings.name;
        let mut others = Vec::new();
        for reader in readers {
            let Ok(device) = device::look(service, reader) else {
                continue;
            };
            if device.serial.is_some() && device.serial == self.settings.serial {
                return TokenError::Missing {
                    what: format!(
                        "the OATH applet of the {} was reset since the token was set up: the keys that were in it are gone",
                        self.settings.called()
                    ),
                    fix: format!(
                        "issue new secrets at the exchanges; then `hsmsign remove KEY --forget` for each of its keys, `hsmsign token remove {name}`, and set it up anew: hsmsign init --yubikey"
                    ),
                };
            }
            others.push(device.called());
        }
        if let Some(trouble) = trouble.filter(|_| others.is_empty()) {
            return trouble;
        }
        if readers.is_empty() {
            return crate::token::pcsc::no_reader();
        }
        let there = match others.as_slice() {
            [] => String::new(),
            others => format!("; what is there: {}", others.join(", ")),
        };
        TokenError::Missing {
            what: format!("the {} is not plugged in{there}", self.settings.called()),
            fix: "plug it in and try again".to_owned(),
        }
    }

    /// Stores a MAC key as a new credential.
    pub(super) fn import_credential(&self, key: &BlockKey, meta: &KeyMeta) -> Result<Imported> {
        let algorithm = key.algorithm();
        self.firmware().can_make(algorithm)?;
        self.refuse_long(key)?;
        let name = names::of(meta);
        let touch = meta.touch;
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
                    Refused::Status(status::NONE) => TokenError::NotFound(format!(
                        "the {} has no key with the id {id}",
                        self.settings.called()
                    )),
                    // It was open: an applet that is locked says so when it is selected.
                    Refused::Status(status::LOCKED) => TokenError::Held {
                        what: format!(
                            "the {} was not touched in time, and signed nothing",
                            self.settings.called()
                        ),
                        fix: format!(
                            "sign again, and touch the key when it blinks; it waits {} seconds",
                            TOUCH_TIME.as_secs()
                        ),
                    },
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

/// The worse of two troubles: that a reader is held explains why a key is not found.
fn worse(one: Option<TokenError>, other: TokenError) -> TokenError {
    match one {
        Some(held @ TokenError::Held { .. }) => held,
        _ => other,
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
