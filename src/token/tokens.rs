//! Opening the tokens of `config.toml` by name.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::io::Errno;

use super::{
    ConfiguredPin, Tally, Token, lock, pin_source, piv_pin_source,
    pkcs11::Pkcs11Token,
    settings::{beside_its_token, settings, softhsm_folder, yubikey_settings},
    softhsm,
    yubikey::YubiKey,
};
use crate::{
    ask::Ask,
    config::{Config, TokenConfig},
    error::{Code, Error, Result},
    home::{Home, io_error},
};

/// What SoftHSM needs for the objects of a key, in bytes.
const ROOM: u64 = 16 << 10;
/// And in files: two an object.
const FILES: u64 = 6;

/// The tokens that are set up, each opened when it is first asked for.
pub struct Tokens {
    pub(super) home: Home,
    pub(super) config: Config,
    ask: Arc<dyn Ask>,
    open: Mutex<HashMap<String, Arc<dyn Token>>>,
    /// Where the PINs of the open ones came from.
    pub(super) pins: Mutex<HashMap<String, Arc<ConfiguredPin>>>,
    /// The PINs that the tokens were given.
    tally: Arc<Tally>,
    /// The attacks by which the tokens that were tried give keys away.
    pub(super) leaks: Mutex<HashMap<String, Vec<String>>>,
}

impl Tokens {
    /// The tokens of a configuration, none open yet.
    pub fn new(home: &Home, config: Config, ask: Arc<dyn Ask>) -> Self {
        Self {
            home: home.clone(),
            config,
            ask,
            open: Mutex::default(),
            pins: Mutex::default(),
            tally: Arc::default(),
            leaks: Mutex::default(),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many PINs the tokens were given to log in with.
    pub fn pins_given(&self) -> u64 {
        self.tally.count()
    }

    /// Whether a person was asked for a PIN and gave no right one, so that an error of this kind came of it. They are not asked
    /// for it again.
    pub fn pin_missed(&self, code: Code) -> bool {
        self.tally.has_missed(code)
    }

    /// Whether a token can be opened without asking a person.
    pub fn opens_silently(&self, name: &str) -> bool {
        self.config
            .token(name)
            .and_then(pin_source)
            .is_ok_and(|source| !source.interactive())
            || (self.config.token(name).is_ok_and(|token| token.yubikey)
                && self.get(name).is_ok_and(|token| !token.asks()))
    }

    /// The token of this name, opened and logged in.
    ///
    /// # Errors
    /// When it is not configured or cannot be opened; the error says which token.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Token>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = open.get(name) {
            return Ok(Arc::clone(token));
        }
        let token = self
            .open(name)
            .map_err(|error| error.within(format_args!("token {name}")))?;
        open.insert(name.to_owned(), Arc::clone(&token));
        Ok(token)
    }

    /// Logs out of the tokens that are open, before the process ends.
    pub fn leave(&self) {
        let Ok(open) = self.open.try_lock() else { return };
        for token in open.values() {
            token.leave();
        }
    }

    /// The token of this name, which is there at this moment. Some kinds are only looked for when they are used.
    ///
    /// # Errors
    /// As [`Tokens::get`], or when it is not there; the error says which token.
    pub fn present(&self, name: &str) -> Result<Arc<dyn Token>> {
        let token = self.get(name)?;
        match token.look() {
            Ok(()) => Ok(token),
            Err(error) => Err(Error::from(error).within(format_args!("token {name}"))),
        }
    }

    /// Removes what a killed import leaves in the folder of a development token and PKCS#11 does not show: SoftHSM's
    /// object files of no bytes. Only under the keyring's lock, so that no import is at work there.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clean_up(&self, name: &str) -> Result<()> {
        if !self.config.token(name)?.softhsm {
            return Ok(());
        }
        softhsm::remove_empty(&softhsm_folder(&self.home))
    }

    /// What to tell in place of an error of a token whose disk is full or read-only: SoftHSM itself says nothing of it.
    pub fn unwritable(&self, name: &str) -> Option<Error> {
        let settings = settings(&self.home, name, self.config.token(name).ok()?).ok()?;
        lock::softhsm_folder()
            .filter(|folder| *folder == settings.lock_file)
            .and_then(|folder| unwritable(&folder))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Token>> {
        let config = self.config.token(name)?;
        if config.yubikey {
            return Ok(Arc::new(self.yubikey(name, config)?));
        }
        let pin = Arc::new(ConfiguredPin::new(
            &self.home,
            name,
            beside_its_token(&self.home, name, config)?,
            Arc::clone(&self.ask),
            Arc::clone(&self.tally),
        ));
        let settings = settings(&self.home, name, config)?;
        let token = Pkcs11Token::open(settings, Arc::clone(&pin) as _)?;
        self.keep_pin(name, pin);
        Ok(Arc::new(token))
    }
}

impl Tokens {
    /// A YubiKey; it is not looked for yet.
    ///
    /// # Errors
    /// When its settings are not whole.
    pub(crate) fn yubikey(&self, name: &str, config: &TokenConfig) -> Result<YubiKey> {
        let settings = yubikey_settings(name, config)?;
        let provider = |source| {
            let (ask, tally) = (Arc::clone(&self.ask), Arc::clone(&self.tally));
            ConfiguredPin::new(&self.home, name, source, ask, tally)
        };
        let piv_source = piv_pin_source(config)?;
        let pin = Arc::new(provider(pin_source(config)?));
        self.keep_pin(name, Arc::clone(&pin));
        let piv_pin = Arc::new(provider(piv_source).of_piv(&self.home));
        Ok(YubiKey::new(settings, pin, piv_pin, Arc::clone(&self.ask)))
    }

    fn keep_pin(&self, name: &str, pin: Arc<ConfiguredPin>) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.insert(name.to_owned(), pin);
    }
}

/// The error of a folder of tokens in which SoftHSM can write nothing: its disk is full or mounted read-only.
pub fn unwritable(folder: &Path) -> Option<Error> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let reason = if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        Errno::ROFS
    } else if disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM
        // Of a file system that does not count files, there are none.
        || (disk.f_files > 0 && disk.f_favail < FILES)
    {
        Errno::NOSPC
    } else {
        return None;
    };
    Some(io_error(
        "the token's folder",
        folder,
        "be written",
        &reason.into(),
    ))
}
