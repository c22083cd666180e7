//! What a YubiKey says of a key that was made on it (Yubico, PIV attestation): a certificate of the key, signed by the
//! YubiKey's own attestation key, and that key's certificate.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::x509::Certificate;
use crate::{
    error::{Result, failed},
    public_key::{PublicKey, pem},
};

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
        match certificate.is_signed_by(&issuer) {
            Some(true) => Ok(()),
            Some(false) => Err(wrong("not signed by its attestation key")),
            None => Err(wrong("signed by a key of no known kind")),
        }
    }

    /// The serial number of the YubiKey that it is of, in decimal; none where it names none.
    pub fn serial(&self) -> Option<String> {
        Certificate::parse(&self.certificate)?.serial()
    }

    /// Both as PEM, the slot's first.
    pub fn pem(&self) -> String {
        [&self.certificate, &self.issuer]
            .map(|der| pem("CERTIFICATE", der) + "\n")
            .concat()
    }

    /// What [`Attestation::pem`] wrote; none where it is not that.
    pub fn from_pem(text: &str) -> Option<Self> {
        match <[Vec<u8>; 2]>::try_from(certificates(text)?) {
            Ok([certificate, issuer]) => Some(Self { certificate, issuer }),
            Err(_) => None,
        }
    }
}

/// The certificates in a text (RFC 7468), DER; what stands between them is skipped. None where one is damaged.
pub(super) fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let each = CertificateDer::pem_slice_iter(text.as_bytes()).map(|read| {
        let der = read.ok()?.to_vec();
        Certificate::parse(&der).is_some().then_some(der)
    });
    each.collect()
}

/// The certificate in a PIV object of one: the DER behind tag 70.
pub(super) fn in_object(data: &[u8]) -> Option<Vec<u8>> {
    let mut items = crate::token::yubikey::tlv::items(data).map_while(std::result::Result::ok);
    items
        .find(|(tag, _)| *tag == 0x70)
        .map(|(_, certificate)| certificate.to_vec())
}
