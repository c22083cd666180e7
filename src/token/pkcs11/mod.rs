//! Tokens behind a PKCS #11 module (v2.40): smart cards, HSMs, SoftHSM.
//!
//! [`Pkcs11Token`] keeps one login. A call takes a session of the pool, finds the key's handle once and works; a handle
//! that became void is found again once, a token that went away is opened again once.

mod attack;
mod choose;
mod codes;
mod data;
mod doubt;
mod file;
mod find;
mod init;
mod ladder;
mod loaded;
mod login;
mod module;
mod open;
mod pair;
mod probe;
mod session;
mod sweep;
mod template;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock, atomic::AtomicU64},
};

use cryptoki_sys::*;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

pub use self::{
    attack::attack_from_stdin,
    init::{Found, initialise, scan},
};
use self::{
    loaded::Loaded,
    session::{Fault, Opened},
};
use super::{
    Capabilities, Class, Identity, Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, PinProvider, Result,
    SignInput, Token, TokenError,
    extraction::{Report, Trial},
    uri::TokenUri,
};
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    private_key::PrivateKey,
    public_key::PublicKey,
    secret::{BlockKey, Secret},
};

/// Which token, and how to reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The module's library.
    pub module: PathBuf,
    /// The token's label. Without label and serial number, the one token that is there.
    pub label: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// What a URI says of the token.
    pub uri: TokenUri,
    /// What the module wants at its initialisation, as NSS its folder.
    pub module_args: Option<String>,
    /// Whether processes take turns at opening; yes if not said.
    pub process_lock: Option<bool>,
    /// The file that is locked meanwhile; made (0600) if absent.
    pub lock_file: PathBuf,
}

/// A token behind a PKCS #11 module, logged in.
pub struct Pkcs11Token {
    settings: Settings,
    loaded: Arc<Loaded>,
    pin: Arc<dyn PinProvider>,
    identity: Identity,
    capabilities: OnceLock<Capabilities>,
    opened: RwLock<Option<Opened>>,
    /// Up to which [`doubt::count`] it shows what there is.
    clear_until: AtomicU64,
}

impl Pkcs11Token {
    /// Loads the module, finds the token and logs in.
    ///
    /// # Errors
    /// [`TokenError::Missing`] for a module or token that is not there, [`TokenError::WrongPin`] after one try,
    /// [`TokenError::Locked`] without any where none is left, [`TokenError::Busy`] where others do not give way.
    pub fn open(settings: Settings, pin: Arc<dyn PinProvider>) -> Result<Self> {
        let loaded = Loaded::load(&settings.module, settings.module_args.as_deref())?;
        loaded.enter_alone().users += 1;
        let mut token = Self {
            settings,
            loaded,
            pin,
            identity: Identity::default(),
            capabilities: OnceLock::new(),
            opened: RwLock::new(None),
            clear_until: AtomicU64::new(doubt::count()),
        };
        token.renew(None)?;
        let opened = token.opened.get_mut().unwrap_or_else(PoisonError::into_inner);
        token.identity = opened
            .as_ref()
            .map(|opened| opened.identity.clone())
            .unwrap_or_default();
        Ok(token)
    }

    /// Stores or makes a MAC key under an id that is not in use.
    fn create_mac(
        &self,
        algorithm: MacAlgorithm,
        key: Option<&BlockKey>,
        meta: &KeyMeta,
    ) -> Result<Imported> {
        let stored = self.run_in_turn(|opened| {
            opened.writing(|session| {
                // Only among keys, whose ids are what NSS goes by: thousands may be imported in a row.
                if !find::keys_by_id(&opened.module, session, &meta.id)?.is_empty() {
                    return Err(TokenError::Exists(meta.id.to_string()).into());
                }
                ladder::climb(
                    &opened.module,
                    session,
                    algorithm,
                    key.map(BlockKey::expose),
                    meta,
                )
            })
        })?;
        self.alone(&stored.key)?;
        Ok(stored)
    }
}

/// NSS silently replaces a key whose id is stored again.
fn refuse_existing(opened: &Opened, session: CK_SESSION_HANDLE, id: &ObjectId) -> Result<(), Fault> {
    if find::all_by_id(&opened.module, session, id)?.is_empty() {
        return Ok(());
    }
    Err(TokenError::Exists(id.to_string()).into())
}

impl Token for Pkcs11Token {
    fn capabilities(&self) -> &Capabilities {
        static UNKNOWN: OnceLock<Capabilities> = OnceLock::new();
        if let Some(known) = self.capabilities.get() {
            return known;
        }
        match self.probe() {
            Ok(can) => self.capabilities.get_or_init(|| can),
            // Asked again next time.
            Err(_) => UNKNOWN.get_or_init(Capabilities::default),
        }
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn import_mac(&self, key: &BlockKey, meta: &KeyMeta) -> Result<Imported> {
        self.create_mac(key.algorithm(), Some(key), meta)
    }

    fn generate_mac(&self, algorithm: MacAlgorithm, meta: &KeyMeta) -> Result<Imported> {
        self.create_mac(algorithm, None, meta)
    }

    fn import_private(&self, key: &PrivateKey, meta: &KeyMeta) -> Result<(Imported, PublicKey)> {
        let algorithm = key.algorithm();
        // opencryptoki stores keys that it cannot sign with.
        let can = &self.capabilities().algorithms;
        if !can.contains(&Algorithm::Signature(algorithm)) {
            return Err(TokenError::Unsupported(format!(
                "the token makes no {algorithm} signatures"
            )));
        }
        let numbers = key.numbers()?;
        let imported = self.run_in_turn(|opened| {
            opened.writing(|session| {
                refuse_existing(opened, session, &meta.id)?;
                pair::import(&opened.module, session, algorithm, &numbers, meta)
            })
        })?;
        self.alone(&imported.key)?;
        Ok((imported, key.public_key().clone()))
    }

    fn generate(&self, algorithm: SignatureAlgorithm, meta: &KeyMeta) -> Result<(Imported, PublicKey)> {
        let (made, public) = self.run_in_turn(|opened| {
            opened.writing(|session| {
                refuse_existing(opened, session, &meta.id)?;
                pair::generate(&opened.module, session, algorithm, meta)
            })
        })?;
        self.alone(&made.key)?;
        Ok((made, public))
    }

    fn mac(&self, key: &KeyRef, algorithm: MacAlgorithm, message: &[u8]) -> Result<Mac> {
        self.run(|opened| {
            opened.reading(|session| {
                let object = find::handle(opened, session, key)?;
                let mut answer = [0; 64];
                let mechanism = ladder::mechanism(algorithm);
                let len = opened
                    .module
                    .sign(session, mechanism, object, message, &mut answer)?;
                if len != algorithm.output_len() {
                    return Err(TokenError::Failed(format!("the token made a MAC of {len} bytes")).into());
                }
                Mac::new(&answer[..len]).ok_or_else(|| TokenError::Failed("a MAC is too long".into()).into())
            })
        })
    }

    fn sign(&self, key: &KeyRef, algorithm: SignatureAlgorithm, input: SignInput<'_>) -> Result<Vec<u8>> {
        self.run(|opened| {
            opened.reading(|session| {
                let object = find::handle(opened, session, key)?;
                pair::sign(&opened.module, session, object, algorithm, input)
            })
        })
    }

    fn put_data(&self, data: &Secret, meta: &KeyMeta) -> Result<KeyRef> {
        let stored = self.run_in_turn(|opened| {
            opened.writing(|session| {
                refuse_existing(opened, session, &meta.id)?;
                data::put(&opened.module, session, data, meta)
            })
        })?;
        self.alone(&stored)?;
        Ok(stored)
    }

    fn get_data(&self, key: &KeyRef) -> Result<Secret> {
        self.run(|opened| {
            opened.reading(|session| {
                let object = find::handle(opened, session, key)?;
                data::get(&opened.module, session, object)
            })
        })
    }

    fn set_data(&self, key: &KeyRef, data: &Secret) -> Result<bool> {
        self.run_in_turn(|opened| {
            opened.writing(|session| {
                let object = find::handle(opened, session, key)?;
                data::set(&opened.module, session, object, data)
            })
        })
    }

    fn readable(&self, key: &KeyRef) -> Result<bool> {
        self.run(|opened| {
            opened.reading(|session| {
                let object = find::handle(opened, session, key)?;
                let (class, _) = key.object()?;
                for kind in find::values(class) {
                    // An honest length of nothing is no proof either way, so the value itself is asked for as well.
                    let length = opened.module.attribute_len(session, object, *kind)?;
                    let mut value = [0; 512];
                    let read = opened.module.read_attribute(session, object, *kind, &mut value);
                    value.zeroize();
                    if length.is_some() || !matches!(read, Ok(None)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        })
    }

    fn try_extraction(&self, trial: &Trial) -> Result<Option<Report>> {
        self.attack(trial).map(Some)
    }

    fn list(&self) -> Result<Vec<KeyInfo>> {
        self.run(|opened| {
            opened.reading(|session| {
                let objects = opened.module.find_objects(session, &[], find::MOST)?;
                let all = objects
                    .into_iter()
                    .map(|object| find::describe(&opened.module, session, object));
                Ok(all.collect::<Result<_, _>>()?)
            })
        })
    }

    fn labelled(&self, label: &str) -> Result<Vec<KeyInfo>> {
        let found = self.run(|opened| opened.reading(|session| find::labelled(opened, session, label)))?;
        if !found.is_empty() {
            return Ok(found);
        }
        // A module may search otherwise than it shows.
        let mut all = self.list()?;
        all.retain(|info| info.label == label);
        Ok(all)
    }

    fn delete(&self, key: &KeyRef) -> Result<()> {
        self.run_in_turn(|opened| {
            let known = opened.known(key);
            opened.forget(key);
            opened.writing(|session| {
                // Without a search, if the handle still is of this object: modules give handles of what is gone to others.
                if let Some(object) = known
                    && matches!(key.object()?, (Class::Data, _))
                    && find::describe(&opened.module, session, object)
                        .is_ok_and(|there| there.key.as_ref() == Some(key))
                    && opened.module.destroy_object(session, object).is_ok()
                {
                    return Ok(());
                }
                // The public half of a pair goes with the private one.
                for key in [Some(key.clone()), key.partner()].into_iter().flatten() {
                    let (class, id) = key.object()?;
                    for object in find::by_id(&opened.module, session, class, id, 16)? {
                        opened.module.destroy_object(session, object)?;
                    }
                }
                Ok(())
            })
        })
    }

    fn sweep(&self, id: &ObjectId) -> Result<usize> {
        self.see_clearly()?;
        self.run_in_turn(|opened| {
            opened.forget_all();
            opened.writing(|session| sweep::sweep(&opened.module, session, id))
        })
    }

    fn sweep_cut(&self, id: &ObjectId, label: &str) -> Result<usize> {
        self.see_clearly()?;
        self.run_in_turn(|opened| {
            opened.forget_all();
            opened.writing(|session| sweep::sweep_cut(&opened.module, session, id, label))
        })
    }

    fn leave(&self) {
        // Who is still at work keeps the login.
        if let (Some(gate), Ok(opened)) = (self.loaded.try_enter(), self.opened.try_write())
            && let Some(opened) = opened.as_ref().filter(|opened| opened.epoch == gate.epoch)
        {
            let _turn = self.loaded.turn(&gate);
            opened.log_out();
        }
    }

    fn reopen(&self) -> Result<()> {
        let seen = self
            .opened
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|now| now.number);
        self.renew(seen)
    }
}
