//! A PKCS#11 module that hands every call to another one and writes down what the first of them take: how a program's
//! own time is told from its token's, within the same run.
//!
//! `TIMED_MODULE` names the module behind it, `TIMED_LOG` a file to which a line is appended for each `C_Initialize`,
//! `C_FindObjectsInit`, `C_FindObjects` and `C_FindObjectsFinal`: the name, a blank, nanoseconds.
#![expect(
    unsafe_code,
    reason = "PKCS#11 is a C interface, and here it is used without anything in between"
)]

use std::{
    env,
    error::Error,
    ffi::c_void,
    fs::{File, OpenOptions},
    io::Write,
    ptr,
    sync::OnceLock,
    time::Instant,
};

use cryptoki_sys::{
    CK_ATTRIBUTE_PTR, CK_C_GetFunctionList, CK_FUNCTION_LIST, CK_FUNCTION_LIST_PTR_PTR, CK_OBJECT_HANDLE_PTR,
    CK_RV, CK_SESSION_HANDLE, CK_ULONG, CK_ULONG_PTR, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_OK,
};
use libloading::Library;

struct Timed {
    theirs: CK_FUNCTION_LIST,
    ours: CK_FUNCTION_LIST,
    log: File,
    _module: Library,
}

static TIMED: OnceLock<Timed> = OnceLock::new();

/// `C_GetFunctionList` (PKCS#11 v2.40, section 5.4).
///
/// # Safety
///
/// `list` is where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    let timed = match TIMED.get() {
        Some(timed) => timed,
        None => match load() {
            Ok(loaded) => TIMED.get_or_init(|| loaded),
            Err(error) => {
                eprintln!("timed_module: {error}");
                return CKR_GENERAL_ERROR;
            }
        },
    };
    // SAFETY: the caller's duty, and the list lives as long as the process; nobody writes through the pointer.
    unsafe { *list = ptr::from_ref(&timed.ours).cast_mut() };
    CKR_OK
}

fn load() -> Result<Timed, Box<dyn Error>> {
    let path = env::var_os("TIMED_MODULE").ok_or("TIMED_MODULE is not set")?;
    let log = env::var_os("TIMED_LOG").ok_or("TIMED_LOG is not set")?;
    // SAFETY: the module is the one that is measured, and its function has the type of the standard.
    let (module, theirs) = unsafe {
        let module = Library::new(path)?;
        let get = *module.get::<CK_C_GetFunctionList>(b"C_GetFunctionList\0")?;
        let mut list = ptr::null_mut();
        if get.ok_or("the module has no C_GetFunctionList")?(&raw mut list) != CKR_OK || list.is_null() {
            return Err("the module gives no list of its functions".into());
        }
        (module, *list)
    };
    Ok(Timed {
        ours: CK_FUNCTION_LIST {
            C_GetFunctionList: Some(C_GetFunctionList),
            C_Initialize: Some(initialize),
            C_FindObjectsInit: Some(find_init),
            C_FindObjects: Some(find),
            C_FindObjectsFinal: Some(find_final),
            ..theirs
        },
        theirs,
        log: OpenOptions::new().append(true).create(true).open(log)?,
        _module: module,
    })
}

/// What `call` answers of the module behind, with its time written down.
fn time<F>(
    name: &str,
    function: impl Fn(&CK_FUNCTION_LIST) -> Option<F>,
    call: impl FnOnce(F) -> CK_RV,
) -> CK_RV {
    let Some(timed) = TIMED.get() else {
        return CKR_GENERAL_ERROR;
    };
    let Some(function) = function(&timed.theirs) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    let start = Instant::now();
    let answer = call(function);
    let line = format!("{name} {}\n", start.elapsed().as_nanos());
    match (&timed.log).write_all(line.as_bytes()) {
        Ok(()) => answer,
        Err(_) => CKR_GENERAL_ERROR,
    }
}

unsafe extern "C" fn initialize(arguments: *mut c_void) -> CK_RV {
    // SAFETY: the caller's arguments, as they came.
    let call = |function: unsafe extern "C" fn(*mut c_void) -> CK_RV| unsafe { function(arguments) };
    time("C_Initialize", |list| list.C_Initialize, call)
}

unsafe extern "C" fn find_init(
    session: CK_SESSION_HANDLE,
    template: CK_ATTRIBUTE_PTR,
    count: CK_ULONG,
) -> CK_RV {
    // SAFETY: as above.
    time(
        "C_FindObjectsInit",
        |list| list.C_FindObjectsInit,
        |function| unsafe { function(session, template, count) },
    )
}

unsafe extern "C" fn find(
    session: CK_SESSION_HANDLE,
    objects: CK_OBJECT_HANDLE_PTR,
    most: CK_ULONG,
    found: CK_ULONG_PTR,
) -> CK_RV {
    // SAFETY: as above.
    time(
        "C_FindObjects",
        |list| list.C_FindObjects,
        |function| unsafe { function(session, objects, most, found) },
    )
}

unsafe extern "C" fn find_final(session: CK_SESSION_HANDLE) -> CK_RV {
    // SAFETY: as above.
    time(
        "C_FindObjectsFinal",
        |list| list.C_FindObjectsFinal,
        |function| unsafe { function(session) },
    )
}
