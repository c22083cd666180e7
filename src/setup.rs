//! Setting up a token: finding it or making one, opening it once, and writing it into `config.toml`.

mod asking;
mod environment;
mod making;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use self::{asking::AtSetUp, making::Making};
use crate::{
    ask::Ask,
    config::{self, Config, TokenConfig},
    error::{Code, Error, Result, bad_input, failed},
    home::{Home, create_folder, write_private},
    secret::Secret,
    token::{
        PinSource, ProcessLock, Token, Tokens, pkcs11, settings, softhsm_folder, softhsm_module, unwritable,
        yubikey::device,
    },
};

/// The default name of the development token.
pub const SOFTHSM: &str = "softhsm";

/// The default name of a YubiKey.
pub const YUBIKEY: &str = "yubikey";

/// How long to wait for other processes that open tokens.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many characters a made PIN has; each one of 32, so that it has 120 bits.
const PIN_LENGTH: usize = 24;

/// A token that is there already, as the owner describes it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The PKCS#11 module's file.
    pub module: PathBuf,
    /// The token's label.
    pub label: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// What the module wants at its initialisation.
    pub module_args: Option<String>,
    /// Its name in `config.toml`; made from its label where none is given.
    pub name: Option<String>,
    /// Where the PIN comes from; the terminal where nothing is given.
    pub pin_source: Option<String>,
    /// Use it although it gives its keys away to whoever has the PIN.
    pub accept_leaky_token: bool,
}

/// A token that is set up and open.
pub struct Ready {
    /// Its name in `config.toml`.
    pub name: String,
    /// The token.
    pub token: Arc<dyn Token>,
    /// The attacks by which it gives keys away, which its owner accepts.
    pub leaks: Vec<String>,
    /// What to know of its PIN, where that is short, as [`Tokens::short_pin`].
    pub short_pin: Option<String>,
}

/// Makes a SoftHSM token in hsmsign's own folders, with a random PIN in a file of mode 0600. One that gives its keys
/// away is taken only with `accept_leaky`.
///
/// # Errors
/// When SoftHSM is not installed, the name is taken, or the token cannot be made.
pub fn softhsm(home: &Home, name: Option<&str>, accept_leaky: bool, ask: &Arc<dyn Ask>) -> Result<Ready> {
    home.create()?;
    let name = name.unwrap_or(SOFTHSM);
    refuse_taken(home, name)?;
    let module = softhsm_module()?;
    let token = TokenConfig {
        module: Some(module),
        softhsm: true,
        accept_leaky_token: accept_leaky,
        ..TokenConfig::default()
    };
    create_folder(&softhsm_folder(home))?;
    let making = Making::begin(home, PATIENCE)?;
    // Another process may have made one of that name meanwhile.
    refuse_taken(home, name)?;
    let made = make_softhsm(home, name, token, &making, ask);
    match made {
        Ok(ready) => making.done().map(|()| ready),
        Err(error) => {
            // Where that fails too, the next start of `init` does it.
            let _ = making.undo();
            Err(error)
        }
    }
}

fn make_softhsm(
    home: &Home,
    name: &str,
    mut token: TokenConfig,
    making: &Making,
    ask: &Arc<dyn Ask>,
) -> Result<Ready> {
    let settings = settings(home, name, &token)?;
    let pin_file = home.state("softhsm").join(format!("{name}.pin"));
    let (so_pin, user_pin) = (random_pin()?, random_pin()?);
    let label = {
        let _turn = ProcessLock::acquire(&settings.lock_file, PATIENCE)?;
        free_label(&settings.module, name)?
    };
    making.mark(name, &label)?;
    write_private(&pin_file, user_pin.expose())?;
    let identity = pkcs11::initialise(&settings, &label, &so_pin, &user_pin)
        .map_err(|error| unwritable(&softhsm_folder(home)).unwrap_or_else(|| error.into()))
        .map_err(|error| error.within("the development token could not be made"))?;
    token.label = Some(identity.label);
    token.serial = Some(identity.serial);
    token.pin_source = Some(PinSource::File(pin_file).text());
    let ready = try_out(home, name, &token, ask)?;
    config::add_token(home, name, &token)?;
    Ok(ready)
}

/// Sets up a token that a PKCS#11 module has.
///
/// # Errors
/// When the module or token is not there, is not one, does not open with its PIN, or gives its keys away and that was
/// not accepted. Nothing is written then.
pub fn pkcs11(home: &Home, wanted: &Wanted, ask: &Arc<dyn Ask>) -> Result<Ready> {
    home.create()?;
    let module = std::path::absolute(&wanted.module)
        .map_err(|error| bad_input(format!("{} is no file's name: {error}", wanted.module.display())))?;
    let pin_source = wanted
        .pin_source
        .as_deref()
        .map(str::parse::<PinSource>)
        .transpose()?;
    let mut token = TokenConfig {
        module: Some(module.clone()),
        label: wanted.label.clone(),
        serial: wanted.serial.clone(),
        module_args: wanted.module_args.clone(),
        pin_source: pin_source.as_ref().map(PinSource::text),
        accept_leaky_token: wanted.accept_leaky_token,
        ..TokenConfig::default()
    };
    let tried = match &wanted.name {
        Some(name) => name.clone(),
        None => free_name(home, wanted.label.as_deref().unwrap_or_default())?,
    };
    if let Some(name) = &wanted.name {
        refuse_taken(home, name)?;
    }
    let ready = try_out(home, &tried, &token, ask)?;
    let identity = ready.token.identity();
    if ready.token.capabilities().algorithms.is_empty() {
        return Err(Error::new(
            Code::Unsupported,
            format!(
                "the token {:?} ({}) names none of the algorithms that exchanges want",
                identity.label, identity.module
            ),
        )
        .fix("docs/tokens.md tells which tokens do; for development: hsmsign init --softhsm"));
    }
    token.environment = environment::of_module(&module, &identity.module, |name| std::env::var_os(name));
    token.label = Some(identity.label.clone()).filter(|label| !label.is_empty());
    token.serial = Some(identity.serial.clone()).filter(|serial| !serial.is_empty());
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => free_name(home, &identity.label)?,
    };
    config::add_token(home, &name, &token)?;
    Ok(Ready { name, ..ready })
}

/// Sets up a YubiKey: the one with this serial number or applet id, or the only one there is. It proves by a throw-away key
/// that it answers whole MACs.
///
/// # Errors
/// When it is not there, is one of several, or cannot sign for an exchange. Nothing is written then.
pub fn yubikey(
    home: &Home,
    wanted: &str,
    name: Option<&str>,
    pin_source: Option<&str>,
    ask: &Arc<dyn Ask>,
) -> Result<Ready> {
    home.create()?;
    let pin_source = pin_source.map(str::parse::<PinSource>).transpose()?;
    let name = match name {
        Some(name) => {
            refuse_taken(home, name)?;
            name.to_owned()
        }
        None => free_name(home, YUBIKEY)?,
    };
    let device = device::choose(wanted)?;
    let (Some(oath), Some(firmware)) = (&device.oath, device.firmware()) else {
        return Err(failed("the key has no OATH applet"));
    };
    let token = TokenConfig {
        yubikey: true,
        applet: Some(base16ct::lower::encode_string(&oath.id)),
        firmware: Some(firmware.to_string()),
        serial: device.serial.clone(),
        pin_source: pin_source.as_ref().map(PinSource::text),
        ..TokenConfig::default()
    };
    let mut trial = Config::load(home)?;
    trial.tokens.insert(name.clone(), token.clone());
    let known = trial
        .tokens
        .iter()
        .find(|(other, known)| **other != name && known.yubikey && known.applet == token.applet);
    if let Some((other, _)) = known {
        return Err(bad_input(format!(
            "the {} is set up already, as token {other}",
            device.called()
        ))
        .fix("use it as it is"));
    }
    let tokens = Tokens::new(home, trial, Arc::new(AtSetUp(Arc::clone(ask))));
    let key = tokens.yubikey(&name, &token)?;
    key.prove()
        .map_err(|error| Error::from(error).within(device.called()))?;
    config::add_token(home, &name, &token)?;
    Ok(Ready {
        name,
        token: Arc::new(key),
        leaks: Vec::new(),
        short_pin: None,
    })
}

/// Opens a token that is not set up yet, and finds out whether it keeps its keys, and whether its PIN is short.
fn try_out(home: &Home, name: &str, token: &TokenConfig, ask: &Arc<dyn Ask>) -> Result<Ready> {
    let mut trial = Config::load(home)?;
    trial.tokens.insert(name.to_owned(), token.clone());
    let tokens = Tokens::new(home, trial, Arc::new(AtSetUp(Arc::clone(ask))));
    Ok(Ready {
        name: name.to_owned(),
        token: tokens.get(name)?,
        leaks: tokens.refuse_leaky(name, token.accept_leaky_token)?,
        short_pin: tokens.short_pin(name),
    })
}

fn refuse_taken(home: &Home, name: &str) -> Result<()> {
    name.parse::<crate::keyring::KeyName>().map_err(|_| {
        bad_input(format!("{name:?} cannot be a token's name"))
            .fix("use 1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit")
    })?;
    if Config::load(home)?.tokens.contains_key(name) {
        return Err(bad_input(format!("a token named {name} is set up already"))
            .fix("use it as it is, or choose another name with --token"));
    }
    Ok(())
}

/// A label that no token of the module has: one left by a set-up that was cut off may be there.
fn free_label(module: &Path, name: &str) -> Result<String> {
    let taken: Vec<_> = pkcs11::scan(module, None)?
        .into_iter()
        .map(|found| found.identity.label)
        .collect();
    let label: String = format!("hsmsign {name}").chars().take(28).collect();
    (1..1000)
        .map(|count| {
            if count == 1 {
                label.clone()
            } else {
                format!("{label} {count}")
            }
        })
        .find(|label| !taken.contains(label))
        .ok_or_else(|| failed("there are too many development tokens"))
}

fn free_name(home: &Home, label: &str) -> Result<String> {
    let mut base: String = label
        .to_ascii_lowercase()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .take(32)
        .collect();
    base = base.trim_matches('-').to_owned();
    if base.is_empty() {
        base = "token".to_owned();
    }
    let config = Config::load(home)?;
    (1..1000)
        .map(|count| {
            if count == 1 {
                base.clone()
            } else {
                format!("{base}-{count}")
            }
        })
        .find(|name| !config.tokens.contains_key(name))
        .ok_or_else(|| {
            Error::new(Code::BadInput, "there are too many tokens of that name").fix("give one with --token")
        })
}

fn random_pin() -> Result<Secret> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut pin = Secret::with_capacity(PIN_LENGTH)?;
    let room = &mut pin.spare_mut()[..PIN_LENGTH];
    getrandom::fill(room).map_err(|_| failed("the system gave no random bytes"))?;
    for byte in room {
        *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
    }
    pin.grow(PIN_LENGTH);
    Ok(pin)
}
