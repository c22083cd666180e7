//! Deriving a key from the victim that may be read.

use cryptoki_sys::*;

use super::{
    super::{
        module::{ObjectHandle, SessionHandle},
        template::Attribute,
    },
    bench::{Bench, Outcome},
    calls::{How, Parameter},
};
use crate::{secret::Secret, token::extraction::Verdict};

/// What the attacker puts beside the victim.
const BESIDE: [u8; 16] = *b"known to all of ";
const NOTHING: [u8; 128] = [0; 128];

/// The victim as the base: something known goes before it, behind it, or over it.
pub(super) fn with_data(bench: &Bench<'_>) -> Outcome {
    data_and_base(bench, bench.victim)
}

/// The same for any object.
pub(super) fn data_and_base(bench: &Bench<'_>, base: ObjectHandle) -> Outcome {
    let block = bench.evidence.algorithm.block_len();
    Outcome::worst(
        [
            (
                "CKM_CONCATENATE_BASE_AND_DATA",
                CKM_CONCATENATE_BASE_AND_DATA,
                &BESIDE[..],
            ),
            (
                "CKM_CONCATENATE_DATA_AND_BASE",
                CKM_CONCATENATE_DATA_AND_BASE,
                &BESIDE[..],
            ),
            ("CKM_XOR_BASE_AND_DATA", CKM_XOR_BASE_AND_DATA, &NOTHING[..block]),
        ]
        .map(|(name, mechanism, data)| {
            let len = match mechanism {
                CKM_XOR_BASE_AND_DATA => block,
                _ => block + data.len(),
            };
            one(bench, name, (mechanism, Parameter::Text(data)), base, len)
        }),
    )
}

/// The victim as the base of a concatenation with another key.
pub(super) fn as_base(bench: &Bench<'_>) -> Outcome {
    with_key(bench, |ours| (bench.victim, ours))
}

/// The victim as the second key of a concatenation, where a module may forget to look at what is asked of it.
pub(super) fn as_second(bench: &Bench<'_>) -> Outcome {
    with_key(bench, |ours| (ours, bench.victim))
}

fn with_key(bench: &Bench<'_>, order: impl FnOnce(ObjectHandle) -> (ObjectHandle, ObjectHandle)) -> Outcome {
    let ours = match bench.known_key(CKK_GENERIC_SECRET, &BESIDE, &[CKA_DERIVE, CKA_EXTRACTABLE]) {
        Ok(ours) => ours,
        Err(refused) => return bench.refused(refused, None),
    };
    let (first, second) = order(ours);
    let how = (CKM_CONCATENATE_BASE_AND_KEY, Parameter::Number(second));
    let len = bench.evidence.algorithm.block_len() + BESIDE.len();
    one(bench, "CKM_CONCATENATE_BASE_AND_KEY", how, first, len)
}

/// The victim cut out of itself; where the cut may not be read, byte by byte, each guessed from a MAC under it.
pub(super) fn extract(bench: &Bench<'_>) -> Outcome {
    let name = "CKM_EXTRACT_KEY_FROM_KEY";
    let block = bench.evidence.algorithm.block_len();
    let cut = |bit| (CKM_EXTRACT_KEY_FROM_KEY, Parameter::Number(bit));
    let whole = one(bench, name, cut(0), bench.victim, block);
    if whole.verdict != Verdict::Weakened || !by_bytes(bench, &cut) {
        return whole;
    }
    Outcome::new(
        Verdict::Leaked,
        format!("C_DeriveKey with {name} gave keys of one byte, each of which its MAC tells"),
    )
}

fn by_bytes(bench: &Bench<'_>, cut: &dyn Fn(CK_ULONG) -> How<'static>) -> bool {
    let block = bench.evidence.algorithm.block_len();
    let Ok(mut value) = Secret::with_capacity(block) else {
        return false;
    };
    for place in 0..block {
        let mac = bench.aside(|session| {
            let key = derive(bench, session, cut(8 * place as CK_ULONG), bench.victim, 1)?;
            let mut mac = [0; 32];
            bench
                .module
                .sign(session, CKM_SHA256_HMAC, key, b"", &mut mac)
                .map(|_| mac)
        });
        let Ok(mac) = mac else { return false };
        let byte = (0..=u8::MAX).find(|&byte| {
            use hmac::{Hmac, KeyInit as _, Mac as _};
            Hmac::<sha2::Sha256>::new_from_slice(&[byte]).is_ok_and(|hmac| hmac.verify_slice(&mac).is_ok())
        });
        let Some(byte) = byte else { return false };
        value.push(&[byte]);
    }
    bench.evidence.fits(value.expose())
}

/// Keys that are hashes of the victim, or MACs under it.
pub(super) fn hashes(bench: &Bench<'_>) -> Outcome {
    Outcome::worst(
        [
            ("CKM_SHA256_KEY_DERIVATION", CKM_SHA256_KEY_DERIVATION, 32),
            ("CKM_SHA384_KEY_DERIVATION", CKM_SHA384_KEY_DERIVATION, 48),
            ("CKM_SHA512_KEY_DERIVATION", CKM_SHA512_KEY_DERIVATION, 64),
        ]
        .map(|(name, mechanism, len)| one(bench, name, (mechanism, Parameter::None), bench.victim, len)),
    )
}

/// HKDF-Expand with the victim as its key: other MACs under it.
pub(super) fn hkdf(bench: &Bench<'_>) -> Outcome {
    let how = |mechanism| (mechanism, Parameter::Expand(CKM_SHA256, &BESIDE));
    Outcome::worst([
        one(bench, "CKM_HKDF_DERIVE", how(CKM_HKDF_DERIVE), bench.victim, 32),
        one(bench, "CKM_HKDF_DATA", how(CKM_HKDF_DATA), bench.victim, 32),
    ])
}

fn one(bench: &Bench<'_>, name: &str, how: How<'_>, base: ObjectHandle, len: usize) -> Outcome {
    match derive(bench, bench.session, how, base, len) {
        Ok(made) => bench.harvest(made, &format!("C_DeriveKey with {name} made a key of it")),
        Err(refused) => bench.refused(refused, Some(how.0)),
    }
}

fn derive(
    bench: &Bench<'_>,
    session: SessionHandle,
    how: How<'_>,
    base: ObjectHandle,
    len: usize,
) -> Result<ObjectHandle, super::super::codes::Refused> {
    let data = how.0 == CKM_HKDF_DATA;
    let (class, kind) = (
        [if data { CKO_DATA } else { CKO_SECRET_KEY }],
        [CKK_GENERIC_SECRET],
    );
    let length = [len as CK_ULONG];
    let mut template = vec![
        Attribute::numbers(CKA_CLASS, &class),
        Attribute::flag(CKA_TOKEN, false),
        Attribute::numbers(CKA_VALUE_LEN, &length),
    ];
    if data {
        return bench.module.derive_key(session, how, base, &template);
    }
    template.extend([
        Attribute::numbers(CKA_KEY_TYPE, &kind),
        Attribute::flag(CKA_SIGN, true),
    ]);
    let open = [
        &template[..],
        &[
            Attribute::flag(CKA_SENSITIVE, false),
            Attribute::flag(CKA_EXTRACTABLE, true),
        ],
    ]
    .concat();
    // A module that passes the victim's protection on refuses to have it contradicted.
    bench
        .module
        .derive_key(session, how, base, &open)
        .or_else(|first| {
            bench
                .module
                .derive_key(session, how, base, &template)
                .map_err(|_| first)
        })
}
