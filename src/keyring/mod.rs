//! The keyring: what hsmsign knows of each key beside its secret, a record a key, and the journal of imports.

mod file;
mod journal;
mod record;

pub use file::FileKeyring;
pub use journal::{Journal, Pending};
pub use record::{Allow, Copy, GENERIC, KeyName, Material, Pair, Proof, Record, Standing, VERSION};

use crate::{error::Result, home::Mark};

/// Names to records. Reading one record reads no other; writing one rewrites no other.
pub trait Keyring: Send + Sync {
    /// The record of a key.
    ///
    /// # Errors
    /// `unknown-key`, naming what is close; or the store cannot be read.
    fn get(&self, name: &KeyName) -> Result<Record>;
    /// A mark that changes whenever the record does, cheaper than reading it; none where there is no such key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn mark(&self, name: &KeyName) -> Result<Option<Mark>>;
    /// Whether there is such a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn contains(&self, name: &KeyName) -> Result<bool>;
    /// Writes a record, whole or not at all.
    ///
    /// # Errors
    /// When the store cannot be written, as with a full disk; the old record is then still there.
    fn put(&self, record: &Record) -> Result<()>;
    /// Takes a record out.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, name: &KeyName) -> Result<()>;
    /// The names of all keys, sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn names(&self) -> Result<Vec<KeyName>>;
}
