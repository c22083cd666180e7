//! YubiKeys, and other keys with an OATH applet like theirs: MAC keys in that applet, key pairs in the PIV applet, both
//! reached through pcscd.
//!
//! Opening one asks it nothing. Each use is one transaction with the card, and nothing is held between two.

pub mod device;
mod firmware;
pub mod oath;
pub mod piv;
pub mod tlv;
mod touch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use firmware::Firmware;

use super::{
    Capabilities, Identity, Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, PinProvider, Result,
    SignInput, Token, TokenError, Wanted, pcsc::Reader,
};
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    ask::Ask,
    private_key::PrivateKey,
    public_key::PublicKey,
    secret::{BlockKey, Secret},
};

/// The number of a slot of the PIV applet by its name, as `9c`; none where it is none for keys.
pub fn slot_named(name: &str) -> Option<u8> {
    piv::slot_named(name)
}

/// Which key, as `config.toml` has it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token's name.
    pub name: String,
    /// Its serial number; none where it tells none.
    pub serial: Option<String>,
    /// The id of its OATH applet.
    pub applet: Vec<u8>,
    /// Its firmware.
    pub firmware: Firmware,
}

impl Settings {
    /// Whether its PIV applet can be used: the firmware tells which slots are in use, and the key is known by its serial
    /// number there.
    fn has_pairs(&self) -> bool {
        self.serial.is_some() && !self.firmware.pairs().is_empty()
    }

    /// What to call it, for a person.
    fn called(&self) -> String {
        match &self.serial {
            Some(serial) => format!("YubiKey {serial}"),
            None => format!("OATH key {}", base16ct::lower::encode_string(&self.applet)),
        }
    }
}

/// A key that is set up.
pub struct YubiKey {
    settings: Settings,
    identity: Identity,
    capabilities: Capabilities,
    pin: Arc<dyn PinProvider>,
    piv_pin: Arc<dyn PinProvider>,
    ask: Arc<dyn Ask>,
    unlocked: Mutex<Option<oath::Unlocked>>,
    /// Where it was last.
    reader: Mutex<Option<Reader>>,
}

impl YubiKey {
    /// The key of these settings, with the sources of the OATH access code and of the PIV PIN; `ask` hears of touches that
    /// are waited for. Nothing is asked of it yet.
    pub fn new(
        settings: Settings,
        pin: Arc<dyn PinProvider>,
        piv_pin: Arc<dyn PinProvider>,
        ask: Arc<dyn Ask>,
    ) -> Self {
        let macs = settings.firmware.macs().into_iter().map(Algorithm::Mac);
        let pairs = match settings.has_pairs() {
            true => settings.firmware.pairs(),
            false => Vec::new(),
        };
        let applets = if pairs.is_empty() {
            "OATH applet"
        } else {
            "OATH and PIV applets"
        };
        Self {
            identity: Identity {
                kind: "yubikey".to_owned(),
                module: format!("Yubico, {applets}, {}", settings.firmware),
                label: if settings.serial.is_some() {
                    "YubiKey"
                } else {
                    "OATH key"
                }
                .to_owned(),
                serial: settings
                    .serial
                    .clone()
                    .unwrap_or_else(|| base16ct::lower::encode_string(&settings.applet)),
                model: format!("firmware {}", settings.firmware),
            },
            capabilities: Capabilities {
                algorithms: macs.chain(pairs.iter().copied().map(Algorithm::Signature)).collect(),
                generates: pairs,
                longest_message: Some(oath::LONGEST),
                parallel: false,
                process_lock: false,
                pin_tries_left: None,
                wrong_pin: "of the OATH applet's access code nothing, since it is not counted; three wrong PIV PINs, or as many as were set, lock that applet until its PUK unlocks it".to_owned(),
                hardware: true,
                data_objects: false,
                touch: settings.firmware.has_touch(),
                slots: settings.has_pairs(),
            },
            settings,
            pin,
            piv_pin,
            ask,
            unlocked: Mutex::default(),
            reader: Mutex::default(),
        }
    }

    /// The readers in the order in which they are looked into: where it was last, then those of YubiKeys.
    fn in_order(&self, mut readers: Vec<Reader>) -> Vec<Reader> {
        let last = lock(&self.reader).clone();
        readers.sort_by_key(|reader| Some(reader) != last.as_ref());
        readers
    }

    fn refuse_without_pairs(&self) -> Result<()> {
        match self.settings.has_pairs() {
            true => Ok(()),
            false => Err(TokenError::Unsupported(
                "this key has no PIV applet that hsmsign can use: that takes a YubiKey with a serial number and firmware 5.3 or later".to_owned(),
            )),
        }
    }

    /// What the PIV applet says; nothing, where it is turned off or cannot be used.
    fn if_pairs<T: Default>(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.settings.has_pairs() {
            return Ok(T::default());
        }
        match ask() {
            Err(TokenError::Unsupported(_)) => Ok(T::default()),
            other => other,
        }
    }

    /// Uses what a person gave for it. A PIN that is not said to be of either applet is the access code, where the OATH
    /// applet wants one, else that of the PIV applet.
    fn use_what_was_given(&self, given: Wanted) -> Result<()> {
        match given {
            Wanted::AccessCode => self.open_oath(),
            Wanted::Pin if self.would_ask() => self.open_oath(),
            Wanted::Pin | Wanted::PivPin if self.settings.has_pairs() && self.piv_pin.interactive() => {
                self.if_pairs(|| self.try_pin())
            }
            Wanted::Pin | Wanted::PivPin => Ok(()),
        }
    }

    fn was_in_one_of(&self, readers: &[Reader]) -> bool {
        lock(&self.reader)
            .as_ref()
            .is_some_and(|last| readers.contains(last))
    }

    fn remember(&self, reader: &Reader) {
        *lock(&self.reader) = Some(reader.clone());
    }
}

impl Token for YubiKey {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn import_mac(&self, key: &BlockKey, meta: &KeyMeta) -> Result<Imported> {
        self.import_credential(key, meta)
    }

    fn generate_mac(&self, _: MacAlgorithm, _: &KeyMeta) -> Result<Imported> {
        Err(TokenError::Unsupported(
            "an OATH applet makes no keys itself".to_owned(),
        ))
    }

    fn import_private(&self, key: &PrivateKey, meta: &KeyMeta) -> Result<(Imported, PublicKey)> {
        self.refuse_without_pairs()?;
        self.import_into_slot(key, meta)
    }

    fn generate(&self, algorithm: SignatureAlgorithm, meta: &KeyMeta) -> Result<(Imported, PublicKey)> {
        self.refuse_without_pairs()?;
        self.generate_in_slot(algorithm, meta)
    }

    fn mac(&self, key: &KeyRef, algorithm: MacAlgorithm, message: &[u8]) -> Result<Mac> {
        self.calculate(key, algorithm, message)
    }

    fn sign(&self, key: &KeyRef, algorithm: SignatureAlgorithm, input: SignInput<'_>) -> Result<Vec<u8>> {
        self.sign_in_slot(key, algorithm, input)
    }

    fn put_data(&self, _: &Secret, _: &KeyMeta) -> Result<KeyRef> {
        Err(TokenError::Unsupported(
            "a YubiKey keeps no data objects that its PIN protects".to_owned(),
        ))
    }

    fn get_data(&self, _: &KeyRef) -> Result<Secret> {
        Err(TokenError::Unsupported(
            "a YubiKey keeps no data objects that its PIN protects".to_owned(),
        ))
    }

    fn readable(&self, _: &KeyRef) -> Result<bool> {
        // The applet has no command that gives a key out.
        Ok(false)
    }

    fn list(&self) -> Result<Vec<KeyInfo>> {
        let mut all = self.list_credentials()?;
        all.extend(self.if_pairs(|| self.list_slots())?);
        Ok(all)
    }

    fn delete(&self, key: &KeyRef) -> Result<()> {
        match key {
            KeyRef::Credential { name, .. } => self.delete_credential(name),
            KeyRef::Slot { id, .. } => self.delete_slots(id).map(drop),
            KeyRef::Object { .. } => Err(other_kind()),
        }
    }

    fn sweep(&self, id: &ObjectId) -> Result<usize> {
        Ok(self.sweep_credentials(id)? + self.if_pairs(|| self.delete_slots(id))?)
    }

    fn reopen(&self) -> Result<()> {
        self.look()
    }

    fn set_code(&self, code: Option<&Secret>) -> Result<()> {
        self.set_access_code(code)
    }

    fn gives_nothing(&self) -> bool {
        true
    }

    fn wants(&self) -> Result<Vec<Wanted>> {
        let mut wanted = Vec::new();
        match self.would_ask_code() {
            Ok(true) => wanted.push(Wanted::AccessCode),
            // Asking the other applet would wait for the reader once more.
            Err(held @ TokenError::Held { .. }) => return Err(held),
            Ok(false) | Err(_) => {}
        }
        if self.would_ask_pin()? {
            wanted.push(Wanted::PivPin);
        }
        Ok(wanted)
    }

    fn unlock(&self, given: Wanted) -> Result<()> {
        self.use_what_was_given(given)
    }

    fn tries_left(&self) -> Option<u32> {
        self.pin_tries()
    }

    fn asks(&self) -> bool {
        self.would_ask()
    }

    fn look(&self) -> Result<()> {
        self.look_at_oath().map(drop)
    }
}

/// A touch that did not come.
fn untouched(settings: &Settings) -> TokenError {
    TokenError::Held {
        what: format!(
            "the {} was not touched in time, and signed nothing",
            settings.called()
        ),
        fix: "sign again, and touch the key when it blinks; it waits 15 seconds".to_owned(),
    }
}

fn other_kind() -> TokenError {
    TokenError::NotFound(
        "the key is on a token of another kind than the one that has its name in config.toml".to_owned(),
    )
}

/// The worse of two troubles: that a reader is held explains why a key is not found.
fn worse(one: Option<TokenError>, other: TokenError) -> TokenError {
    match one {
        Some(held @ TokenError::Held { .. }) => held,
        _ => other,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
