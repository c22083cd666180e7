//! Certificates (X.509, RFC 5280), read as far as an attestation needs it: whose key, who says so, from when until when.

use super::answers::r_and_s;
use crate::{algorithm::SignatureAlgorithm, public_key::PublicKey, token::yubikey::tlv::split};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// id-ce-basicConstraints.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// Yubico's extension for the YubiKey's serial number, 1.3.6.1.4.1.41482.3.7.
const SERIAL: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xc4, 0x0a, 0x03, 0x07];
/// id-at-commonName.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 64;

/// A certificate.
#[derive(Clone, Copy)]
pub(super) struct Certificate<'a> {
    /// All of it.
    pub der: &'a [u8],
    /// SubjectPublicKeyInfo, as it stands.
    pub key: &'a [u8],
    /// Who signed it, and whose it is, as they stand.
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
    validity: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads one; none where it is not one, or anything stands behind it.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let (whole, rest) = element(der, SEQUENCE)?;
        if !rest.is_empty() {
            return None;
        }
        let (signed, rest) = element(whole.value, SEQUENCE)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (signature, rest) = element(rest, BITS)?;
        if !rest.is_empty() {
            return None;
        }
        // Version, serial number, algorithm, issuer, validity, subject, the key, and what is optional.
        let mut fields = signed.value;
        if fields.first() == Some(&VERSION) {
            fields = element(fields, VERSION)?.1;
        }
        let fields = element(fields, INTEGER)?.1;
        let fields = element(fields, SEQUENCE)?.1;
        let (issuer, fields) = element(fields, SEQUENCE)?;
        let (validity, fields) = element(fields, SEQUENCE)?;
        let (subject, fields) = element(fields, SEQUENCE)?;
        let (key, fields) = element(fields, SEQUENCE)?;
        let extensions = elements(fields).find(|element| element.tag == EXTENSIONS);
        let extensions = match extensions {
            Some(tagged) => element(tagged.value, SEQUENCE)?.0.value,
            None => &[],
        };
        Some(Self {
            der: whole.whole,
            key: key.whole,
            issuer: issuer.whole,
            subject: subject.whole,
            signed: signed.whole,
            // No bits are left over in its last byte.
            signature: signature.value.strip_prefix(&[0])?,
            validity: validity.value,
            extensions,
        })
    }

    /// Whether the key of this certificate signed it, with SHA-256; names are not compared. None where that key is of no
    /// known kind.
    pub fn is_signed_by(&self, issuer: &Certificate<'_>) -> Option<bool> {
        let signer = PublicKey::from_der(issuer.key)?;
        let signature = match signer.algorithm() {
            SignatureAlgorithm::P256 => r_and_s(self.signature).unwrap_or_default(),
            _ => self.signature.to_vec(),
        };
        Some(signer.verifies(self.signed, &signature))
    }

    /// From when until when it is valid, each as `20160314000000` in UTC.
    pub fn validity(&self) -> Option<(String, String)> {
        let mut times = elements(self.validity).map(|time| digits(&time));
        Some((times.next()??, times.next()??))
    }

    /// Whether its key may sign certificates.
    pub fn is_authority(&self) -> bool {
        // cA BOOLEAN DEFAULT FALSE comes first.
        self.extension(BASIC_CONSTRAINTS)
            .and_then(|value| element(value, SEQUENCE))
            .is_some_and(|(constraints, _)| constraints.value.starts_with(&[0x01, 0x01, 0xff]))
    }

    /// The serial number of the YubiKey that it says its key was made on.
    pub fn serial(&self) -> Option<String> {
        let (number, rest) = element(self.extension(SERIAL)?, INTEGER)?;
        if !rest.is_empty() || number.value.is_empty() {
            return None;
        }
        let digits = &number.value[number.value.iter().take_while(|byte| **byte == 0).count()..];
        let mut bytes = [0; 8];
        let at = bytes.len().checked_sub(digits.len())?;
        bytes[at..].copy_from_slice(digits);
        Some(u64::from_be_bytes(bytes).to_string())
    }

    fn extension(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        elements(self.extensions).find_map(|extension| {
            let (oid, rest) = element(extension.value, OID)?;
            let value = elements(rest).find(|element| element.tag == OCTETS)?;
            (oid.value == wanted).then_some(value.value)
        })
    }
}

/// The common name in a name, as far as it can be shown; its hex where it has none.
pub(super) fn common_name(name: &[u8]) -> String {
    let sets = element(name, SEQUENCE).map_or(&[][..], |(name, _)| name.value);
    let found = elements(sets).find_map(|set| {
        let (pair, _) = element(set.value, SEQUENCE)?;
        let (oid, rest) = element(pair.value, OID)?;
        let text = elements(rest).next()?.value;
        (oid.value == COMMON_NAME).then(|| String::from_utf8_lossy(text).into_owned())
    });
    let shown = found.unwrap_or_else(|| base16ct::lower::encode_string(name));
    let printable = |letter: &char| !letter.is_control();
    shown.chars().filter(printable).take(LONGEST_NAME).collect()
}

/// A time with all its digits.
fn digits(time: &Element<'_>) -> Option<String> {
    let text = std::str::from_utf8(time.value).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (time.tag, text.len()) {
        // Two digits of the year stand for 1950 to 2049.
        (UTC_TIME, 12) => Some(format!("{}{text}", if text < "5" { "20" } else { "19" })),
        (GENERALIZED_TIME, 14) => Some(text.to_owned()),
        _ => None,
    }
}

struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    value: &'a [u8],
}

/// The first element, which must have this tag, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    first(der).filter(|(element, _)| element.tag == tag)
}

fn first(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, value, rest) = split(der)?;
    let whole = &der[..der.len() - rest.len()];
    Some((Element { tag, whole, value }, rest))
}

/// One element after the other, as far as they are sound.
fn elements(mut der: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = first(der)?;
        der = rest;
        Some(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_kinds_are_read_with_their_century() {
        let of = |tag, text: &str| {
            digits(&Element {
                tag,
                whole: &[],
                value: text.as_bytes(),
            })
        };
        assert_eq!(of(UTC_TIME, "160314000000Z").unwrap(), "20160314000000");
        assert_eq!(of(UTC_TIME, "500101000000Z").unwrap(), "19500101000000");
        assert_eq!(of(GENERALIZED_TIME, "20520417000000Z").unwrap(), "20520417000000");
        for wrong in ["", "Z", "20520417000000", "2052041700000xZ", "160314000000+0100"] {
            assert_eq!(of(GENERALIZED_TIME, wrong), None, "{wrong}");
            assert_eq!(of(UTC_TIME, wrong), None, "{wrong}");
        }
    }
}
