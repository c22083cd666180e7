//! Smart cards through pcscd (PC/SC, the workgroup's part 5): readers, a transaction with a card, and its APDUs.
//!
//! Nothing is held between two uses: a card may be pulled out and put back, and pcscd ended and started, without anybody
//! here having to notice.

mod apdu;
mod holder;
mod library;
mod trouble;

use std::{
    cell::RefCell,
    ffi::{CString, c_ulong},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

pub use self::{
    apdu::{Answer, Command},
    trouble::{no_key, no_reader},
};
use self::{
    library::{Context, Handle, Library, library},
    trouble::{RESET, SHARING, Trouble},
};
use crate::token::Result;

/// How long to wait for a reader that another program holds for itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for another program's transaction: longer than a key waits for a touch.
const LONG_PATIENCE: Duration = Duration::from_secs(20);
/// After how long pcscd is asked again where it hung up.
const AGAIN: Duration = Duration::from_millis(200);
/// The stack of a thread that waits, in bytes.
const STACK: usize = 256 << 10;
/// How long pcscd may take to answer the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// pcscd, connected.
pub struct Service {
    library: &'static Library,
    /// Another after a wait was broken off: the thread that is left behind keeps its own.
    connection: RefCell<Arc<Connection>>,
}

/// A context, released when nobody uses it any more.
struct Connection {
    library: &'static Library,
    context: Context,
}

impl Connection {
    fn establish(library: &'static Library) -> library::Answer<Arc<Self>> {
        let context = library.establish()?;
        Ok(Arc::new(Self { library, context }))
    }
}

impl Drop for Connection {
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
        let establish = || match ANSWERED.load(Ordering::Relaxed) {
            true => Ok(Connection::establish(library)),
            false => first_answer(library),
        };
        let mut connection = establish()?;
        let is_refused = |code: &library::Code| trouble::NOT_ALLOWED.contains(code);
        if connection.as_ref().is_err_and(is_refused) {
            // One that ends at this moment hangs up as one that does not let us in; it is not there the next time.
            sleep(AGAIN);
            connection = establish()?;
        }
        let connection = connection.map_err(|code| Trouble(code).at_service())?;
        ANSWERED.store(true, Ordering::Relaxed);
        Ok(Self {
            library,
            connection: RefCell::new(connection),
        })
    }

    /// The readers there are, those of YubiKeys first.
    ///
    /// # Errors
    /// When pcscd does not answer. That there is none is no error.
    pub fn readers(&self) -> Result<Vec<Reader>> {
        let names = match self.library.readers(self.context()) {
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
    /// When another program holds the reader for itself, which is waited for a little, or is in the middle of something on
    /// it, which is waited for longer; or when the card does not answer.
    pub fn begin(&self, reader: &Reader) -> Result<Option<Transaction<'_>>> {
        self.begin_within(reader, PATIENCE)
    }

    /// As [`Service::begin`], for a reader that is no matter where another program holds it: that is not waited for.
    ///
    /// # Errors
    /// As [`Service::begin`].
    pub fn begin_now(&self, reader: &Reader) -> Result<Option<Transaction<'_>>> {
        self.begin_within(reader, Duration::ZERO)
    }

    /// Whether a card is in a reader, whoever uses it.
    pub fn has_card(&self, reader: &Reader) -> bool {
        self.library.is_present(self.context(), &reader.0).unwrap_or(true)
    }

    fn context(&self) -> Context {
        self.connection.borrow().context
    }

    fn begin_within(&self, reader: &Reader, patience: Duration) -> Result<Option<Transaction<'_>>> {
        let deadline = Instant::now() + patience;
        loop {
            match self.try_begin(reader, patience) {
                // Another program reset the card since we connected; nothing was asked of it yet.
                Err(RESET) if Instant::now() < deadline => {}
                Err(trouble::NO_CARD) => return Ok(None),
                other => return other.map(Some).map_err(|code| Trouble(code).at(reader)),
            }
        }
    }

    fn try_begin(&self, reader: &Reader, patience: Duration) -> library::Answer<Transaction<'_>> {
        let begin = {
            let (reader, connection) = (reader.clone(), Arc::clone(&self.connection.borrow()));
            move || begin(connection, reader, patience)
        };
        let wait = if patience.is_zero() {
            PATIENCE
        } else {
            LONG_PATIENCE
        };
        let begun = away(wait, begin);
        if matches!(begun, Err(trouble::OCCUPIED)) {
            *self.connection.borrow_mut() = Connection::establish(self.library)?;
        }
        begun?
    }
}

fn begin(
    connection: Arc<Connection>,
    reader: Reader,
    patience: Duration,
) -> library::Answer<Transaction<'static>> {
    let Connection { library, context } = *connection;
    let (handle, protocol) = patiently(patience, || library.connect(context, &reader.0))?;
    // Disconnects where no transaction can be had.
    let mut transaction = Transaction {
        library,
        _connection: connection,
        reader,
        handle,
        protocol,
        begun: false,
    };
    library.begin(handle)?;
    transaction.begun = true;
    Ok(transaction)
}

/// Makes a call that may wait for another program without an end of its own, for so long. Where it did not come back its
/// thread is left behind, and what it comes to is dropped when it does.
///
/// # Errors
/// [`trouble::OCCUPIED`] when it did not come back, [`trouble::NO_MEMORY`] when there is no thread to be had.
fn away<T: Send + 'static>(
    patience: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> library::Answer<T> {
    let (tell, told) = mpsc::sync_channel(1);
    let work = move || drop(tell.send(call()));
    thread::Builder::new()
        .name("pcsc".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|_| trouble::NO_MEMORY)?;
    told.recv_timeout(patience).map_err(|_| trouble::OCCUPIED)
}

/// Whether pcscd has answered this process.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Establishes the first context. pcscd may take the connection and say nothing: the library would wait for ever.
fn first_answer(library: &'static Library) -> Result<library::Answer<Arc<Connection>>> {
    match away(FIRST_ANSWER, move || Connection::establish(library)) {
        Ok(answer) => Ok(answer),
        Err(trouble::OCCUPIED) => Err(trouble::silent(FIRST_ANSWER)),
        Err(code) => Err(Trouble(code).at_service()),
    }
}

/// Tries again for some time while another program is in the way.
fn patiently<T>(patience: Duration, attempt: impl Fn() -> library::Answer<T>) -> library::Answer<T> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(SHARING) if Instant::now() < deadline => {
                sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// A card that is ours alone for some commands. It ends when dropped.
pub struct Transaction<'s> {
    library: &'s Library,
    /// Released behind the handle.
    _connection: Arc<Connection>,
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
