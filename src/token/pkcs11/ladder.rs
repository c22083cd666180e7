//! Storing a MAC key: the hardest template that the token accepts, and what of it took effect.
//!
//! Every usage is said aloud: SoftHSM's defaults for VERIFY, ENCRYPT, WRAP and DERIVE are true, opencryptoki's for
//! SENSITIVE and PRIVATE false. CKA_VALUE_LEN is never sent; SoftHSM refuses it where CKA_VALUE is given.

use cryptoki_sys::*;

use super::{
    find,
    module::{Module, ObjectHandle, SessionHandle},
    session::Fault,
    template::Attribute,
};
use crate::{
    algorithm::MacAlgorithm,
    token::{Class, Imported, KeyMeta, KeyRef, ObjectId, TokenError},
};

/// What every rung but the last asks for.
const HARD: [(CK_ATTRIBUTE_TYPE, bool); 12] = [
    (CKA_TOKEN, true),
    (CKA_PRIVATE, true),
    (CKA_SENSITIVE, true),
    (CKA_EXTRACTABLE, false),
    (CKA_SIGN, true),
    (CKA_VERIFY, false),
    (CKA_ENCRYPT, false),
    (CKA_DECRYPT, false),
    (CKA_WRAP, false),
    (CKA_UNWRAP, false),
    (CKA_DERIVE, false),
    (CKA_MODIFIABLE, false),
];
/// What the first rung asks for beyond that.
const HARDEST: [(CK_ATTRIBUTE_TYPE, bool); 2] = [(CKA_COPYABLE, false), (CKA_DESTROYABLE, true)];
/// All that a YubiHSM takes.
const BARE: [(CK_ATTRIBUTE_TYPE, bool); 4] = [
    (CKA_TOKEN, true),
    (CKA_EXTRACTABLE, false),
    (CKA_SIGN, true),
    (CKA_VERIFY, false),
];

/// The words for hardening that took effect.
const WORDS: [(CK_ATTRIBUTE_TYPE, bool, &str); 11] = [
    (CKA_PRIVATE, true, "private"),
    (CKA_SENSITIVE, true, "sensitive"),
    (CKA_EXTRACTABLE, false, "not-extractable"),
    (CKA_COPYABLE, false, "not-copyable"),
    (CKA_MODIFIABLE, false, "not-modifiable"),
    (CKA_DERIVE, false, "no-derive"),
    (CKA_WRAP, false, "no-wrap"),
    (CKA_UNWRAP, false, "no-unwrap"),
    (CKA_ENCRYPT, false, "no-encrypt"),
    (CKA_DECRYPT, false, "no-decrypt"),
    (CKA_VERIFY, false, "no-verify"),
];

/// The mechanism of an algorithm.
pub(super) const fn mechanism(algorithm: MacAlgorithm) -> CK_MECHANISM_TYPE {
    match algorithm {
        MacAlgorithm::HmacSha256 => CKM_SHA256_HMAC,
        MacAlgorithm::HmacSha384 => CKM_SHA384_HMAC,
        MacAlgorithm::HmacSha512 => CKM_SHA512_HMAC,
    }
}

/// The key type that is for this algorithm alone (PKCS #11 v2.40, table of key types).
const fn typed(algorithm: MacAlgorithm) -> CK_KEY_TYPE {
    match algorithm {
        MacAlgorithm::HmacSha256 => 0x2b,
        MacAlgorithm::HmacSha384 => 0x2c,
        MacAlgorithm::HmacSha512 => 0x2d,
    }
}

/// Stores a key of these bytes, or without them makes one on the token, by the first rung that is accepted.
pub(super) fn climb(
    module: &Module,
    session: SessionHandle,
    algorithm: MacAlgorithm,
    key: Option<&[u8]>,
    meta: &KeyMeta,
) -> Result<Imported, Fault> {
    let class = [CKO_SECRET_KEY];
    let (generic, own) = ([CKK_GENERIC_SECRET], [typed(algorithm)]);
    let only = [mechanism(algorithm)];
    let length = [algorithm.block_len() as CK_ULONG];
    let mut refusal = None;
    for rung in 1..=4_u8 {
        let key_type = if rung < 3 { &generic } else { &own };
        let mut template = vec![
            Attribute::numbers(CKA_CLASS, &class),
            Attribute::numbers(CKA_KEY_TYPE, key_type),
        ];
        let mut flags = |all: &[(CK_ATTRIBUTE_TYPE, bool)]| {
            template.extend(all.iter().map(|&(kind, value)| Attribute::flag(kind, value)));
        };
        match rung {
            1 => {
                flags(&HARD);
                flags(&HARDEST);
                template.push(Attribute::numbers(CKA_ALLOWED_MECHANISMS, &only));
            }
            2 | 3 => flags(&HARD),
            _ => flags(&BARE),
        }
        template.push(Attribute::bytes(CKA_ID, meta.id.as_bytes()));
        template.push(Attribute::bytes(CKA_LABEL, meta.label.as_bytes()));
        let answer = match key {
            Some(value) => {
                template.push(Attribute::bytes(CKA_VALUE, value));
                module.create_object(session, &template)
            }
            None => {
                template.push(Attribute::numbers(CKA_VALUE_LEN, &length));
                module.generate_key(session, CKM_GENERIC_SECRET_KEY_GEN, &template)
            }
        };
        match answer {
            Ok(object) => {
                let id = stored_id(module, session, object, &meta.id);
                // Of two bytes there are few, so that another key may have them.
                if id != meta.id && find::keys_by_id(module, session, &id)?.len() > 1 {
                    module.destroy_object(session, object)?;
                    return Err(TokenError::Exists(id.to_string()).into());
                }
                return Ok(Imported {
                    key: KeyRef::Object {
                        class: Class::Mac,
                        id,
                    },
                    hardening: hardening(module, session, object, &only),
                    rung,
                    attestation: None,
                });
            }
            Err(refused) if refused.is_about_the_template() => refusal = refusal.or(Some(refused)),
            Err(refused) => return Err(refused.into()),
        }
    }
    let why = refusal.map_or_else(String::new, |refused| format!(": {refused}"));
    Err(TokenError::Unsupported(format!("the token takes no {} key{why}", algorithm.name())).into())
}

/// The id as the token kept it: a YubiHSM cuts it to two bytes.
pub(super) fn stored_id(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    asked: &ObjectId,
) -> ObjectId {
    match find::read(module, session, object, CKA_ID) {
        Ok(Some(id)) if !id.is_empty() => ObjectId::from_bytes(&id),
        _ => asked.clone(),
    }
}

/// What of the hardening took effect, read back; `allowed` are the mechanisms that the key was bound to.
pub(super) fn hardening(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    allowed: &[CK_MECHANISM_TYPE],
) -> Vec<String> {
    let mut words = Vec::new();
    for (kind, wanted, word) in WORDS {
        let mut value = [0];
        let read = module.read_attribute(session, object, kind, &mut value);
        if matches!(read, Ok(Some(1))) && (value[0] != CK_FALSE) == wanted {
            words.push(word.to_owned());
        }
    }
    let kept = find::read(module, session, object, CKA_ALLOWED_MECHANISMS)
        .ok()
        .flatten();
    let is_allowed = |one: &[u8]| allowed.iter().any(|allowed| allowed.to_ne_bytes() == one);
    // A module may keep them in an order of its own.
    if kept.is_some_and(|kept| !kept.is_empty() && kept.chunks(size_of::<CK_ULONG>()).all(is_allowed)) {
        let word = if allowed.len() == 1 {
            "one-mechanism"
        } else {
            "few-mechanisms"
        };
        words.push(word.to_owned());
    }
    words
}
