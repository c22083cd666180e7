//! Smart cards through pcscd (PC/SC, the workgroup's part 5): readers, a transaction with a card, and its APDUs.
//!
//! Nothing is held between two uses: a card may be pulled out and put back, and pcscd ended and started, without anybody
//! here having to notice.

mod apdu;
mod holder;
mod library;
mod trouble;

use std::{
    ffi::{CString, c_ulong},
    thread::sleep,
    time::{Duration, Instant},
};

pub use self::{
    apdu::{Answer, Command},
    trouble::no_reader,
};
use self::{
    library::{Context, Handle, Library, library},
    trouble::{RESET, SHARING, Trouble},
};
use crate::token::Result;

/// How long to wait for a reader that another program holds for itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// pcscd, connected.
pub struct Service {
    library: &'static Library,
    context: Context,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.library.release(self.context);
    }
}

/// A reader, by the name that pcscd gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader(CString);

impl Reader {
    /// Its name.
    pub fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// Whether it is a YubiKey's own, by its name.
    pub fn is_yubikey(&self) -> bool {
        self.name().to_ascii_lowercase().contains("yubi")
    }
}

impl Service {
    /// Connects to pcscd.
    ///
    /// # Errors
    /// When libpcsclite is not installed, pcscd does not run, or it does not let this user in.
    pub fn connect() -> Result<Self> {
        let library = library().map_err(trouble::no_library)?;
        let context = library.establish().map_err(|code| Trouble(code).at_service())?;
        Ok(Self { library, context })
    }

    /// The readers there are, those of YubiKeys first.
    ///
    /// # Errors
    /// When pcscd does not answer. That there is none is no error.
    pub fn readers(&self) -> Result<Vec<Reader>> {
        let names = match self.library.readers(self.context) {
            Err(trouble::NO_READERS) => Vec::new(),
            other => other.map_err(|code| Trouble(code).at_service())?,
        };
        let mut readers: Vec<_> = names.into_iter().map(Reader).collect();
        readers.sort_by_key(|reader| !reader.is_yubikey());
        Ok(readers)
    }

    /// Begins a transaction with the card in a reader: until it ends, no other program comes between its commands. None
    /// where no card is in it.
    ///
    /// # Errors
    /// When another program holds the reader for itself, which is waited for a little, or the card does not answer.
    pub fn begin(&self, reader: &Reader) -> Result<Option<Transaction<'_>>> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(5);
        loop {
            match self.try_begin(reader) {
                Err(SHARING) if Instant::now() < deadline => {
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                // Another program reset the card since we connected; nothing was asked of it yet.
                Err(RESET) if Instant::now() < deadline => {}
                Err(trouble::NO_CARD) => return Ok(None),
                other => return other.map(Some).map_err(|code| Trouble(code).at(reader)),
            }
        }
    }

    fn try_begin(&self, reader: &Reader) -> library::Answer<Transaction<'_>> {
        let (handle, protocol) = self.library.connect(self.context, &reader.0)?;
        // Disconnects where no transaction can be had.
        let mut transaction = Transaction {
            library: self.library,
            reader: reader.clone(),
            handle,
            protocol,
            begun: false,
        };
        self.library.begin(handle)?;
        transaction.begun = true;
        Ok(transaction)
    }
}

/// A card that is ours alone for some commands. It ends when dropped.
pub struct Transaction<'s> {
    library: &'s Library,
    reader: Reader,
    handle: Handle,
    protocol: c_ulong,
    begun: bool,
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.library.end(self.handle);
        }
        self.library.disconnect(self.handle);
    }
}

impl Transaction<'_> {
    fn transmit(&self, command: &[u8], answer: &mut [u8]) -> Result<usize> {
        let len = self
            .library
            .transmit(self.handle, self.protocol, command, answer)
            .map_err(|code| Trouble(code).at(&self.reader))?;
        // Some drivers say no more than that of a card that went away.
        if len == 0 {
            return Err(Trouble(trouble::REMOVED).at(&self.reader));
        }
        Ok(len)
    }
}
