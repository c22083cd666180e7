//! Where keys live: one trait, and a folder for each kind of token.
//!
//! A token knows no exchange. What it is asked is a MAC or a signature of bytes; what it is given is a key, once.

pub mod discover;
mod error;
mod evidence;
pub mod extraction;
mod kept;
mod key;
mod lock;
mod mark;
mod pcsc;
mod pin;
pub mod pkcs11;
mod refusal;
mod settings;
mod softhsm;
mod source;
mod tokens;
mod trials;
pub mod trust;
pub mod uri;
pub mod yubikey;

use serde::{Deserialize, Serialize};

use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    private_key::PrivateKey,
    public_key::PublicKey,
    secret::{BlockKey, Secret},
};

pub use error::{Result, TokenError};
pub(crate) use kept::SoftHsmFiles;
pub use key::{Class, Imported, KeyInfo, KeyMeta, KeyRef, Mac, ObjectId, PinPolicy, SignInput, Wishes};
pub use lock::ProcessLock;
pub use mark::Mark;
pub use pin::{PinProvider, PinRequest, Wanted};
pub use settings::{pin_source, piv_pin_source, settings, softhsm_folder, softhsm_module};
pub use source::{ConfiguredPin, PinSource, Tally, forget_refused};
pub use tokens::{Tokens, unwritable};
pub use trials::{NOT_TRIED, leaky};

/// A place where keys live and are used, but are not read back.
pub trait Token: Send + Sync {
    /// What it can do, probed when it was opened.
    fn capabilities(&self) -> &Capabilities;
    /// What it says of itself.
    fn identity(&self) -> &Identity;
    /// Stores a MAC key that cannot be read back, under `meta.id`; refuses an id that is in use.
    fn import_mac(&self, key: &BlockKey, meta: &KeyMeta) -> Result<Imported>;
    /// Makes a MAC key of a full hash block on the token.
    fn generate_mac(&self, algorithm: MacAlgorithm, meta: &KeyMeta) -> Result<Imported>;
    /// Stores a private key that cannot be read back, under `meta.id`; refuses an id that is in use. Answers its public
    /// half, too, which need not be on the token.
    fn import_private(&self, key: &PrivateKey, meta: &KeyMeta) -> Result<(Imported, PublicKey)>;
    /// Makes a private key on the token.
    fn generate(&self, algorithm: SignatureAlgorithm, meta: &KeyMeta) -> Result<(Imported, PublicKey)>;
    /// The MAC of a message.
    fn mac(&self, key: &KeyRef, algorithm: MacAlgorithm, message: &[u8]) -> Result<Mac>;
    /// The signature of a message or digest: r‖s for P-256, the plain bytes for Ed25519 and RSA.
    fn sign(&self, key: &KeyRef, algorithm: SignatureAlgorithm, input: SignInput<'_>) -> Result<Vec<u8>>;
    /// Stores a private data object, such as a passphrase.
    fn put_data(&self, data: &Secret, meta: &KeyMeta) -> Result<KeyRef>;
    /// Reads a private data object.
    fn get_data(&self, key: &KeyRef) -> Result<Secret>;
    /// Writes other bytes into a private data object, in place of all that is there. False where the token does not let it,
    /// or not into this one: then it is to be stored anew.
    fn set_data(&self, key: &KeyRef, data: &Secret) -> Result<bool> {
        let _ = (key, data);
        Ok(false)
    }
    /// Whether the value of a key can be read out of the token by who has the PIN, as far as one plain read tells.
    fn readable(&self, key: &KeyRef) -> Result<bool>;
    /// Tries to get a key out, as malware with the PIN would; none where there is no such suite for its kind.
    fn try_extraction(&self, trial: &extraction::Trial) -> Result<Option<extraction::Report>> {
        let _ = trial;
        Ok(None)
    }
    /// Everything on it that this PIN can see.
    fn list(&self) -> Result<Vec<KeyInfo>>;
    /// What has exactly this label, of all that [`Token::list`] shows; without reading all of that, where a token can search.
    fn labelled(&self, label: &str) -> Result<Vec<KeyInfo>> {
        let mut all = self.list()?;
        all.retain(|info| info.label == label);
        Ok(all)
    }
    /// Deletes one object; one that is not there is no error.
    fn delete(&self, key: &KeyRef) -> Result<()>;
    /// Deletes what half a creation left: the objects with this id, and such as have neither class nor label.
    /// Answers how many went.
    fn sweep(&self, id: &ObjectId) -> Result<usize>;
    /// The same where the token kept the beginning of the id alone, as a YubiHSM does: the keys with that and this label. The id
    /// may be whole or that beginning. Who calls knows that no record names them.
    fn sweep_cut(&self, id: &ObjectId, label: &str) -> Result<usize> {
        let _ = (id, label);
        Ok(0)
    }
    /// Starts over with the module, for a token that went away and came back.
    fn reopen(&self) -> Result<()>;
    /// Logs out, where that is done at once: the process ends. What else it holds ends with it, but a device may keep a
    /// login, and have room for few.
    fn leave(&self) {}
    /// Sets the code that opens it, or takes it away, where that is hsmsign's to do.
    fn set_code(&self, code: Option<&Secret>) -> Result<()> {
        let _ = code;
        Err(TokenError::Unsupported(
            "the PIN of this token is changed by its own tool".to_owned(),
        ))
    }
    /// Whether it is of a kind that has no command by which a key could come out, so that there is nothing to try.
    fn gives_nothing(&self) -> bool {
        false
    }
    /// What of a person's it would ask for now, for kinds that have more than one PIN and use them only when they must.
    fn wants(&self) -> Result<Vec<Wanted>> {
        Ok(Vec::new())
    }
    /// Uses what was given for it now, for kinds that do so only when they are used.
    fn unlock(&self, given: Wanted) -> Result<()> {
        let _ = given;
        Ok(())
    }
    /// How many tries its PIN has left, asked now, for kinds whose capabilities do not have it.
    fn tries_left(&self) -> Option<u32> {
        None
    }
    /// Whether its next use asks a person for a code, for kinds that are opened only when they are used.
    fn asks(&self) -> bool {
        false
    }
    /// Looks whether it is there, for kinds that are opened only when they are used.
    fn look(&self) -> Result<()> {
        Ok(())
    }
}

/// What a token says of itself. Text is trimmed of its padding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `pkcs11`, `yubikey-oath` …
    pub kind: String,
    /// The module's maker, description and version, as `SoftHSM, Implementation of PKCS11, 2.6`.
    pub module: String,
    /// The token's label.
    pub label: String,
    /// The token's serial number.
    pub serial: String,
    /// The token's maker and model.
    pub model: String,
}

/// What a token can do, found by asking and trying.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    /// The algorithms that it claims, and that were not seen to fail.
    pub algorithms: Vec<Algorithm>,
    /// The key pairs that it claims to make itself.
    pub generates: Vec<SignatureAlgorithm>,
    /// The longest message of a MAC in bytes, where it is known.
    pub longest_message: Option<usize>,
    /// Whether calls may run in parallel.
    pub parallel: bool,
    /// Whether processes that use it must take turns at its opening.
    pub process_lock: bool,
    /// Tries left before the PIN locks, where the token says so.
    pub pin_tries_left: Option<u32>,
    /// What a wrong PIN costs, in words.
    pub wrong_pin: String,
    /// Whether it is hardware; false where the keys are in the memory of a process on this machine.
    pub hardware: bool,
    /// Whether it keeps private data objects.
    pub data_objects: bool,
    /// Whether keys can be made that take a touch for each use.
    pub touch: bool,
    /// Whether the slot and the PIN's policy of a key pair can be chosen.
    pub slots: bool,
}
