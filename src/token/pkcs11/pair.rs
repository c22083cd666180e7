//! Key pairs made on the token, private keys stored on it, and signatures with them.

use cryptoki_sys::*;
use sha2::{Digest as _, Sha256};

use super::{
    find, ladder,
    module::{Answer, Module, ObjectHandle, SessionHandle},
    session::Fault,
    template::Attribute,
};
use crate::{
    algorithm::SignatureAlgorithm,
    private_key::Numbers,
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

/// A step of the ladder: the number of flags asked for, and whether the key is bound to its mechanisms.
struct Rung {
    number: u8,
    flags: usize,
    bound: bool,
}

/// The hardest first.
const RUNGS: [Rung; 3] = [
    Rung {
        number: 1,
        flags: PRIVATE.len(),
        bound: true,
    },
    Rung {
        number: 2,
        flags: PRIVATE.len() - 1,
        bound: false,
    },
    Rung {
        number: 3,
        flags: 7,
        bound: false,
    },
];

/// What a key may be used with: RSA keys also with digests that were made elsewhere.
const fn allowed(algorithm: SignatureAlgorithm) -> &'static [CK_MECHANISM_TYPE] {
    match algorithm {
        SignatureAlgorithm::Ed25519 => &[CKM_EDDSA],
        SignatureAlgorithm::P256 => &[CKM_ECDSA],
        _ => &[CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS],
    }
}

/// The names that a token may know the curve by; one without meaning for RSA.
pub(super) const fn curves(algorithm: SignatureAlgorithm) -> &'static [&'static [u8]] {
    match algorithm {
        SignatureAlgorithm::Ed25519 => &ED25519,
        SignatureAlgorithm::P256 => &P256,
        _ => &[b""],
    }
}

/// Makes a key pair, by the hardest template that the token accepts. The public half does not stay on the token, unless
/// the token wants it so.
pub(super) fn generate(
    module: &Module,
    session: SessionHandle,
    algorithm: SignatureAlgorithm,
    meta: &KeyMeta,
) -> Result<(Imported, PublicKey), Fault> {
    let made = make(module, session, algorithm, meta, false);
    if matches!(made, Err(Fault::Final(TokenError::Unsupported(_)))) {
        return make(module, session, algorithm, meta, true).or(made);
    }
    made
}

fn make(
    module: &Module,
    session: SessionHandle,
    algorithm: SignatureAlgorithm,
    meta: &KeyMeta,
    public_stays: bool,
) -> Result<(Imported, PublicKey), Fault> {
    let bits: [CK_ULONG; 1] = match algorithm {
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::P256 => [0],
        SignatureAlgorithm::Rsa2048 => [2048],
        SignatureAlgorithm::Rsa3072 => [3072],
        SignatureAlgorithm::Rsa4096 => [4096],
    };
    climb(algorithm, "makes", |rung, curve| {
        let mut public = named(meta).to_vec();
        public.extend([
            Attribute::flag(CKA_TOKEN, public_stays),
            Attribute::flag(CKA_PRIVATE, false),
            Attribute::flag(CKA_VERIFY, true),
        ]);
        if algorithm.is_rsa() {
            public.push(Attribute::numbers(CKA_MODULUS_BITS, &bits));
            public.push(Attribute::bytes(CKA_PUBLIC_EXPONENT, &[1, 0, 1]));
        } else {
            public.push(Attribute::bytes(CKA_EC_PARAMS, curve));
        }
        let private = private(rung, algorithm, meta);
        module.generate_pair(session, generation(algorithm), &public, &private)
    })
    .and_then(|(rung, (public, private))| {
        let known = public_key(module, session, public, algorithm)?;
        if !public_stays {
            module.destroy_object(session, public)?;
        }
        Ok((imported(module, session, private, algorithm, rung, meta), known))
    })
}

/// Stores a private key, by the hardest template that the token accepts.
pub(super) fn import(
    module: &Module,
    session: SessionHandle,
    algorithm: SignatureAlgorithm,
    numbers: &Numbers<'_>,
    meta: &KeyMeta,
) -> Result<Imported, Fault> {
    let class = [CKO_PRIVATE_KEY];
    let key_type = [match algorithm {
        SignatureAlgorithm::Ed25519 => CKK_EC_EDWARDS,
        SignatureAlgorithm::P256 => CKK_EC,
        _ => CKK_RSA,
    }];
    let (rung, object) = climb(algorithm, "takes", |rung, curve| {
        let mut template = vec![
            Attribute::numbers(CKA_CLASS, &class),
            Attribute::numbers(CKA_KEY_TYPE, &key_type),
        ];
        template.extend(private(rung, algorithm, meta));
        match numbers {
            Numbers::Seed(value) | Numbers::Scalar(value) => {
                template.push(Attribute::bytes(CKA_EC_PARAMS, curve));
                template.push(Attribute::bytes(CKA_VALUE, value));
            }
            Numbers::Rsa(key) => {
                let numbers = [
                    (CKA_MODULUS, &key.modulus),
                    (CKA_PUBLIC_EXPONENT, &key.public_exponent),
                    (CKA_PRIVATE_EXPONENT, &key.private_exponent),
                    (CKA_PRIME_1, &key.prime1),
                    (CKA_PRIME_2, &key.prime2),
                    (CKA_EXPONENT_1, &key.exponent1),
                    (CKA_EXPONENT_2, &key.exponent2),
                    (CKA_COEFFICIENT, &key.coefficient),
                ];
                template.extend(numbers.map(|(kind, number)| Attribute::bytes(kind, number.as_bytes())));
            }
        }
        module.create_object(session, &template)
    })?;
    Ok(imported(module, session, object, algorithm, rung, meta))
}

/// Tries one rung and one name of the curve after the other, until the token accepts.
fn climb<T>(
    algorithm: SignatureAlgorithm,
    verb: &str,
    attempt: impl Fn(&Rung, &'static [u8]) -> Answer<T>,
) -> Result<(u8, T), Fault> {
    let mut refusal = None;
    for (curve, rung) in curves(algorithm)
        .iter()
        .flat_map(|curve| RUNGS.iter().map(move |rung| (curve, rung)))
    {
        match attempt(rung, curve) {
            Ok(done) => return Ok((rung.number, done)),
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
    Err(TokenError::Unsupported(format!("the token {verb} no {algorithm} keys{why}")).into())
}

fn named(meta: &KeyMeta) -> [Attribute<'_>; 2] {
    [
        Attribute::bytes(CKA_ID, meta.id.as_bytes()),
        Attribute::bytes(CKA_LABEL, meta.label.as_bytes()),
    ]
}

/// What is asked of a private key on a rung.
fn private<'a>(rung: &Rung, algorithm: SignatureAlgorithm, meta: &'a KeyMeta) -> Vec<Attribute<'a>> {
    let mut template = named(meta).to_vec();
    template.extend(
        PRIVATE[..rung.flags]
            .iter()
            .map(|&(kind, value)| Attribute::flag(kind, value)),
    );
    if rung.bound {
        template.push(Attribute::numbers(CKA_ALLOWED_MECHANISMS, allowed(algorithm)));
    }
    template
}

fn imported(
    module: &Module,
    session: SessionHandle,
    object: ObjectHandle,
    algorithm: SignatureAlgorithm,
    rung: u8,
    meta: &KeyMeta,
) -> Imported {
    Imported {
        key: KeyRef::Object {
            class: Class::Private,
            id: ladder::stored_id(module, session, object, &meta.id),
        },
        hardening: ladder::hardening(module, session, object, allowed(algorithm)),
        rung,
        attestation: None,
    }
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
    let expected = match algorithm {
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::P256 => 64,
        SignatureAlgorithm::Rsa2048 => 256,
        SignatureAlgorithm::Rsa3072 => 384,
        SignatureAlgorithm::Rsa4096 => 512,
    };
    match signature.get(..len) {
        Some(made) if len == expected => Ok(made.to_vec()),
        _ => Err(TokenError::Failed(format!("the token made a signature of {len} bytes")).into()),
    }
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
