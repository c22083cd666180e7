//! How a token gets its PIN: it asks a provider, once, and says when the PIN was refused.

use crate::{error::Result, secret::Secret};

/// What a person may have to give before a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The token's one PIN.
    Pin,
    /// The access code of a YubiKey's OATH applet.
    AccessCode,
    /// The PIN of its PIV applet.
    PivPin,
}

impl Wanted {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pin, Self::AccessCode, Self::PivPin];

    /// Its name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::AccessCode => "access-code",
            Self::PivPin => "piv-pin",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wanted| wanted.name() == name)
    }

    /// What to call it, for a person.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Pin => "PIN",
            Self::AccessCode => "OATH access code",
            Self::PivPin => "PIV PIN",
        }
    }

    /// The field of `config.toml` that says where it comes from.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Pin | Self::AccessCode => "pin-source",
            Self::PivPin => "piv-pin-source",
        }
    }
}

/// What a PIN is wanted for.
#[derive(Debug, Clone)]
pub struct PinRequest {
    /// What is wanted.
    pub what: Wanted,
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

impl Default for PinRequest {
    fn default() -> Self {
        Self {
            what: Wanted::Pin,
            label: String::new(),
            serial: String::new(),
            count_low: false,
            final_try: false,
            tries_left: None,
        }
    }
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

    /// A PIN that a person gave is not to be given again for a last try: they give it anew.
    fn forget(&self);

    /// Where it comes from, in words, as `file:/etc/hsmsign/pin`.
    fn describe(&self) -> String;

    /// Whether a person is asked. Then no lock is held meanwhile, and a last try is the person's to decide.
    fn interactive(&self) -> bool {
        false
    }

    /// Whether a person gave it already, so that none is asked again.
    fn has_given(&self) -> bool {
        false
    }
}
