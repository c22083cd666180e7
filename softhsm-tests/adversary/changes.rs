//! Taking protection off the key or a copy of it.

use cryptoki_sys::*;

use crate::{
    bare::{Attr, bytes, flag, number},
    robbery::{OURS, Robbery},
};

const FLAGS: [CK_ATTRIBUTE_TYPE; 16] = [
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_COPYABLE,
    CKA_MODIFIABLE,
    CKA_SIGN,
    CKA_SIGN_RECOVER,
    CKA_VERIFY,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_WRAP_WITH_TRUSTED,
    CKA_ALWAYS_AUTHENTICATE,
];
impl Robbery<'_> {
    /// Copies, as they are and with each protection taken off.
    pub fn copies(&mut self) {
        for attrs in self.changes() {
            let way = format!("C_CopyObject with {}", told(&attrs));
            for session in [true, false] {
                let mut attrs = attrs.clone();
                attrs.push(flag(CKA_TOKEN, !session));
                let Ok(copy) = self.inside.copy(self.victim, attrs) else {
                    continue;
                };
                self.grant(way.clone());
                self.take(
                    way.clone(),
                    &self.inside.read(copy, CKA_VALUE).unwrap_or_default(),
                );
                let _ = self.inside.destroy(copy);
            }
        }
    }

    /// Each protection taken off in place. The key must be as it was.
    pub fn flips(&mut self) {
        let before = self.attributes();
        for attrs in self.changes() {
            let way = format!("C_SetAttributeValue of {}", told(&attrs));
            if self.inside.set(self.victim, attrs).is_ok() && self.attributes() != before {
                self.grant(way.clone());
            }
            self.take(way, &self.inside.read(self.victim, CKA_VALUE).unwrap_or_default());
        }
        if self.attributes() != before {
            self.grant("the key is not what it was");
        }
    }

    fn attributes(&self) -> Vec<Result<Vec<u8>, CK_RV>> {
        FLAGS
            .into_iter()
            .chain([CKA_ALLOWED_MECHANISMS, CKA_ID, CKA_LABEL, CKA_KEY_TYPE])
            .map(|kind| self.inside.read(self.victim, kind))
            .collect()
    }

    /// One flag turned round, all of them, and other values for what is no flag.
    fn changes(&self) -> Vec<Vec<Attr>> {
        let turned = |kind| {
            let now = self.inside.is(self.victim, kind);
            flag(kind, now != Ok(true))
        };
        let mut all: Vec<Vec<Attr>> = FLAGS.into_iter().map(|kind| vec![turned(kind)]).collect();
        all.push(vec![]);
        all.push(vec![flag(CKA_SENSITIVE, false), flag(CKA_EXTRACTABLE, true)]);
        all.push(FLAGS.into_iter().map(turned).collect());
        let mechanisms: Vec<u8> = self
            .inside
            .mechanisms(self.inside.slot)
            .into_iter()
            .flat_map(CK_ULONG::to_ne_bytes)
            .collect();
        all.extend(
            [
                bytes(CKA_ALLOWED_MECHANISMS, &mechanisms),
                bytes(CKA_ALLOWED_MECHANISMS, &[]),
                number(CKA_KEY_TYPE, CKK_AES),
                number(CKA_CLASS, CKO_DATA),
                bytes(CKA_VALUE, OURS),
                bytes(CKA_ID, b"another"),
                bytes(CKA_LABEL, b"another"),
                number(CKA_VALUE_LEN, 1),
            ]
            .map(|attr| vec![attr]),
        );
        all
    }
}

fn told(attrs: &[Attr]) -> String {
    attrs
        .iter()
        .map(|(kind, value)| format!("{kind:#x}={value:x?} "))
        .collect()
}
