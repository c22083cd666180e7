//! The key pairs of a virtual card, and the certificate by which it says that it made one.

use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use hsmsign::{
    private_key::{Numbers, PrivateKey},
    public_key::PublicKey,
    secret::Secret,
};
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, PublicKeyData};

use super::tlv::{find, tlv};

/// A card makes RSA keys slowly; this one takes those of the tests.
const RSA: [(u8, &str); 3] = [
    (0x07, include_str!("../data/keys/rsa2048.pem")),
    (0x05, include_str!("../data/keys/rsa3072.pem")),
    (0x16, include_str!("../data/keys/rsa4096.pem")),
];

/// A private key.
pub enum Pair {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(p256::ecdsa::SigningKey),
    Rsa(u8, PrivateKey),
}

fn rsa(algorithm: u8) -> Option<PrivateKey> {
    let (_, pem) = RSA.iter().find(|(number, _)| *number == algorithm)?;
    let text = Secret::take(&mut pem.as_bytes().to_vec()).ok()?;
    PrivateKey::read(&text, false).ok()
}

impl Pair {
    pub fn generate(algorithm: u8) -> Option<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        match algorithm {
            0xe0 => Some(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(
                &seed,
            )))),
            0x11 => p256::ecdsa::SigningKey::from_slice(&seed).ok().map(Self::P256),
            _ => rsa(algorithm).map(|key| Self::Rsa(algorithm, key)),
        }
    }

    /// From the parts that the command brings; of RSA only the tests' own keys are known by their primes.
    pub fn import(algorithm: u8, data: &[u8]) -> Option<Self> {
        match algorithm {
            0xe0 => {
                let seed = find(data, 0x07)?.try_into().ok()?;
                Some(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(
                    &seed,
                ))))
            }
            0x11 => p256::ecdsa::SigningKey::from_slice(find(data, 0x06)?)
                .ok()
                .map(Self::P256),
            _ => {
                let key = rsa(algorithm)?;
                let Ok(Numbers::Rsa(numbers)) = key.numbers() else {
                    return None;
                };
                let parts = [
                    (1, numbers.prime1.as_bytes()),
                    (2, numbers.prime2.as_bytes()),
                    (3, numbers.exponent1.as_bytes()),
                    (4, numbers.exponent2.as_bytes()),
                    (5, numbers.coefficient.as_bytes()),
                ];
                let len = numbers.modulus.as_bytes().len() / 2;
                let fits = |(tag, part): &(u8, &[u8])| {
                    find(data, *tag).is_some_and(|given| given.len() == len && given.ends_with(part))
                };
                let all = parts.iter().all(fits);
                drop(numbers);
                all.then_some(Self::Rsa(algorithm, key))
            }
        }
    }

    pub fn algorithm(&self) -> u8 {
        match self {
            Self::Ed25519(_) => 0xe0,
            Self::P256(_) => 0x11,
            Self::Rsa(algorithm, _) => *algorithm,
        }
    }

    /// The public half as the applet writes it.
    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => tlv(0x86, key.verifying_key().as_bytes()),
            Self::P256(key) => tlv(0x86, key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::Rsa(_, key) => match key.numbers() {
                Ok(Numbers::Rsa(numbers)) => [
                    tlv(0x81, numbers.modulus.as_bytes()),
                    tlv(0x82, numbers.public_exponent.as_bytes()),
                ]
                .concat(),
                _ => Vec::new(),
            },
        }
    }

    fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Ed25519(key) => PublicKey::ed25519(key.verifying_key().as_bytes()),
            Self::P256(key) => PublicKey::p256(key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::Rsa(_, key) => Some(key.public_key().clone()),
        }
    }

    /// A message for Ed25519, a hash for P-256, a padded block for RSA.
    pub fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signer::sign(key.as_ref(), input);
                Some(signature.to_bytes().to_vec())
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(input).ok()?;
                let (r, s) = signature.split_bytes();
                Some(tlv(0x30, &[integer(&r), integer(&s)].concat()))
            }
            Self::Rsa(_, key) => {
                let Ok(Numbers::Rsa(numbers)) = key.numbers() else {
                    return None;
                };
                let modulus = numbers.modulus.as_bytes();
                if input.len() != modulus.len() {
                    return None;
                }
                let size = u32::try_from(modulus.len() * 8).ok()?;
                let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, size).ok();
                let n = Option::<Odd<BoxedUint>>::from(Odd::new(number(modulus)?))?;
                let base = BoxedMontyForm::new(number(input)?, &BoxedMontyParams::new_vartime(n));
                let power = base.pow(&number(numbers.private_exponent.as_bytes())?);
                Some(power.retrieve().to_be_bytes().to_vec())
            }
        }
    }
}

fn integer(number: &[u8]) -> Vec<u8> {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    let sign = if number.first().is_none_or(|first| *first >= 0x80) {
        &[0][..]
    } else {
        &[]
    };
    tlv(0x02, &[sign, number].concat())
}

/// What a card attests its keys with, and how that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attests {
    /// A chain that is sound, up to a root of its own.
    Soundly,
    /// The card's certificate names Yubico's root, which did not sign it.
    AsYubico,
    /// The card's certificate ended.
    Expired,
    /// The card's certificate may sign no other.
    ByALeaf,
    /// Each certificate is of another card.
    OfAnother,
    /// Each certificate is of another key than the slot's.
    OfAnotherKey,
    /// Each certificate is signed by another key than the card's.
    ByAnotherKey,
    /// Not at all.
    Never,
}

/// The key that signs attestations. The real one is RSA; what matters is that it is another.
pub struct Attester {
    how: Attests,
    serial: Option<u32>,
    key: KeyPair,
    device: CertificateParams,
    certificate: Vec<u8>,
    root: String,
}

impl Attester {
    pub fn new(how: Attests, serial: Option<u32>) -> Self {
        let name = match how {
            Attests::AsYubico => "Yubico PIV Root CA Serial 263751",
            _ => "Virtual Root",
        };
        let (root, device) = (authority(name), {
            let mut device = authority("Virtual PIV Attestation");
            match how {
                Attests::Expired => device.not_after = rcgen::date_time_ymd(2020, 2, 3),
                Attests::ByALeaf => device.is_ca = IsCa::NoCa,
                _ => {}
            }
            device
        });
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let signer = Issuer::new(root.clone(), &root_key);
        let certificate = device.signed_by(&key, &signer).unwrap().der().to_vec();
        Self {
            how,
            serial,
            certificate,
            root: root.self_signed(&root_key).unwrap().pem(),
            key,
            device,
        }
    }

    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its root, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    pub fn attest(&self, pair: &Pair, slot: u8) -> Option<Vec<u8>> {
        let other = KeyPair::generate().unwrap();
        let issuer = Issuer::new(
            self.device.clone(),
            if self.how == Attests::ByAnotherKey {
                &other
            } else {
                &self.key
            },
        );
        let mut leaf = named(&format!("YubiKey PIV Attestation {slot:02x}"));
        let serial = match self.how {
            Attests::Never => return None,
            Attests::OfAnother => Some(self.serial? + 1),
            _ => self.serial,
        };
        if let Some(serial) = serial {
            let oid = &[1, 3, 6, 1, 4, 1, 41482, 3, 7];
            let extension = CustomExtension::from_oid_content(oid, integer(&serial.to_be_bytes()));
            leaf.custom_extensions.push(extension);
        }
        let certificate = match self.how {
            Attests::OfAnotherKey => leaf.signed_by(&other, &issuer),
            _ => leaf.signed_by(&Subject::of(pair)?, &issuer),
        };
        Some(certificate.ok()?.der().to_vec())
    }
}

/// A public key as the certificate's maker wants it: the bits of SubjectPublicKeyInfo, and what they are.
struct Subject(Vec<u8>, &'static rcgen::SignatureAlgorithm);

impl Subject {
    fn of(pair: &Pair) -> Option<Self> {
        let (before, algorithm) = match pair {
            Pair::Ed25519(_) => (12, &rcgen::PKCS_ED25519),
            Pair::P256(_) => (26, &rcgen::PKCS_ECDSA_P256_SHA256),
            Pair::Rsa(..) => (24, &rcgen::PKCS_RSA_SHA256),
        };
        Some(Self(
            pair.public_key()?.as_der().get(before..)?.to_vec(),
            algorithm,
        ))
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.1
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = rcgen::DnValue::Utf8String(name.to_owned());
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
