//! The attributes of an object as a module takes them: each points at its value and borrows it.

use std::{marker::PhantomData, ptr};

use cryptoki_sys::*;

/// One attribute of a template, borrowing its value.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Attribute<'a>(pub CK_ATTRIBUTE, PhantomData<&'a [u8]>);

impl<'a> Attribute<'a> {
    /// Bytes or text.
    pub fn bytes(kind: CK_ATTRIBUTE_TYPE, value: &'a [u8]) -> Self {
        Self::raw(kind, value.as_ptr().cast(), value.len())
    }

    /// True or false.
    pub fn flag(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Self {
        static VALUES: [CK_BBOOL; 2] = [CK_FALSE, CK_TRUE];
        let value: &'static CK_BBOOL = &VALUES[usize::from(value)];
        Self::raw(kind, ptr::from_ref(value).cast(), 1)
    }

    /// A number or several: a class, a key type, a list of mechanisms.
    pub fn numbers(kind: CK_ATTRIBUTE_TYPE, value: &'a [CK_ULONG]) -> Self {
        Self::raw(kind, value.as_ptr().cast(), size_of_val(value))
    }

    /// A value at an address, or the wish to know a length.
    pub fn raw(kind: CK_ATTRIBUTE_TYPE, value: *const std::ffi::c_void, len: usize) -> Self {
        let attribute = CK_ATTRIBUTE {
            type_: kind,
            pValue: value.cast_mut(),
            ulValueLen: len as CK_ULONG,
        };
        Self(attribute, PhantomData)
    }
}
