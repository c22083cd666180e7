//! The structures of private keys, read in place by the crates that know them.

use pkcs1::RsaPrivateKeyRef;
use pkcs8::{
    ObjectIdentifier, PrivateKeyInfoRef,
    der::{Decode as _, asn1::OctetStringRef},
};
use sec1::{EcParameters, EcPrivateKey};

use super::{PrivateKey, broken, pem::Label};
use crate::{
    error::{Error, Result, bad_input},
    public_key::{EC, ED25519, P256, RSA},
    secret::Secret,
};

/// Algorithms and curves that a key may be of and hsmsign has no use for, with their names.
const OTHERS: [(&str, &str); 9] = [
    ("1.2.840.10045.3.1.1", "on the curve P-192"),
    ("1.3.132.0.33", "on the curve P-224"),
    ("1.3.132.0.34", "on the curve P-384"),
    ("1.3.132.0.35", "on the curve P-521"),
    ("1.3.132.0.10", "on the curve secp256k1"),
    ("1.3.101.110", "for X25519, which does not sign"),
    ("1.3.101.113", "for Ed448"),
    ("1.2.840.113549.1.1.10", "for RSA-PSS alone"),
    ("1.2.840.10040.4.1", "for DSA"),
];

/// What a key without its PEM lines is, if it is one.
pub(super) fn label(der: &[u8]) -> Option<Label> {
    if PrivateKeyInfoRef::from_der(der).is_ok() {
        Some(Label::Pkcs8)
    } else if EcPrivateKey::from_der(der).is_ok() {
        Some(Label::Sec1)
    } else {
        RsaPrivateKeyRef::from_der(der).is_ok().then_some(Label::Pkcs1)
    }
}

pub(super) fn read(label: Label, der: &Secret) -> Result<PrivateKey> {
    match label {
        Label::Pkcs8 => pkcs8(der.expose()),
        Label::Sec1 => sec1(der.expose(), None),
        Label::Pkcs1 => PrivateKey::from_rsa(der.expose()),
    }
}

fn pkcs8(der: &[u8]) -> Result<PrivateKey> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| broken())?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        ED25519 => {
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| broken())?.as_bytes();
            if seed.len() != 32 {
                return Err(broken());
            }
            let public = match &info.public_key {
                Some(public) => Some(public.as_bytes().ok_or_else(broken)?),
                None => None,
            };
            PrivateKey::from_seed(seed, public)
        }
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(|_| unnamed_curve())?;
            sec1(key, Some(curve))
        }
        RSA => PrivateKey::from_rsa(key),
        other => Err(unknown(other)),
    }
}

/// ECPrivateKey; the curve is named around it, inside, or both.
fn sec1(der: &[u8], around: Option<ObjectIdentifier>) -> Result<PrivateKey> {
    let key = EcPrivateKey::from_der(der).map_err(|_| broken())?;
    let inside = key.parameters.map(|parameters| match parameters {
        EcParameters::NamedCurve(curve) => curve,
    });
    for curve in [around, inside].into_iter().flatten() {
        if curve != P256 {
            return Err(unknown(curve));
        }
    }
    if around.or(inside).is_none() {
        return Err(unnamed_curve());
    }
    PrivateKey::from_scalar(key.private_key, key.public_key)
}

fn unnamed_curve() -> Error {
    bad_input("the private key does not name its curve")
        .fix("have OpenSSL name it: openssl ec -param_enc named_curve -in KEY.pem | hsmsign import …")
}

fn unknown(algorithm: ObjectIdentifier) -> Error {
    let name = OTHERS
        .iter()
        .find(|(oid, _)| ObjectIdentifier::new(oid) == Ok(algorithm))
        .map_or_else(
            || format!("of the kind {algorithm}"),
            |(_, name)| (*name).to_owned(),
        );
    bad_input(format!("the private key is {name}"))
        .fix("use an Ed25519 key, one on the curve P-256, or an RSA key")
}
