//! A bare PKCS#11 program, as anyone writes one: it shares no line with the library's own way to a module. What a
//! module does to such a program is what hsmsign has to be safe from.
#![allow(dead_code, unsafe_code)] // Each test target uses its part.

use std::{ffi::CString, path::Path, ptr};

use cryptoki_sys::*;
use hsmsign::token::pkcs11::Settings;

/// One attribute: its type and the bytes of its value.
pub type Attr = (CK_ATTRIBUTE_TYPE, Vec<u8>);

/// True or false.
pub fn flag(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Attr {
    (kind, vec![u8::from(value)])
}

/// A number, as a class or a key type.
pub fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Attr {
    (kind, value.to_ne_bytes().to_vec())
}

/// Bytes or text.
pub fn bytes(kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> Attr {
    (kind, value.to_vec())
}

/// A template as C takes it; good as long as what it was made of.
pub fn template(attrs: &mut [Attr]) -> Vec<CK_ATTRIBUTE> {
    attrs
        .iter_mut()
        .map(|(kind, value)| CK_ATTRIBUTE {
            type_: *kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as CK_ULONG,
        })
        .collect()
}

/// A mechanism without a parameter.
pub fn plain(mechanism: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM {
        mechanism,
        pParameter: ptr::null_mut(),
        ulParameterLen: 0,
    }
}

/// Calls a function of a module: `bare!(module, C_CloseSession(session))` answers `Ok(())` or the module's code.
macro_rules! bare {
    ($module:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        #[allow(unsafe_code)]
        // SAFETY: a test's own pointers to its own live buffers, of the sizes given.
        let code = unsafe { ($module.list.$function.expect(stringify!($function)))($($argument),*) };
        match code {
            cryptoki_sys::CKR_OK => Ok(()),
            code => Err(code),
        }
    }};
}
pub(crate) use bare;

/// A loaded module.
pub struct Bare {
    pub list: CK_FUNCTION_LIST,
}

impl Bare {
    /// Loads a module, and no more.
    pub fn load(path: &Path) -> Self {
        // SAFETY: a PKCS#11 module's initialisers run.
        let library = unsafe { libloading::Library::new(path) }.expect("the module loads");
        let mut list = ptr::null_mut();
        // SAFETY: the function has this type in every version of the standard.
        unsafe {
            let get = library
                .get::<unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV>(b"C_GetFunctionList\0")
                .expect("a PKCS#11 module");
            assert_eq!(get(&mut list), CKR_OK);
        }
        std::mem::forget(library);
        // SAFETY: the list lives as long as the library, which is never unloaded.
        let list = unsafe { *list };
        Self { list }
    }

    /// C_Initialize with the seven words that NSS wants; other modules read six.
    pub fn initialize(&self, arguments: Option<&str>) -> Result<(), CK_RV> {
        let text = arguments.map(|text| CString::new(text).unwrap());
        let mut words: [usize; 7] = [0; 7];
        words[4] = CKF_OS_LOCKING_OK as usize;
        words[5] = text.as_ref().map_or(0, |text| text.as_ptr() as usize);
        bare!(self, C_Initialize(words.as_mut_ptr().cast()))
    }

    /// The slot of the token with this label.
    pub fn slot(&self, label: &str) -> Option<CK_SLOT_ID> {
        let mut slots = [0; 64];
        let mut count = slots.len() as CK_ULONG;
        bare!(self, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count)).ok()?;
        slots[..count as usize].iter().copied().find(|&slot| {
            self.info(slot)
                .is_ok_and(|info| String::from_utf8_lossy(&info.label).trim_end() == label)
        })
    }

    /// What a token says of itself.
    pub fn info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO, CK_RV> {
        let mut info = CK_TOKEN_INFO::default();
        bare!(self, C_GetTokenInfo(slot, &mut info)).map(|()| info)
    }

    /// The mechanisms that a token claims.
    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Vec<CK_MECHANISM_TYPE> {
        let mut all = vec![0; 1024];
        let mut count = all.len() as CK_ULONG;
        bare!(self, C_GetMechanismList(slot, all.as_mut_ptr(), &mut count)).unwrap();
        all.truncate(count as usize);
        all
    }

    /// A new session that may write.
    pub fn session(&self, slot: CK_SLOT_ID) -> Result<CK_SESSION_HANDLE, CK_RV> {
        let mut session = 0;
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
        bare!(
            self,
            C_OpenSession(slot, flags, ptr::null_mut(), None, &mut session)
        )
        .map(|()| session)
    }

    /// Logs the user in.
    pub fn login(&self, session: CK_SESSION_HANDLE, pin: &str) -> Result<(), CK_RV> {
        let (text, len) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
        bare!(self, C_Login(session, CKU_USER, text, len))
    }

    /// What a mechanism is for.
    pub fn flags(&self, slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE) -> CK_FLAGS {
        let mut info = CK_MECHANISM_INFO::default();
        bare!(self, C_GetMechanismInfo(slot, mechanism, &mut info)).map_or(0, |()| info.flags)
    }

    /// C_Finalize.
    pub fn finalize(&self) -> Result<(), CK_RV> {
        bare!(self, C_Finalize(ptr::null_mut()))
    }
}

/// A module with a session that is logged in to a token.
pub struct Inside {
    pub module: Bare,
    pub slot: CK_SLOT_ID,
    pub session: CK_SESSION_HANDLE,
}

impl std::ops::Deref for Inside {
    type Target = Bare;

    fn deref(&self) -> &Bare {
        &self.module
    }
}

impl Inside {
    /// Loads, initialises, finds the token by its label and logs in; answers the code of the first call that fails.
    pub fn enter(settings: &Settings, pin: &str) -> Result<Self, CK_RV> {
        let module = Bare::load(&settings.module);
        module.initialize(settings.module_args.as_deref())?;
        let label = settings.label.as_deref().unwrap();
        let slot = module.slot(label).ok_or(CKR_TOKEN_NOT_PRESENT)?;
        let session = module.session(slot)?;
        module.login(session, pin)?;
        Ok(Self {
            module,
            slot,
            session,
        })
    }

    /// Leaves the module as it was before.
    pub fn leave(self) {
        self.module.finalize().expect("the module ends");
    }

    pub fn create(&self, mut attrs: Vec<Attr>) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        let mut list = template(&mut attrs);
        let (first, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        let mut object = 0;
        bare!(self, C_CreateObject(self.session, first, count, &mut object)).map(|()| object)
    }

    /// C_GenerateKeyPair: the public and the private key.
    pub fn pair(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        public: &mut [Attr],
        private: &mut [Attr],
    ) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE), CK_RV> {
        let (mut public, mut private) = (template(public), template(private));
        let (first, count) = (public.as_mut_ptr(), public.len() as CK_ULONG);
        let (second, more) = (private.as_mut_ptr(), private.len() as CK_ULONG);
        let (mut one, mut two) = (0, 0);
        let mut how = plain(mechanism);
        bare!(
            self,
            C_GenerateKeyPair(
                self.session,
                &mut how,
                first,
                count,
                second,
                more,
                &mut one,
                &mut two
            )
        )
        .map(|()| (one, two))
    }

    /// C_SetAttributeValue.
    pub fn set(&self, object: CK_OBJECT_HANDLE, mut attrs: Vec<Attr>) -> Result<(), CK_RV> {
        let mut list = template(&mut attrs);
        let (first, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        bare!(self, C_SetAttributeValue(self.session, object, first, count))
    }

    /// C_CopyObject.
    pub fn copy(&self, object: CK_OBJECT_HANDLE, mut attrs: Vec<Attr>) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        let mut list = template(&mut attrs);
        let (first, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        let mut copy = 0;
        bare!(self, C_CopyObject(self.session, object, first, count, &mut copy)).map(|()| copy)
    }

    /// Another session of the same login, in which an operation may stay active.
    pub fn aside(&self) -> Self {
        Self {
            module: Bare {
                list: self.module.list,
            },
            slot: self.slot,
            session: self.session(self.slot).expect("one more session"),
        }
    }

    /// Ends that session.
    pub fn close(self) {
        let _ = bare!(self, C_CloseSession(self.session));
    }

    pub fn destroy(&self, object: CK_OBJECT_HANDLE) -> Result<(), CK_RV> {
        bare!(self, C_DestroyObject(self.session, object))
    }

    /// The objects that match, at most 1024.
    pub fn find(&self, mut attrs: Vec<Attr>) -> Vec<CK_OBJECT_HANDLE> {
        let mut list = template(&mut attrs);
        let (first, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        bare!(self, C_FindObjectsInit(self.session, first, count)).unwrap();
        let (mut found, mut count) = (vec![0; 1024], 0);
        bare!(
            self,
            C_FindObjects(self.session, found.as_mut_ptr(), 1024, &mut count)
        )
        .unwrap();
        bare!(self, C_FindObjectsFinal(self.session)).unwrap();
        found.truncate(count as usize);
        found
    }

    /// An attribute's bytes.
    pub fn read(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>, CK_RV> {
        let mut value = vec![0; 8192];
        let mut wanted = CK_ATTRIBUTE {
            type_: kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as CK_ULONG,
        };
        bare!(self, C_GetAttributeValue(self.session, object, &mut wanted, 1))?;
        if wanted.ulValueLen == CK_UNAVAILABLE_INFORMATION {
            return Err(CKR_ATTRIBUTE_TYPE_INVALID);
        }
        value.truncate(wanted.ulValueLen as usize);
        Ok(value)
    }

    /// An attribute that is true or false.
    pub fn is(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<bool, CK_RV> {
        self.read(object, kind).map(|value| value != [CK_FALSE])
    }

    /// C_SignInit and one C_Sign.
    pub fn sign(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        object: CK_OBJECT_HANDLE,
        message: &[u8],
    ) -> Result<Vec<u8>, CK_RV> {
        bare!(self, C_SignInit(self.session, &mut plain(mechanism), object))?;
        let mut signature = vec![0; 1024];
        let mut len = signature.len() as CK_ULONG;
        let (data, count) = (message.as_ptr().cast_mut(), message.len() as CK_ULONG);
        bare!(
            self,
            C_Sign(self.session, data, count, signature.as_mut_ptr(), &mut len)
        )?;
        signature.truncate(len as usize);
        Ok(signature)
    }

    /// The digest of a key.
    pub fn digest_key(&self, hash: CK_MECHANISM_TYPE, object: CK_OBJECT_HANDLE) -> Result<Vec<u8>, CK_RV> {
        bare!(self, C_DigestInit(self.session, &mut plain(hash)))?;
        bare!(self, C_DigestKey(self.session, object))?;
        let (mut digest, mut len) = (vec![0; 64], 64);
        bare!(self, C_DigestFinal(self.session, digest.as_mut_ptr(), &mut len))?;
        digest.truncate(len as usize);
        Ok(digest)
    }
}

/// A secret key of these bytes, told to be as closed as every one of the modules lets it be.
pub fn closed(id: &[u8], value: &[u8]) -> Vec<Attr> {
    let mut attrs = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
        bytes(CKA_ID, id),
        bytes(CKA_LABEL, b"bare"),
        bytes(CKA_VALUE, value),
    ];
    attrs.extend([CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN].map(|kind| flag(kind, true)));
    attrs.extend(
        [
            CKA_EXTRACTABLE,
            CKA_VERIFY,
            CKA_ENCRYPT,
            CKA_DECRYPT,
            CKA_WRAP,
            CKA_UNWRAP,
            CKA_DERIVE,
            CKA_MODIFIABLE,
        ]
        .map(|kind| flag(kind, false)),
    );
    attrs
}
