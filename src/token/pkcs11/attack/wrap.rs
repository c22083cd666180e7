//! Wrapping the key under a key that the attacker made, and unwrapping it again in the open.

use cryptoki_sys::*;

use super::{
    super::{
        module::{Answer, ObjectHandle, SessionHandle},
        template::Attribute,
    },
    bench::{Bench, Outcome, ROOM},
    calls::{How, Parameter},
};
use crate::{
    algorithm::{Algorithm, SignatureAlgorithm},
    secret::Secret,
    token::extraction::{Evidence, Verdict},
};

/// The attacker's AES key and initialisation vector: any will do, since a session object is all that has them.
const OURS: [u8; 32] = *b"an AES key that the attacker has";
const VECTOR: [u8; 16] = [0; 16];

/// Every way to wrap under an AES key, with its name.
const AES: [(&str, How<'static>); 9] = [
    ("CKM_AES_KEY_WRAP", (CKM_AES_KEY_WRAP, Parameter::None)),
    ("CKM_AES_KEY_WRAP_PAD", (CKM_AES_KEY_WRAP_PAD, Parameter::None)),
    ("CKM_AES_KEY_WRAP_KWP", (CKM_AES_KEY_WRAP_KWP, Parameter::None)),
    (
        "CKM_AES_KEY_WRAP_PKCS7",
        (CKM_AES_KEY_WRAP_PKCS7, Parameter::None),
    ),
    ("CKM_AES_CBC_PAD", (CKM_AES_CBC_PAD, Parameter::Bytes(&VECTOR))),
    ("CKM_AES_CBC", (CKM_AES_CBC, Parameter::Bytes(&VECTOR))),
    ("CKM_AES_ECB", (CKM_AES_ECB, Parameter::None)),
    ("CKM_AES_OFB", (CKM_AES_OFB, Parameter::Bytes(&VECTOR))),
    ("CKM_AES_CFB128", (CKM_AES_CFB128, Parameter::Bytes(&VECTOR))),
];

/// The victim under an AES key.
pub(super) fn aes(bench: &Bench<'_>) -> Outcome {
    under_aes(bench, bench.victim)
}

/// Any object under an AES key.
pub(super) fn under_aes(bench: &Bench<'_>, object: ObjectHandle) -> Outcome {
    let uses = [CKA_WRAP, CKA_UNWRAP, CKA_ENCRYPT, CKA_DECRYPT];
    let ours = bench
        .known_key(CKK_AES, &OURS, &uses)
        .or_else(|_| generated(bench, &uses));
    match ours {
        Ok(ours) => Outcome::worst(
            AES.iter()
                .map(|(name, how)| one(bench, name, *how, (ours, ours), object)),
        ),
        Err(refused) => bench.refused(refused, Some(CKM_AES_KEY_GEN)),
    }
}

/// An AES key that the token makes, where it takes none.
fn generated(bench: &Bench<'_>, uses: &[CK_ATTRIBUTE_TYPE]) -> Answer<ObjectHandle> {
    let length = [OURS.len() as CK_ULONG];
    let mut template = vec![
        Attribute::flag(CKA_TOKEN, false),
        Attribute::numbers(CKA_VALUE_LEN, &length),
    ];
    template.extend(uses.iter().map(|&flag| Attribute::flag(flag, true)));
    bench
        .module
        .generate_key(bench.session, CKM_AES_KEY_GEN, &template)
}

/// The victim under an RSA key.
pub(super) fn rsa(bench: &Bench<'_>) -> Outcome {
    let bits = [2048];
    let public = [
        Attribute::flag(CKA_TOKEN, false),
        Attribute::flag(CKA_WRAP, true),
        Attribute::flag(CKA_ENCRYPT, true),
        Attribute::numbers(CKA_MODULUS_BITS, &bits),
        Attribute::bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]),
    ];
    let private = [
        Attribute::flag(CKA_TOKEN, false),
        Attribute::flag(CKA_UNWRAP, true),
        Attribute::flag(CKA_DECRYPT, true),
    ];
    let pair = bench
        .module
        .generate_pair(bench.session, CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &private);
    match pair {
        Ok(pair) => Outcome::worst(
            [
                ("CKM_RSA_PKCS_OAEP", (CKM_RSA_PKCS_OAEP, Parameter::Oaep)),
                ("CKM_RSA_PKCS", (CKM_RSA_PKCS, Parameter::None)),
            ]
            .iter()
            .map(|(name, how)| one(bench, name, *how, pair, bench.victim)),
        ),
        Err(refused) => bench.refused(refused, Some(CKM_RSA_PKCS_KEY_PAIR_GEN)),
    }
}

fn one(
    bench: &Bench<'_>,
    name: &str,
    how: How<'_>,
    (wrapping, unwrapping): (ObjectHandle, ObjectHandle),
    object: ObjectHandle,
) -> Outcome {
    let Ok(mut wrapped) = Secret::with_capacity(ROOM) else {
        return Outcome::new(Verdict::NotApplicable, "there is no locked memory");
    };
    let answer = bench.aside(|session| {
        bench
            .module
            .wrap_key(session, how, wrapping, object, wrapped.spare_mut())
    });
    match answer {
        Ok(len) => wrapped.grow(len),
        Err(refused) => return bench.refused(refused, Some(how.0)),
    }
    let out = bench.evidence.is_in(wrapped.expose())
        || unwrapped(bench, how, unwrapping, wrapped.expose())
        || decrypted(bench, how, unwrapping, wrapped.expose());
    if out {
        return Outcome::new(
            Verdict::Leaked,
            format!("C_WrapKey with {name} gave it under a key of the attacker's, who unwrapped it"),
        );
    }
    Outcome::new(
        Verdict::Weakened,
        format!(
            "C_WrapKey with {name} gave {} bytes, which were not unwrapped here",
            wrapped.len()
        ),
    )
}

/// Unwrapped on the same token as a key that may be read: as a secret key of the same bytes, or as what it is.
fn unwrapped(bench: &Bench<'_>, how: How<'_>, key: ObjectHandle, wrapped: &[u8]) -> bool {
    let (secret, generic) = ([CKO_SECRET_KEY], [CKK_GENERIC_SECRET]);
    let length = [match bench.evidence {
        Evidence::Mac(_) => bench.evidence.size(),
        Evidence::Public(_) => wrapped.len(),
    } as CK_ULONG];
    let open = [
        Attribute::flag(CKA_TOKEN, false),
        Attribute::flag(CKA_SENSITIVE, false),
        Attribute::flag(CKA_EXTRACTABLE, true),
    ];
    let mut plain = vec![
        Attribute::numbers(CKA_CLASS, &secret),
        Attribute::numbers(CKA_KEY_TYPE, &generic),
    ];
    plain.extend(open);
    // A cipher without padding of its own does not know how long the key was.
    let sized = [&plain[..], &[Attribute::numbers(CKA_VALUE_LEN, &length)]].concat();
    let (private, kind) = ([CKO_PRIVATE_KEY], [key_type(bench.evidence)]);
    let mut itself = vec![
        Attribute::numbers(CKA_CLASS, &private),
        Attribute::numbers(CKA_KEY_TYPE, &kind),
    ];
    itself.extend(open);
    let mut templates = vec![plain, sized];
    if matches!(bench.evidence, Evidence::Public(_)) {
        templates.push(itself);
    }
    templates.iter().any(|template| {
        bench
            .module
            .unwrap_key(bench.session, how, key, wrapped, template)
            .is_ok_and(|object| {
                let value = bench.value_of(object, CKA_VALUE);
                value.is_some_and(|value| bench.evidence.is_in(value.expose())) || bench.reads(object)
            })
    })
}

/// The type of a private key as a token has it.
fn key_type(evidence: &Evidence) -> CK_KEY_TYPE {
    match evidence.algorithm() {
        Algorithm::Signature(SignatureAlgorithm::Ed25519) => CKK_EC_EDWARDS,
        Algorithm::Signature(SignatureAlgorithm::P256) => CKK_EC,
        Algorithm::Signature(_) => CKK_RSA,
        Algorithm::Mac(_) => CKK_GENERIC_SECRET,
    }
}

/// Decrypted, where wrapping is nothing but encryption.
fn decrypted(bench: &Bench<'_>, how: How<'_>, key: ObjectHandle, wrapped: &[u8]) -> bool {
    let Ok(mut value) = Secret::with_capacity(ROOM) else {
        return false;
    };
    let answer = bench.aside(|session: SessionHandle| {
        bench
            .module
            .decrypt(session, how, key, wrapped, value.spare_mut())
    });
    answer.is_ok_and(|len| {
        value.grow(len);
        bench.evidence.is_in(value.expose())
    })
}
