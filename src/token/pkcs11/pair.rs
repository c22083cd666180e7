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
    public_key::{DIGEST_INFO, PublicKey},
    token::{Class, Imported, KeyMeta, KeyRef, SignInput, TokenError},
};

/// The curve P-256 and edwards25519 as CKA_EC_PARAMS: object identifiers (RFC 5480, RFC 8410), and the name that
/// PKCS #11 v3.0 prescribed for the latter.
const P256: [&[u8]; 1] = [&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]];
const ED25519: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];
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

/// The mechanism that signs.
pub(super) const fn mechanism(algorithm: SignatureAlgorithm) -> CK_MECHANISM_TYPE {
    match algorithm {
        SignatureAlgorithm::Ed25519 => CKM_EDDSA,
        SignatureAlgorithm::P256 => CKM_ECDSA,
        _ => CKM_SHA256_RSA_PKCS,
    }
}

/// The mechanism that makes key pairs.
pub(super) const fn generation(algorithm: SignatureAlgorithm) -> CK_MECHANISM_TYPE {
    match algorithm {
        SignatureAlgorithm::Ed25519 => CKM_EC_EDWARDS_KEY_PAIR_GEN,
        SignatureAlgorithm::P256 => CKM_EC_KEY_PAIR_GEN,
        _ => CKM_RSA_PKCS_KEY_PAIR_GEN,
    }
}

/// Makes a key pair, by the hardest template that the token accepts.
pub(super) fn generate(
    module: &Module,
    session: SessionHandle,
    algorithm: SignatureAlgorithm,
    meta: &KeyMeta,
) -> Result<(Imported, PublicKey), Fault> {
    let (bits, curves): (CK_ULONG, &[&[u8]]) = match algorithm {
        SignatureAlgorithm::Ed25519 => (0, &ED25519),
        SignatureAlgorithm::P256 => (0, &P256),
        SignatureAlgorithm::Rsa2048 => (2048, &[b""]),
        SignatureAlgorithm::Rsa3072 => (3072, &[b""]),
        SignatureAlgorithm::Rsa4096 => (4096, &[b""]),
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
        match module.generate_pair(session, generation(algorithm), &public, &private) {
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

/// The public key that the token made.
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
    let key = match algorithm {
        SignatureAlgorithm::Ed25519 => unwrap_point(&value(CKA_EC_POINT)?, 32).and_then(PublicKey::ed25519),
        SignatureAlgorithm::P256 => unwrap_point(&value(CKA_EC_POINT)?, 65).and_then(PublicKey::p256),
        _ => PublicKey::rsa(&value(CKA_MODULUS)?, &value(CKA_PUBLIC_EXPONENT)?),
    };
    key.filter(|key| key.algorithm() == algorithm).ok_or_else(odd)
}

/// A point as an OCTET STRING, as the standard wants it, or bare, as some modules give it.
fn unwrap_point(point: &[u8], len: usize) -> Option<&[u8]> {
    match point {
        [0x04, inner, rest @ ..] if usize::from(*inner) == len && rest.len() == len => Some(rest),
        _ if point.len() == len => Some(point),
        _ => None,
    }
}
