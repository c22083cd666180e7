//! Signatures checked by OpenSSL, which knows nothing of this crate.

use std::{fs, process::Command};

use hsmsign::algorithm::SignatureAlgorithm;

/// Panics unless `openssl` finds the signature good. Without openssl, says that it was not checked.
pub fn check(algorithm: SignatureAlgorithm, spki: &[u8], message: &[u8], signature: &[u8]) {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!(
            "SKIPPED: openssl is not installed; the {} signature was not checked",
            algorithm.name()
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (key, data) = (file("key", spki), file("data", message));
    let signature = file(
        "signature",
        &if algorithm == SignatureAlgorithm::P256 {
            der(signature)
        } else {
            signature.to_vec()
        },
    );
    let mut openssl = Command::new("openssl");
    if algorithm == SignatureAlgorithm::Ed25519 {
        openssl
            .args([
                "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
            ])
            .arg(key);
        openssl.arg("-in").arg(data).arg("-sigfile").arg(signature);
    } else {
        openssl
            .args(["dgst", "-sha256", "-keyform", "DER", "-verify"])
            .arg(key);
        openssl.arg("-signature").arg(signature).arg(data);
    }
    let output = openssl.output().unwrap();
    assert!(
        output.status.success(),
        "{algorithm:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// r‖s as an ECDSA-Sig-Value (RFC 3279, section 2.2.3).
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes
            .iter()
            .position(|&byte| byte != 0)
            .unwrap_or(bytes.len() - 1);
        let mut number = bytes[start..].to_vec();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [&[0x02, number.len() as u8][..], &number].concat()
    };
    let (r, s) = signature.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8][..], &both].concat()
}
