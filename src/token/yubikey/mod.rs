//! YubiKeys, and other keys with an OATH applet like theirs: MAC keys in that applet, reached through pcscd.
//!
//! Opening one asks it nothing. Each use is one transaction with the card, and nothing is held between two.

pub mod device;
mod firmware;
pub mod oath;
pub mod tlv;
mod touch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use firmware::Firmware;

use super::{
    Capabilities, Identity, Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, PinProvider, Result,
    SignInput, Token, TokenError, pcsc::Reader,
};
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    ask::Ask,
    private_key::PrivateKey,
    public_key::PublicKey,
    secret::{BlockKey, Secret},
};

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
    ask: Arc<dyn Ask>,
    unlocked: Mutex<Option<oath::Unlocked>>,
    /// Where it was last.
    reader: Mutex<Option<Reader>>,
}

impl YubiKey {
    /// The key of these settings; `ask` hears of touches that are waited for. Nothing is asked of it yet.
    pub fn new(settings: Settings, pin: Arc<dyn PinProvider>, ask: Arc<dyn Ask>) -> Self {
        let macs = settings.firmware.macs().into_iter().map(Algorithm::Mac);
        Self {
            identity: Identity {
                kind: "yubikey".to_owned(),
                module: format!("Yubico, OATH applet, {}", settings.firmware),
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
                algorithms: macs.collect(),
                generates: Vec::new(),
                longest_message: Some(oath::LONGEST),
                parallel: false,
                process_lock: false,
                pin_tries_left: None,
                wrong_pin: "nothing: the OATH applet does not count wrong access codes".to_owned(),
                hardware: true,
                data_objects: false,
                touch: settings.firmware.has_touch(),
            },
            settings,
            pin,
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

    fn import_private(&self, key: &PrivateKey, _: &KeyMeta) -> Result<(Imported, PublicKey)> {
        Err(no_pairs(key.algorithm()))
    }

    fn generate(&self, algorithm: SignatureAlgorithm, _: &KeyMeta) -> Result<(Imported, PublicKey)> {
        Err(no_pairs(algorithm))
    }

    fn mac(&self, key: &KeyRef, algorithm: MacAlgorithm, message: &[u8]) -> Result<Mac> {
        self.calculate(key, algorithm, message)
    }

    fn sign(&self, _: &KeyRef, algorithm: SignatureAlgorithm, _: SignInput<'_>) -> Result<Vec<u8>> {
        Err(no_pairs(algorithm))
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
        self.list_credentials()
    }

    fn delete(&self, key: &KeyRef) -> Result<()> {
        match key {
            KeyRef::Credential { name, .. } => self.delete_credential(name),
            KeyRef::Object { .. } => Err(other_kind()),
        }
    }

    fn sweep(&self, id: &ObjectId) -> Result<usize> {
        self.sweep_credentials(id)
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

    fn asks(&self) -> bool {
        self.would_ask()
    }

    fn look(&self) -> Result<()> {
        self.look_at_oath().map(drop)
    }
}

fn no_pairs(algorithm: SignatureAlgorithm) -> TokenError {
    TokenError::Unsupported(format!("this key makes no {algorithm} signatures"))
}

fn other_kind() -> TokenError {
    TokenError::NotFound(
        "the key is on a token of another kind than the one that has its name in config.toml".to_owned(),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
