//! Looking at the tokens of a module without a login, and making a new one.

use std::path::Path;

use cryptoki_sys::*;

use super::{
    Settings,
    choose::{Present, choose, present},
    loaded::{Loaded, State},
    module::Module,
};
use crate::{
    secret::Secret,
    token::{
        Identity, Result, TokenError,
        lock::{ProcessLock, WAIT},
        uri::TokenUri,
    },
};

/// A token that is present, seen without a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it says of itself.
    pub identity: Identity,
    /// It holds a token; otherwise the slot is free for a new one.
    pub initialised: bool,
    /// It has a user PIN.
    pub pin_set: bool,
    /// Its user PIN is locked.
    pub pin_locked: bool,
    /// A wrong PIN was given since the last right one.
    pub pin_count_low: bool,
    /// One more wrong PIN locks it.
    pub pin_final_try: bool,
    /// The PIN is given on its own keypad.
    pub keypad: bool,
    /// Nothing can be stored on it.
    pub write_protected: bool,
    /// The module says that it is hardware.
    pub hardware: bool,
}

/// The tokens that a module has, seen without a login.
///
/// # Errors
/// [`TokenError::Missing`] for a module that cannot be loaded; what it answers otherwise.
pub fn scan(module: &Path, module_args: Option<&str>) -> Result<Vec<Found>> {
    let loaded = Loaded::load(module, module_args)?;
    visit(&loaded, |module| {
        let found = present(&module)?.into_iter().map(|token| Found {
            initialised: token.has(CKF_TOKEN_INITIALIZED),
            pin_set: token.has(CKF_USER_PIN_INITIALIZED),
            pin_locked: token.has(CKF_USER_PIN_LOCKED),
            pin_count_low: token.has(CKF_USER_PIN_COUNT_LOW),
            pin_final_try: token.has(CKF_USER_PIN_FINAL_TRY),
            keypad: token.has(CKF_PROTECTED_AUTHENTICATION_PATH),
            write_protected: token.has(CKF_WRITE_PROTECTED),
            hardware: is_hardware(&module, &token),
            identity: token.identity,
        });
        Ok(found.collect())
    })
}

/// Makes a token with this label in a free slot of the module, and sets its user PIN.
///
/// # Errors
/// [`TokenError::Missing`] where no slot is free, [`TokenError::Failed`] where the label is taken.
pub fn initialise(settings: &Settings, label: &str, so_pin: &Secret, user_pin: &Secret) -> Result<Identity> {
    let mut padded = [b' '; 32];
    padded
        .get_mut(..label.len())
        .filter(|_| !label.is_empty() && label.trim_end() == label)
        .ok_or_else(|| {
            TokenError::Failed("a token's label is 1 to 32 bytes without blanks at its end".to_owned())
        })?
        .copy_from_slice(label.as_bytes());
    let loaded = Loaded::load(&settings.module, settings.module_args.as_deref())?;
    let wanted = settings.process_lock.unwrap_or(true);
    let _lock = wanted
        .then(|| ProcessLock::acquire(&settings.lock_file, WAIT))
        .transpose()?;
    visit(&loaded, |module| {
        let tokens = present(&module)?;
        if tokens
            .iter()
            .any(|token| token.has(CKF_TOKEN_INITIALIZED) && token.identity.label == label)
        {
            return Err(TokenError::Failed(format!(
                "there is a token with the label {label:?} already"
            )));
        }
        let free = tokens
            .iter()
            .find(|token| !token.has(CKF_TOKEN_INITIALIZED))
            .ok_or_else(|| TokenError::Missing {
                what: "the module has no free slot for a new token".to_owned(),
                fix: "initialise the token with its own tool, then name it here".to_owned(),
            })?;
        module.init_token(free.slot, so_pin.expose(), &padded)?;
        // The new token may have moved to another slot.
        let token = choose(present(&module)?, Some(label), None, &TokenUri::default())?;
        let session = module.open_session(token.slot, true)?;
        let done = module
            .login(session, CKU_SO, Some(so_pin.expose()))
            .and_then(|()| module.init_pin(session, user_pin.expose()))
            .and_then(|()| module.logout(session));
        let _ = module.close_session(session);
        done?;
        Ok(token.identity)
    })
}

/// Whether the token is a device of its own, as its slot says; the makers of software tokens are known by name.
pub(super) fn is_hardware(module: &Module, token: &Present) -> bool {
    const SOFTWARE: [&str; 6] = ["softhsm", "kryoptic", "nss", "mozilla", "soft", "swtpm"];
    let said = format!("{} {}", token.identity.module, token.identity.model).to_lowercase();
    let slot = module.slot_info(token.slot).map_or(0, |info| info.flags);
    slot & CKF_HW_SLOT != 0 && !SOFTWARE.iter().any(|name| said.contains(name))
}

/// Uses the module without a token of its own, and leaves it as it was.
fn visit<T>(loaded: &Loaded, work: impl FnOnce(Module) -> Result<T>) -> Result<T> {
    let mut gate = loaded.enter_alone();
    loaded.start(&mut gate)?;
    let done = work(loaded.module);
    leave(loaded, &mut gate);
    done
}

fn leave(loaded: &Loaded, gate: &mut State) {
    if gate.users == 0 {
        loaded.stop(gate);
    }
}
