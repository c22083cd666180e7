//! The boundary to a PKCS #11 module: the only place where its C functions are called, beside `attack/calls.rs` for
//! what only an attack calls.
//!
//! Everything above is safe code. Templates point straight at the caller's bytes, so that a key or PIN in locked memory
//! reaches the module without a copy on our side.
#![allow(unsafe_code)]

use std::{ffi::CString, path::Path, ptr};

use cryptoki_sys::*;

use super::{codes::Refused, doubt, template::Attribute};

/// The answer of a module.
pub(super) type Answer<T> = Result<T, Refused>;
/// A session's handle.
pub(super) type SessionHandle = CK_SESSION_HANDLE;
/// An object's handle, good within one initialisation of the module.
pub(super) type ObjectHandle = CK_OBJECT_HANDLE;

/// The functions of a module. It is never unloaded: modules keep threads and exit handlers of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module(pub(super) CK_FUNCTION_LIST);

/// The arguments of C_Initialize as NSS wants them, one word longer than the standard's (NSS, pkcs11t.h). Word 6 is
/// `pReserved` to other modules; they do not read the seventh.
#[repr(C)]
struct InitializeArgs {
    mutexes: [Option<unsafe extern "C" fn()>; 4],
    flags: CK_FLAGS,
    parameters: *const std::ffi::c_char,
    reserved: *mut std::ffi::c_void,
}

/// How many slots or mechanisms are read at most, whatever the module says that it has.
const MOST_LISTED: usize = 1 << 16;

/// Calls one of the module's functions and tells a refusal by its name.
macro_rules! call {
    ($module:expr, $function:ident($($argument:expr),*)) => {
        match $module.0.$function {
            None => Err(Refused { call: stringify!($function), code: CKR_FUNCTION_NOT_SUPPORTED }),
            Some(function) => {
                // SAFETY: the function comes from the module's own list. Pointers come from live references of the
                // sizes given, or are null where the standard allows it; the module keeps none after it returns.
                match unsafe { function($($argument),*) } {
                    CKR_OK => Ok(()),
                    code => Err(Refused { call: stringify!($function), code }),
                }
            }
        }
    };
}
pub(super) use call;

impl Module {
    /// Loads the library at `path`; the text of a failure is the dynamic linker's.
    pub fn load(path: &Path) -> Result<Self, String> {
        // SAFETY: loading runs the library's initialisers. The user named it as the driver of the token.
        let library = unsafe { libloading::Library::new(path) }.map_err(|e| chain(&e))?;
        // SAFETY: C_GetFunctionList has this type in every version of the standard.
        let list = unsafe {
            library.get::<unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV>(b"C_GetFunctionList\0")
        };
        let list = *list.map_err(|_| "it has no C_GetFunctionList".to_owned())?;
        std::mem::forget(library);
        let mut functions = ptr::null_mut();
        // SAFETY: the pointer is to a live local.
        let code = unsafe { list(&mut functions) };
        if code != CKR_OK || functions.is_null() {
            return Err(format!("its C_GetFunctionList failed ({code:#x})"));
        }
        // SAFETY: the module answered with its list, which lives as long as the library; every version of the standard
        // begins with the members of this one.
        Ok(Self(unsafe { *functions }))
    }

    pub fn initialize(&self, flags: CK_FLAGS, parameters: Option<&CString>) -> Answer<()> {
        let mut args = InitializeArgs {
            mutexes: [None; 4],
            flags,
            parameters: parameters.map_or(ptr::null(), |text| text.as_ptr()),
            reserved: ptr::null_mut(),
        };
        call!(self, C_Initialize((&raw mut args).cast()))
    }

    pub fn finalize(&self) -> Answer<()> {
        call!(self, C_Finalize(ptr::null_mut()))
    }

    pub fn info(&self) -> Answer<CK_INFO> {
        let mut info = CK_INFO::default();
        call!(self, C_GetInfo(&mut info)).map(|()| info)
    }

    /// The slots that hold a token.
    pub fn slots(&self) -> Answer<Vec<CK_SLOT_ID>> {
        let mut count = 0;
        call!(self, C_GetSlotList(CK_TRUE, ptr::null_mut(), &mut count))?;
        // A token may come between the two calls.
        let mut slots = vec![0; listed(count) + 4];
        count = slots.len() as CK_ULONG;
        call!(self, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count))?;
        slots.truncate(count as usize);
        Ok(slots)
    }

    pub fn slot_info(&self, slot: CK_SLOT_ID) -> Answer<CK_SLOT_INFO> {
        let mut info = CK_SLOT_INFO::default();
        call!(self, C_GetSlotInfo(slot, &mut info)).map(|()| info)
    }

    pub fn token_info(&self, slot: CK_SLOT_ID) -> Answer<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        call!(self, C_GetTokenInfo(slot, &mut info)).map(|()| info)
    }

    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Answer<Vec<CK_MECHANISM_TYPE>> {
        let mut count = 0;
        call!(self, C_GetMechanismList(slot, ptr::null_mut(), &mut count))?;
        let mut mechanisms = vec![0; listed(count)];
        count = mechanisms.len() as CK_ULONG;
        call!(
            self,
            C_GetMechanismList(slot, mechanisms.as_mut_ptr(), &mut count)
        )?;
        mechanisms.truncate(count as usize);
        Ok(mechanisms)
    }

    pub fn init_token(&self, slot: CK_SLOT_ID, so_pin: &[u8], label: &[u8; 32]) -> Answer<()> {
        let len = so_pin.len() as CK_ULONG;
        call!(
            self,
            C_InitToken(slot, so_pin.as_ptr().cast_mut(), len, label.as_ptr().cast_mut())
        )
    }

    pub fn init_pin(&self, session: SessionHandle, pin: &[u8]) -> Answer<()> {
        call!(
            self,
            C_InitPIN(session, pin.as_ptr().cast_mut(), pin.len() as CK_ULONG)
        )
    }

    pub fn open_session(&self, slot: CK_SLOT_ID, writing: bool) -> Answer<SessionHandle> {
        let flags = CKF_SERIAL_SESSION | if writing { CKF_RW_SESSION } else { 0 };
        let mut session = CK_INVALID_HANDLE;
        call!(
            self,
            C_OpenSession(slot, flags, ptr::null_mut(), None, &mut session)
        )
        .map(|()| session)
    }

    pub fn close_session(&self, session: SessionHandle) -> Answer<()> {
        call!(self, C_CloseSession(session))
    }

    /// Logs in; without a PIN the token asks for it on its own keypad.
    pub fn login(&self, session: SessionHandle, user: CK_USER_TYPE, pin: Option<&[u8]>) -> Answer<()> {
        let (pin, len) = pin.map_or((ptr::null(), 0), |pin| (pin.as_ptr(), pin.len()));
        call!(self, C_Login(session, user, pin.cast_mut(), len as CK_ULONG))
    }

    pub fn logout(&self, session: SessionHandle) -> Answer<()> {
        call!(self, C_Logout(session))
    }

    pub fn create_object(&self, session: SessionHandle, template: &[Attribute<'_>]) -> Answer<ObjectHandle> {
        let mut object = CK_INVALID_HANDLE;
        let (first, count) = parts(template);
        let created = call!(self, C_CreateObject(session, first, count, &mut object));
        crate::secret::clear_registers();
        doubt::note(created).map(|()| object)
    }

    pub fn set_attributes(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        template: &[Attribute<'_>],
    ) -> Answer<()> {
        let (first, count) = parts(template);
        call!(self, C_SetAttributeValue(session, object, first, count))
    }

    pub fn destroy_object(&self, session: SessionHandle, object: ObjectHandle) -> Answer<()> {
        call!(self, C_DestroyObject(session, object))
    }

    /// The handles of up to `limit` objects that match.
    pub fn find_objects(
        &self,
        session: SessionHandle,
        template: &[Attribute<'_>],
        limit: usize,
    ) -> Answer<Vec<ObjectHandle>> {
        let (first, count) = parts(template);
        call!(self, C_FindObjectsInit(session, first, count))?;
        let mut found = Vec::new();
        let outcome = loop {
            let mut page = [CK_INVALID_HANDLE; 64];
            let want = (limit - found.len()).min(page.len());
            let mut got = 0;
            let answer = call!(
                self,
                C_FindObjects(session, page.as_mut_ptr(), want as CK_ULONG, &mut got)
            );
            found.extend_from_slice(&page[..want.min(got as usize)]);
            match answer {
                Ok(()) if got > 0 && found.len() < limit => {}
                other => break other,
            }
        };
        let ended = call!(self, C_FindObjectsFinal(session));
        outcome.and(ended).map(|()| found)
    }

    /// The length of an attribute's value; none where the object has no such attribute or does not show it.
    pub fn attribute_len(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        kind: CK_ATTRIBUTE_TYPE,
    ) -> Answer<Option<usize>> {
        self.attribute(session, object, Attribute::raw(kind, ptr::null(), 0))
    }

    /// Reads an attribute's value into `buffer`; none as above. A value of no bytes is `Some(0)`.
    pub fn read_attribute(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        kind: CK_ATTRIBUTE_TYPE,
        buffer: &mut [u8],
    ) -> Answer<Option<usize>> {
        let len = buffer.len();
        let read = self.attribute(
            session,
            object,
            Attribute::raw(kind, buffer.as_mut_ptr().cast(), len),
        )?;
        Ok(read.map(|read| read.min(len)))
    }

    fn attribute(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        mut wanted: Attribute<'_>,
    ) -> Answer<Option<usize>> {
        match call!(self, C_GetAttributeValue(session, object, &mut wanted.0, 1)) {
            Err(Refused { code, .. })
                if code == CKR_ATTRIBUTE_SENSITIVE || code == CKR_ATTRIBUTE_TYPE_INVALID =>
            {
                Ok(None)
            }
            Err(refused) => Err(refused),
            Ok(()) if wanted.0.ulValueLen == CK_UNAVAILABLE_INFORMATION => Ok(None),
            Ok(()) => Ok(Some(wanted.0.ulValueLen as usize)),
        }
    }

    pub fn generate_key(
        &self,
        session: SessionHandle,
        mechanism: CK_MECHANISM_TYPE,
        template: &[Attribute<'_>],
    ) -> Answer<ObjectHandle> {
        let mut object = CK_INVALID_HANDLE;
        let (first, count) = parts(template);
        let mut mechanism = plain(mechanism);
        let made = call!(
            self,
            C_GenerateKey(session, &mut mechanism, first, count, &mut object)
        );
        doubt::note(made).map(|()| object)
    }

    /// Makes a key pair; answers the public and the private key.
    pub fn generate_pair(
        &self,
        session: SessionHandle,
        mechanism: CK_MECHANISM_TYPE,
        public: &[Attribute<'_>],
        private: &[Attribute<'_>],
    ) -> Answer<(ObjectHandle, ObjectHandle)> {
        let mut pair = (CK_INVALID_HANDLE, CK_INVALID_HANDLE);
        let (public, public_count) = parts(public);
        let (private, private_count) = parts(private);
        let mut mechanism = plain(mechanism);
        let made = call!(
            self,
            C_GenerateKeyPair(
                session,
                &mut mechanism,
                public,
                public_count,
                private,
                private_count,
                &mut pair.0,
                &mut pair.1
            )
        );
        doubt::note(made).map(|()| pair)
    }

    /// Signs in one C_SignInit and one C_Sign; answers how long the module says that the signature is, which may be more
    /// than there is.
    ///
    /// After a refusal the session may still have the operation active and is not to be used again.
    pub fn sign(
        &self,
        session: SessionHandle,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
        message: &[u8],
        signature: &mut [u8],
    ) -> Answer<usize> {
        let mut mechanism = plain(mechanism);
        call!(self, C_SignInit(session, &mut mechanism, key))?;
        let mut len = signature.len() as CK_ULONG;
        let (data, count) = (message.as_ptr().cast_mut(), message.len() as CK_ULONG);
        let signed = call!(
            self,
            C_Sign(session, data, count, signature.as_mut_ptr(), &mut len)
        );
        // A module in software leaves parts of the key in them, and the dynamic linker would write them to the stack at the
        // next call that is the first of its kind.
        crate::secret::clear_registers();
        signed?;
        Ok(len as usize)
    }
}

/// How many entries of a list are read, of as many as the module says that it has.
fn listed(count: CK_ULONG) -> usize {
    usize::try_from(count).unwrap_or(MOST_LISTED).min(MOST_LISTED)
}

pub(super) fn parts(template: &[Attribute<'_>]) -> (*mut CK_ATTRIBUTE, CK_ULONG) {
    (template.as_ptr().cast_mut().cast(), template.len() as CK_ULONG)
}

pub(super) fn plain(mechanism: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM {
        mechanism,
        pParameter: ptr::null_mut(),
        ulParameterLen: 0,
    }
}

/// An error with what caused it: the dynamic linker's own text is the useful part.
fn chain(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
