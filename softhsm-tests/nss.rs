//! NSS's software token as a bench. It wants its folder as an argument of C_Initialize, in a struct of its own.
#![allow(dead_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hsmsign::{
    algorithm::SignatureAlgorithm,
    token::{
        PinProvider, Token, TokenError,
        pkcs11::{Pkcs11Token, Settings},
    },
};

use crate::suite;

const PIN: &str = "4711-user";

/// An NSS database.
pub struct Bench {
    pub settings: Settings,
}

/// NSS needs nothing from the environment.
pub fn environment(_: &Path) -> Vec<(String, String)> {
    Vec::new()
}

/// It runs as any program does.
pub fn host(command: Command) -> Command {
    command
}

impl Bench {
    /// The folder's database, made if it has none; none, with a line on stderr, where NSS or certutil is not installed.
    pub fn new(folder: &Path) -> Option<Self> {
        let places = [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
        ];
        let module = places
            .iter()
            .map(|place| PathBuf::from(place).join("libsoftokn3.so"))
            .find(|path| path.exists());
        let database = folder.join("nss");
        let password = folder.join("password");
        let missing = || eprintln!("SKIPPED: NSS is not installed (Debian: libnss3 libnss3-tools)");
        let Some(module) = module else {
            missing();
            return None;
        };
        if !database.exists() {
            fs::create_dir(&database).unwrap();
            fs::write(&password, PIN).unwrap();
            let made = Command::new("certutil")
                .args(["-N", "-d", &format!("sql:{}", database.display()), "-f"])
                .arg(&password)
                .status();
            let Ok(made) = made else {
                missing();
                return None;
            };
            assert!(made.success(), "certutil makes a database");
        }
        let settings = Settings {
            module,
            label: Some("NSS Certificate DB".into()),
            module_args: Some(format!(
                "configdir='sql:{}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=",
                database.display()
            )),
            lock_file: folder.join("lock"),
            ..Settings::default()
        };
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

    fn keeps_data(&self) -> bool {
        false
    }

    fn takes_private(&self) -> &[SignatureAlgorithm] {
        &SignatureAlgorithm::ALL[1..]
    }
}
