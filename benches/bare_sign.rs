//! The least that a program can do to sign one message through a PKCS#11 module: what hsmsign is measured against.
//!
//! ```text
//! bare_sign tokens MODULE                                     the labels of the tokens there are
//! bare_sign keys   MODULE LABEL PIN-FILE                      the CKA_ID of every secret key
//! bare_sign sign   MODULE LABEL PIN-FILE ID MESSAGE-HEX       its HMAC-SHA512, in hex
//! bare_sign loop   MODULE LABEL PIN-FILE ID MESSAGE-HEX COUNT signatures per second
//! bare_sign laps   MODULE LABEL PIN-FILE ID MESSAGE-HEX COUNT median and 99th percentile in µs, and signatures per second
//! bare_sign serve  MODULE LABEL PIN-FILE ID MESSAGE-HEX       a line for whatever comes over the socket at its standard
//!                                                             input, for which it signs
//! ```
//! It checks nothing, locks nothing, leaves the session to the end of the process, and keeps the PIN in plain memory.
#![expect(
    unsafe_code,
    reason = "PKCS#11 is a C interface, and here it is used without anything in between"
)]

use std::{
    error::Error,
    ffi::c_void,
    fs,
    io::{Read as _, Write as _, stdin},
    os::{fd::AsFd as _, unix::net::UnixStream},
    process::ExitCode,
    ptr,
    time::Instant,
};

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_C_GetFunctionList, CK_FUNCTION_LIST, CK_MECHANISM, CK_OBJECT_HANDLE, CK_SESSION_HANDLE,
    CK_SLOT_ID, CK_TOKEN_INFO, CK_TRUE, CK_ULONG, CKA_CLASS, CKA_ID, CKF_SERIAL_SESSION,
    CKF_TOKEN_INITIALIZED, CKM_SHA512_HMAC, CKO_SECRET_KEY, CKR_OK, CKU_USER,
};
use libloading::Library;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_sign: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match *arguments {
        ["tokens", module] => tokens(module),
        ["keys", module, label, pin_file] => keys(module, label, pin_file),
        ["sign", ref with @ ..] => sign(Signing::begin(with)?),
        ["loop", ref with @ .., count] => rate(Signing::begin(with)?, count.parse()?),
        ["laps", ref with @ .., count] => laps(Signing::begin(with)?, count.parse()?),
        ["serve", ref with @ ..] => serve(Signing::begin(with)?),
        _ => Err("usage: tokens | keys | sign | loop | laps | serve, see benches/bare_sign.rs".into()),
    }
}

fn tokens(module: &str) -> Result<()> {
    let module = Module::load(module)?;
    module.initialize()?;
    for slot in module.slots()? {
        let info = module.token_info(slot)?;
        if info.flags & CKF_TOKEN_INITIALIZED != 0 {
            println!("{}", label_of(&info));
        }
    }
    Ok(())
}

fn keys(module: &str, label: &str, pin_file: &str) -> Result<()> {
    let module = Module::load(module)?;
    module.initialize()?;
    let session = module.open(module.slot(label)?)?;
    module.login(session, &pin(pin_file)?)?;
    for key in module.secret_keys(session)? {
        println!("{}", base16ct::lower::encode_string(&module.id_of(session, key)?));
    }
    Ok(())
}

/// A key that was found in a session, and what it signs.
struct Signing {
    module: Module,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    message: Vec<u8>,
}

impl Signing {
    /// `MODULE LABEL PIN-FILE ID MESSAGE-HEX`.
    fn begin(with: &[&str]) -> Result<Self> {
        let [module, label, pin_file, id, message] = *with else {
            return Err("what signs wants MODULE LABEL PIN-FILE ID MESSAGE-HEX".into());
        };
        let (id, message) = (bytes(id)?, bytes(message)?);
        let module = Module::load(module)?;
        module.initialize()?;
        let session = module.open(module.slot(label)?)?;
        module.login(session, &pin(pin_file)?)?;
        let key = module.find(session, &id)?;
        Ok(Self {
            module,
            session,
            key,
            message,
        })
    }

    fn mac(&mut self) -> Result<[u8; 64]> {
        self.module.mac(self.session, self.key, &mut self.message)
    }
}

fn sign(mut signing: Signing) -> Result<()> {
    let mac = signing.mac()?;
    println!("{}", base16ct::lower::encode_string(&mac));
    Ok(())
}

fn rate(mut signing: Signing, count: u32) -> Result<()> {
    let start = Instant::now();
    for _ in 0..count {
        signing.mac()?;
    }
    println!("{:.1}", f64::from(count) / start.elapsed().as_secs_f64());
    Ok(())
}

fn laps(mut signing: Signing, count: usize) -> Result<()> {
    let mut laps = Vec::with_capacity(count);
    let start = Instant::now();
    for _ in 0..count {
        let begun = Instant::now();
        signing.mac()?;
        laps.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let rate = laps.len() as f64 / start.elapsed().as_secs_f64();
    laps.sort_by(f64::total_cmp);
    println!(
        "{:.2} {:.2} {rate:.1}",
        laps[laps.len() / 2],
        laps[laps.len() * 99 / 100]
    );
    Ok(())
}

/// How long the agent's answers are, about, in bytes.
const ANSWER: usize = 350;

fn serve(mut signing: Signing) -> Result<()> {
    let mut socket = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    let mut room = [0; 4096];
    let mut answer = [b'.'; ANSWER];
    answer[ANSWER - 1] = b'\n';
    while socket.read(&mut room)? > 0 {
        let mac = signing.mac()?;
        answer[..mac.len()].copy_from_slice(base16ct::lower::encode_string(&mac[..32]).as_bytes());
        socket.write_all(&answer)?;
    }
    Ok(())
}

struct Module {
    functions: CK_FUNCTION_LIST,
    _library: Library,
}

/// Calls a function of the module and makes an error of any answer but CKR_OK.
macro_rules! call {
    ($module:expr, $function:ident $(, $argument:expr)*) => {{
        let function = $module.functions.$function.ok_or(concat!("the module has no ", stringify!($function)))?;
        // SAFETY: the library stays loaded as long as the module; every pointer passed is to a live value of the
        // caller, with its true length beside it, and no call keeps one beyond its return.
        match unsafe { function($($argument),*) } {
            CKR_OK => {}
            rv => return Err(format!("{} answered {rv:#x}", stringify!($function)).into()),
        }
    }};
}

impl Module {
    fn load(path: &str) -> Result<Self> {
        // SAFETY: the module's initialisers run here; the caller names a module to trust.
        let library = unsafe { Library::new(path)? };
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: C_GetFunctionList has this signature in every PKCS#11 module, and writes one pointer.
        let rv = unsafe {
            let function: libloading::Symbol<'_, CK_C_GetFunctionList> =
                library.get(b"C_GetFunctionList\0")?;
            function.ok_or("not a PKCS#11 module")?(&raw mut list)
        };
        if rv != CKR_OK || list.is_null() {
            return Err(format!("C_GetFunctionList answered {rv:#x}").into());
        }
        // SAFETY: not null, and the module's list of functions is valid as long as the library is loaded.
        let functions = unsafe { *list };
        Ok(Self {
            functions,
            _library: library,
        })
    }

    fn initialize(&self) -> Result<()> {
        call!(self, C_Initialize, ptr::null_mut());
        Ok(())
    }

    fn slots(&self) -> Result<Vec<CK_SLOT_ID>> {
        let mut slots: [CK_SLOT_ID; 64] = [0; 64];
        let mut count = slots.len() as CK_ULONG;
        call!(self, C_GetSlotList, CK_TRUE, slots.as_mut_ptr(), &raw mut count);
        Ok(slots.into_iter().take(count as usize).collect())
    }

    fn token_info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        call!(self, C_GetTokenInfo, slot, &raw mut info);
        Ok(info)
    }

    fn slot(&self, label: &str) -> Result<CK_SLOT_ID> {
        for slot in self.slots()? {
            if label_of(&self.token_info(slot)?) == label {
                return Ok(slot);
            }
        }
        Err(format!("there is no token {label}").into())
    }

    fn open(&self, slot: CK_SLOT_ID) -> Result<CK_SESSION_HANDLE> {
        let mut session = 0;
        call!(
            self,
            C_OpenSession,
            slot,
            CKF_SERIAL_SESSION,
            ptr::null_mut(),
            None,
            &raw mut session
        );
        Ok(session)
    }

    fn login(&self, session: CK_SESSION_HANDLE, pin: &str) -> Result<()> {
        let mut pin = pin.as_bytes().to_vec();
        call!(
            self,
            C_Login,
            session,
            CKU_USER,
            pin.as_mut_ptr(),
            pin.len() as CK_ULONG
        );
        Ok(())
    }

    fn find(&self, session: CK_SESSION_HANDLE, id: &[u8]) -> Result<CK_OBJECT_HANDLE> {
        let mut id = id.to_vec();
        let value = id.as_mut_ptr().cast();
        let mut wanted = CK_ATTRIBUTE {
            type_: CKA_ID,
            pValue: value,
            ulValueLen: id.len() as CK_ULONG,
        };
        let mut key = 0;
        let mut found = 0;
        call!(self, C_FindObjectsInit, session, &raw mut wanted, 1);
        call!(self, C_FindObjects, session, &raw mut key, 1, &raw mut found);
        call!(self, C_FindObjectsFinal, session);
        if found == 1 {
            Ok(key)
        } else {
            Err("there is no key with this id".into())
        }
    }

    fn secret_keys(&self, session: CK_SESSION_HANDLE) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let mut class = CKO_SECRET_KEY;
        let value: *mut c_void = (&raw mut class).cast();
        let mut wanted = CK_ATTRIBUTE {
            type_: CKA_CLASS,
            pValue: value,
            ulValueLen: size_of_val(&class) as CK_ULONG,
        };
        let mut keys: Vec<CK_OBJECT_HANDLE> = vec![0; 65536];
        let mut found = 0;
        call!(self, C_FindObjectsInit, session, &raw mut wanted, 1);
        call!(
            self,
            C_FindObjects,
            session,
            keys.as_mut_ptr(),
            keys.len() as CK_ULONG,
            &raw mut found
        );
        call!(self, C_FindObjectsFinal, session);
        keys.truncate(found as usize);
        Ok(keys)
    }

    fn id_of(&self, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Result<Vec<u8>> {
        let mut id = [0_u8; 64];
        let value = id.as_mut_ptr().cast();
        let mut asked = CK_ATTRIBUTE {
            type_: CKA_ID,
            pValue: value,
            ulValueLen: id.len() as CK_ULONG,
        };
        call!(self, C_GetAttributeValue, session, key, &raw mut asked, 1);
        let length = asked.ulValueLen;
        Ok(id.into_iter().take(length as usize).collect())
    }

    fn mac(&self, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE, message: &mut [u8]) -> Result<[u8; 64]> {
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_SHA512_HMAC,
            pParameter: ptr::null_mut(),
            ulParameterLen: 0,
        };
        let mut mac = [0; 64];
        let mut length = mac.len() as CK_ULONG;
        call!(self, C_SignInit, session, &raw mut mechanism, key);
        call!(
            self,
            C_Sign,
            session,
            message.as_mut_ptr(),
            message.len() as CK_ULONG,
            mac.as_mut_ptr(),
            &raw mut length
        );
        Ok(mac)
    }
}

fn label_of(info: &CK_TOKEN_INFO) -> String {
    String::from_utf8_lossy(&info.label).trim_end().to_owned()
}

fn pin(file: &str) -> Result<String> {
    Ok(fs::read_to_string(file)?
        .trim_end_matches(['\r', '\n'])
        .to_owned())
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    base16ct::mixed::decode_vec(hex).map_err(|error| format!("{hex} is no hex: {error}").into())
}
