//! Reading secrets as their exchange writes them, into the form in which they go to a token.

use std::collections::BTreeMap;

use super::{Plan, Secrets, weak::weakness};
use crate::{
    algorithm::{Algorithm, SignatureAlgorithm},
    error::{Result, bad_input},
    keyring::{Pair, Proof},
    private_key::PrivateKey,
    secret::{BlockKey, Secret, traceless},
};

/// A secret in the form in which it goes to the token.
pub(super) enum Read {
    Mac(BlockKey),
    Private(PrivateKey),
    /// No secret: the token makes a key of this algorithm.
    Made(SignatureAlgorithm),
    Data(Secret),
}

/// The secrets of a key, read.
pub(super) struct AllRead {
    /// What goes to the token, by its slot.
    pub objects: BTreeMap<&'static str, Read>,
    /// A passphrase of which only MACs are kept.
    pub passphrase: Option<Secret>,
    /// What the owner should know.
    pub warnings: Vec<String>,
}

impl AllRead {
    /// Whether the secret, of which `made` was made, is that of another pair already.
    pub fn is_of(&self, pair: &Pair, made: &Pair) -> bool {
        let makes = |key: &BlockKey, proof: &Proof| {
            let message = base16ct::lower::decode_vec(&proof.message).ok()?;
            Some(base16ct::lower::encode_string(&key.mac(&message).ok()?) == proof.mac)
        };
        match self.objects.get("secret") {
            Some(Read::Mac(key)) => pair
                .copies
                .iter()
                .filter_map(|copy| copy.objects.get("secret")?.proof.as_ref())
                .any(|proof| makes(key, proof) == Some(true)),
            Some(Read::Private(_)) => pair.public_key().is_some() && pair.public_key() == made.public_key(),
            _ => false,
        }
    }
}

/// Reads the secrets as their exchange writes them. What goes to the token is all that stays: each text is wiped as
/// soon as it is read.
pub(super) fn read_secrets(plan: &Plan, secrets: Secrets) -> Result<AllRead> {
    traceless(|| read_all(plan, secrets))
}

fn read_all(plan: &Plan, secrets: Secrets) -> Result<AllRead> {
    let mut warnings = Vec::new();
    let mut objects = BTreeMap::from([("secret", read_key(plan, secrets.secret, &mut warnings)?)]);
    match (secrets.partner_secret, plan.needs_partner_secret()) {
        (Some(partner), true) => {
            objects.insert("partner_secret", read_key(plan, Some(partner), &mut warnings)?);
        }
        (None, true) => {
            return Err(bad_input("a partner was named, and its secret is missing")
                .fix("give it as `partner_secret`, beside the secret"));
        }
        (Some(_), false) => {
            return Err(
                bad_input("a partner's secret was given without the partner's name")
                    .fix("give the name as `partner`, or leave the partner's secret out"),
            );
        }
        (None, false) => {}
    }
    let mut passphrase = None;
    match (secrets.passphrase, plan.needs_passphrase()) {
        (Some(given), true) => {
            check_passphrase(&given)?;
            if plan.passphrase_slots().is_empty() {
                check_ends(&given)?;
                objects.insert("passphrase", Read::Data(given));
            } else {
                passphrase = Some(given);
            }
        }
        (None, true) => {
            return Err(bad_input(format!(
                "{} wants a passphrase beside the secret",
                plan.exchange()
            ))
            .fix("give it as `passphrase`, beside the secret"));
        }
        (Some(_), false) => {
            return Err(bad_input(format!(
                "{} has no passphrase, and one was given",
                plan.exchange()
            ))
            .fix("leave the passphrase out"));
        }
        (None, false) => {}
    }
    Ok(AllRead {
        objects,
        passphrase,
        warnings,
    })
}

/// One key in the form in which it goes to the token; its text is wiped.
fn read_key(plan: &Plan, text: Option<Secret>, warnings: &mut Vec<String>) -> Result<Read> {
    match (plan.algorithm(), text) {
        (Algorithm::Signature(algorithm), None) => Ok(Read::Made(algorithm)),
        (Algorithm::Signature(_), Some(text)) => {
            let key = read_private(plan, &text)?;
            warnings.extend(key.chosen().and_then(weakness));
            Ok(Read::Private(key))
        }
        (Algorithm::Mac(algorithm), Some(text)) => {
            let (decoded, more) = match plan.scheme() {
                Some(scheme) => scheme.kind(Some(plan.algorithm()))?.read_secret(&text)?,
                None => (read_generic(&text, plan.encoding())?, Vec::new()),
            };
            drop(text);
            warnings.extend(more);
            warnings.extend(weakness(decoded.expose()));
            BlockKey::new(algorithm, &decoded).map(Read::Mac)
        }
        (Algorithm::Mac(_), None) => Err(bad_input("the secret is missing")),
    }
}

fn read_private(plan: &Plan, text: &Secret) -> Result<PrivateKey> {
    let kind = plan
        .kind()
        .ok_or_else(|| bad_input("a generic key makes MACs, and needs no private key"))?;
    let key = kind.read_private(text)?;
    match plan.api_key() {
        Some(api_key) if !kind.may_be_known_as(api_key, key.public_key()) => Err(bad_input(format!(
            "the API key of {} is the public key itself, and what was given is not this key's",
            plan.exchange()
        ))
        .fix("leave the API key out, or see that the secret belongs to it")),
        _ => Ok(key),
    }
}

fn read_generic(text: &Secret, encoding: Option<&str>) -> Result<Secret> {
    let bytes = text.expose();
    if bytes
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    {
        return Err(bad_input("the secret has a blank or control character in it")
            .fix("give the secret alone, without quotes or blanks around it"));
    }
    match encoding.unwrap_or("ascii") {
        "ascii" => text.duplicate(),
        "base64" => text.decode_base64(),
        "hex" => {
            let mut decoded = Secret::with_capacity(bytes.len() / 2 + 1)?;
            let len = base16ct::mixed::decode(bytes, decoded.spare_mut())
                .map_err(|_| bad_input("the secret is not hex"))?
                .len();
            decoded.grow(len);
            Ok(decoded)
        }
        other => Err(bad_input(format!("there is no encoding {other:?}")).fix("use ascii, base64 or hex")),
    }
}

/// Blanks at the ends of a header's value are cut off on its way, so that such a passphrase never arrives.
fn check_ends(passphrase: &Secret) -> Result<()> {
    let ends = [passphrase.expose().first(), passphrase.expose().last()];
    if ends.contains(&Some(&b' ')) {
        return Err(
            bad_input("the passphrase begins or ends with a blank, which no request can carry")
                .fix("copy it again without the blanks around it"),
        );
    }
    Ok(())
}

fn check_passphrase(passphrase: &Secret) -> Result<()> {
    let bytes = passphrase.expose();
    if bytes.is_empty() {
        return Err(bad_input("the passphrase is empty"));
    }
    if bytes.len() > 1024 || bytes.iter().any(|byte| !(0x20..0x7f).contains(byte)) {
        return Err(
            bad_input("the passphrase has characters that cannot stand in a request")
                .fix("give it as the exchange has it: printable ASCII, at most 1024 characters"),
        );
    }
    Ok(())
}
