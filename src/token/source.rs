//! Where the PIN of a configured token comes from, and the memory of those that were refused.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    PinProvider, PinRequest,
    refusal::{Mark, Memory, Standing},
};
use crate::{
    ask::{Ask, LONGEST_SECRET, pinentry, read_secret_line},
    error::{Code, Error, Result, bad_input, failed},
    home::{Home, open_private},
    secret::Secret,
};

/// Where a PIN comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinSource {
    /// Asked for at the terminal.
    Terminal,
    /// Asked for by the pinentry program.
    Pinentry,
    /// The first line of a file of mode 0600.
    File(PathBuf),
    /// The first line of an open file descriptor.
    Fd(i32),
    /// A systemd credential, by name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl PinSource {
    /// How it is written in `config.toml`.
    pub fn text(&self) -> String {
        match self {
            Self::Terminal => "terminal".to_owned(),
            Self::Pinentry => "pinentry".to_owned(),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Fd(number) => format!("fd:{number}"),
            Self::Credential(name) => format!("credential:{name}"),
        }
    }

    /// Whether a person is asked.
    pub const fn interactive(&self) -> bool {
        matches!(self, Self::Terminal | Self::Pinentry)
    }
}

impl FromStr for PinSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("terminal", "") => Ok(Self::Terminal),
            ("pinentry", "") => Ok(Self::Pinentry),
            ("file", path) if !path.is_empty() => {
                let path = path.strip_prefix("//").unwrap_or(path);
                // Two slashes at its front would be taken for those of a URL when it is read again.
                let path = match path.trim_start_matches('/') {
                    below if below.len() < path.len() => format!("/{below}"),
                    below => below.to_owned(),
                };
                std::path::absolute(&path)
                    .map(Self::File)
                    .map_err(|error| bad_input(format!("{path:?} is no file's name: {error}")))
            }
            ("fd", number) if number.parse::<i32>().is_ok_and(|number| number >= 0) => {
                Ok(Self::Fd(number.parse().unwrap_or_default()))
            }
            ("credential", name)
                if !name.is_empty() && !name.contains('/') && name != "." && name != ".." =>
            {
                Ok(Self::Credential(name.to_owned()))
            }
            _ => Err(
                bad_input("the pin-source is none of the forms there are; a PIN itself is never one").fix(
                    "use terminal, pinentry, file:PATH (mode 0600), fd:NUMBER or credential:NAME (systemd)",
                ),
            ),
        }
    }
}

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
    /// How many PINs were given, shared with other tokens' providers.
    count: Arc<AtomicU64>,
}

impl ConfiguredPin {
    /// The provider for one token; `count` goes up with each PIN that it gives.
    pub fn new(
        home: &Home,
        token: &str,
        source: PinSource,
        ask: Arc<dyn Ask>,
        count: Arc<AtomicU64>,
    ) -> Self {
        Self {
            source,
            token: token.to_owned(),
            memory: Memory::of(home, token),
            ask,
            given: Mutex::default(),
            length: AtomicUsize::new(0),
            count,
        }
    }

    /// The same for the PIN of a YubiKey's PIV applet. What was refused there is remembered apart from its access code.
    #[must_use]
    pub fn of_piv(self, home: &Home) -> Self {
        Self {
            memory: Memory::of(home, &piv(&self.token)),
            ..self
        }
    }

    /// The file behind the source, where there is one.
    fn path(&self) -> Result<Option<PathBuf>> {
        match &self.source {
            PinSource::File(path) => Ok(Some(path.clone())),
            PinSource::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Error::new(
                        Code::TokenLocked,
                        format!("its PIN is the systemd credential {name}, and this process was given none"),
                    )
                    .fix(format!(
                        "run it from a unit with LoadCredential={name}:PATH, or set another pin-source"
                    ))
                })?;
                Ok(Some(Path::new(&folder).join(name)))
            }
            _ => Ok(None),
        }
    }

    /// What the source is now; none where a person is asked, or there is nothing.
    fn mark(&self) -> Option<Mark> {
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

    fn check_not_refused(&self) -> Result<()> {
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

    fn read(&self, path: &Path) -> Result<Secret> {
        let locked = |message: String, fix: String| Error::new(Code::TokenLocked, message).fix(fix);
        let file = if matches!(self.source, PinSource::Credential(_)) {
            std::fs::File::open(path).ok()
        } else {
            open_private(path).map_err(|error| {
                let fix = error
                    .remedy()
                    .unwrap_or("make it readable for you alone")
                    .to_owned();
                locked(format!("its PIN was not read: {error}"), fix)
            })?
        };
        let file = file.ok_or_else(|| {
            locked(
                format!("its PIN should be in {}, which is not there", path.display()),
                format!(
                    "write the PIN into it, mode 0600, or set another pin-source for [token.{}]",
                    self.token
                ),
            )
        })?;
        let mut pin =
            read_secret_line(std::os::fd::AsFd::as_fd(&file)).map_err(|error| match error.code() {
                Code::BadInput => locked(
                    format!("{} holds no PIN", path.display()),
                    "write the PIN into it".to_owned(),
                ),
                _ => not_read(&error),
            })?;
        pin.truncate(LONGEST_SECRET);
        Ok(pin)
    }
}

impl ConfiguredPin {
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

impl PinProvider for ConfiguredPin {
    fn pin(&self, request: &PinRequest) -> Result<Secret> {
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
        self.length.store(pin.len(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(pin)
    }

    fn refused(&self, _tries_left: Option<u32>) {
        *lock(&self.given) = None;
        if let Some(mark) = self.mark()
            && let Err(error) = self.memory.keep(&mark)
        {
            self.ask.tell(&format!(
                "hsmsign: the refused PIN could not be remembered ({error}): do not run this again before the PIN in {} is right",
                self.source.text()
            ));
        }
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

/// Forgets that the PIN of a token was refused, because the user says that it is right. Answers whether one was.
///
/// # Errors
/// When the memory cannot be removed.
pub fn forget_refused(home: &Home, token: &str) -> Result<bool> {
    let of_piv = Memory::of(home, &piv(token)).forget()?;
    Ok(Memory::of(home, token).forget()? || of_piv)
}

/// The name under which the PIN of a YubiKey's PIV applet is remembered; no token's name has a colon.
fn piv(token: &str) -> String {
    format!("{token}:piv")
}

#[allow(unsafe_code)]
fn read_fd(number: i32) -> Result<Secret> {
    let told = || {
        Error::new(
            Code::TokenLocked,
            format!("the PIN should be on file descriptor {number}, which is not open"),
        )
        .fix(format!(
            "open it for this process, as in: hsmsign … {number}<pin-file"
        ))
    };
    // SAFETY: the number names a descriptor that whoever started this process opened for this purpose; it is only
    // borrowed for the read, and the kernel answers EBADF where it is not open.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    // What this process opened itself closes on exec; what it was started with does not.
    let flags = rustix::io::fcntl_getfd(borrowed).map_err(|_| told())?;
    if flags.contains(rustix::io::FdFlags::CLOEXEC) {
        return Err(told());
    }
    read_secret_line(borrowed).map_err(|error| match error.code() {
        Code::BadInput => told(),
        _ => not_read(&error),
    })
}

/// Why a PIN that is there could not be read, as where there is no locked memory for it.
fn not_read(error: &Error) -> Error {
    Error::new(Code::TokenLocked, format!("its PIN was not read: {error}")).fix(error.advice())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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

    #[test]
    fn sources_are_what_the_contract_names_and_a_pin_is_none() {
        for text in ["terminal", "pinentry", "file:/p/in", "fd:7", "credential:pin"] {
            assert_eq!(text.parse::<PinSource>().unwrap().text(), text);
        }
        for text in [
            "1234",
            "pin:1234",
            "file:",
            "fd:x",
            "fd:-1",
            "credential:../x",
            "",
        ] {
            let error = text.parse::<PinSource>().unwrap_err();
            assert!(text.len() < 4 || !error.message().contains(text), "{text}");
        }
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
