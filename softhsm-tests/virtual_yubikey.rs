//! A virtual YubiKey as a bench: its OATH applet, locked by an access code, and its PIV applet.
#![allow(dead_code)]

use std::{path::Path, process::Command, sync::Arc};

use hsmsign::{
    algorithm::MacAlgorithm,
    ask::{Ask, Terminal},
    token::{
        PinProvider, Token, TokenError,
        yubikey::{Firmware, Settings, YubiKey, device},
    },
};

use crate::{
    card::{self, Desk, Profile},
    suite,
};

/// The access code of the OATH applet, and the PIN of the PIV applet.
const CODE: &str = "123456";

/// The key in its reader.
pub struct Bench {
    desk: Desk,
    settings: Settings,
}

/// The socket of the desk that is to be.
pub fn environment(folder: &Path) -> Vec<(String, String)> {
    vec![card::environment(&folder.join("pcscd"))]
}

/// It runs as any program does.
pub fn host(command: Command) -> Command {
    command
}

impl Bench {
    /// A new key; none, with a line on stderr, where it cannot be had.
    pub fn new(folder: &Path) -> Option<Self> {
        let desk = Desk::with(folder, vec![Profile::default()])?;
        let device = device::choose("").unwrap();
        let settings = Settings {
            name: "suite".to_owned(),
            serial: device.serial.clone(),
            applet: device.oath.unwrap().id,
            firmware: Firmware([5, 7, 4]),
        };
        let bench = Self { desk, settings };
        let code = hsmsign::secret::Secret::take(&mut CODE.as_bytes().to_vec()).unwrap();
        suite::Bench::open(&bench).set_code(Some(&code)).unwrap();
        Some(bench)
    }
}

impl suite::Bench for Bench {
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError> {
        let ask: Arc<dyn Ask> = Arc::new(Terminal);
        let key = YubiKey::new(self.settings.clone(), Arc::clone(&pin), pin, ask);
        // It is opened when it is used; the suite wants to see what opening says.
        if self.desk.card(0).inside().oath.is_locked() {
            key.list()?;
        }
        Ok(Box::new(key))
    }

    fn pin(&self) -> &str {
        CODE
    }

    fn keeps_data(&self) -> bool {
        false
    }

    fn takes(&self, algorithm: MacAlgorithm, len: usize) -> bool {
        match algorithm {
            MacAlgorithm::HmacSha256 => true,
            MacAlgorithm::HmacSha384 => false,
            MacAlgorithm::HmacSha512 => !(65..=128).contains(&len),
        }
    }

    fn longest(&self) -> usize {
        64
    }

    fn makes_macs(&self) -> bool {
        false
    }

    fn rounds(&self) -> u32 {
        20
    }
}
