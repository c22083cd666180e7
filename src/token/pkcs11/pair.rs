//! Key pairs made on the token, and signatures with them.

use cryptoki_sys::*;
use sha2::{Digest as _, Sha256};

use super::{
    find, ladder,
    module::{Module, ObjectHandle, SessionHandle},
    session::Fault,
    template::Attribute,
};
use crate::{
    algorithm::SignatureAlgorithm,
    token::{Class, Imported, KeyMeta, KeyRef, PublicKey, SignInput, TokenError},
};

/// The curve P-256 and edwards25519 as CKA_EC_PARAMS: object identifiers (RFC 5480, RFC 8410), and the name that
/// PKCS #11 v3.0 prescribed for the latter.
const P256: [&[u8]; 1] = [&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]];
const ED25519: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];
/// What precedes a SHA-256 in a PKCS #1 v1.5 signature (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// What is asked of a private key, most of it first; the last ones are left out where they are not known.
const PRIVATE: [(CK_ATTRIBUTE_TYPE, bool); 11] = [
    (CKA_TOKEN, true),
    (CKA_PRIVATE, true),
    (CKA_SENSITIVE, true),
    (CKA_EXTRACTABLE, false),
    (CKA_SIGN, true),
    (CKA_DECRYPT, false),
    (CKA_UNWRAP, false),
    (CKA_DERIVE, false),
    (CKA_SIGN_RECOVER, false),
    (CKA_MODIFIABLE, false),
    (CKA_COPYABLE, false),
];

/// Makes a key pair, by the hardest template that the token accepts.
pub(super) fn generate(
    module: &Module,
    session: SessionHandle,
    algorithm: SignatureAlgorithm,
    meta: &KeyMeta,
) -> Result<(Imported, PublicKey), Fault> {
    let (mechanism, bits, curves): (_, CK_ULONG, &[&[u8]]) = match algorithm {
        SignatureAlgorithm::Ed25519 => (CKM_EC_EDWARDS_KEY_PAIR_GEN, 0, &ED25519),
        SignatureAlgorithm::P256 => (CKM_EC_KEY_PAIR_GEN, 0, &P256),
        SignatureAlgorithm::Rsa2048 => (CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, &[b""]),
        SignatureAlgorithm::Rsa3072 => (CKM_RSA_PKCS_KEY_PAIR_GEN, 3072, &[b""]),
        SignatureAlgorithm::Rsa4096 => (CKM_RSA_PKCS_KEY_PAIR_GEN, 4096, &[b""]),
    };
    let bits = [bits];
    let named = [
        Attribute::bytes(CKA_ID, meta.id.as_bytes()),
        Attribute::bytes(CKA_LABEL, meta.label.as_bytes()),
    ];
    let mut refusal = None;
    let rungs = [(1, PRIVATE.len()), (2, PRIVATE.len() - 1), (3, 7)];
    for (curve, (rung, count)) in curves.iter().flat_map(|curve| rungs.map(|rung| (curve, rung))) {
        let mut public = named.to_vec();
        public.extend([
            Attribute::flag(CKA_TOKEN, true),
            Attribute::flag(CKA_PRIVATE, false),
            Attribute::flag(CKA_VERIFY, true),
        ]);
        if algorithm.is_rsa() {
            public.push(Attribute::numbers(CKA_MODULUS_BITS, &bits));
            public.push(Attribute::bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]));
        } else {
            public.push(Attribute::bytes(CKA_EC_PARAMS, curve));
        }
        let mut private = named.to_vec();
        private.extend(
            PRIVATE[..count]
                .iter()
                .map(|&(kind, value)| Attribute::flag(kind, value)),
        );
        match module.generate_pair(session, mechanism, &public, &private) {
            Ok((public, private)) => {
                let known = public_key(module, session, public, algorithm)?;
                let imported = Imported {
                    key: KeyRef::Object {
                        class: Class::Private,
                        id: meta.id.clone(),
                    },
                    hardening: ladder::hardening(module, session, private, None),
                    rung,
                };
                return Ok((imported, known));
            }
            Err(refused)
                if refused.is_about_the_template()
                    || matches!(refused.code, CKR_CURVE_NOT_SUPPORTED | CKR_DOMAIN_PARAMS_INVALID) =>
            {
                refusal = refusal.or(Some(refused));
            }
            Err(refused) => return Err(refused.into()),
        }
    }
    let why = refusal.map_or_else(String::new, |refused| format!(": {refused}"));
    Err(TokenError::Unsupported(format!("the token makes no {} keys{why}", algorithm.name())).into())
}

/// Signs; r‖s for P-256, the plain bytes otherwise.
pub(super) fn sign(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    algorithm: SignatureAlgorithm,
    input: SignInput<'_>,
) -> Result<Vec<u8>, Fault> {
    let mut signature = [0; 512];
    let mut run = |mechanism, data: &[u8]| module.sign(session, mechanism, object, data, &mut signature);
    let len = match (algorithm, input) {
        (SignatureAlgorithm::Ed25519, SignInput::Message(message)) => run(CKM_EDDSA, message)?,
        (SignatureAlgorithm::Ed25519, SignInput::Digest(_)) => {
            return Err(TokenError::Unsupported("Ed25519 signs messages, not digests".into()).into());
        }
        (SignatureAlgorithm::P256, SignInput::Message(message)) => run(CKM_ECDSA, &Sha256::digest(message))?,
        (SignatureAlgorithm::P256, SignInput::Digest(digest)) => run(CKM_ECDSA, digest)?,
        (_, SignInput::Message(message)) => run(CKM_SHA256_RSA_PKCS, message)?,
        (_, SignInput::Digest(digest)) => run(CKM_RSA_PKCS, &[&DIGEST_INFO[..], digest].concat())?,
    };
    Ok(signature[..len].to_vec())
}

/// The public key as SubjectPublicKeyInfo.
fn public_key(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    algorithm: SignatureAlgorithm,
) -> Result<PublicKey, Fault> {
    let odd = || {
        Fault::from(TokenError::Failed(
            "the token gave a public key of unexpected form".into(),
        ))
    };
    let value = |kind| {
        find::read(module, session, object, kind)
            .map_err(Fault::from)?
            .ok_or_else(odd)
    };
    let der = match algorithm {
        SignatureAlgorithm::Ed25519 => {
            let point = value(CKA_EC_POINT)?;
            spki(
                &[0x06, 0x03, 0x2b, 0x65, 0x70],
                unwrap_point(&point, 32).ok_or_else(odd)?,
            )
        }
        SignatureAlgorithm::P256 => {
            let point = value(CKA_EC_POINT)?;
            let ec = [
                &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01][..],
                P256[0],
            ]
            .concat();
            spki(&ec, unwrap_point(&point, 65).ok_or_else(odd)?)
        }
        _ => {
            let numbers = [
                integer(&value(CKA_MODULUS)?),
                integer(&value(CKA_PUBLIC_EXPONENT)?),
            ]
            .concat();
            let rsa = [
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
            ];
            spki(&rsa, &der(0x30, &numbers))
        }
    };
    Ok(PublicKey(der))
}

/// A point as an OCTET STRING, as the standard wants it, or bare, as some modules give it.
fn unwrap_point(point: &[u8], len: usize) -> Option<&[u8]> {
    match point {
        [0x04, inner, rest @ ..] if usize::from(*inner) == len && rest.len() == len => Some(rest),
        _ if point.len() == len => Some(point),
        _ => None,
    }
}

/// SubjectPublicKeyInfo (RFC 5280, section 4.1).
fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    der(0x30, &[der(0x30, algorithm), der(0x03, &bits)].concat())
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let sign: &[u8] = if bytes.first().is_none_or(|&byte| byte >= 0x80) {
        &[0]
    } else {
        &[]
    };
    der(0x02, &[sign, bytes].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = vec![tag];
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let start = bytes
            .iter()
            .position(|&byte| byte != 0)
            .unwrap_or(bytes.len() - 1);
        out.push(0x80 | (bytes.len() - start) as u8);
        out.extend_from_slice(&bytes[start..]);
    }
    out.extend_from_slice(content);
    out
}
