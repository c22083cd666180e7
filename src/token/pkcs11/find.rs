//! Finding objects, by class and id, and reading what they say of themselves.

use cryptoki_sys::*;

use super::{
    codes::Kind,
    module::{Answer, Module, ObjectHandle, SessionHandle},
    session::{Fault, Opened},
    template::Attribute,
};
use crate::token::{Class, KeyInfo, KeyRef, ObjectId, TokenError};

/// More objects than a token is asked for.
pub(super) const MOST: usize = 1 << 20;
/// Longer labels are cut.
const LONGEST_LABEL: usize = 255;

/// The standard's number of a class.
pub(super) const fn class_number(class: Class) -> CK_OBJECT_CLASS {
    match class {
        Class::Mac => CKO_SECRET_KEY,
        Class::Private => CKO_PRIVATE_KEY,
        Class::Public => CKO_PUBLIC_KEY,
        Class::Data => CKO_DATA,
    }
}

/// The attribute that holds the id of an object of this class.
const fn id_attribute(class: Class) -> CK_ATTRIBUTE_TYPE {
    match class {
        Class::Data => CKA_OBJECT_ID,
        _ => CKA_ID,
    }
}

/// The handle of an object: the one found before, else found now.
pub(super) fn handle(opened: &Opened, session: SessionHandle, key: &KeyRef) -> Result<ObjectHandle, Fault> {
    if let Some(object) = opened.known(key) {
        return Ok(object);
    }
    let KeyRef::Object { class, id } = key;
    let found = by_id(&opened.module, session, *class, id, 2)?;
    match found[..] {
        [object] => {
            opened.remember(key, object);
            Ok(object)
        }
        [] => Err(Fault::Gone {
            error: TokenError::NotFound(format!(
                "the token {:?} (serial {}) has no object with the id {id}",
                opened.identity.label, opened.identity.serial
            )),
            old: opened.is_old(),
        }),
        _ => Err(TokenError::Failed(format!("two objects on the token have the id {id}")).into()),
    }
}

/// The objects of a class that have this id.
pub(super) fn by_id(
    module: &Module,
    session: SessionHandle,
    class: Class,
    id: &ObjectId,
    limit: usize,
) -> Answer<Vec<ObjectHandle>> {
    let number = [class_number(class)];
    let template = [
        Attribute::numbers(CKA_CLASS, &number),
        Attribute::bytes(id_attribute(class), id.as_bytes()),
    ];
    module.find_objects(session, &template, limit)
}

impl KeyRef {
    /// The public half of a private key: the two share their id.
    pub(super) fn partner(&self) -> Option<Self> {
        match self {
            Self::Object {
                class: Class::Private,
                id,
            } => Some(Self::Object {
                class: Class::Public,
                id: id.clone(),
            }),
            Self::Object { .. } => None,
        }
    }
}

/// Every object of any class with this id.
pub(super) fn all_by_id(module: &Module, session: SessionHandle, id: &ObjectId) -> Answer<Vec<ObjectHandle>> {
    let mut all = Vec::new();
    for kind in [CKA_ID, CKA_OBJECT_ID] {
        for object in module.find_objects(session, &[Attribute::bytes(kind, id.as_bytes())], 1024)? {
            if !all.contains(&object) {
                all.push(object);
            }
        }
    }
    Ok(all)
}

/// A short attribute's bytes; none where the object has none.
pub(super) fn read(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    kind: CK_ATTRIBUTE_TYPE,
) -> Answer<Option<Vec<u8>>> {
    let Some(len) = module.attribute_len(session, object, kind)? else {
        return Ok(None);
    };
    let mut value = vec![0; len.min(64 * 1024)];
    let len = module.read_attribute(session, object, kind, &mut value)?;
    Ok(len.map(|len| {
        value.truncate(len);
        value
    }))
}

/// A number; none where the object has none.
pub(super) fn number(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    kind: CK_ATTRIBUTE_TYPE,
) -> Option<CK_ULONG> {
    let mut bytes = [0; size_of::<CK_ULONG>()];
    let len = module.read_attribute(session, object, kind, &mut bytes).ok()??;
    (len == bytes.len()).then(|| CK_ULONG::from_ne_bytes(bytes))
}

/// What the object says of itself.
pub(super) fn describe(module: &Module, session: SessionHandle, object: ObjectHandle) -> Answer<KeyInfo> {
    let class = match number(module, session, object, CKA_CLASS) {
        Some(CKO_SECRET_KEY) => Some(Class::Mac),
        Some(CKO_PRIVATE_KEY) => Some(Class::Private),
        Some(CKO_PUBLIC_KEY) => Some(Class::Public),
        Some(CKO_DATA) => Some(Class::Data),
        _ => None,
    };
    // What half a creation left answers CKR_ATTRIBUTE_VALUE_INVALID and other oddities.
    let shown = |kind| match read(module, session, object, kind) {
        Err(refused) if refused.kind() == Kind::Session => Err(refused),
        answer => Ok(answer.ok().flatten()),
    };
    let mut key = None;
    if let Some(class) = class {
        key = shown(id_attribute(class))?
            .filter(|id| !id.is_empty() && id.len() <= 64)
            .map(|id| KeyRef::Object {
                class,
                id: ObjectId::from_bytes(&id),
            });
    }
    let mut label = shown(CKA_LABEL)?.unwrap_or_default();
    label.truncate(LONGEST_LABEL);
    Ok(KeyInfo {
        key,
        label: String::from_utf8_lossy(&label).into_owned(),
    })
}
