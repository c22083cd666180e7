//! Private data objects, for the few secrets that a request itself must carry, such as a passphrase.

use cryptoki_sys::*;

use super::{
    codes::{Kind, Refused},
    find,
    module::{Module, ObjectHandle, SessionHandle},
    session::Fault,
    template::Attribute,
};
use crate::{
    secret::Secret,
    token::{Class, KeyMeta, KeyRef, TokenError},
};

/// The longest value that is read back.
const LONGEST: usize = 64 * 1024;

/// Stores the bytes under the id; by a plainer template where the module does not take the first.
pub(super) fn put(
    module: &Module,
    session: SessionHandle,
    data: &Secret,
    meta: &KeyMeta,
) -> Result<KeyRef, Fault> {
    refuse_longer(data.len())?;
    let class = [CKO_DATA];
    let application = find::application(&meta.id);
    let common = [
        Attribute::numbers(CKA_CLASS, &class),
        Attribute::flag(CKA_TOKEN, true),
        Attribute::flag(CKA_PRIVATE, true),
        Attribute::bytes(CKA_LABEL, meta.label.as_bytes()),
        Attribute::bytes(CKA_VALUE, data.expose()),
    ];
    let ours = Attribute::bytes(CKA_APPLICATION, b"hsmsign");
    let named = Attribute::bytes(CKA_APPLICATION, &application);
    let id = Attribute::bytes(CKA_OBJECT_ID, meta.id.as_bytes());
    let fixed = Attribute::flag(CKA_MODIFIABLE, meta.wishes.changes);
    // opencryptoki 3.8 has no CKA_OBJECT_ID.
    let rungs: [&[Attribute<'_>]; 4] = [&[ours, id, fixed], &[ours, id], &[named, fixed], &[named]];
    let mut answer = Err(Refused {
        call: "C_CreateObject",
        code: CKR_TEMPLATE_INCONSISTENT,
    });
    for rung in rungs {
        answer = module.create_object(session, &[&common, rung].concat());
        if !matches!(answer, Err(refused) if refused.is_about_the_template()) {
            break;
        }
    }
    match answer {
        Ok(object) => prove_private(module, session, object).map(|()| KeyRef::Object {
            class: Class::Data,
            id: meta.id.clone(),
        }),
        Err(refused) if refused.is_about_the_template() || is_not_there(refused) => {
            Err(TokenError::Unsupported(format!("the token keeps no private data objects: {refused}")).into())
        }
        Err(refused) => Err(refused.into()),
    }
}

/// The bytes, straight from the module into locked memory.
pub(super) fn get(module: &Module, session: SessionHandle, object: ObjectHandle) -> Result<Secret, Fault> {
    let unreadable = || {
        Fault::from(TokenError::Failed(
            "the token does not show the data object's value".into(),
        ))
    };
    let len = module
        .attribute_len(session, object, CKA_VALUE)?
        .ok_or_else(unreadable)?;
    refuse_longer(len)?;
    let mut secret = Secret::with_capacity(len).map_err(TokenError::from)?;
    let room = &mut secret.spare_mut()[..len];
    let read = module
        .read_attribute(session, object, CKA_VALUE, room)?
        .ok_or_else(unreadable)?;
    secret.grow(read);
    Ok(secret)
}

/// Writes other bytes in the place of the object's. False where the module does not let it: it may have half of them then.
pub(super) fn set(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    data: &Secret,
) -> Result<bool, Fault> {
    refuse_longer(data.len())?;
    let value = [Attribute::bytes(CKA_VALUE, data.expose())];
    match module.set_attributes(session, object, &value) {
        Ok(()) => Ok(get(module, session, object)?.expose() == data.expose()),
        Err(refused) if matches!(refused.kind(), Kind::Handle | Kind::Session | Kind::Transient) => {
            Err(refused.into())
        }
        Err(_) => Ok(false),
    }
}

fn refuse_longer(len: usize) -> Result<(), Fault> {
    if len <= LONGEST {
        return Ok(());
    }
    Err(TokenError::TooLarge {
        what: "a data object".into(),
        actual: len,
        limit: LONGEST,
        fix: "use another token".to_owned(),
    }
    .into())
}

/// Undoes the storing where the module took the object but made it public.
fn prove_private(module: &Module, session: SessionHandle, object: ObjectHandle) -> Result<(), Fault> {
    let mut value = [CK_FALSE];
    let read = module.read_attribute(session, object, CKA_PRIVATE, &mut value)?;
    if read == Some(1) && value[0] != CK_FALSE {
        return Ok(());
    }
    module.destroy_object(session, object)?;
    Err(TokenError::Unsupported("the token keeps data objects only where anyone can read them".into()).into())
}

fn is_not_there(refused: Refused) -> bool {
    matches!(
        refused.code,
        CKR_FUNCTION_NOT_SUPPORTED | CKR_ATTRIBUTE_READ_ONLY | CKR_TEMPLATE_INCOMPLETE
    )
}
