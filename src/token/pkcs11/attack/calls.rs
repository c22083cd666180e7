//! The calls that only an attack makes, beside those of [`super::super::module`]. Parameters are well formed always:
//! what is tried is what a module permits, not whether it can be made to crash.
#![allow(unsafe_code)]

use std::ptr;

use cryptoki_sys::*;

use super::super::{
    codes::Refused,
    module::{Answer, Module, ObjectHandle, SessionHandle, call, parts, plain},
    template::Attribute,
};

/// The parameter of a mechanism.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter<'a> {
    None,
    /// As an initialisation vector.
    Bytes(&'a [u8]),
    /// As a length, a bit's place, or a key's handle.
    Number(CK_ULONG),
    /// CK_KEY_DERIVATION_STRING_DATA.
    Text(&'a [u8]),
    /// CK_RSA_PKCS_OAEP_PARAMS with SHA-1.
    Oaep,
    /// CK_RSA_PKCS_PSS_PARAMS with SHA-256.
    Pss,
    /// CK_ECDH1_DERIVE_PARAMS with this point, and nothing done to what comes of it.
    Ecdh(&'a [u8]),
    /// CK_HKDF_PARAMS: expand alone, with this hash and info.
    Expand(CK_MECHANISM_TYPE, &'a [u8]),
}

/// A mechanism with its parameter.
pub(super) type How<'a> = (CK_MECHANISM_TYPE, Parameter<'a>);

fn with<T>((mechanism, parameter): How<'_>, work: impl FnOnce(&mut CK_MECHANISM) -> T) -> T {
    let mut whole = plain(mechanism);
    let mut give = |address: *mut std::ffi::c_void, len: usize| {
        whole.pParameter = address;
        whole.ulParameterLen = len as CK_ULONG;
    };
    // Each lives until the work is done.
    let (mut number, mut text, mut oaep, mut pss, mut ecdh, mut hkdf);
    match parameter {
        Parameter::None => {}
        Parameter::Bytes(bytes) => give(bytes.as_ptr().cast_mut().cast(), bytes.len()),
        Parameter::Number(value) => {
            number = value;
            give((&raw mut number).cast(), size_of_val(&number));
        }
        Parameter::Text(bytes) => {
            text = CK_KEY_DERIVATION_STRING_DATA {
                pData: bytes.as_ptr().cast_mut(),
                ulLen: bytes.len() as CK_ULONG,
            };
            give((&raw mut text).cast(), size_of_val(&text));
        }
        Parameter::Oaep => {
            oaep = CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: CKM_SHA_1,
                mgf: CKG_MGF1_SHA1,
                source: CKZ_DATA_SPECIFIED,
                pSourceData: ptr::null_mut(),
                ulSourceDataLen: 0,
            };
            give((&raw mut oaep).cast(), size_of_val(&oaep));
        }
        Parameter::Pss => {
            pss = CK_RSA_PKCS_PSS_PARAMS {
                hashAlg: CKM_SHA256,
                mgf: CKG_MGF1_SHA256,
                sLen: 32,
            };
            give((&raw mut pss).cast(), size_of_val(&pss));
        }
        Parameter::Ecdh(point) => {
            ecdh = CK_ECDH1_DERIVE_PARAMS {
                kdf: CKD_NULL,
                ulSharedDataLen: 0,
                pSharedData: ptr::null_mut(),
                ulPublicDataLen: point.len() as CK_ULONG,
                pPublicData: point.as_ptr().cast_mut(),
            };
            give((&raw mut ecdh).cast(), size_of_val(&ecdh));
        }
        Parameter::Expand(hash, info) => {
            hkdf = CK_HKDF_PARAMS {
                bExtract: CK_FALSE,
                bExpand: CK_TRUE,
                prfHashMechanism: hash,
                ulSaltType: CKF_HKDF_SALT_NULL,
                pSalt: ptr::null_mut(),
                ulSaltLen: 0,
                hSaltKey: CK_INVALID_HANDLE,
                pInfo: info.as_ptr().cast_mut(),
                ulInfoLen: info.len() as CK_ULONG,
            };
            give((&raw mut hkdf).cast(), size_of_val(&hkdf));
        }
    }
    work(&mut whole)
}

/// How many bytes of a buffer a module says that it filled.
fn filled(len: CK_ULONG, buffer: &[u8]) -> usize {
    usize::try_from(len).unwrap_or(0).min(buffer.len())
}

impl Module {
    /// C_GetAttributeValue with any template; what it filled is in the buffers, whatever it answers.
    pub(super) fn read_template(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        template: &mut [Attribute<'_>],
    ) -> Answer<()> {
        let (first, count) = parts(template);
        call!(self, C_GetAttributeValue(session, object, first, count))
    }

    pub(super) fn copy_object(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        template: &[Attribute<'_>],
    ) -> Answer<ObjectHandle> {
        let mut copy = CK_INVALID_HANDLE;
        let (first, count) = parts(template);
        call!(self, C_CopyObject(session, object, first, count, &mut copy)).map(|()| copy)
    }

    /// Wraps a key; answers how many bytes of `wrapped` were filled.
    pub(super) fn wrap_key(
        &self,
        session: SessionHandle,
        how: How<'_>,
        wrapping: ObjectHandle,
        key: ObjectHandle,
        wrapped: &mut [u8],
    ) -> Answer<usize> {
        let mut len = wrapped.len() as CK_ULONG;
        let buffer = wrapped.as_mut_ptr();
        with(how, |mechanism| {
            call!(
                self,
                C_WrapKey(session, mechanism, wrapping, key, buffer, &mut len)
            )
        })?;
        Ok(filled(len, wrapped))
    }

    pub(super) fn unwrap_key(
        &self,
        session: SessionHandle,
        how: How<'_>,
        unwrapping: ObjectHandle,
        wrapped: &[u8],
        template: &[Attribute<'_>],
    ) -> Answer<ObjectHandle> {
        let mut key = CK_INVALID_HANDLE;
        let (first, count) = parts(template);
        let (data, len) = (wrapped.as_ptr().cast_mut(), wrapped.len() as CK_ULONG);
        with(how, |mechanism| {
            call!(
                self,
                C_UnwrapKey(session, mechanism, unwrapping, data, len, first, count, &mut key)
            )
        })
        .map(|()| key)
    }

    /// Decrypts in one call; answers how many bytes of `plain` were filled.
    pub(super) fn decrypt(
        &self,
        session: SessionHandle,
        how: How<'_>,
        key: ObjectHandle,
        data: &[u8],
        plain: &mut [u8],
    ) -> Answer<usize> {
        with(how, |mechanism| {
            call!(self, C_DecryptInit(session, mechanism, key))
        })?;
        let mut len = plain.len() as CK_ULONG;
        let (input, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        call!(
            self,
            C_Decrypt(session, input, count, plain.as_mut_ptr(), &mut len)
        )?;
        Ok(filled(len, plain))
    }

    /// Begins a signature from which its message comes back; the session has it active after this.
    pub(super) fn begin_sign_recover(
        &self,
        session: SessionHandle,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
    ) -> Answer<()> {
        let mut mechanism = plain(mechanism);
        call!(self, C_SignRecoverInit(session, &mut mechanism, key))
    }

    /// Begins a decryption; the session has it active after this.
    pub(super) fn begin_decrypt(
        &self,
        session: SessionHandle,
        how: How<'_>,
        key: ObjectHandle,
    ) -> Answer<()> {
        with(how, |mechanism| {
            call!(self, C_DecryptInit(session, mechanism, key))
        })
    }

    pub(super) fn derive_key(
        &self,
        session: SessionHandle,
        how: How<'_>,
        base: ObjectHandle,
        template: &[Attribute<'_>],
    ) -> Answer<ObjectHandle> {
        let mut key = CK_INVALID_HANDLE;
        let (first, count) = parts(template);
        with(how, |mechanism| {
            call!(
                self,
                C_DeriveKey(session, mechanism, base, first, count, &mut key)
            )
        })
        .map(|()| key)
    }

    /// Begins a digest with a key in it, behind something known; the session has it active after this.
    pub(super) fn digest_key(
        &self,
        session: SessionHandle,
        hash: CK_MECHANISM_TYPE,
        before: &[u8],
        key: ObjectHandle,
    ) -> Answer<()> {
        let mut mechanism = plain(hash);
        call!(self, C_DigestInit(session, &mut mechanism))?;
        if !before.is_empty() {
            let (data, len) = (before.as_ptr().cast_mut(), before.len() as CK_ULONG);
            call!(self, C_DigestUpdate(session, data, len))?;
        }
        call!(self, C_DigestKey(session, key))
    }

    /// Ends a digest; answers how many bytes of `digest` were filled.
    pub(super) fn digest_final(&self, session: SessionHandle, digest: &mut [u8]) -> Answer<usize> {
        let mut len = digest.len() as CK_ULONG;
        call!(self, C_DigestFinal(session, digest.as_mut_ptr(), &mut len))?;
        Ok(filled(len, digest))
    }

    /// What the module lets be saved of the operation that is active; answers how many bytes of `state` were filled.
    pub(super) fn operation_state(&self, session: SessionHandle, state: &mut [u8]) -> Answer<usize> {
        let mut len = 0;
        call!(self, C_GetOperationState(session, ptr::null_mut(), &mut len))?;
        if filled(len, state) < usize::try_from(len).unwrap_or(usize::MAX) {
            return Err(Refused {
                call: "C_GetOperationState",
                code: CKR_BUFFER_TOO_SMALL,
            });
        }
        call!(self, C_GetOperationState(session, state.as_mut_ptr(), &mut len))?;
        Ok(filled(len, state))
    }

    /// Begins a signature and feeds it; the session has it active after this.
    pub(super) fn begin_sign(
        &self,
        session: SessionHandle,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
        message: &[u8],
    ) -> Answer<()> {
        let mut mechanism = plain(mechanism);
        call!(self, C_SignInit(session, &mut mechanism, key))?;
        let (data, len) = (message.as_ptr().cast_mut(), message.len() as CK_ULONG);
        call!(self, C_SignUpdate(session, data, len))
    }

    /// Signs with a mechanism that has a parameter.
    pub(super) fn sign_with(
        &self,
        session: SessionHandle,
        how: How<'_>,
        key: ObjectHandle,
        message: &[u8],
        signature: &mut [u8],
    ) -> Answer<usize> {
        with(how, |mechanism| call!(self, C_SignInit(session, mechanism, key)))?;
        let mut len = signature.len() as CK_ULONG;
        let (data, count) = (message.as_ptr().cast_mut(), message.len() as CK_ULONG);
        call!(
            self,
            C_Sign(session, data, count, signature.as_mut_ptr(), &mut len)
        )?;
        Ok(filled(len, signature))
    }
}
