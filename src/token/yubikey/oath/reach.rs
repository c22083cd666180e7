//! Finding the key's applet among the readers, opening it by its access code, and doing some work with it: one transaction.

use super::{answers::Selected, applet::Applet, code};
use crate::{
    secret::Secret,
    token::{
        PinRequest, Result, TokenError, Wanted,
        pcsc::{Reader, Service, no_reader},
        yubikey::{YubiKey, device, lock, worse},
    },
};

/// The key of the access code, with the applet that it is of.
pub(in crate::token::yubikey) struct Unlocked {
    id: Vec<u8>,
    key: Secret,
}

/// What opening an applet came to.
enum Opened {
    /// It can be used.
    Yes,
    /// Its code must be asked of a person, which is not done in a transaction.
    Ask(Selected),
    /// The code that was remembered is wrong. Another needs a challenge of its own: a card may take each once.
    Changed,
}

impl YubiKey {
    /// Does some work with the applet, in one transaction. Where another program reset the key meanwhile, once more.
    pub(super) fn with_oath<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        let mut again = true;
        loop {
            // Not done, with what the applet said where a person is to be asked for its code first.
            let tried = self.reach(|applet| match self.open_applet(applet)? {
                Opened::Yes => work(applet).map(Ok),
                Opened::Ask(selected) => Ok(Err(Some(selected))),
                Opened::Changed => Ok(Err(None)),
            });
            match tried {
                Err(TokenError::Transient(_)) if again => again = false,
                Ok(Err(Some(selected))) => self.ask_code(&selected)?,
                Ok(Err(None)) => {}
                Ok(Ok(done)) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds the key by the id of its applet, which is selected in a transaction, and does something with it.
    fn reach<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        let service = Service::connect()?;
        let readers = self.in_order(service.readers()?);
        let mut trouble = None;
        for reader in &readers {
            let begun = match service.begin(reader) {
                Ok(Some(transaction)) => transaction,
                Ok(None) => continue,
                Err(error) => {
                    trouble = Some(worse(trouble, error));
                    continue;
                }
            };
            match Applet::select(&begun) {
                Ok(Some(applet)) if applet.selected.id == self.settings.applet => {
                    self.remember(reader);
                    return work(&applet);
                }
                Ok(_) => {}
                Err(error) => trouble = Some(worse(trouble, error)),
            }
        }
        Err(self.not_found(&service, &readers, trouble))
    }

    /// Whether the key is there; no code is asked for.
    pub(in crate::token::yubikey) fn look_at_oath(&self) -> Result<()> {
        self.reach(|_| Ok(()))
    }

    fn open_applet(&self, applet: &Applet<'_, '_>) -> Result<Opened> {
        let Some(challenge) = &applet.selected.challenge else {
            return Ok(Opened::Yes);
        };
        let mut unlocked = lock(&self.unlocked);
        if let Some(known) = unlocked.as_ref().filter(|known| known.id == applet.selected.id) {
            if applet.validate(&known.key, challenge)? {
                return Ok(Opened::Yes);
            }
            *unlocked = None;
            return Ok(Opened::Changed);
        }
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
        let right = self.reach(|applet| match &applet.selected.challenge {
            Some(challenge) => applet.validate(&key, challenge),
            None => Ok(true),
        })?;
        if !right {
            return Err(self.refused_code());
        }
        *lock(&self.unlocked) = Some(Unlocked {
            id: selected.id.clone(),
            key,
        });
        Ok(())
    }

    /// Opens the applet by its access code, and remembers that.
    pub(in crate::token::yubikey) fn open_oath(&self) -> Result<()> {
        self.with_oath(|_| Ok(()))
    }

    /// Whether a person would be asked for the code now. Where the key is not there, nobody is.
    pub(in crate::token::yubikey) fn would_ask(&self) -> bool {
        self.would_ask_code().unwrap_or(false)
    }

    /// The same, with the reason where the key cannot be asked.
    pub(in crate::token::yubikey) fn would_ask_code(&self) -> Result<bool> {
        if !self.pin.interactive() || lock(&self.unlocked).is_some() {
            return Ok(false);
        }
        self.reach(|applet| Ok(applet.selected.challenge.is_some()))
    }

    fn code_key(&self, selected: &Selected) -> Result<Secret> {
        let request = PinRequest {
            what: Wanted::AccessCode,
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
    pub(in crate::token::yubikey) fn set_access_code(&self, code: Option<&Secret>) -> Result<()> {
        let key = code
            .map(|code| code::derive(code, &self.settings.applet))
            .transpose()?;
        self.with_oath(|applet| applet.set_code(key.as_ref()))?;
        *lock(&self.unlocked) = key.map(|key| Unlocked {
            id: self.settings.applet.clone(),
            key,
        });
        Ok(())
    }

    /// Why the key was found in none of the readers.
    fn not_found(&self, service: &Service, readers: &[Reader], trouble: Option<TokenError>) -> TokenError {
        if let Some(held @ TokenError::Held { .. }) = trouble {
            return held;
        }
        let name = &self.settings.name;
        let mut others = Vec::new();
        for reader in readers {
            let Ok(Some(device)) = device::look(service, reader) else {
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
            return no_reader();
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
}
