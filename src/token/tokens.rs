//! Opening the tokens of `config.toml` by name.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::io::Errno;

use super::{
    ConfiguredPin, PinSource, Token, lock,
    pkcs11::{Pkcs11Token, Settings},
    softhsm,
    uri::TokenUri,
    yubikey::{self, YubiKey},
};
use crate::{
    ask::Ask,
    config::{Config, TokenConfig},
    error::{Code, Error, Result, bad_input},
    home::{Home, check_folder, create_folder, io_error, read_private, write_private},
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
    /// How many PINs the tokens were given.
    pins_given: Arc<AtomicU64>,
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
            pins_given: Arc::default(),
            leaks: Mutex::default(),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many PINs the tokens were given to log in with.
    pub fn pins_given(&self) -> u64 {
        self.pins_given.load(Ordering::Relaxed)
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
            pin_source(config)?,
            Arc::clone(&self.ask),
            Arc::clone(&self.pins_given),
        ));
        let settings = settings(&self.home, name, config)?;
        let token = Pkcs11Token::open(settings, Arc::clone(&pin) as _)?;
        self.keep_pin(name, pin);
        if let Some(uri) = &config.uri
            && !uri.parse::<TokenUri>()?.fits(token.identity())
        {
            return Err(Error::new(
                Code::TokenMissing,
                "the token that is there is not the one that the URI names",
            )
            .fix("plug in the one that is meant, or correct the uri in config.toml"));
        }
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
            let (ask, count) = (Arc::clone(&self.ask), Arc::clone(&self.pins_given));
            ConfiguredPin::new(&self.home, name, source, ask, count)
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

fn yubikey_settings(name: &str, config: &TokenConfig) -> Result<yubikey::Settings> {
    let incomplete = |what: &str| {
        bad_input(format!(
            "[token.{name}] in config.toml has no {what} that can be used"
        ))
        .fix("set it up again: hsmsign token remove, then hsmsign init --yubikey")
    };
    let applet = config
        .applet
        .as_deref()
        .and_then(|hex| base16ct::lower::decode_vec(hex).ok());
    Ok(yubikey::Settings {
        name: name.to_owned(),
        serial: config.serial.clone(),
        applet: applet
            .filter(|id| !id.is_empty())
            .ok_or_else(|| incomplete("applet"))?,
        firmware: config
            .firmware
            .as_deref()
            .ok_or_else(|| incomplete("firmware"))?
            .parse()?,
    })
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

/// Where the PIN of a token comes from; the terminal, where nothing is said.
///
/// # Errors
/// When what is said is none of the forms there are.
pub fn pin_source(token: &TokenConfig) -> Result<PinSource> {
    let from_uri = match &token.uri {
        Some(uri) => uri.parse::<TokenUri>()?.pin_source,
        None => None,
    };
    token
        .pin_source
        .clone()
        .or(from_uri)
        .map_or(Ok(PinSource::Terminal), |text| text.parse())
}

/// Where the PIN of a YubiKey's PIV applet comes from; from where its access code does, where nothing else is said.
///
/// # Errors
/// As [`pin_source`].
pub fn piv_pin_source(token: &TokenConfig) -> Result<PinSource> {
    match &token.piv_pin_source {
        Some(text) => text.parse(),
        None => pin_source(token),
    }
}

/// What the PKCS#11 backend wants to know of a token; sets the environment that the module reads.
///
/// # Errors
/// When the configuration names no module, or contradicts itself.
pub fn settings(home: &Home, name: &str, config: &TokenConfig) -> Result<Settings> {
    let uri = config.uri.as_deref().map(str::parse::<TokenUri>).transpose()?;
    let module = match (&config.module, &uri) {
        (Some(module), _) => module.clone(),
        (None, Some(uri)) => uri.module()?,
        (None, None) => {
            return Err(
                bad_input(format!("[token.{name}] in config.toml names no module"))
                    .fix("add module = \"/path/to/the/vendor's/pkcs11.so\""),
            );
        }
    };
    let uri = uri.unwrap_or_default();
    for (variable, text) in &config.environment {
        if std::env::var_os(variable).is_none() {
            set_variable(variable, Path::new(text));
        }
    }
    if config.softhsm {
        set_variable("SOFTHSM2_CONF", &softhsm_conf(home)?);
    }
    Ok(Settings {
        label: config.label.clone().or(uri.token),
        serial: config.serial.clone().or(uri.serial),
        module_args: config.module_args.clone(),
        process_lock: config.process_lock,
        lock_file: lock::place(&module, config.module_args.as_deref(), || {
            let folder = home.state("locks");
            create_folder(&folder).map(|()| folder.join(name))
        })?,
        module,
    })
}

/// Where SoftHSM keeps the development tokens.
pub fn softhsm_folder(home: &Home) -> PathBuf {
    home.state("softhsm").join("tokens")
}

/// The SoftHSM configuration of the development tokens, made or renewed so that it names the folder it lies in. That
/// folder is not made: put back from where it was moved to, it must find its place free.
fn softhsm_conf(home: &Home) -> Result<PathBuf> {
    let folder = home.state("softhsm");
    let tokens = softhsm_folder(home);
    if !tokens.exists() {
        return Err(Error::new(
            Code::TokenMissing,
            format!(
                "the folder of the development tokens is not there: {}",
                tokens.display()
            ),
        )
        .fix("put it back, its keys are in it; or make a new token: hsmsign init --softhsm --token NAME"));
    }
    check_folder(&tokens)?;
    let path = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    if read_private(&path, 1 << 16)?.as_deref() != Some(text.as_bytes()) {
        if tokens.to_str().is_none_or(|name| name.contains(['\n', '#'])) {
            return Err(bad_input(format!(
                "SoftHSM cannot use a folder of that name: {}",
                tokens.display()
            ))
            .fix("set HSMSIGN_HOME to a folder whose name is UTF-8, without `#` and line feeds"));
        }
        write_private(&path, text.as_bytes())?;
    }
    Ok(path)
}

#[allow(unsafe_code)]
fn set_variable(name: &str, value: &Path) {
    if std::env::var_os(name).is_some_and(|now| now == value.as_os_str()) {
        return;
    }
    // SAFETY: done while a token is opened, before its module is loaded; hsmsign's own threads read no environment
    // by C's getenv.
    unsafe { std::env::set_var(name, value) };
}

/// The SoftHSM module of this machine.
///
/// # Errors
/// `token-missing`, with how to install it.
pub fn softhsm_module() -> Result<PathBuf> {
    super::discover::named("softhsm2").map(|known| known.path).ok_or_else(|| {
        Error::new(Code::TokenMissing, "the SoftHSM module libsofthsm2.so is not on this machine")
            .fix("install it: apt install softhsm2 (Debian, Ubuntu), dnf install softhsm (Fedora), pacman -S softhsm (Arch)")
    })
}
