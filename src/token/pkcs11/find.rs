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

/// Where an object of a class keeps what must not be read: the value of a secret key, the scalar or seed of an elliptic
/// curve's private key, the private numbers of an RSA key.
pub(super) const fn values(class: Class) -> &'static [CK_ATTRIBUTE_TYPE] {
    match class {
        Class::Private => &[
            CKA_VALUE,
            CKA_PRIVATE_EXPONENT,
            CKA_PRIME_1,
            CKA_PRIME_2,
            CKA_EXPONENT_1,
            CKA_EXPONENT_2,
            CKA_COEFFICIENT,
        ],
        Class::Mac | Class::Public | Class::Data => &[CKA_VALUE],
    }
}

/// The handle of an object: the one found before, else found now.
pub(super) fn handle(opened: &Opened, session: SessionHandle, key: &KeyRef) -> Result<ObjectHandle, Fault> {
    if let Some(object) = opened.known(key) {
        return Ok(object);
    }
    let (class, id) = key.object()?;
    let found = by_id(&opened.module, session, class, id, 2)?;
    match found[..] {
        // opencryptoki gives one object two handles where threads or processes make objects at the same time.
        [object] | [object, _] if found.len() == 1 || is_opencryptoki(&opened.identity.module) => {
            opened.remember(key, object);
            Ok(object)
        }
        [] => Err(Fault::Gone {
            error: TokenError::NotFound(format!(
                "the token {:?} (serial {}) has no object with the id {id}",
                opened.identity.label, opened.identity.serial
            )),
            old: opened.is_old() || looks_empty(opened, session)?,
        }),
        _ => Err(TokenError::Failed(format!("two objects on the token have the id {id}")).into()),
    }
}

/// Whether the token shows nothing at all, as SoftHSM's does when its folder went away and came back behind a login.
fn looks_empty(opened: &Opened, session: SessionHandle) -> Result<bool, Fault> {
    Ok(opened.module.find_objects(session, &[], 1)?.is_empty())
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
    let of_class = Attribute::numbers(CKA_CLASS, &number);
    if class != Class::Data {
        // By the id alone: SoftHSM looks at each attribute of each object. The halves of a pair share their id.
        let mut found =
            module.find_objects(session, &[Attribute::bytes(CKA_ID, id.as_bytes())], 2 * limit)?;
        let number = number[0].to_ne_bytes();
        found.retain(
            |object| matches!(read(module, session, *object, CKA_CLASS), Ok(Some(said)) if said == number),
        );
        found.truncate(limit);
        return Ok(found);
    }
    let mut found = Vec::new();
    for (kind, value) in data_names(id) {
        if found.is_empty() {
            found = search(
                module,
                session,
                &[of_class, Attribute::bytes(kind, &value)],
                limit,
            )?;
        }
    }
    Ok(found)
}

/// How a data object carries its id: as CKA_OBJECT_ID, or where the module has no such attribute, in its application.
fn data_names(id: &ObjectId) -> [(CK_ATTRIBUTE_TYPE, Vec<u8>); 2] {
    [
        (CKA_OBJECT_ID, id.as_bytes().to_vec()),
        (CKA_APPLICATION, application(id)),
    ]
}

/// The application of a data object that names its id.
pub(super) fn application(id: &ObjectId) -> Vec<u8> {
    format!("hsmsign:{id}").into_bytes()
}

/// A search by an attribute that the module may not know; then nothing has it.
fn search(
    module: &Module,
    session: SessionHandle,
    template: &[Attribute<'_>],
    limit: usize,
) -> Answer<Vec<ObjectHandle>> {
    match module.find_objects(session, template, limit) {
        Err(refused) if refused.is_about_the_template() => Ok(Vec::new()),
        answer => answer,
    }
}

/// Whether the module is opencryptoki, by what it says of itself.
pub(super) fn is_opencryptoki(module: &str) -> bool {
    let module = module.to_lowercase();
    module.contains("opencryptoki") || module.starts_with("ibm")
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
            Self::Object { .. } | Self::Credential { .. } | Self::Slot { .. } => None,
        }
    }
}

/// Every object of any class with this id. Each is asked for its id again: a module that ignores what it does not know
/// in a search would give every object it has, and these may be deleted next.
pub(super) fn all_by_id(module: &Module, session: SessionHandle, id: &ObjectId) -> Answer<Vec<ObjectHandle>> {
    let mut all = keys_by_id(module, session, id)?;
    for (kind, value) in data_names(id) {
        for object in named(module, session, kind, &value)? {
            if !all.contains(&object) {
                all.push(object);
            }
        }
    }
    Ok(all)
}

/// The keys with this id, of any class; one search, which costs SoftHSM a look at every object's file.
pub(super) fn keys_by_id(
    module: &Module,
    session: SessionHandle,
    id: &ObjectId,
) -> Answer<Vec<ObjectHandle>> {
    named(module, session, CKA_ID, id.as_bytes())
}

fn named(
    module: &Module,
    session: SessionHandle,
    kind: CK_ATTRIBUTE_TYPE,
    value: &[u8],
) -> Answer<Vec<ObjectHandle>> {
    let mut found = search(module, session, &[Attribute::bytes(kind, value)], MOST)?;
    found.retain(|object| matches!(read(module, session, *object, kind), Ok(Some(said)) if said == value));
    Ok(found)
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
        let id = match class {
            Class::Data => shown(CKA_OBJECT_ID)?.or(shown(CKA_APPLICATION)?.and_then(|said| named_by(&said))),
            _ => shown(CKA_ID)?,
        };
        key = id
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

/// The objects that have this label, whose handles are kept.
pub(super) fn labelled(opened: &Opened, session: SessionHandle, label: &str) -> Result<Vec<KeyInfo>, Fault> {
    let template = [Attribute::bytes(CKA_LABEL, label.as_bytes())];
    let mut found = Vec::new();
    for object in search(&opened.module, session, &template, MOST)? {
        let info = describe(&opened.module, session, object)?;
        if info.label == label {
            if let Some(key) = &info.key {
                opened.remember(key, object);
            }
            found.push(info);
        }
    }
    Ok(found)
}

/// The id in a data object's application.
fn named_by(application: &[u8]) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(application.strip_prefix(b"hsmsign:")?).ok()
}
