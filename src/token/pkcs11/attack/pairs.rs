//! What is tried on a private key beside what is tried on every key: agreeing, decrypting, other signatures.

use cryptoki_sys::*;

use super::{
    super::{
        module::{Answer, ObjectHandle},
        pair,
        template::Attribute,
    },
    bench::{Bench, Outcome},
    calls::{How, Parameter},
    derive, plain,
};
use crate::{
    algorithm::SignatureAlgorithm,
    token::extraction::{Evidence, Verdict},
};

/// The base points of P-256, uncompressed, and of Curve25519.
const P256_POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
const X25519_POINT: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};

const RSA: [(&str, How<'static>); 10] = [
    ("CKM_RSA_X_509", (CKM_RSA_X_509, Parameter::None)),
    ("CKM_RSA_PKCS_PSS", (CKM_RSA_PKCS_PSS, Parameter::Pss)),
    (
        "CKM_SHA256_RSA_PKCS_PSS",
        (CKM_SHA256_RSA_PKCS_PSS, Parameter::Pss),
    ),
    ("CKM_MD5_RSA_PKCS", (CKM_MD5_RSA_PKCS, Parameter::None)),
    ("CKM_SHA1_RSA_PKCS", (CKM_SHA1_RSA_PKCS, Parameter::None)),
    ("CKM_SHA224_RSA_PKCS", (CKM_SHA224_RSA_PKCS, Parameter::None)),
    ("CKM_SHA384_RSA_PKCS", (CKM_SHA384_RSA_PKCS, Parameter::None)),
    ("CKM_SHA512_RSA_PKCS", (CKM_SHA512_RSA_PKCS, Parameter::None)),
    ("CKM_SHA3_256_RSA_PKCS", (CKM_SHA3_256_RSA_PKCS, Parameter::None)),
    ("CKM_RSA_X9_31", (CKM_RSA_X9_31, Parameter::None)),
];
const ECDSA: [(&str, How<'static>); 5] = [
    ("CKM_ECDSA_SHA1", (CKM_ECDSA_SHA1, Parameter::None)),
    ("CKM_ECDSA_SHA224", (CKM_ECDSA_SHA224, Parameter::None)),
    ("CKM_ECDSA_SHA256", (CKM_ECDSA_SHA256, Parameter::None)),
    ("CKM_ECDSA_SHA384", (CKM_ECDSA_SHA384, Parameter::None)),
    ("CKM_ECDSA_SHA512", (CKM_ECDSA_SHA512, Parameter::None)),
];
const CIPHERS: [(&str, How<'static>); 3] = [
    ("CKM_RSA_X_509", (CKM_RSA_X_509, Parameter::None)),
    ("CKM_RSA_PKCS", (CKM_RSA_PKCS, Parameter::None)),
    ("CKM_RSA_PKCS_OAEP", (CKM_RSA_PKCS_OAEP, Parameter::Oaep)),
];

fn algorithm(bench: &Bench<'_>) -> Option<SignatureAlgorithm> {
    match bench.evidence {
        Evidence::Public(public) => Some(public.algorithm()),
        Evidence::Mac(_) => None,
    }
}

/// Signatures of other kinds than the key is for.
pub(super) fn other_signatures(bench: &Bench<'_>) -> Outcome {
    let others: &[_] = match algorithm(bench) {
        Some(SignatureAlgorithm::P256) => &ECDSA,
        Some(kind) if kind.is_rsa() => &RSA,
        _ => &[],
    };
    plain::signs(bench, others.iter().copied())
}

/// The key as one that decrypts, or that gives back what it signs.
pub(super) fn decrypting(bench: &Bench<'_>) -> Outcome {
    if !algorithm(bench).is_some_and(SignatureAlgorithm::is_rsa) {
        return Outcome::new(Verdict::NotApplicable, "keys of this kind do not decrypt");
    }
    let answered = |name: &str, does: &str, mechanism, answer: Answer<()>| match answer {
        Ok(()) => Outcome::new(Verdict::Weakened, format!("the key also {does} ({name})")),
        Err(refused) => bench.refused(refused, Some(mechanism)),
    };
    let decrypts = CIPHERS.iter().map(|&(name, how)| {
        let answer = bench.aside(|session| bench.module.begin_decrypt(session, how, bench.victim));
        answered(name, "decrypts", how.0, answer)
    });
    let recovers =
        [("CKM_RSA_X_509", CKM_RSA_X_509), ("CKM_RSA_PKCS", CKM_RSA_PKCS)].map(|(name, mechanism)| {
            let answer =
                bench.aside(|session| bench.module.begin_sign_recover(session, mechanism, bench.victim));
            answered(name, "signs so that the message comes back", mechanism, answer)
        });
    Outcome::worst(decrypts.chain(recovers))
}

/// Secrets agreed with it, and keys that it is put into.
pub(super) fn deriving(bench: &Bench<'_>) -> Outcome {
    let point: &[u8] = match algorithm(bench) {
        Some(SignatureAlgorithm::P256) => &P256_POINT,
        Some(SignatureAlgorithm::Ed25519) => &X25519_POINT,
        _ => return derive::as_second(bench),
    };
    // Some modules want the point as an OCTET STRING.
    let wrapped = [&[0x04, point.len() as u8], point].concat();
    let agreed = [point, &wrapped].into_iter().flat_map(|point| {
        [
            ("CKM_ECDH1_DERIVE", CKM_ECDH1_DERIVE),
            ("CKM_ECDH1_COFACTOR_DERIVE", CKM_ECDH1_COFACTOR_DERIVE),
        ]
        .map(|(name, mechanism)| {
            derive::one(bench, name, (mechanism, Parameter::Ecdh(point)), bench.victim, 32)
        })
    });
    Outcome::worst(agreed.chain([derive::as_second(bench)]))
}

/// An open pair of the attacker's with this id.
pub(super) fn open_pair(
    bench: &Bench<'_>,
    algorithm: SignatureAlgorithm,
    id: &[u8],
) -> Answer<Vec<ObjectHandle>> {
    let open = [
        Attribute::bytes(CKA_ID, id),
        Attribute::flag(CKA_TOKEN, true),
        Attribute::flag(CKA_PRIVATE, true),
        Attribute::flag(CKA_SENSITIVE, false),
        Attribute::flag(CKA_EXTRACTABLE, true),
        Attribute::flag(CKA_SIGN, true),
    ];
    let bits = [match algorithm {
        SignatureAlgorithm::Rsa3072 => 3072,
        SignatureAlgorithm::Rsa4096 => 4096,
        _ => 2048,
    }];
    let mut answer = Err(super::super::codes::Refused {
        call: "C_GenerateKeyPair",
        code: CKR_MECHANISM_INVALID,
    });
    for curve in pair::curves(algorithm) {
        let mut public = vec![
            Attribute::bytes(CKA_ID, id),
            Attribute::flag(CKA_TOKEN, true),
            Attribute::flag(CKA_VERIFY, true),
        ];
        if algorithm.is_rsa() {
            public.push(Attribute::numbers(CKA_MODULUS_BITS, &bits));
            public.push(Attribute::bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]));
        } else {
            public.push(Attribute::bytes(CKA_EC_PARAMS, curve));
        }
        answer = bench
            .module
            .generate_pair(bench.session, pair::generation(algorithm), &public, &open);
        if answer.is_ok() {
            break;
        }
    }
    answer.map(|(public, private)| vec![public, private])
}
