//! SoftHSM as a bench: a token of its own in the test's folder.
#![allow(dead_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hsmsign::{
    secret::Secret,
    token::{
        PinProvider, Token, TokenError,
        pkcs11::{Pkcs11Token, Settings, initialise},
    },
};

use crate::suite;

const PIN: &str = "4711-user";
const SO_PIN: &str = "0815-officer";

/// A SoftHSM token.
pub struct Bench {
    pub settings: Settings,
}

/// The configuration file in the folder, and the variable that names it.
pub fn environment(folder: &Path) -> Vec<(String, String)> {
    let tokens = folder.join("tokens");
    fs::create_dir(&tokens).unwrap();
    let conf = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&conf, text).unwrap();
    vec![("SOFTHSM2_CONF".to_owned(), conf.display().to_string())]
}

/// Where the module is, if it is installed.
pub fn module() -> Option<PathBuf> {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    places.iter().map(PathBuf::from).find(|path| path.exists())
}

/// It runs as any program does.
pub fn host(command: Command) -> Command {
    command
}

impl Bench {
    /// The folder's token, made if it has none; none, with a line on stderr, where SoftHSM is not installed.
    pub fn new(folder: &Path) -> Option<Self> {
        let Some(module) = module() else {
            eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
            return None;
        };
        let lock_file = folder.join("lock");
        let settings = Settings {
            module,
            label: Some("suite".into()),
            lock_file,
            ..Settings::default()
        };
        let secret = |text: &str| Secret::take(&mut text.as_bytes().to_vec()).unwrap();
        if !folder.join("made").exists() {
            initialise(&settings, "suite", &secret(SO_PIN), &secret(PIN)).unwrap();
            fs::write(folder.join("made"), "").unwrap();
        }
        Some(Self { settings })
    }
}

impl suite::Bench for Bench {
    fn changes_data(&self) -> bool {
        // 2.6.1 answers CKR_ATTRIBUTE_READ_ONLY for the value of every data object.
        false
    }
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError> {
        Ok(Box::new(Pkcs11Token::open(self.settings.clone(), pin)?))
    }

    fn pin(&self) -> &str {
        PIN
    }
}
