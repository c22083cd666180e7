//! kryoptic as a bench: a token in a database of its own. scripts/test.sh builds the module into `.cache/kryoptic`.
#![allow(dead_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hsmsign::{
    algorithm::SignatureAlgorithm,
    secret::Secret,
    token::{
        PinProvider, Token, TokenError,
        pkcs11::{Pkcs11Token, Settings, initialise},
    },
};

use crate::suite;

const PIN: &str = "4711-user";
const SO_PIN: &str = "0815-officer";

/// A kryoptic token.
pub struct Bench {
    pub settings: Settings,
}

/// It needs nothing from the environment.
pub fn environment(_: &Path) -> Vec<(String, String)> {
    Vec::new()
}

/// It runs as any program does.
pub fn host(command: Command) -> Command {
    command
}

impl Bench {
    /// A new token in the folder; none, with a line on stderr, where the module was not built.
    pub fn new(folder: &Path) -> Option<Self> {
        let module =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/kryoptic/release/libkryoptic_pkcs11.so");
        if !module.exists() {
            eprintln!("SKIPPED: kryoptic is not built (scripts/test.sh builds it)");
            return None;
        }
        let conf = folder.join("kryoptic.conf");
        let text = format!(
            "[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n",
            folder.join("kryoptic.sql").display()
        );
        let first = !conf.exists();
        fs::write(&conf, text).unwrap();
        let settings = Settings {
            module,
            label: Some("suite".into()),
            module_args: Some(format!("kryoptic_conf={}", conf.display())),
            lock_file: folder.join("lock"),
            ..Settings::default()
        };
        let secret = |text: &str| Secret::take(&mut text.as_bytes().to_vec()).unwrap();
        if first {
            initialise(&settings, "suite", &secret(SO_PIN), &secret(PIN)).unwrap();
        }
        Some(Self { settings })
    }
}

impl suite::Bench for Bench {
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError> {
        Ok(Box::new(Pkcs11Token::open(self.settings.clone(), pin)?))
    }

    fn pin(&self) -> &str {
        PIN
    }

    fn takes_private(&self) -> &[SignatureAlgorithm] {
        &SignatureAlgorithm::ALL[1..]
    }
}
