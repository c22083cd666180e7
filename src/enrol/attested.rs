//! Who vouches that a key was made on the token that holds it.

use crate::{
    clock,
    config::Config,
    keyring::Copy,
    token::{
        KeyRef,
        yubikey::piv::{Roots, Vouched},
    },
};

/// Who vouches that a copy of a key was made on its YubiKey, in words; `none` where nobody does, as for a key that was
/// stored. Nothing, where the copy is in no slot of a YubiKey: other tokens give no such proof.
pub fn attested(config: &Config, copy: &Copy) -> Option<String> {
    let material = copy.objects.get("secret")?;
    if !matches!(material.key, KeyRef::Slot { .. }) {
        return None;
    }
    let Some((attestation, public)) = material.attestation.as_deref().zip(material.public.as_ref()) else {
        return Some("none".to_owned());
    };
    let vouch = |roots: &Roots| roots.vouch(attestation, public, &copy.serial, clock::now());
    let by_yubico = vouch(&Roots::default());
    let file = config
        .tokens
        .get(&copy.token)
        .and_then(|token| token.attestation_roots.as_deref());
    let vouched = match file {
        Some(file) if by_yubico != Vouched::Yubico => match Roots::with_file(file) {
            Ok(roots) => vouch(&roots),
            Err(error) => Vouched::Unsound(error.message().to_owned()),
        },
        _ => by_yubico,
    };
    Some(match &vouched {
        Vouched::Unknown(name) => format!("{vouched}: {name:?}"),
        _ => vouched.to_string(),
    })
}
