//! The road of a secret: in, proved, and never back. Import, rotation, removal, and the sweep after a crash.

mod attack;
mod attested;
mod import;
mod line;
mod place;
mod plan;
mod prove;
mod remove;
mod rotate;
mod secrets;
mod set;
mod sweep;
mod sync;
mod wanted;
mod weak;

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use crate::{
    error::{Code, Result},
    exchange::Catalogue,
    home::{FileLock, Home},
    keyring::{FileKeyring, Journal, KeyName, Keyring, Pair, Pending, Record},
    nonce::{self, Nonces},
    public_key::PublicForm,
    secret::Secret,
    token::{ObjectId, Tokens},
};

pub use attack::Attacked;
pub use attested::attested;
pub use import::RAW_CONSENT;
pub use line::ImportLine;
pub use plan::{NewKey, Plan};
pub use prove::{Checked, Finding};
pub use remove::Left;
pub use set::Changes;
pub use sync::{Held, Placed};

/// How long one change of keys waits for another.
const PATIENCE: Duration = Duration::from_secs(60);

/// Brings secrets onto tokens and takes them off.
pub struct Enrol {
    home: Home,
    keyring: Box<dyn Keyring>,
    journal: Journal,
    catalogue: Catalogue,
    tokens: Arc<Tokens>,
    nonces: Nonces,
    swept: Once,
}

/// The secrets of one key, at hand for the time of an import.
#[derive(Debug)]
pub struct Secrets {
    /// The secret, as the exchange wrote it; none where the token makes the key.
    pub secret: Option<Secret>,
    /// The passphrase, where the exchange wants one.
    pub passphrase: Option<Secret>,
    /// A partner's secret, where the key has one.
    pub partner_secret: Option<Secret>,
}

/// A key that is whole on its tokens and in the keyring.
#[derive(Debug)]
pub struct Enrolled {
    /// Its record.
    pub record: Record,
    /// Its public key as the exchange's page wants it pasted, where it has one.
    pub public_key: Option<String>,
    /// Who vouches that it was made on its YubiKey, in words; `none` where nobody does, and nothing on other tokens.
    pub attested: Option<String>,
    /// What the owner should know of it.
    pub warnings: Vec<String>,
}

impl Enrol {
    /// Over the keys of these folders.
    pub fn new(home: &Home, tokens: Arc<Tokens>) -> Self {
        Self {
            home: home.clone(),
            keyring: Box::new(FileKeyring::new(home)),
            journal: Journal::new(home),
            catalogue: Catalogue::new(home.user_schemes()),
            tokens,
            nonces: Nonces::new(home),
            swept: Once::new(),
        }
    }

    /// As [`Tokens::pin_missed`].
    pub fn pin_missed(&self, code: Code) -> bool {
        self.tokens.pin_missed(code)
    }

    /// The schemes by name.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// A pair's public key as the exchange's page wants it pasted; none for a pair of MAC keys.
    pub fn public_text(&self, record: &Record, pair: &Pair) -> Option<String> {
        public_text(&self.catalogue, record, pair)
    }

    /// Lets a key's next nonce be greater than `above`.
    ///
    /// # Errors
    /// When there is no such key, or its exchange would take no nonce above that.
    pub fn raise_nonce(&self, name: &KeyName, above: u64) -> Result<()> {
        let record = self.keyring.get(name)?;
        if !record.is_generic() {
            self.catalogue.get(&record.exchange)?.check_nonce_mark(above)?;
        }
        self.nonces.set_above(name, above, nonce::now())
    }

    /// Lets a key's nonces begin at the clock again: for an API key that no nonce was used with yet.
    ///
    /// # Errors
    /// When there is no such key, or the file cannot be removed.
    pub fn reset_nonce(&self, name: &KeyName) -> Result<()> {
        self.keyring.get(name)?;
        self.nonces.forget(name)
    }

    /// The error of a record that could not be changed, with the journal's entry settled by what the record says.
    fn switch(&self, pending: &Pending, changed: Result<()>) -> Result<()> {
        if changed.is_err() {
            // What cannot be settled now is at the next start.
            let _later = self.settle_pending(pending);
        }
        changed
    }

    fn lock(&self) -> Result<FileLock> {
        let lock = FileLock::acquire(
            &self.home.state("keyring.lock"),
            PATIENCE,
            "another hsmsign process has been changing keys",
        )?;
        // Once a process: thousands of keys may be imported by one.
        self.swept.call_once(|| self.home.sweep_unfinished());
        Ok(lock)
    }
}

/// A pair's public key as its exchange's page wants it pasted: as the scheme says, or a PEM block where that is gone.
pub fn public_text(catalogue: &Catalogue, record: &Record, pair: &Pair) -> Option<String> {
    let public = pair.public_key()?;
    let scheme = catalogue.get(&record.exchange).ok();
    let kind = scheme
        .as_ref()
        .and_then(|scheme| scheme.kind(Some(record.algorithm)).ok());
    Some(kind.map_or_else(|| public.text(PublicForm::Pem), |kind| kind.public_text(public)))
}

/// The objects of a pair, each with its token's name.
fn objects(pair: &Pair) -> Vec<(String, ObjectId)> {
    pair.copies
        .iter()
        .flat_map(|copy| {
            copy.objects
                .values()
                .map(|material| (copy.token.clone(), material.key.id().clone()))
        })
        .collect()
}
