//! Taking protection off the key or a copy of it. This changes the key, so it is done to one made for it.

use cryptoki_sys::*;

use super::{
    super::{
        find,
        module::{Answer, ObjectHandle},
        template::Attribute,
    },
    bench::{Bench, Outcome},
    derive, pairs,
};
use crate::token::extraction::{Evidence, Verdict};

const PROTECTION: [(&str, CK_ATTRIBUTE_TYPE, bool); 4] = [
    ("CKA_SENSITIVE=false", CKA_SENSITIVE, false),
    ("CKA_EXTRACTABLE=true", CKA_EXTRACTABLE, true),
    ("CKA_COPYABLE=true", CKA_COPYABLE, true),
    ("CKA_MODIFIABLE=true", CKA_MODIFIABLE, true),
];
/// What a private key could be for beside signing.
const PRIVATE_USES: [(&str, CK_ATTRIBUTE_TYPE, bool); 4] = [
    ("CKA_DECRYPT=true", CKA_DECRYPT, true),
    ("CKA_UNWRAP=true", CKA_UNWRAP, true),
    ("CKA_DERIVE=true", CKA_DERIVE, true),
    ("CKA_SIGN_RECOVER=true", CKA_SIGN_RECOVER, true),
];
const USES: [(&str, CK_ATTRIBUTE_TYPE, bool); 6] = [
    ("CKA_DERIVE=true", CKA_DERIVE, true),
    ("CKA_WRAP=true", CKA_WRAP, true),
    ("CKA_UNWRAP=true", CKA_UNWRAP, true),
    ("CKA_ENCRYPT=true", CKA_ENCRYPT, true),
    ("CKA_DECRYPT=true", CKA_DECRYPT, true),
    ("CKA_VERIFY=true", CKA_VERIFY, true),
];

/// Protection taken off in place.
pub(super) fn protection(bench: &Bench<'_>) -> Outcome {
    Outcome::worst(PROTECTION.map(|change| flip(bench, change)))
}

/// Uses allowed in place.
pub(super) fn uses(bench: &Bench<'_>) -> Outcome {
    Outcome::worst(uses_of(bench).iter().map(|&change| flip(bench, change)))
}

fn uses_of(bench: &Bench<'_>) -> &'static [(&'static str, CK_ATTRIBUTE_TYPE, bool)] {
    match bench.evidence {
        Evidence::Mac(_) => &USES,
        Evidence::Public(_) => &PRIVATE_USES,
    }
}

fn flip(bench: &Bench<'_>, (name, kind, value): (&str, CK_ATTRIBUTE_TYPE, bool)) -> Outcome {
    let before = bench.flag(bench.victim, kind);
    let answer = bench
        .module
        .set_attributes(bench.session, bench.victim, &[Attribute::flag(kind, value)]);
    if let Err(refused) = answer {
        return bench.refused(refused, None);
    }
    if before == Some(value) || bench.flag(bench.victim, kind) != Some(value) {
        return Outcome::new(
            Verdict::Resisted,
            format!("{name} was accepted and changed nothing"),
        );
    }
    changed(
        bench,
        bench.victim,
        kind,
        format!("C_SetAttributeValue set {name}"),
    )
}

/// Copies with protection taken off or uses allowed.
pub(super) fn copies(bench: &Bench<'_>) -> Outcome {
    let session = [Attribute::flag(CKA_TOKEN, false)];
    let only: Vec<_> = PROTECTION.iter().take(2).chain(uses_of(bench)).collect();
    Outcome::worst(only.into_iter().map(|&(name, kind, value)| {
        let template = [session[0], Attribute::flag(kind, value)];
        match bench.module.copy_object(bench.session, bench.victim, &template) {
            Err(refused) => bench.refused(refused, None),
            Ok(copy) if bench.flag(copy, kind) == Some(value) => {
                changed(bench, copy, kind, format!("C_CopyObject made a copy with {name}"))
            }
            Ok(_) => Outcome::new(
                Verdict::Resisted,
                format!("C_CopyObject made a copy without {name}"),
            ),
        }
    }))
}

/// Whether the key comes out of an object whose protection is off.
fn changed(bench: &Bench<'_>, object: ObjectHandle, kind: CK_ATTRIBUTE_TYPE, done: String) -> Outcome {
    if kind == CKA_DERIVE && bench.mac().is_ok() {
        let derived = derive::data_and_base(bench, object);
        if derived.verdict == Verdict::Leaked {
            return Outcome::new(Verdict::Leaked, format!("{done}; {}", derived.what));
        }
    }
    bench.harvest(object, &done)
}

/// A second object with the same id: a module that takes one for the other gives the first away or loses it.
pub(super) fn same_id(bench: &Bench<'_>) -> Outcome {
    let id = match find::read(bench.module, bench.session, bench.victim, CKA_ID) {
        Ok(Some(id)) if !id.is_empty() => id,
        _ => return Outcome::new(Verdict::NotApplicable, "the key has no CKA_ID"),
    };
    let second = match bench.evidence {
        Evidence::Mac(_) => open_mac(bench, &id),
        Evidence::Public(public) => pairs::open_pair(bench, public.algorithm(), &id),
    };
    let second = match second {
        Ok(second) => second,
        Err(refused) => return bench.refused(refused, None),
    };
    if bench.reads(bench.victim) {
        return Outcome::new(
            Verdict::Leaked,
            "an object with the same CKA_ID made the key readable",
        );
    }
    if bench.signs(bench.victim) {
        for object in second {
            let _ = bench.module.destroy_object(bench.session, object);
        }
        return Outcome::new(
            Verdict::Resisted,
            "the key stayed beside an object with the same CKA_ID",
        );
    }
    Outcome::new(
        Verdict::Weakened,
        "an object with the same CKA_ID replaced the key: it is lost, and was not given out",
    )
}

/// An open MAC key of the attacker's with this id.
fn open_mac(bench: &Bench<'_>, id: &[u8]) -> Answer<Vec<ObjectHandle>> {
    let (class, kind) = ([CKO_SECRET_KEY], [CKK_GENERIC_SECRET]);
    let other = [b'x'; 128];
    let template = [
        Attribute::numbers(CKA_CLASS, &class),
        Attribute::numbers(CKA_KEY_TYPE, &kind),
        Attribute::flag(CKA_TOKEN, true),
        Attribute::flag(CKA_PRIVATE, true),
        Attribute::flag(CKA_SENSITIVE, false),
        Attribute::flag(CKA_EXTRACTABLE, true),
        Attribute::flag(CKA_SIGN, true),
        Attribute::bytes(CKA_ID, id),
        Attribute::bytes(CKA_VALUE, &other[..bench.evidence.size()]),
    ];
    bench
        .module
        .create_object(bench.session, &template)
        .map(|made| vec![made])
}
