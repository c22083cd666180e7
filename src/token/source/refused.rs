//! PINs that a token refused, which no process uses again before their source changes or the user says so.

use std::path::PathBuf;

use super::{ConfiguredPin, PinSource};
use crate::{
    error::{Code, Error, Result},
    home::Home,
    token::refusal::{Mark, Memory, Standing},
};

impl ConfiguredPin {
    /// What the source is now; none where a person is asked, or there is nothing.
    pub(super) fn mark(&self) -> Option<Mark> {
        let source = self.source.text();
        match &self.source {
            PinSource::Terminal | PinSource::Pinentry => None,
            PinSource::File(path) => Mark::of_file(source, path),
            PinSource::Credential(_) => Mark::of_credential(source, &self.path().ok()??),
            PinSource::Fd(number) => {
                let path = PathBuf::from(format!("/proc/self/fd/{number}"));
                if std::fs::metadata(&path).ok()?.is_file() {
                    return Mark::of_file(source, &path);
                }
                // One pipe cannot be told from the next, so that the user's word is needed.
                Some(Mark::of_a_stream(source))
            }
        }
    }

    pub(super) fn check_not_refused(&self) -> Result<()> {
        let (source, token) = (self.source.text(), &self.token);
        let (why, fix) = match self.memory.ask(self.mark().as_ref())? {
            Standing::Changed => return Ok(()),
            Standing::Same => (
                "and it has not changed since",
                format!(
                    "put the right PIN there; or, if it is right after all: hsmsign token retry-pin {token}"
                ),
            ),
            Standing::Unknown => (
                "and systemd makes a credential anew at each start, so that it cannot be seen whether this one is another",
                format!("put the right PIN there, then: hsmsign token retry-pin {token}"),
            ),
        };
        Err(Error::new(
            Code::WrongPin,
            format!("the token refused the PIN in {source} before, {why}; it was not tried again"),
        )
        .fix(fix))
    }
}

/// Forgets that the PIN of a token was refused, because the user says that it is right. Answers whether one was.
///
/// # Errors
/// When the memory cannot be removed.
pub fn forget_refused(home: &Home, token: &str) -> Result<bool> {
    let of_piv = Memory::of(home, &piv(token)).forget()?;
    Ok(Memory::of(home, token).forget()? || of_piv)
}

/// The name under which the PIN of a YubiKey's PIV applet is remembered; no token's name has a colon.
pub(super) fn piv(token: &str) -> String {
    format!("{token}:piv")
}
