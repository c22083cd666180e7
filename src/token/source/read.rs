//! Reading a PIN from a file, a systemd credential or an open descriptor.

use std::path::{Path, PathBuf};

use super::{ConfiguredPin, PinSource};
use crate::{
    ask::{LONGEST_SECRET, read_secret_line},
    error::{Code, Error, Result},
    home::open_private,
    secret::Secret,
};

impl ConfiguredPin {
    /// The file behind the source, where there is one.
    pub(super) fn path(&self) -> Result<Option<PathBuf>> {
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

    pub(super) fn read(&self, path: &Path) -> Result<Secret> {
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

#[allow(unsafe_code)]
pub(super) fn read_fd(number: i32) -> Result<Secret> {
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
