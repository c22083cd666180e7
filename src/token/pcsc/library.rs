//! The boundary to libpcsclite, the client's side of pcscd: the only place where its C functions are called.
//!
//! The library is loaded when a card is first asked for. So the program starts as fast and on as many machines as without
//! it: who has no YubiKey needs none of this.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char, c_long, c_ulong, c_void},
    ptr,
    sync::OnceLock,
};

/// A code of PC/SC (winscard, pcsclite.h), 32 bits whatever the width of C's `long`.
pub(super) type Code = u32;
/// The result of a call.
pub(super) type Answer<T> = Result<T, Code>;

/// A context's handle.
pub(super) type Context = c_long;
/// A connection's handle.
pub(super) type Handle = c_long;

const SYSTEM: c_ulong = 2;
const SHARED: c_ulong = 2;
const T0_OR_T1: c_ulong = 3;
const LEAVE: c_ulong = 0;

/// How a card is spoken to, and the size of this.
#[repr(C)]
struct Protocol {
    protocol: c_ulong,
    length: c_ulong,
}

/// What is known of a reader, and is asked of it (SCARD_READERSTATE).
#[repr(C)]
struct State {
    reader: *const c_char,
    user_data: *mut c_void,
    current: c_ulong,
    event: c_ulong,
    atr_len: c_ulong,
    atr: [u8; 33],
}

/// SCARD_STATE_PRESENT
const PRESENT: c_ulong = 0x20;

type Establish = unsafe extern "C" fn(c_ulong, *const c_void, *const c_void, *mut Context) -> c_long;
type Release = unsafe extern "C" fn(Context) -> c_long;
type List = unsafe extern "C" fn(Context, *const c_char, *mut c_char, *mut c_ulong) -> c_long;
type Status = unsafe extern "C" fn(Context, c_ulong, *mut State, c_ulong) -> c_long;
type Connect =
    unsafe extern "C" fn(Context, *const c_char, c_ulong, c_ulong, *mut Handle, *mut c_ulong) -> c_long;
type End = unsafe extern "C" fn(Handle, c_ulong) -> c_long;
type Begin = unsafe extern "C" fn(Handle) -> c_long;
type Transmit = unsafe extern "C" fn(
    Handle,
    *const Protocol,
    *const u8,
    c_ulong,
    *mut Protocol,
    *mut u8,
    *mut c_ulong,
) -> c_long;

/// The functions that are used.
pub(super) struct Library {
    establish: Establish,
    release: Release,
    list: List,
    status: Status,
    connect: Connect,
    disconnect: End,
    begin: Begin,
    end: End,
    transmit: Transmit,
}

/// The library, loaded at the first call and never unloaded; the text of a failure is the dynamic linker's.
pub(super) fn library() -> Result<&'static Library, &'static str> {
    static LOADED: OnceLock<Result<Library, String>> = OnceLock::new();
    LOADED.get_or_init(Library::load).as_ref().map_err(String::as_str)
}

/// A code as the library returns it.
fn told(code: c_long) -> Answer<()> {
    // Where `long` has 64 bits the code is in its lower half.
    match code as Code {
        0 => Ok(()),
        code => Err(code),
    }
}

impl Library {
    fn load() -> Result<Self, String> {
        crate::process::remember_libraries();
        // SAFETY: loading runs the library's initialisers; it is the system's own client of pcscd, by the name under
        // which every program on Linux links it.
        let loaded = unsafe { libloading::Library::new("libpcsclite.so.1") };
        let loaded = loaded.map_err(|error| error.to_string())?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the function has this type in every version of pcsc-lite (winscard.h).
                *unsafe { loaded.get(concat!($name, "\0").as_bytes()) }
                    .map_err(|_| concat!("it has no ", $name).to_owned())?
            };
        }
        let library = Self {
            establish: symbol!("SCardEstablishContext"),
            release: symbol!("SCardReleaseContext"),
            list: symbol!("SCardListReaders"),
            status: symbol!("SCardGetStatusChange"),
            connect: symbol!("SCardConnect"),
            disconnect: symbol!("SCardDisconnect"),
            begin: symbol!("SCardBeginTransaction"),
            end: symbol!("SCardEndTransaction"),
            transmit: symbol!("SCardTransmit"),
        };
        std::mem::forget(loaded);
        Ok(library)
    }

    pub fn establish(&self) -> Answer<Context> {
        let mut context = 0;
        // SAFETY: the two reserved pointers are null as the manual wants, the third is to a live local.
        told(unsafe { (self.establish)(SYSTEM, ptr::null(), ptr::null(), &mut context) })?;
        Ok(context)
    }

    pub fn release(&self, context: Context) {
        // SAFETY: the handle came from `establish`; an old one is refused by its number.
        let _ = told(unsafe { (self.release)(context) });
    }

    /// The names of the readers.
    pub fn readers(&self, context: Context) -> Answer<Vec<CString>> {
        const INSUFFICIENT_BUFFER: Code = 0x8010_0008;
        // Asking for the length first would be one question more to pcscd for each signature. It has 16 readers at most,
        // whose names have 128 bytes.
        let mut room = 16 * 128 + 1;
        loop {
            let mut names = vec![0_u8; room];
            let mut len = room as c_ulong;
            // SAFETY: the buffer has the length given.
            match told(unsafe { (self.list)(context, ptr::null(), names.as_mut_ptr().cast(), &mut len) }) {
                Err(INSUFFICIENT_BUFFER) => room = (len as usize).max(2 * room),
                Err(code) => return Err(code),
                Ok(()) => {
                    names.truncate(len as usize);
                    let each = names.split_inclusive(|byte| *byte == 0);
                    let each = each.filter_map(|name| CStr::from_bytes_with_nul(name).ok());
                    return Ok(each.filter(|name| !name.is_empty()).map(CStr::to_owned).collect());
                }
            }
        }
    }

    /// Whether a card is in a reader, without waiting for anybody.
    pub fn is_present(&self, context: Context, reader: &CStr) -> Answer<bool> {
        let mut state = State {
            reader: reader.as_ptr(),
            user_data: ptr::null_mut(),
            current: 0,
            event: 0,
            atr_len: 0,
            atr: [0; 33],
        };
        // SAFETY: one state is given, and its length; it is a live local, and its name ends with a zero byte.
        told(unsafe { (self.status)(context, 0, &mut state, 1) })?;
        Ok(state.event & PRESENT != 0)
    }

    /// A connection that others may have beside it, with the protocol that the card speaks.
    pub fn connect(&self, context: Context, reader: &CStr) -> Answer<(Handle, c_ulong)> {
        let (mut handle, mut protocol) = (0, 0);
        // SAFETY: the name ends with a zero byte, the others are pointers to live locals.
        told(unsafe {
            (self.connect)(
                context,
                reader.as_ptr(),
                SHARED,
                T0_OR_T1,
                &mut handle,
                &mut protocol,
            )
        })?;
        Ok((handle, protocol))
    }

    pub fn disconnect(&self, handle: Handle) {
        // SAFETY: the handle came from `connect`; an old one is refused by its number.
        let _ = told(unsafe { (self.disconnect)(handle, LEAVE) });
    }

    pub fn begin(&self, handle: Handle) -> Answer<()> {
        // SAFETY: as above.
        told(unsafe { (self.begin)(handle) })
    }

    pub fn end(&self, handle: Handle) {
        // SAFETY: as above.
        let _ = told(unsafe { (self.end)(handle, LEAVE) });
    }

    /// Sends a command and answers how many bytes of `answer` were written.
    pub fn transmit(
        &self,
        handle: Handle,
        protocol: c_ulong,
        command: &[u8],
        answer: &mut [u8],
    ) -> Answer<usize> {
        let header = Protocol {
            protocol,
            length: size_of::<Protocol>() as c_ulong,
        };
        let mut len = answer.len() as c_ulong;
        // SAFETY: both buffers have the lengths given; what would be told of the protocol may be null.
        told(unsafe {
            (self.transmit)(
                handle,
                &header,
                command.as_ptr(),
                command.len() as c_ulong,
                ptr::null_mut(),
                answer.as_mut_ptr(),
                &mut len,
            )
        })?;
        Ok(len as usize)
    }
}
