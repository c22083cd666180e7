//! Who vouches for an attestation: the way from the YubiKey's own certificate up to a root, Yubico's or one of the owner's.
//!
//! Yubico's roots, and the certificates between them and the keys of firmware 5.7.4 and later, are those of
//! <https://developers.yubico.com/PKI/>; a test compares each with the SHA-256 by which it is known.

use std::{fmt, path::Path, time::Duration};

use super::{
    attest::{Attestation, certificates},
    x509::{Certificate, common_name},
};
use crate::{
    error::{Result, bad_input},
    public_key::PublicKey,
};

const YUBICO: &str = include_str!("roots/roots.pem");
const BETWEEN: &str = include_str!("roots/intermediates.pem");
/// How many certificates there may be from the YubiKey's own to a root.
const LONGEST: usize = 6;
/// The largest file of roots that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// What is known of who vouches for a key's having been made on a YubiKey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// One of Yubico's roots, for this very YubiKey.
    Yubico,
    /// A root of the owner's file, of this name.
    Own(String),
    /// Nobody who is known; with the name of who signed the YubiKey's certificate. So it is with a virtual key.
    Unknown(String),
    /// The certificates contradict themselves, or time.
    Unsound(String),
}

impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yubico => f.write_str("attested by Yubico root"),
            Self::Own(name) => write!(f, "attested by a root of attestation-roots, {name:?}"),
            Self::Unknown(_) => f.write_str("attested by an unknown root (virtual or not Yubico)"),
            Self::Unsound(why) => write!(f, "not attested: {why}"),
        }
    }
}

/// The certificates that are believed, and those that lead to them.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    own: Vec<Vec<u8>>,
}

impl Roots {
    /// Yubico's, and those of a file in PEM: a certificate that signed itself is a root of the owner's, any other leads to a
    /// root.
    ///
    /// # Errors
    /// `bad-input` when the file is not named from the root on or cannot be read, or holds no certificate or a damaged one.
    pub fn with_file(path: &Path) -> Result<Self> {
        let wrong = |why: String| {
            bad_input(format!("the attestation-roots {} {why}", path.display()))
                .fix("name a file of certificates in PEM, or leave attestation-roots out of config.toml: Yubico's roots are known without it")
        };
        if !path.is_absolute() {
            return Err(wrong(
                "is not named from the root on, as /etc/ssl/yubikeys.pem".to_owned(),
            ));
        }
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| std::io::Read::read_to_string(&mut std::io::Read::take(file, LIMIT), &mut text))
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        match certificates(&text) {
            Some(own) if !own.is_empty() => Ok(Self { own }),
            Some(_) => Err(wrong("hold no certificate".to_owned())),
            None => Err(wrong("hold a damaged certificate".to_owned())),
        }
    }

    /// Who vouches for this attestation (PEM, as a record has it) of a public key on the YubiKey with this serial number.
    pub fn vouch(&self, attestation: &str, public: &PublicKey, serial: &str, now: Duration) -> Vouched {
        let (yubico, between) = (
            certificates(YUBICO).unwrap_or_default(),
            certificates(BETWEEN).unwrap_or_default(),
        );
        let known = Known {
            yubico: read(&yubico),
            own: read(&self.own),
            between: read(&between),
        };
        known
            .walk(attestation, public, serial, &moment(now))
            .unwrap_or_else(Vouched::Unsound)
    }
}

fn read(ders: &[Vec<u8>]) -> Vec<Certificate<'_>> {
    ders.iter().filter_map(|der| Certificate::parse(der)).collect()
}

struct Known<'a> {
    yubico: Vec<Certificate<'a>>,
    own: Vec<Certificate<'a>>,
    between: Vec<Certificate<'a>>,
}

impl Known<'_> {
    /// The text of an error says what does not fit.
    fn walk(
        &self,
        attestation: &str,
        public: &PublicKey,
        serial: &str,
        now: &str,
    ) -> std::result::Result<Vouched, String> {
        let attestation = Attestation::from_pem(attestation).ok_or("the record holds no two certificates")?;
        attestation
            .check(public)
            .map_err(|error| error.message().to_owned())?;
        let both = Certificate::parse(&attestation.certificate).zip(Certificate::parse(&attestation.issuer));
        let (leaf, device) = both.ok_or("the record holds no two certificates")?;
        let told = leaf.serial();
        if let Some(other) = told.as_deref().filter(|told| *told != serial) {
            return Err(format!("its certificate is of the YubiKey {other}"));
        }
        let mut path = vec![leaf, device];
        while path.len() < LONGEST {
            let Some(&last) = path.last() else { break };
            let signed_it = |candidate: &&Certificate<'_>| {
                candidate.subject == last.issuer && last.is_signed_by(candidate) == Some(true)
            };
            let is_root = |root: &&Certificate<'_>| root.der == last.der || signed_it(root);
            let own_root = |root: &&Certificate<'_>| root.issuer == root.subject && is_root(root);
            let found = match (self.yubico.iter().find(is_root), self.own.iter().find(own_root)) {
                (Some(root), _) => Some((root, Vouched::Yubico)),
                (None, Some(root)) => Some((root, Vouched::Own(common_name(root.subject)))),
                (None, None) => None,
            };
            if let Some((root, vouched)) = found {
                in_time(path.iter().chain([root]), now)?;
                return match vouched {
                    Vouched::Yubico if told.is_none() => Err("its certificate names no YubiKey".to_owned()),
                    vouched => may_sign(&path[1..]).map(|()| vouched),
                };
            }
            let mut others = self.between.iter().chain(&self.own);
            match others.find(signed_it).filter(|other| other.der != last.der) {
                Some(other) => path.push(*other),
                None => {
                    let named = |known: &&Certificate<'_>| known.subject == last.issuer;
                    let mut all = self.yubico.iter().chain(&self.between);
                    let name = common_name(last.issuer);
                    // Its name alone makes nobody Yubico.
                    return match all.find(named) {
                        Some(_) => Err(format!("its certificate names {name:?}, which did not sign it")),
                        None => Ok(Vouched::Unknown(name)),
                    };
                }
            }
        }
        Err("there are too many certificates up to its root".to_owned())
    }
}

/// That each is valid at this time, by its name and date where one is not.
fn in_time<'a>(
    mut path: impl Iterator<Item = &'a Certificate<'a>>,
    now: &str,
) -> std::result::Result<(), String> {
    path.try_for_each(|one| {
        let name = common_name(one.subject);
        let day = |time: &str| format!("{}-{}-{}", &time[..4], &time[4..6], &time[6..8]);
        match one.validity() {
            None => Err(format!("the certificate {name:?} does not say when it is valid")),
            Some((from, _)) if now < from.as_str() => Err(format!(
                "the certificate {name:?} is valid from {} on only",
                day(&from)
            )),
            Some((_, until)) if now > until.as_str() => {
                Err(format!("the certificate {name:?} ended on {}", day(&until)))
            }
            Some(_) => Ok(()),
        }
    })
}

/// That each may sign certificates.
fn may_sign(path: &[Certificate<'_>]) -> std::result::Result<(), String> {
    match path.iter().find(|one| !one.is_authority()) {
        None => Ok(()),
        Some(one) => Err(format!(
            "the certificate {:?} may sign no other",
            common_name(one.subject)
        )),
    }
}

/// A time since 1970 as certificates are compared with it, `20160314000000` in UTC.
fn moment(now: Duration) -> String {
    i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |now| now.strftime("%Y%m%d%H%M%S").to_string())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Of a real YubiKey 4 of this serial number, as the documentation of sigstore's cosign prints it.
    const REAL: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/softhsm-tests/data/yubikey-attestation.pem"
    ));
    const SERIAL: &str = "13078782";
    /// Some day of 2026.
    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn real_key() -> PublicKey {
        let attestation = Attestation::from_pem(REAL).unwrap();
        PublicKey::from_der(Certificate::parse(&attestation.certificate).unwrap().key).unwrap()
    }

    /// The SHA-256 of each as others pinned it, too; those of the first two stand in several programs that check attestations.
    #[test]
    fn the_certificates_that_are_shipped_are_yubicos() {
        let known = [
            "63ece914e54dd87915f34033c85af4c0696ba1512f8add66ced738331207b546",
            "62760c6a6ef91679f454c8902b80fd009825b3f25da90f1fbace2ec6586cd5a8",
            "4698a1d3389c3ec60016c216250f1d0439922832d65142327436376dc2942b55",
            "d4cc3f456fdaf4e7812a21aab1dfe9d8e27d24e2fd2d6f21c9940109f0daa754",
            "6de693f05376f5d8ca29069261e1c8626c75d503bd2edbfd75354cad1f722870",
            "2d55b7998f4e42569d6d8fa382b6dc77d1dacf07358b19701163892922b17052",
        ];
        let (roots, between) = (certificates(YUBICO).unwrap(), certificates(BETWEEN).unwrap());
        let sums: Vec<_> = roots
            .iter()
            .chain(&between)
            .map(|der| base16ct::lower::encode_string(&Sha256::digest(der)))
            .collect();
        assert_eq!(sums, known);
        let (roots, between) = (read(&roots), read(&between));
        for one in &between {
            let issuers = roots
                .iter()
                .chain(&between)
                .filter(|other| other.subject == one.issuer);
            let signed: Vec<_> = issuers.map(|issuer| one.is_signed_by(issuer)).collect();
            assert_eq!(signed, [Some(true)], "{}", common_name(one.subject));
            assert!(one.is_authority());
        }
    }

    #[test]
    fn a_real_yubikey_is_vouched_for_by_yubico_and_by_nothing_less_than_all_of_its_chain() {
        let (roots, key) = (Roots::default(), real_key());
        let vouch = |pem: &str, serial: &str, now: Duration| roots.vouch(pem, &key, serial, now);
        assert_eq!(vouch(REAL, SERIAL, NOW), Vouched::Yubico);
        let unsound = |vouched: Vouched, words: &str| {
            let told = vouched.to_string();
            assert!(
                matches!(vouched, Vouched::Unsound(_)) && told.contains(words),
                "{told}"
            );
        };
        unsound(vouch(REAL, "1", NOW), "of the YubiKey 13078782");
        let year = Duration::from_secs(31_556_952);
        unsound(vouch(REAL, SERIAL, NOW + 26 * year), "ended on 2052-04-17");
        unsound(vouch(REAL, SERIAL, 40 * year), "valid from 2016-03-14 on only");
        let other = PublicKey::ed25519(&[&[1][..], &[0; 31]].concat()).unwrap();
        unsound(roots.vouch(REAL, &other, SERIAL, NOW), "of another key");
        // One byte of either certificate's signature.
        for which in 0..2 {
            let mut attestation = Attestation::from_pem(REAL).unwrap();
            let der = [&mut attestation.certificate, &mut attestation.issuer]
                .into_iter()
                .nth(which);
            *der.unwrap().last_mut().unwrap() ^= 1;
            let words = ["not signed by its attestation key", "which did not sign it"][which];
            unsound(vouch(&attestation.pem(), SERIAL, NOW), words);
        }
        unsound(vouch("", SERIAL, NOW), "no two certificates");
        unsound(vouch(&REAL.repeat(2), SERIAL, NOW), "no two certificates");
    }
}
