//! The one error of the library: a code that programs can act on, what happened, and what to do.

use std::fmt;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is. The wire name and the exit code of each are part of the contract with callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The work was tried and did not succeed.
    Failed,
    /// The command line was not understood.
    Usage,
    /// A rule of the key's owner forbids it.
    Denied,
    /// The token, its module or its reader is not there.
    TokenMissing,
    /// The token wants a PIN that it was not given, or has locked itself.
    TokenLocked,
    /// The token is there, but another program holds it.
    TokenBusy,
    /// The token refused the PIN.
    WrongPin,
    /// No agent answers where one was expected.
    AgentUnavailable,
    /// What was given cannot be understood or accepted.
    BadInput,
    /// No key has that name.
    UnknownKey,
    /// No exchange has that id.
    UnknownExchange,
    /// The message or key is over a limit of the token.
    TooLarge,
    /// The token, exchange or build cannot do this.
    Unsupported,
}

impl Code {
    /// The name used on the wire, as in `"error":{"code":"unknown-key"}`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::TokenMissing => "token-missing",
            Self::TokenLocked => "token-locked",
            Self::TokenBusy => "token-busy",
            Self::WrongPin => "wrong-pin",
            Self::AgentUnavailable => "agent-unavailable",
            Self::BadInput => "bad-input",
            Self::UnknownKey => "unknown-key",
            Self::UnknownExchange => "unknown-exchange",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
        }
    }

    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::Failed,
        Self::Usage,
        Self::Denied,
        Self::TokenMissing,
        Self::TokenLocked,
        Self::TokenBusy,
        Self::WrongPin,
        Self::AgentUnavailable,
        Self::BadInput,
        Self::UnknownKey,
        Self::UnknownExchange,
        Self::TooLarge,
        Self::Unsupported,
    ];

    /// What usually helps.
    pub const fn usual_fix(self) -> &'static str {
        match self {
            Self::Usage => "see `hsmsign --help`",
            Self::BadInput => "correct what was given and try again",
            Self::Denied => "ask the key's owner to allow it",
            Self::TokenMissing | Self::TokenLocked | Self::TokenBusy | Self::WrongPin => {
                "see what `hsmsign doctor` says of the token"
            }
            Self::AgentUnavailable => "start the agent, or leave HSMSIGN_SOCKET unset",
            Self::UnknownKey => "`hsmsign list` shows the keys there are",
            Self::UnknownExchange => "`hsmsign exchanges` lists the exchanges there are",
            Self::TooLarge | Self::Unsupported => {
                "use a key or token that can do it; `hsmsign token show` says what one can"
            }
            Self::Failed => "see what `hsmsign doctor` says",
        }
    }

    /// The exit code of a process that ends with it.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::TokenMissing
            | Self::TokenLocked
            | Self::TokenBusy
            | Self::WrongPin
            | Self::AgentUnavailable => 4,
            Self::BadInput
            | Self::UnknownKey
            | Self::UnknownExchange
            | Self::TooLarge
            | Self::Unsupported => 5,
        }
    }
}

/// A failure, told so that a person knows what happened and what to do. It never holds anything secret.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: String,
    fix: Option<String>,
    rule: Option<String>,
}

impl Error {
    /// A failure of this kind; `message` says what happened, in one line without a full stop.
    #[cold]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fix: None,
            rule: None,
        }
    }

    /// The same failure with what the reader can do about it.
    #[must_use]
    #[cold]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same denial, with the rule that decided.
    #[must_use]
    #[cold]
    pub fn by(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// The same failure, told with where it happened in front.
    #[must_use]
    #[cold]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Its kind.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, where something particular is known.
    pub fn remedy(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// The rule that denies, where it is a denial by a rule.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// What to do: the remedy, or what usually helps with its kind.
    pub fn advice(&self) -> &str {
        self.remedy().unwrap_or_else(|| self.code.usual_fix())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Makes something in a place of its own, away from what runs when all goes well: words for a person are much code.
#[cold]
#[inline(never)]
pub(crate) fn rarely<T>(make: impl FnOnce() -> T) -> T {
    make()
}

/// Shorthand for [`Code::BadInput`].
#[cold]
pub fn bad_input(message: impl Into<String>) -> Error {
    Error::new(Code::BadInput, message)
}

/// Shorthand for [`Code::Failed`].
#[cold]
pub fn failed(message: impl Into<String>) -> Error {
    Error::new(Code::Failed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contract() {
        let table = [
            (Code::Failed, "failed", 1),
            (Code::Usage, "usage", 2),
            (Code::Denied, "denied", 3),
            (Code::TokenMissing, "token-missing", 4),
            (Code::TokenLocked, "token-locked", 4),
            (Code::TokenBusy, "token-busy", 4),
            (Code::WrongPin, "wrong-pin", 4),
            (Code::AgentUnavailable, "agent-unavailable", 4),
            (Code::BadInput, "bad-input", 5),
            (Code::UnknownKey, "unknown-key", 5),
            (Code::UnknownExchange, "unknown-exchange", 5),
            (Code::TooLarge, "too-large", 5),
            (Code::Unsupported, "unsupported", 5),
        ];
        for (code, name, exit) in table {
            assert_eq!((code.name(), code.exit()), (name, exit));
        }
    }
}
