//! The same for private keys, whose secret numbers lie between public ones.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    slice,
};

use base64ct::{Base64, Encoding as _};
use pkcs1::der::Decode as _;

use crate::{
    forms::Forms,
    held::{Bench, Memory, go_on},
    import::{nothing, one_copy_of_ours},
    scan::{Find, Search},
};

pub const ED25519: &str = include_str!("../data/keys/ed25519.pem");
const P256: &str = include_str!("../data/keys/p256.pem");
const RSA: &str = include_str!("../data/keys/rsa2048.pem");

/// The bytes of a PEM block.
pub fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Base64::decode_vec(&body).unwrap()
}

/// The secret numbers in a PKCS #8 key, in their order.
pub fn numbers(der: &[u8]) -> Vec<Vec<u8>> {
    if let Ok(info) = pkcs8::PrivateKeyInfoRef::from_der(der)
        && let Ok(key) = pkcs1::RsaPrivateKeyRef::from_der(info.private_key.as_bytes())
    {
        return [
            key.private_exponent,
            key.prime1,
            key.prime2,
            key.exponent1,
            key.exponent2,
            key.coefficient,
        ]
        .map(|number| number.as_bytes().to_vec())
        .to_vec();
    }
    // An octet string of 32 bytes: the seed, or the scalar.
    let begin = der.windows(2).position(|head| head == [4, 32]).unwrap() + 2;
    vec![der[begin..begin + 32].to_vec()]
}

/// An exchange of the user's own, whose keys are on the curve P-256.
const SCHEME: &str = r#"
id = "own"
name = "Own"
hosts = ["own.example.com"]
key = { algorithm = "p256", secret = "pem", encoding = "base64" }
signature = { message = "{body}" }
"#;

#[test]
fn of_a_private_key_being_imported_there_is_one_copy_of_ours_and_then_none() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let schemes = bench.place.home().join("schemes");
    fs::DirBuilder::new().mode(0o700).create(&schemes).unwrap();
    fs::write(schemes.join("own.toml"), SCHEME).unwrap();
    fs::set_permissions(schemes.join("own.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    for (pem, algorithm, exchange) in [
        (ED25519, "ed25519", "binance"),
        (RSA, "rsa2048", "binance"),
        (P256, "p256", "own"),
    ] {
        let der = der(pem);
        let forms = Forms::of_numbers(pem, &der, &numbers(&der));
        let search = Search::new(&forms);
        let mut args = vec!["import", "--exchange", exchange, "--key", algorithm];
        args.extend(["--api-key", "a", "--algorithm", algorithm]);
        let stops = [
            "before C_CreateObject",
            "after C_CreateObject",
            "after C_SignInit",
            "after C_Sign",
        ];
        let mut held = bench.hold(Memory::Plain, &args, &stops);
        // All but the last dash.
        let (begin, end) = pem.trim_end().split_at(pem.trim_end().len() - 1);
        held.feed(begin.as_bytes());
        held.reading();
        one_copy_of_ours(&held, &held.scan(&search), &format!("{algorithm}, being read"));
        held.feed(format!("{end}\n").as_bytes());
        held.feed_end();
        // One object is the public half; which of them is stored first is the module's matter.
        let stop = held.stop_at("before C_CreateObject");
        let ours = one_copy_of_ours(&held, &held.scan(&search), &format!("{algorithm}, {}", stop.at));
        go_on(&stop);
        let stop = held.stop_at("after C_CreateObject");
        assert_eq!(
            held.scan(&search).finds,
            slice::from_ref(&ours),
            "{algorithm}, {}",
            stop.at
        );
        go_on(&stop);
        let stop = held.stop_at("after C_SignInit");
        theirs_beside(&held.scan(&search).finds, Some(&ours), algorithm);
        go_on(&stop);
        let stop = held.stop_at("after C_Sign");
        assert_eq!(held.scan(&search).finds, [ours], "{algorithm}, {}", stop.at);
        go_on(&stop);
        held.answering();
        nothing(&held.scan(&search), &format!("{algorithm}, imported"));
        assert_eq!(bench.files(&search), []);
        let done = held.end();
        assert_eq!(done.code, 0, "{done:?}");

        let mut held = bench.hold(Memory::Plain, &["test", algorithm], &stops);
        let stop = held.stop_at("after C_SignInit");
        theirs_beside(&held.scan(&search).finds, None, algorithm);
        go_on(&stop);
        held.answering();
        nothing(&held.scan(&search), &format!("{algorithm}, used"));
        assert_eq!(held.end().code, 0);
    }
}

/// The module has the key in its heap: each number of it, and for P-256 once more as OpenSSL computes with it.
#[track_caller]
fn theirs_beside(finds: &[Find], ours: Option<&Find>, algorithm: &str) {
    let mut theirs = finds.to_vec();
    theirs.retain(|find| Some(find) != ours);
    let expected = match algorithm {
        "ed25519" => 1,
        "p256" => 2,
        _ => 6,
    };
    assert_eq!(theirs.len(), expected, "{algorithm}: {theirs:#?}");
    assert!(theirs.iter().all(|find| find.place == "[heap]"), "{theirs:#?}");
    assert_eq!(finds.len() - theirs.len(), ours.iter().len(), "{finds:#?}");
}
