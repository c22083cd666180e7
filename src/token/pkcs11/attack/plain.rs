//! Asking for the value, searching by it, and other uses of the key than the one that was asked for.

use std::ptr;

use cryptoki_sys::*;

use super::{
    super::{ladder, template::Attribute},
    bench::{Bench, Outcome, ROOM},
    calls::{How, Parameter},
};
use crate::{secret::Secret, token::extraction::Verdict};

/// Each secret attribute alone, with others, twice, into too little room. What a module wrote counts, whatever it
/// answered.
pub(super) fn read(bench: &Bench<'_>) -> Outcome {
    let all = bench.secrets().iter();
    Outcome::worst(all.flat_map(|&kind| {
        let size = bench.evidence.size();
        [ROOM, size, size / 2, 1, 0]
            .into_iter()
            .flat_map(move |room| [0, 1, 2].map(|beside| read_into(bench, kind, room, beside)))
    }))
}

fn read_into(bench: &Bench<'_>, secret: CK_ATTRIBUTE_TYPE, room: usize, beside: u8) -> Outcome {
    let (Ok(mut one), Ok(mut two)) = (Secret::with_capacity(ROOM), Secret::with_capacity(ROOM)) else {
        return Outcome::new(Verdict::NotApplicable, "there is no locked memory");
    };
    let mut label = [0_u8; 256];
    let at = |kind, bytes: &mut [u8], len: usize| {
        let address = if len == 0 {
            ptr::null_mut()
        } else {
            bytes.as_mut_ptr()
        };
        Attribute::raw(kind, address.cast(), len)
    };
    let mut template = vec![at(secret, one.spare_mut(), room)];
    match beside {
        1 => template.insert(0, at(CKA_LABEL, &mut label, 256)),
        2 => template.push(at(secret, two.spare_mut(), room)),
        _ => {}
    }
    let answer = bench
        .module
        .read_template(bench.session, bench.victim, &mut template);
    one.grow(room);
    two.grow(room);
    let out = room > 1 && (bench.evidence.is_in(one.expose()) || bench.evidence.is_in(two.expose()));
    match answer {
        _ if out => Outcome::new(Verdict::Leaked, "C_GetAttributeValue gave the key"),
        Err(refused) => bench.refused(refused, None),
        Ok(()) => Outcome::new(Verdict::Resisted, "C_GetAttributeValue gave no value"),
    }
}

/// A search by the value: whether it finds the key tells whether a guess is right.
pub(super) fn search(bench: &Bench<'_>) -> Outcome {
    let Some(value) = bench.value else {
        return Outcome::new(Verdict::NotApplicable, "the key's value is not known here");
    };
    let template = [Attribute::bytes(CKA_VALUE, value.expose())];
    match bench.aside(|session| bench.module.find_objects(session, &template, 64)) {
        Ok(found) if found.contains(&bench.victim) => Outcome::new(
            Verdict::GuessOracle,
            "C_FindObjects finds the key by its value, which tests guesses as any signature does",
        ),
        Ok(_) => Outcome::new(
            Verdict::Resisted,
            "C_FindObjects does not find the key by its value",
        ),
        Err(refused) => bench.refused(refused, None),
    }
}

const MACS: [(&str, CK_MECHANISM_TYPE); 10] = [
    ("CKM_SHA256_HMAC", CKM_SHA256_HMAC),
    ("CKM_SHA384_HMAC", CKM_SHA384_HMAC),
    ("CKM_SHA512_HMAC", CKM_SHA512_HMAC),
    ("CKM_SHA224_HMAC", CKM_SHA224_HMAC),
    ("CKM_SHA_1_HMAC", CKM_SHA_1_HMAC),
    ("CKM_MD5_HMAC", CKM_MD5_HMAC),
    ("CKM_SHA512_256_HMAC", CKM_SHA512_256_HMAC),
    ("CKM_SHA3_256_HMAC", CKM_SHA3_256_HMAC),
    ("CKM_SHA3_384_HMAC", CKM_SHA3_384_HMAC),
    ("CKM_SHA3_512_HMAC", CKM_SHA3_512_HMAC),
];
const TRUNCATED: [(&str, CK_MECHANISM_TYPE); 6] = [
    ("CKM_SHA256_HMAC_GENERAL", CKM_SHA256_HMAC_GENERAL),
    ("CKM_SHA384_HMAC_GENERAL", CKM_SHA384_HMAC_GENERAL),
    ("CKM_SHA512_HMAC_GENERAL", CKM_SHA512_HMAC_GENERAL),
    ("CKM_SHA224_HMAC_GENERAL", CKM_SHA224_HMAC_GENERAL),
    ("CKM_SHA_1_HMAC_GENERAL", CKM_SHA_1_HMAC_GENERAL),
    ("CKM_MD5_HMAC_GENERAL", CKM_MD5_HMAC_GENERAL),
];

/// As long as a digest, which some mechanisms ask for.
const MESSAGE: [u8; 32] = *b"a message as long as a digest is";

/// MACs of other hashes under the key.
pub(super) fn other_macs(bench: &Bench<'_>) -> Outcome {
    let own = match bench.mac() {
        Ok(mac) => ladder::mechanism(mac.algorithm),
        Err(outcome) => return outcome,
    };
    signs(
        bench,
        MACS.iter()
            .filter(|(_, mechanism)| *mechanism != own)
            .map(|&(name, mechanism)| (name, (mechanism, Parameter::None))),
    )
}

/// MACs cut short.
pub(super) fn truncated_macs(bench: &Bench<'_>) -> Outcome {
    signs(
        bench,
        // Some modules cut to one byte, some to no less than half.
        TRUNCATED.iter().flat_map(|&(name, mechanism)| {
            [1, 4, 16, 20, 24, 32].map(|len| (name, (mechanism, Parameter::Number(len))))
        }),
    )
}

pub(super) fn signs<'a>(bench: &Bench<'_>, forms: impl Iterator<Item = (&'a str, How<'static>)>) -> Outcome {
    let mut made = Vec::new();
    let mut others = Vec::new();
    for (name, how) in forms {
        let mut mac = [0; 512];
        let answer = bench.aside(|session| {
            bench
                .module
                .sign_with(session, how, bench.victim, &MESSAGE, &mut mac)
        });
        match answer {
            Ok(_) if made.last() == Some(&name) => {}
            Ok(_) => made.push(name),
            Err(refused) => others.push(bench.refused(refused, Some(how.0))),
        }
    }
    if made.is_empty() {
        return Outcome::worst(others);
    }
    Outcome::new(
        Verdict::Weakened,
        format!("the key also signs with {}", made.join(", ")),
    )
}
