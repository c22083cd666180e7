use base64ct::{Base64, Encoding as _};

use super::*;
use crate::{error::Code, public_key::PublicForm};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../softhsm-tests/data/keys/", $name))
    };
}

fn read(text: &str) -> Result<PrivateKey> {
    PrivateKey::read(&Secret::take(&mut text.as_bytes().to_vec()).unwrap(), false)
}

fn refused(text: &str, words: &str) {
    let error = read(text).unwrap_err();
    assert_eq!(error.code(), Code::BadInput);
    assert!(error.message().contains(words), "{words:?}: {error}");
    assert!(error.remedy().is_some(), "{error}");
}

/// Each with the public key that OpenSSL derives.
const TAKEN: [(&str, &str, SignatureAlgorithm); 9] = [
    (
        file!("ed25519.pem"),
        file!("ed25519.pub"),
        SignatureAlgorithm::Ed25519,
    ),
    (
        file!("ed25519-v2.pem"),
        file!("ed25519.pub"),
        SignatureAlgorithm::Ed25519,
    ),
    (file!("p256.pem"), file!("p256.pub"), SignatureAlgorithm::P256),
    (
        file!("p256-sec1.pem"),
        file!("p256-sec1.pub"),
        SignatureAlgorithm::P256,
    ),
    (
        file!("p256-parameters.pem"),
        file!("p256-parameters.pub"),
        SignatureAlgorithm::P256,
    ),
    (
        file!("rsa2048.pem"),
        file!("rsa2048.pub"),
        SignatureAlgorithm::Rsa2048,
    ),
    (
        file!("rsa2048-pkcs1.pem"),
        file!("rsa2048-pkcs1.pub"),
        SignatureAlgorithm::Rsa2048,
    ),
    (
        file!("rsa3072.pem"),
        file!("rsa3072.pub"),
        SignatureAlgorithm::Rsa3072,
    ),
    (
        file!("rsa4096.pem"),
        file!("rsa4096.pub"),
        SignatureAlgorithm::Rsa4096,
    ),
];

#[test]
fn every_kind_of_pem_gives_the_public_key_that_openssl_derives() {
    for (pem, public, algorithm) in TAKEN {
        let key = read(pem).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.public_key().text(PublicForm::Pem), public.trim_end());
    }
}

#[test]
fn a_pem_block_may_be_written_as_people_and_files_write_it() {
    for (pem, public, _) in TAKEN {
        let body: Vec<&str> = pem.lines().collect();
        let wide = body
            .join("")
            .replace("KEY----------BEGIN", "KEY-----\n-----BEGIN");
        for text in [
            pem.trim_end().to_owned(),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', " \n\t"),
            format!("\n  {pem}\n\n"),
            wide,
        ] {
            let key = read(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(key.public_key().text(PublicForm::Pem), public.trim_end());
        }
    }
}

#[test]
fn what_stands_between_the_lines_of_a_pem_is_read_alone() {
    // The parameters are a block of their own.
    for (pem, public, _) in TAKEN.iter().filter(|(pem, ..)| !pem.contains("PARAMETERS")) {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = read(&body).unwrap_or_else(|error| panic!("{error}: {pem}"));
        assert_eq!(key.public_key().text(PublicForm::Pem), public.trim_end());
        refused(
            &Base64::encode_string(&Base64::decode_vec(&body).unwrap()[1..]),
            "bytes",
        );
    }
    for (pem, words) in [
        (file!("p384-sec1.pem"), "P-384"),
        (file!("ed448.pem"), "Ed448"),
        (file!("rsa1024.pem"), "1024 bits"),
        (file!("ed25519-mismatch.pem"), "do not belong together"),
    ] {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        refused(&body, words);
    }
}

#[test]
fn a_seed_is_read_in_the_forms_of_exchanges() {
    let wanted = read(file!("ed25519.pem")).unwrap();
    let seed = wanted.chosen().unwrap();
    let both = [seed, wanted.public_key().raw()].concat();
    for bytes in [seed, &both] {
        let mut room = [0; 100];
        let len = bs58::encode(bytes).onto(&mut room[..]).unwrap();
        let base58 = String::from_utf8(room[..len].to_vec()).unwrap();
        for text in [Base64::encode_string(bytes), format!("ed25519:{base58}")] {
            assert_eq!(read(&text).unwrap().public_key(), wanted.public_key());
        }
        let text = Secret::take(&mut base58.into_bytes()).unwrap();
        let key = PrivateKey::read(&text, true).unwrap();
        assert_eq!(key.public_key(), wanted.public_key());
    }
    let mut mixed = both;
    mixed[40] ^= 1;
    refused(&Base64::encode_string(&mixed), "do not belong together");
    refused(&Base64::encode_string(&[1; 33]), "33 bytes");
    refused("ed25519:0OIl", "base58");
    refused("", "has 0 bytes");
}

#[test]
fn each_fault_of_a_pem_has_its_own_words_and_shows_nothing() {
    let pem = file!("p256.pem");
    let lines: Vec<&str> = pem.lines().collect();
    for (text, words) in [
        (file!("encrypted.pem").to_owned(), "is encrypted"),
        (file!("encrypted-traditional.pem").to_owned(), "is encrypted"),
        (file!("secp256k1.pem").to_owned(), "secp256k1"),
        (file!("p384-sec1.pem").to_owned(), "P-384"),
        (file!("ed448.pem").to_owned(), "Ed448"),
        (file!("x25519.pem").to_owned(), "X25519"),
        (file!("rsa1024.pem").to_owned(), "1024 bits"),
        (file!("openssh.pem").to_owned(), "OpenSSH"),
        (file!("certificate.pem").to_owned(), "a certificate"),
        (file!("p256.pub").to_owned(), "a public key"),
        (file!("ed25519-mismatch.pem").to_owned(), "do not belong together"),
        (format!("{pem}{pem}"), "behind the private key"),
        (lines[..lines.len() - 1].join("\n"), "not whole"),
        (pem.replace("END PRIVATE", "END EC PRIVATE"), "not whole"),
        (pem.replacen('M', "", 1), "not whole"),
        (pem.replacen("MI", "MJ", 1), "cannot be read"),
        (lines.join("\n").replace("PRIVATE", "ODD"), "something else"),
    ] {
        refused(&text, words);
        let told = format!("{:?}", read(&text).unwrap_err());
        assert!(!told.contains(&lines[1][..16]), "{told}");
    }
    let explicit = read(file!("p256-explicit.pem")).unwrap_err();
    assert!(explicit.message().contains("cannot be read"), "{explicit}");
}

#[test]
fn no_cut_and_no_changed_bit_makes_it_panic() {
    for pem in [file!("p256-sec1.pem"), file!("ed25519-v2.pem")] {
        for end in 0..pem.len() {
            let _ = read(&pem[..end]);
        }
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = Base64::decode_vec(&body).unwrap();
        let (begin, end) = (pem.lines().next().unwrap(), pem.lines().last().unwrap());
        for at in 0..der.len() * 8 {
            let mut changed = der.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let _ = read(&format!("{begin}\n{}\n{end}\n", Base64::encode_string(&changed)));
        }
    }
}

#[test]
fn software_signs_so_that_the_public_key_verifies() {
    for (pem, ..) in TAKEN {
        let key = read(pem).unwrap();
        let signature = key.sign_in_software(b"message").unwrap();
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"massage", &signature));
    }
}

#[test]
fn a_key_does_not_print_itself() {
    let key = read(file!("ed25519.pem")).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(ed25519, …)");
}
