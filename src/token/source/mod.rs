//! Where the PIN of a configured token comes from, and the memory of those that were refused.

mod read;
mod refused;
mod tally;
mod written;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use self::{read::read_fd, refused::piv};
pub use self::{refused::forget_refused, tally::Tally, written::PinSource};
use super::{PinProvider, PinRequest, refusal::Memory};
use crate::{
    ask::{Ask, pinentry},
    error::{Code, Error, Result, failed},
    home::Home,
    secret::Secret,
};

/// The PIN of a token as `config.toml` says, with the memory of what was refused.
pub struct ConfiguredPin {
    source: PinSource,
    token: String,
    memory: Memory,
    ask: Arc<dyn Ask>,
    /// A PIN that came once, in locked memory, for the time when the token must be opened again.
    given: Mutex<Option<Secret>>,
    /// How long the PIN is that was given last; 0 where none was.
    length: AtomicUsize,
    /// The name by which what was refused or missed is remembered.
    known_as: String,
    /// Shared with other tokens' providers, and with those made later for this token.
    tally: Arc<Tally>,
}

impl ConfiguredPin {
    /// The provider for one token; `tally` hears of each PIN that it gives.
    pub fn new(home: &Home, token: &str, source: PinSource, ask: Arc<dyn Ask>, tally: Arc<Tally>) -> Self {
        Self {
            source,
            token: token.to_owned(),
            memory: Memory::of(home, token),
            ask,
            given: Mutex::default(),
            length: AtomicUsize::new(0),
            known_as: token.to_owned(),
            tally,
        }
    }

    /// The same for the PIN of a YubiKey's PIV applet. What was refused there is remembered apart from its access code.
    #[must_use]
    pub fn of_piv(self, home: &Home) -> Self {
        let known_as = piv(&self.token);
        Self {
            memory: Memory::of(home, &known_as),
            known_as,
            ..self
        }
    }

    /// How long the PIN is that was given last, in bytes; none where none was.
    pub fn length(&self) -> Option<usize> {
        Some(self.length.load(Ordering::Relaxed)).filter(|length| *length > 0)
    }

    fn once(&self, get: impl FnOnce() -> Result<Secret>) -> Result<Secret> {
        let mut given = lock(&self.given);
        let pin = match given.take() {
            Some(pin) => pin,
            None => get()?,
        };
        let copy = pin.duplicate()?;
        *given = Some(copy);
        Ok(pin)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConfiguredPin {
    /// Has nobody asked again by this process, where a person gave no right PIN.
    fn miss(&self, error: &Error) {
        if self.source.interactive() && !self.ask.asks_again() {
            self.tally.miss(&self.known_as, error);
        }
    }

    fn get(&self, request: &PinRequest) -> Result<Secret> {
        let what = format!(
            "{} of token {} ({}, serial {})",
            request.what.told(),
            self.token,
            request.label,
            request.serial
        );
        let left = request
            .tries_left
            .map(|left| format!(", {left} tries left"))
            .unwrap_or_default();
        let warning = if request.final_try {
            ": the last try before it locks"
        } else if request.count_low {
            ": a wrong PIN was given before"
        } else {
            ""
        };
        let pin = match &self.source {
            PinSource::Terminal if !self.ask.present() && lock(&self.given).is_none() => {
                let what = request.what;
                Err(self.ask.nobody(&self.token, what.told(), what.field()))
            }
            PinSource::Terminal => self.once(|| self.ask.secret(&format!("{what}{left}{warning}: "))),
            PinSource::Pinentry => self.once(|| pinentry(&format!("{what}{left}{warning}"))),
            PinSource::Fd(number) => self.once(|| {
                self.check_not_refused()?;
                read_fd(*number)
            }),
            PinSource::File(_) | PinSource::Credential(_) => {
                self.check_not_refused()?;
                let path = self
                    .path()?
                    .ok_or_else(|| failed("a pin-source without a file"))?;
                self.read(&path)
            }
        }?;
        if pin.is_empty() {
            // Not tried: the token would count it as a wrong one.
            *lock(&self.given) = None;
            return Err(Error::new(
                Code::TokenLocked,
                format!(
                    "an empty {} came from {}",
                    request.what.told(),
                    self.source.text()
                ),
            )
            .fix(format!(
                "give the {0} there, or set another {1} for [token.{2}]",
                request.what.told(),
                request.what.field(),
                self.token
            )));
        }
        if pin.is_marked() {
            *lock(&self.given) = None;
            return Err(Error::new(
                Code::TokenLocked,
                format!(
                    "what came from {} begins with a byte order mark, which a text editor put there; it was not tried",
                    self.source.text()
                ),
            )
            .fix("save it as plain text: UTF-8 without a byte order mark (BOM)"));
        }
        self.length.store(pin.len(), Ordering::Relaxed);
        self.tally.given();
        Ok(pin)
    }
}

impl PinProvider for ConfiguredPin {
    fn pin(&self, request: &PinRequest) -> Result<Secret> {
        if let Some(missed) = self.tally.missed(&self.known_as) {
            return Err(missed);
        }
        // Where there is nobody, nothing was asked.
        let asked = self.source != PinSource::Terminal || self.ask.present();
        self.get(request).inspect_err(|error| {
            if asked {
                self.miss(error)
            }
        })
    }

    fn refused(&self, _tries_left: Option<u32>) {
        self.forget();
        self.miss(
            &Error::new(
                Code::WrongPin,
                format!(
                    "the token refused the PIN from {}, and nobody is asked for it again by this process",
                    self.source.text()
                ),
            )
            .fix("run it again, and give the right PIN"),
        );
        if let Some(mark) = self.mark()
            && let Err(error) = self.memory.keep(&mark)
        {
            self.ask.tell(&format!(
                "hsmsign: the refused PIN could not be remembered ({error}): do not run this again before the PIN in {} is right",
                self.source.text()
            ));
        }
    }

    fn forget(&self) {
        *lock(&self.given) = None;
    }

    fn describe(&self) -> String {
        self.source.text()
    }

    fn interactive(&self) -> bool {
        self.source.interactive()
    }

    fn has_given(&self) -> bool {
        lock(&self.given).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use super::*;
    use crate::home::write_private;

    struct Nobody;
    impl Ask for Nobody {
        fn present(&self) -> bool {
            false
        }
        fn secret(&self, _: &str) -> Result<Secret> {
            Err(failed("nobody"))
        }
        fn line(&self, _: &str) -> Result<String> {
            Err(failed("nobody"))
        }
        fn tell(&self, _: &str) {}
    }

    /// A home of its own, and where a PIN may stand in it.
    fn place() -> (tempfile::TempDir, Home, PathBuf) {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let home = Home::at(folder.path());
        let file = folder.path().join("pin");
        (folder, home, file)
    }

    #[test]
    fn an_empty_pin_is_not_shown_to_the_token() {
        let (_folder, home, file) = place();
        let source = PinSource::File(file.clone());
        let pin = ConfiguredPin::new(&home, "t", source, Arc::new(Nobody), Arc::default());
        for nothing in ["\n", "\r\n", "\n1234\n", ""] {
            write_private(&file, nothing.as_bytes()).unwrap();
            let error = pin.pin(&PinRequest::default()).unwrap_err();
            assert_eq!(error.code(), Code::TokenLocked, "{nothing:?}: {error}");
        }
        write_private(&file, b"1234\n").unwrap();
        assert_eq!(pin.pin(&PinRequest::default()).unwrap().expose(), b"1234");
    }

    #[test]
    fn a_refused_file_is_not_used_again_until_it_changes_or_the_user_says_so() {
        let (_folder, home, file) = place();
        write_private(&file, b"1234\n").unwrap();
        let pin = ConfiguredPin::new(
            &home,
            "t",
            PinSource::File(file.clone()),
            Arc::new(Nobody),
            Arc::default(),
        );
        let request = PinRequest::default();
        assert_eq!(pin.pin(&request).unwrap().expose(), b"1234");
        pin.refused(None);
        assert_eq!(pin.pin(&request).unwrap_err().code(), Code::WrongPin);
        forget_refused(&home, "t").unwrap();
        assert!(pin.pin(&request).is_ok());
        pin.refused(None);
        write_private(&file, b"5678\n").unwrap();
        assert_eq!(pin.pin(&request).unwrap().expose(), b"5678");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = pin.pin(&request).unwrap_err();
        assert_eq!(error.code(), Code::TokenLocked);
        assert!(error.remedy().unwrap().starts_with("chmod 600"));
    }
}
