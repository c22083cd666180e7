//! How a token gets its PIN: it asks a provider, once, and says when the PIN was refused.

use crate::{error::Result, secret::Secret};

/// What a PIN is wanted for.
#[derive(Debug, Clone, Default)]
pub struct PinRequest {
    /// What is wanted, where it is not called a PIN.
    pub what: Option<&'static str>,
    /// The token's label.
    pub label: String,
    /// The token's serial number.
    pub serial: String,
    /// A wrong PIN was given since the last right one.
    pub count_low: bool,
    /// One more wrong PIN locks the token. Only a provider that asks a person is asked then.
    pub final_try: bool,
    /// Tries left, where the token says.
    pub tries_left: Option<u32>,
}

/// Where a PIN comes from. After [`PinProvider::refused`] it is the provider's duty not to give the same PIN again.
pub trait PinProvider: Send + Sync {
    /// The PIN.
    ///
    /// # Errors
    /// When there is none to be had, or the one at hand was refused before.
    fn pin(&self, request: &PinRequest) -> Result<Secret>;

    /// The token refused the PIN that was given last.
    fn refused(&self, tries_left: Option<u32>);

    /// Where it comes from, in words, as `file:/etc/hsmsign/pin`.
    fn describe(&self) -> String;

    /// Whether a person is asked. Then no lock is held meanwhile, and a last try is the person's to decide.
    fn interactive(&self) -> bool {
        false
    }
}
