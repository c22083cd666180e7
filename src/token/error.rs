use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};

/// The result of a call to a token.
pub type Result<T, E = TokenError> = std::result::Result<T, E>;

/// Why a token did not do what it was asked. The texts say what happened and name nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum TokenError {
    /// It may work when tried again, and nothing was done.
    #[error("{0}")]
    Transient(String),
    /// The key's handle or session is no longer good; finding it again or reopening may help.
    #[error("{0}")]
    Stale(String),
    /// No such object on the token.
    #[error("{0}")]
    NotFound(String),
    /// The id is in use on the token.
    #[error("an object with the id {0} is on the token already")]
    Exists(String),
    /// The token refused the PIN. Never retried.
    #[error("the token refused the PIN")]
    WrongPin {
        /// How many tries are left, where the token says.
        tries_left: Option<u32>,
        /// Where the PIN came from, in words.
        from: String,
    },
    /// The PIN at hand was refused before, and was not tried again.
    #[error("{what}")]
    RefusedBefore {
        /// What was refused, and where it comes from.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A PIN is needed and there is none to be used, or the token has locked it.
    #[error("{what}")]
    Locked {
        /// What is locked and why.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The token cannot do this.
    #[error("{0}")]
    Unsupported(String),
    /// The message or key is over a limit.
    #[error("{what} of {actual} bytes is over the token's limit of {limit}")]
    TooLarge {
        /// What is too large: `a message`, `a key`.
        what: String,
        /// Its size in bytes.
        actual: usize,
        /// The limit in bytes.
        limit: usize,
        /// What to do.
        fix: String,
    },
    /// The module, reader or token is not there.
    #[error("{what}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do.
        fix: String,
    },
    /// Another program holds it.
    #[error("{0}")]
    Busy(String),
    /// It cannot be used at this moment, and what to do about it is known.
    #[error("{what}")]
    Held {
        /// What holds it, or what it waits for.
        what: String,
        /// What to do.
        fix: String,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl TokenError {
    /// An error of a PIN provider as a token's, with its meaning kept.
    pub(super) fn of_provider(error: &Error) -> Self {
        let what = error.message().to_owned();
        let fix = error.remedy().unwrap_or("see `hsmsign token`").to_owned();
        match error.code() {
            Code::WrongPin => Self::RefusedBefore { what, fix },
            Code::Failed => Self::Failed(what),
            _ => Self::Locked { what, fix },
        }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::Transient(_) | TokenError::Stale(_) | TokenError::Busy(_) => {
                Self::new(Code::TokenBusy, message)
                    .fix("try again; if it stays so, see what else uses the token, and `hsmsign doctor`")
            }
            TokenError::Held { fix, .. } => Self::new(Code::TokenBusy, message).fix(fix),
            TokenError::NotFound(_) => Self::new(Code::TokenMissing, message)
                .fix("another program may have deleted it, or a backup brought back a key that was removed; if it is gone: hsmsign remove KEY, and import it again"),
            TokenError::Exists(_) | TokenError::Failed(_) => {
                Self::new(Code::Failed, message).fix("see `hsmsign doctor`")
            }
            TokenError::WrongPin { tries_left, from } => {
                let tries = match tries_left {
                    Some(1) => "; one try is left before it locks",
                    Some(_) => "; tries are left",
                    None => "",
                };
                let fix = match from.as_str() {
                    "terminal" | "pinentry" => "it was tried once; run it again, and type the right PIN",
                    _ => "nothing was tried again: put the right PIN there; an unchanged file that was refused is not used again until `hsmsign token retry-pin` says so",
                };
                Self::new(Code::WrongPin, format!("the token refused the PIN from {from}{tries}")).fix(fix)
            }
            TokenError::RefusedBefore { fix, .. } => Self::new(Code::WrongPin, message).fix(fix),
            TokenError::Locked { fix, .. } => Self::new(Code::TokenLocked, message).fix(fix),
            TokenError::Unsupported(_) => Self::new(Code::Unsupported, message),
            TokenError::TooLarge { fix, .. } => Self::new(Code::TooLarge, message).fix(fix),
            TokenError::Missing { fix, .. } => Self::new(Code::TokenMissing, message).fix(fix),
        }
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Failed(error.message().to_owned())
    }
}
