//! What the backends want to know of a token, as its section of `config.toml` says it.

use std::path::{Path, PathBuf};

use super::{PinSource, lock, pkcs11::Settings, uri::TokenUri, yubikey};
use crate::{
    config::TokenConfig,
    error::{Code, Error, Result, bad_input},
    home::{Home, check_folder, create_folder, read_private, write_private},
};

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

/// As [`pin_source`]. The PIN of a development token lies in one folder with it: where that folder was moved or copied, the
/// path that was written down is not its own.
///
/// # Errors
/// As [`pin_source`].
pub(super) fn beside_its_token(home: &Home, name: &str, token: &TokenConfig) -> Result<PinSource> {
    let source = pin_source(token)?;
    let beside = Path::new("softhsm").join(format!("{name}.pin"));
    let own = home.state("softhsm").join(format!("{name}.pin"));
    match &source {
        PinSource::File(path) if token.softhsm && path.ends_with(beside) && own.exists() => {
            Ok(PinSource::File(own))
        }
        _ => Ok(source),
    }
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

/// What the YubiKey backend wants to know of a token.
///
/// # Errors
/// When the section is not whole.
pub(super) fn yubikey_settings(name: &str, config: &TokenConfig) -> Result<yubikey::Settings> {
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
    let mut uri = uri.unwrap_or_default();
    if config.label.is_some() {
        uri.token = None;
    }
    if config.serial.is_some() {
        uri.serial = None;
    }
    for (variable, text) in &config.environment {
        if std::env::var_os(variable).is_none() {
            set_variable(variable, Path::new(text));
        }
    }
    if config.softhsm {
        set_variable("SOFTHSM2_CONF", &softhsm_conf(home)?);
    }
    Ok(Settings {
        label: config.label.clone(),
        serial: config.serial.clone(),
        uri,
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
    for folder in [&folder, &tokens] {
        check_folder(folder)?;
    }
    let path = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    if read_private(&path, 1 << 16)?.as_deref() != Some(text.as_bytes()) {
        if tokens.to_str().is_none_or(misread) {
            return Err(bad_input(format!(
                "SoftHSM cannot use a folder of that name: {}",
                tokens.display()
            ))
            .fix("set HSMSIGN_HOME to a folder whose name is UTF-8, of fewer than 900 bytes, without `#`, `=` and line breaks"));
        }
        write_private(&path, text.as_bytes())?;
    }
    Ok(path)
}

/// Whether SoftHSM takes another folder for this one: in its configuration a comment, a second `=` or a line break ends a
/// name, and so does the end of its 1024 bytes for a line.
fn misread(name: &str) -> bool {
    name.contains(['#', '=', '\n', '\r']) || name.len() > 960
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
