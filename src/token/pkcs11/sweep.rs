//! Clearing up after a creation that was killed.
//!
//! SoftHSM 2.6.1 writes an object in two steps. Killed between them it leaves one that has its class but no id, no label
//! and no value; killed before the first, an empty file that no PKCS #11 call shows.

use std::{thread::sleep, time::Duration};

use cryptoki_sys::*;

use super::{
    find,
    module::{Module, ObjectHandle, SessionHandle},
    session::Fault,
};
use crate::token::ObjectId;

/// Another program may be in the middle of making what looks half-written.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// How many bytes of an id a YubiHSM keeps.
const CUT: usize = 2;

/// Deletes every object with the id, and what is half-written at two looks. Answers how many went.
pub(super) fn sweep(module: &Module, session: SessionHandle, id: &ObjectId) -> Result<usize, Fault> {
    let gone = find::all_by_id(module, session, id)?;
    for object in &gone {
        module.destroy_object(session, *object)?;
    }
    Ok(gone.len() + sweep_half_written(module, session)?)
}

/// Deletes what is half-written at two looks. Answers how many went.
pub(super) fn sweep_half_written(module: &Module, session: SessionHandle) -> Result<usize, Fault> {
    let mut broken = module.find_objects(session, &[], find::MOST)?;
    broken.retain(|object| is_half_written(module, session, *object));
    if !broken.is_empty() {
        sleep(SECOND_LOOK);
        broken.retain(|object| is_half_written(module, session, *object));
    }
    for object in &broken {
        module.destroy_object(session, *object)?;
    }
    Ok(broken.len())
}

/// Deletes the keys of a module that cuts ids whose id is the beginning of this one, or this one where it is cut already, and
/// whose label is this one, or goes on behind a colon. Answers how many went.
pub(super) fn sweep_cut(
    module: &Module,
    session: SessionHandle,
    id: &ObjectId,
    label: &str,
) -> Result<usize, Fault> {
    let cut = match id.as_bytes().get(..CUT) {
        Some(beginning) if !id.is_cut() => ObjectId::from_bytes(beginning),
        _ => id.clone(),
    };
    let mut gone = 0;
    for object in find::keys_by_id(module, session, &cut)? {
        let said = find::read(module, session, object, CKA_LABEL)?.unwrap_or_default();
        let rest = said.strip_prefix(label.as_bytes());
        if rest.is_some_and(|rest| rest.is_empty() || rest[0] == b':') {
            module.destroy_object(session, object)?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// Whether the object has neither a name nor what makes an object of its class. No sound object lacks both.
fn is_half_written(module: &Module, session: SessionHandle, object: ObjectHandle) -> bool {
    let lacks = |kind| {
        // A broken object answers odd codes; one that was deleted meanwhile is nobody's to sweep.
        !matches!(module.attribute_len(session, object, kind), Ok(Some(1..)))
    };
    if !lacks(CKA_LABEL) {
        return false;
    }
    match find::number(module, session, object, CKA_CLASS) {
        None => lacks(CKA_ID) && lacks(CKA_OBJECT_ID),
        Some(CKO_SECRET_KEY) => {
            lacks(CKA_ID) && find::number(module, session, object, CKA_VALUE_LEN) == Some(0)
        }
        Some(CKO_PRIVATE_KEY | CKO_PUBLIC_KEY) => {
            lacks(CKA_ID) && lacks(CKA_MODULUS) && lacks(CKA_EC_PARAMS) && lacks(CKA_PRIME)
        }
        Some(CKO_DATA) => lacks(CKA_OBJECT_ID) && lacks(CKA_APPLICATION) && lacks(CKA_VALUE),
        Some(_) => false,
    }
}
