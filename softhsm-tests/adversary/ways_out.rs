//! Carrying the key out: wrapped, or in a key made of it.

use cryptoki_sys::*;

use crate::{
    bare::{bare, bytes, flag, number, template},
    mechanisms::with,
    robbery::{OURS, ROOM, Robbery},
};

impl Robbery<'_> {
    /// Keys of the robber's own that may wrap.
    fn wrapping(&self) -> Vec<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let uses = [CKA_WRAP, CKA_UNWRAP, CKA_ENCRYPT, CKA_DECRYPT, CKA_EXTRACTABLE];
        let mut all = Vec::new();
        for (kind, len) in [
            (CKK_AES, 16),
            (CKK_AES, 24),
            (CKK_AES, 32),
            (CKK_DES3, 24),
            (CKK_DES2, 16),
            (CKK_DES, 8),
        ] {
            let mut attrs = vec![
                number(CKA_CLASS, CKO_SECRET_KEY),
                number(CKA_KEY_TYPE, kind),
                flag(CKA_TOKEN, false),
                bytes(CKA_VALUE, &OURS[..len]),
            ];
            attrs.extend(uses.map(|kind| flag(kind, true)));
            all.extend(self.inside.create(attrs).map(|key| (key, key)));
        }
        let mut public = vec![
            flag(CKA_TOKEN, false),
            flag(CKA_WRAP, true),
            flag(CKA_ENCRYPT, true),
            number(CKA_MODULUS_BITS, 2048),
            bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]),
        ];
        let mut private = vec![
            flag(CKA_TOKEN, false),
            flag(CKA_UNWRAP, true),
            flag(CKA_DECRYPT, true),
        ];
        all.extend(
            self.inside
                .pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &mut public, &mut private),
        );
        assert!(all.len() > 5, "the robber has keys of all kinds");
        all
    }

    /// The key under a key of the robber's, opened again if it comes.
    pub fn wraps(&mut self) {
        let mechanisms = self.claimed(CKF_WRAP | CKF_ENCRYPT);
        for (ours, opens) in self.wrapping() {
            for &mechanism in &mechanisms {
                self.wrap(mechanism, ours, opens, self.victim, "it");
            }
            // The victim as the key that wraps and unwraps.
            for &mechanism in &mechanisms {
                let (victim, means, inside) = (self.victim, self.means(0), self.inside);
                let (mut wrapped, mut len) = (vec![0; ROOM], ROOM as CK_ULONG);
                let answer = with(mechanism, means, |how| {
                    bare!(
                        inside,
                        C_WrapKey(inside.session, how, victim, opens, wrapped.as_mut_ptr(), &mut len)
                    )
                });
                if answer.is_ok() {
                    self.grant(format!("C_WrapKey by it with {mechanism:#x}"));
                }
            }
            let _ = self.inside.destroy(ours);
            if ours != opens {
                let _ = self.inside.destroy(opens);
            }
        }
    }

    fn wrap(
        &mut self,
        mechanism: CK_MECHANISM_TYPE,
        ours: CK_OBJECT_HANDLE,
        opens: CK_OBJECT_HANDLE,
        object: CK_OBJECT_HANDLE,
        what: &str,
    ) {
        let (means, inside) = (self.means(ours), self.inside);
        let (mut wrapped, mut len) = (vec![0; ROOM], ROOM as CK_ULONG);
        let answer = with(mechanism, means, |how| {
            bare!(
                inside,
                C_WrapKey(inside.session, how, ours, object, wrapped.as_mut_ptr(), &mut len)
            )
        });
        if answer.is_err() {
            return;
        }
        let way = format!("C_WrapKey of {what} with {mechanism:#x}");
        wrapped.truncate(len as usize);
        self.grant(way.clone());
        self.take(way.clone(), &wrapped);
        let mut open = vec![
            number(CKA_CLASS, CKO_SECRET_KEY),
            number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
            flag(CKA_TOKEN, false),
            flag(CKA_SENSITIVE, false),
            flag(CKA_EXTRACTABLE, true),
        ];
        let mut list = template(&mut open);
        let (at, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        let mut made = 0;
        let answer = with(mechanism, means, |how| {
            let (data, len) = (wrapped.as_mut_ptr(), wrapped.len() as CK_ULONG);
            bare!(
                inside,
                C_UnwrapKey(inside.session, how, opens, data, len, at, count, &mut made)
            )
        });
        if answer.is_ok() {
            self.take(way.clone(), &inside.read(made, CKA_VALUE).unwrap_or_default());
        }
        let aside = inside.aside();
        let begun = with(mechanism, means, |how| {
            bare!(aside, C_DecryptInit(aside.session, how, opens))
        });
        let (mut plain, mut room) = (vec![0; ROOM], ROOM as CK_ULONG);
        if begun.is_ok() {
            let (data, len) = (wrapped.as_mut_ptr(), wrapped.len() as CK_ULONG);
            let _ = bare!(
                aside,
                C_Decrypt(aside.session, data, len, plain.as_mut_ptr(), &mut room)
            );
            self.take(way, &plain);
        }
        aside.close();
    }

    /// Keys made of it.
    pub fn derives(&mut self) {
        let mut beside = vec![
            number(CKA_CLASS, CKO_SECRET_KEY),
            number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
            flag(CKA_TOKEN, false),
            bytes(CKA_VALUE, OURS),
            flag(CKA_EXTRACTABLE, true),
            flag(CKA_SENSITIVE, false),
            flag(CKA_DERIVE, true),
        ];
        let ours = self.inside.create(std::mem::take(&mut beside)).unwrap();
        for mechanism in self.claimed(CKF_DERIVE) {
            for open in [true, false] {
                self.derive(mechanism, self.victim, ours, open);
                // As the second key of a concatenation.
                if mechanism == CKM_CONCATENATE_BASE_AND_KEY {
                    self.derive(mechanism, ours, self.victim, open);
                }
            }
        }
        let _ = self.inside.destroy(ours);
    }

    fn derive(
        &mut self,
        mechanism: CK_MECHANISM_TYPE,
        base: CK_OBJECT_HANDLE,
        other: CK_OBJECT_HANDLE,
        open: bool,
    ) {
        let mut attrs = vec![
            number(CKA_CLASS, CKO_SECRET_KEY),
            number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
            flag(CKA_TOKEN, false),
            number(CKA_VALUE_LEN, 32),
        ];
        if open {
            attrs.extend([flag(CKA_SENSITIVE, false), flag(CKA_EXTRACTABLE, true)]);
        }
        let mut list = template(&mut attrs);
        let (at, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        let (inside, mut made) = (self.inside, 0);
        let answer = with(mechanism, self.means(other), |how| {
            bare!(
                inside,
                C_DeriveKey(inside.session, how, base, at, count, &mut made)
            )
        });
        if answer.is_ok() {
            let way = format!("C_DeriveKey with {mechanism:#x}");
            self.grant(way.clone());
            self.take(way, &inside.read(made, CKA_VALUE).unwrap_or_default());
        }
    }
}
