//! Deriving a key from the victim that may be read.

use cryptoki_sys::*;

use super::{
    super::{
        find, ladder,
        module::{Answer, ObjectHandle, SessionHandle},
        template::Attribute,
    },
    bench::{Bench, Outcome},
    calls::{How, Parameter},
};
use crate::{
    algorithm::MacAlgorithm,
    secret::Secret,
    token::extraction::{MacEvidence, Verdict},
};

/// What the attacker puts beside the victim.
const BESIDE: [u8; 16] = *b"known to all of ";
const NOTHING: [u8; 128] = [0; 128];
/// Longer keys are not cut into bytes.
const LONGEST: usize = 512;

/// The victim as the base: something known goes before it, behind it, or over it.
pub(super) fn with_data(bench: &Bench<'_>) -> Outcome {
    data_and_base(bench, bench.victim)
}

/// The same for any object.
pub(super) fn data_and_base(bench: &Bench<'_>, base: ObjectHandle) -> Outcome {
    let block = bench.evidence.size();
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
    let name = "CKM_CONCATENATE_BASE_AND_KEY";
    let how = (CKM_CONCATENATE_BASE_AND_KEY, Parameter::Number(second));
    let len = bench.evidence.size() + BESIDE.len();
    let whole = one(bench, name, how, first, len);
    if whole.verdict != Verdict::Weakened || second != bench.victim {
        return whole;
    }
    // What is known first, and then one byte of the victim more in each key.
    let grown = byte_by_byte(bench, len, &BESIDE, |session, len| {
        derive(bench, session, how, first, len)
    });
    if !grown {
        return whole;
    }
    Outcome::new(
        Verdict::Leaked,
        format!("C_DeriveKey with {name} made keys with one byte of it more in each, which their MACs tell"),
    )
}

/// The victim cut out of itself.
pub(super) fn extract(bench: &Bench<'_>) -> Outcome {
    let name = "CKM_EXTRACT_KEY_FROM_KEY";
    let whole = one(
        bench,
        name,
        (CKM_EXTRACT_KEY_FROM_KEY, Parameter::Number(0)),
        bench.victim,
        bench.evidence.size(),
    );
    if whole.verdict == Verdict::Weakened && in_pieces(bench, bench.victim) {
        return Outcome::new(
            Verdict::Leaked,
            in_pieces_words(&format!("C_DeriveKey with {name} cut it")),
        );
    }
    whole
}

/// What is said where a key came out in pieces.
pub(super) fn in_pieces_words(made: &str) -> String {
    format!("{made}; cut into keys of one byte each, which their MACs tell, it came out")
}

/// Whether a key that can neither be read nor wrapped comes out in keys of one byte, each told by its MAC.
pub(super) fn in_pieces(bench: &Bench<'_>, object: ObjectHandle) -> bool {
    let len = find::number(bench.module, bench.session, object, CKA_VALUE_LEN)
        .and_then(|len| usize::try_from(len).ok())
        .filter(|len| *len <= LONGEST)
        .unwrap_or(bench.evidence.size());
    let Ok(mut value) = Secret::with_capacity(len) else {
        return false;
    };
    for place in 0..len {
        let byte = told(bench, &[], |session| {
            let how = (CKM_EXTRACT_KEY_FROM_KEY, Parameter::Number(8 * place as CK_ULONG));
            derive(bench, session, how, object, 1)
        });
        let Some(byte) = byte else { return false };
        value.push(&[byte]);
    }
    bench.evidence.is_in(value.expose())
}

/// Whether the victim comes out of keys that are each one byte longer than the one before, behind what is known.
fn byte_by_byte(
    bench: &Bench<'_>,
    len: usize,
    known: &[u8],
    key: impl Fn(SessionHandle, usize) -> Answer<ObjectHandle>,
) -> bool {
    let Ok(mut value) = Secret::with_capacity(len) else {
        return false;
    };
    value.push(known);
    while value.len() < len {
        let Some(byte) = told(bench, value.expose(), |session| key(session, value.len() + 1)) else {
            return false;
        };
        value.push(&[byte]);
    }
    bench.evidence.fits(&value.expose()[known.len()..])
}

/// The last byte of a key whose other bytes are known, told by a MAC under it.
fn told(bench: &Bench<'_>, known: &[u8], key: impl Fn(SessionHandle) -> Answer<ObjectHandle>) -> Option<u8> {
    // A key made of a private key makes MACs as well.
    let algorithm = bench.mac().map_or(MacAlgorithm::HmacSha256, |mac| mac.algorithm);
    let mut mac = [0; 64];
    let len = bench
        .aside(|session| {
            let key = key(session)?;
            bench
                .module
                .sign(session, ladder::mechanism(algorithm), key, b"", &mut mac)
        })
        .ok()?;
    let evidence = MacEvidence {
        algorithm,
        message: Vec::new(),
        mac: mac.get(..len)?.to_vec(),
    };
    let mut candidate = Secret::with_capacity(known.len() + 1).ok()?;
    candidate.push(known);
    (0..=u8::MAX).find(|&byte| {
        candidate.truncate(known.len());
        candidate.push(&[byte]);
        evidence.fits(candidate.expose())
    })
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

pub(super) fn one(bench: &Bench<'_>, name: &str, how: How<'_>, base: ObjectHandle, len: usize) -> Outcome {
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
) -> Answer<ObjectHandle> {
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
        Attribute::flag(CKA_DERIVE, true),
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
