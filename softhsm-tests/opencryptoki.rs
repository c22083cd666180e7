//! opencryptoki's software token as a bench. It belongs to the machine (a daemon, one token for all), so it is used only
//! where `HSMSIGN_TEST_OPENCRYPTOKI` names it, as `LABEL:PIN`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hsmsign::token::{
    PinProvider, Token, TokenError,
    pkcs11::{Pkcs11Token, Settings},
};

use crate::suite;

/// The token of this machine.
pub struct Bench {
    settings: Settings,
    pin: String,
}

/// It needs nothing from the environment.
pub fn environment(_: &Path) -> Vec<(String, String)> {
    Vec::new()
}

impl Bench {
    /// The token that is named; none, with a line on stderr, where none is.
    pub fn new(_: &Path) -> Option<Self> {
        let named = std::env::var("HSMSIGN_TEST_OPENCRYPTOKI").ok();
        let Some((label, pin)) = named.as_deref().and_then(|named| named.split_once(':')) else {
            eprintln!(
                "SKIPPED: HSMSIGN_TEST_OPENCRYPTOKI names no token (LABEL:PIN, with pkcsslotd running)"
            );
            return None;
        };
        let places = [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
        ];
        let module = places
            .iter()
            .map(|place| PathBuf::from(place).join("opencryptoki/libopencryptoki.so.0"));
        let settings = Settings {
            module: module
                .clone()
                .find(|path| path.exists())
                .expect("opencryptoki is installed"),
            label: Some(label.to_owned()),
            // One token for all tests, so one lock.
            lock_file: std::env::temp_dir().join("hsmsign-test-opencryptoki.lock"),
            ..Settings::default()
        };
        Some(Self {
            settings,
            pin: pin.to_owned(),
        })
    }
}

impl suite::Bench for Bench {
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError> {
        Ok(Box::new(Pkcs11Token::open(self.settings.clone(), pin)?))
    }

    fn pin(&self) -> &str {
        &self.pin
    }

    fn notices_others(&self) -> bool {
        false
    }
}
