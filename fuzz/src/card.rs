//! What a smart card answers: nothing of it panics, and what is read is what was there.

use hsmsign::{
    algorithm::{MacAlgorithm, SignatureAlgorithm},
    token::yubikey::{device, oath::answers, piv, tlv},
};

/// Runs one input: a byte that says what it is the answer to, then the answer.
pub fn run(data: &[u8]) {
    let Some((kind, answer)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => items(answer),
        1 => {
            if let Ok(selected) = answers::Selected::parse(answer) {
                assert!((1..=16).contains(&selected.id.len()));
            }
        }
        2 => {
            for listed in answers::list(answer).unwrap_or_default() {
                assert!((1..=64).contains(&listed.name.len()));
            }
        }
        3 => {
            for algorithm in [MacAlgorithm::HmacSha256, MacAlgorithm::HmacSha512] {
                if let Ok(Some(mac)) = answers::mac(answer, algorithm) {
                    assert_eq!(mac.as_bytes().len(), algorithm.output_len());
                }
            }
            let _ = answers::proof(answer);
        }
        4 => {
            let _ = device::serial_of(answer);
            let _ = piv::Metadata::parse(answer);
        }
        5 => {
            for algorithm in SignatureAlgorithm::ALL {
                if let Ok(key) = piv::public_key(answer, algorithm) {
                    assert_eq!(key.algorithm(), algorithm);
                }
            }
            if let Ok(signature) = piv::r_and_s(answer) {
                assert_eq!(signature.len(), 64);
            }
        }
        6 => {
            if let Ok(index) = piv::slots::read(answer) {
                assert_eq!(piv::slots::read(&piv::slots::write(&index)).unwrap(), index);
            }
        }
        _ => certificates(answer),
    }
}

/// Items end where the next begins, and stop at the first fault.
fn items(answer: &[u8]) {
    let mut left = answer.len();
    let mut over = false;
    for item in tlv::items(answer) {
        assert!(!over, "it goes on behind a fault");
        match item {
            Ok((_, value)) => {
                assert!(value.len() + 2 <= left);
                left -= value.len() + 2;
            }
            Err(_) => over = true,
        }
    }
}

/// An attestation whose two certificates stand one behind the other, of a key that is not theirs.
fn certificates(answer: &[u8]) {
    let (certificate, issuer) = answer.split_at(answer.len() / 2);
    let attestation = piv::Attestation {
        certificate: certificate.to_vec(),
        issuer: issuer.to_vec(),
    };
    let mut point = [0; 32];
    point[0] = 1;
    let key = hsmsign::public_key::PublicKey::ed25519(&point).unwrap();
    assert!(attestation.check(&key).is_err());
    let now = std::time::Duration::from_secs(1_790_000_000);
    let vouched = piv::Roots::default().vouch(&attestation.pem(), &key, "1", now);
    assert!(matches!(vouched, piv::Vouched::Unsound(_)), "{vouched}");
    let _ = attestation.serial();
    assert!(attestation.pem().is_ascii());
}
