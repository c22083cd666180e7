//! The certificate by which a YubiKey says that a key was made on it (Yubico, PIV attestation): X.509 (RFC 5280), read no
//! further than to compare the public key and check the signature.

use base64ct::Encoding as _;

use super::answers::r_and_s;
use crate::{
    algorithm::SignatureAlgorithm,
    error::{Result, failed},
    public_key::PublicKey,
};

const SEQUENCE: u8 = 0x30;
const BITS: u8 = 0x03;
const VERSION: u8 = 0xa0;

/// A key's attestation: the slot's certificate, and that of the key that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The slot's certificate, DER.
    pub certificate: Vec<u8>,
    /// The certificate of the YubiKey's attestation key, DER.
    pub issuer: Vec<u8>,
}

impl Attestation {
    /// Checks that it is of this public key, and signed by the issuer's key.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, public: &PublicKey) -> Result<()> {
        let wrong = |why: &str| failed(format!("the YubiKey's attestation of the new key is {why}"));
        let certificate = Certificate::parse(&self.certificate).ok_or_else(|| wrong("no certificate"))?;
        let issuer =
            Certificate::parse(&self.issuer).ok_or_else(|| wrong("signed by what is no certificate"))?;
        if certificate.key != public.as_der() {
            return Err(wrong("of another key"));
        }
        let signer =
            PublicKey::from_der(issuer.key).ok_or_else(|| wrong("signed by a key of no known kind"))?;
        let signature = match signer.algorithm() {
            SignatureAlgorithm::P256 => r_and_s(certificate.signature).unwrap_or_default(),
            _ => certificate.signature.to_vec(),
        };
        if signer.verifies(certificate.signed, &signature) {
            return Ok(());
        }
        Err(wrong("not signed by its attestation key"))
    }

    /// Both as PEM, the slot's first.
    pub fn pem(&self) -> String {
        [&self.certificate, &self.issuer].map(|der| pem(der)).concat()
    }
}

fn pem(der: &[u8]) -> String {
    let text = base64ct::Base64::encode_string(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// What is looked at in a certificate.
struct Certificate<'a> {
    /// What is signed, as it stands.
    signed: &'a [u8],
    /// SubjectPublicKeyInfo, as it stands.
    key: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Certificate<'a> {
    fn parse(der: &'a [u8]) -> Option<Self> {
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
        // Version, serial number, algorithm, issuer, validity, subject, and the key.
        let mut fields = signed.value;
        if fields.first() == Some(&VERSION) {
            fields = element(fields, VERSION)?.1;
        }
        for tag in [0x02, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            fields = element(fields, tag)?.1;
        }
        Some(Self {
            signed: signed.whole,
            key: element(fields, SEQUENCE)?.0.whole,
            // No bits are left over in its last byte.
            signature: signature.value.strip_prefix(&[0])?,
        })
    }
}

struct Element<'a> {
    whole: &'a [u8],
    value: &'a [u8],
}

/// The first element, which must have this tag, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (header, len) = match der.get(1..)? {
        [0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        [0x81, len, ..] => (3, usize::from(*len)),
        [len @ 0..=0x7f, ..] => (2, usize::from(*len)),
        _ => return None,
    };
    let (whole, rest) = der.split_at_checked(header + len)?;
    (der[0] == tag).then_some((
        Element {
            whole,
            value: &whole[header..],
        },
        rest,
    ))
}

/// The certificate in a PIV object of one: the DER behind tag 70.
pub(super) fn in_object(data: &[u8]) -> Option<Vec<u8>> {
    let mut items = crate::token::yubikey::tlv::items(data).map_while(std::result::Result::ok);
    items
        .find(|(tag, _)| *tag == 0x70)
        .map(|(_, certificate)| certificate.to_vec())
}
