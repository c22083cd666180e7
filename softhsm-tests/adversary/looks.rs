//! Looking at the key: its attributes, and searches by its value.

use std::ptr;

use cryptoki_sys::*;

use crate::{
    bare::{bare, bytes},
    robbery::{ROOM, Robbery},
};

/// Attributes in which a key's secret is kept.
const SECRET: [CK_ATTRIBUTE_TYPE; 7] = [
    CKA_VALUE,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
];

impl Robbery<'_> {
    /// What is given of any attribute, also of those that no standard has, into room of any size, alone and beside
    /// others.
    pub fn reads(&mut self) {
        let known = (0..0x700)
            .chain((0..0x20).map(|low| CKF_ARRAY_ATTRIBUTE | 0x200 | low))
            .chain([CKA_ALLOWED_MECHANISMS]);
        let vendors = [
            CKA_VENDOR_DEFINED,
            CKA_VENDOR_DEFINED | 0x5348,
            CKA_VENDOR_DEFINED | 0x4e534350,
        ];
        let all: Vec<_> = known
            .chain(vendors.into_iter().flat_map(|first| first..first + 0x20))
            .collect();
        for kind in all {
            for room in [ROOM, 0] {
                self.read(kind, room, &[]);
            }
        }
        for kind in SECRET {
            for room in [1, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256] {
                self.read(kind, room, &[]);
                self.read(kind, room, &[CKA_LABEL]);
                self.read(kind, room, &[kind; 3]);
                self.read(kind, room, &SECRET);
            }
        }
    }

    fn read(&mut self, kind: CK_ATTRIBUTE_TYPE, room: usize, beside: &[CK_ATTRIBUTE_TYPE]) {
        for first in [true, false] {
            let mut kinds = beside.to_vec();
            kinds.insert(if first { 0 } else { beside.len() }, kind);
            let mut rooms = vec![vec![0_u8; ROOM]; kinds.len()];
            let mut list: Vec<_> = kinds
                .iter()
                .zip(&mut rooms)
                .map(|(&kind, bytes)| CK_ATTRIBUTE {
                    type_: kind,
                    pValue: if room == 0 {
                        ptr::null_mut()
                    } else {
                        bytes.as_mut_ptr().cast()
                    },
                    ulValueLen: room as CK_ULONG,
                })
                .collect();
            let (at, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
            let inside = self.inside;
            // What was written counts, whatever was answered.
            let code = bare!(
                inside,
                C_GetAttributeValue(inside.session, self.victim, at, count)
            );
            for (kind, bytes) in kinds.iter().zip(&rooms) {
                self.take(format!("C_GetAttributeValue of {kind:#x}"), bytes);
            }
            if code.is_ok()
                && SECRET.contains(&kind)
                && list.iter().any(|attr| {
                    SECRET.contains(&attr.type_)
                        && ![0, CK_UNAVAILABLE_INFORMATION].contains(&attr.ulValueLen)
                })
            {
                self.grant(format!("C_GetAttributeValue of {kind:#x}"));
            }
            if beside.is_empty() {
                break;
            }
        }
    }

    /// Searches by a part of the value: one that found the key by its beginning would give it away byte by byte.
    pub fn searches(&mut self) {
        // A MAC key is stored as one block of its hash, a private key as it is.
        let block = match self.own {
            [CKM_SHA256_HMAC] => 64,
            [CKM_SHA384_HMAC | CKM_SHA512_HMAC] => 128,
            _ => 0,
        };
        let mut value = self.secret().to_vec();
        value.resize(block.max(value.len()), 0);
        for len in (1..value.len()).chain(self.secret().len().checked_sub(1)) {
            for start in [0, value.len() - len] {
                let part = &value[start..start + len];
                if self
                    .inside
                    .find(vec![bytes(CKA_VALUE, part)])
                    .contains(&self.victim)
                {
                    self.grant(format!("C_FindObjects by {len} bytes of its value"));
                }
            }
        }
    }
}
