//! Keys with a public half on a real token: made there, registered, used.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
#[path = "suite/verify.rs"]
mod verify;

use base64ct::{Base64, Encoding as _};
use bench::Place;
use hsmsign::{algorithm::SignatureAlgorithm, public_key::PublicKey};
use serde_json::Value;

/// The bytes of a PEM block, in which nothing else may stand.
fn spki(pem: &str) -> Vec<u8> {
    let body = pem
        .strip_prefix("-----BEGIN PUBLIC KEY-----\n")
        .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----\n"))
        .unwrap_or_else(|| panic!("standard output is the PEM block alone: {pem}"));
    Base64::decode_vec(&body.replace('\n', "")).unwrap()
}

/// A signed Binance request's message and signature.
fn parts(answer: &Value) -> (Vec<u8>, Vec<u8>) {
    let url = answer["url"].as_str().unwrap();
    let query = url.split_once('?').unwrap().1;
    let (message, signature) = query.split_once("&signature=").unwrap();
    let signature = percent_decode(signature);
    (
        message.as_bytes().to_vec(),
        Base64::decode_vec(&signature).unwrap(),
    )
}

fn percent_decode(text: &str) -> String {
    ["%2B=+", "%2F=/", "%3D=="]
        .iter()
        .fold(text.to_owned(), |text, pair| text.replace(&pair[..3], &pair[4..]))
}

/// How many objects SoftHSM keeps.
fn objects(place: &Place) -> usize {
    let tokens = std::fs::read_dir(place.token_folder()).unwrap();
    let folders = tokens.filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok());
    let names = folders.flatten().map(|file| file.unwrap().file_name());
    names
        .filter(|name| {
            let name = name.to_str().unwrap();
            name.ends_with(".object") && name != "token.object"
        })
        .count()
}

const ACCOUNT: [&str; 4] = ["sign", "k", "GET", "/api/v3/account"];

#[test]
fn a_key_made_on_the_token_signs_as_its_printed_public_key_wants_it() {
    let Some(place) = Place::with_token() else { return };
    for (name, algorithm) in [
        ("ed25519", SignatureAlgorithm::Ed25519),
        ("rsa2048", SignatureAlgorithm::Rsa2048),
    ] {
        let made = place.run(
            &[
                "generate",
                "--exchange",
                "binance",
                "--algorithm",
                name,
                "--key",
                "k",
            ],
            "",
        );
        assert_eq!(made.code, 0, "{made:?}");
        assert!(
            made.stderr.contains("hsmsign set k --api-key"),
            "it says what comes next: {made:?}"
        );
        assert!(made.stderr.contains("not-extractable"), "{made:?}");
        let public = spki(&made.stdout);
        place.refused(&ACCOUNT, "", 5, "no API key yet");
        place.ok(&["set", "k", "--api-key", "shown-by-the-exchange"]);
        let answer = place.json(&ACCOUNT);
        assert_eq!(answer["headers"]["X-MBX-APIKEY"], "shown-by-the-exchange");
        let (message, signature) = parts(&answer);
        verify::check(algorithm, &public, &message, &signature);
        let own = PublicKey::from_der(&public).unwrap();
        assert!(own.verifies(&message, &signature));
        let shown = place.ok(&["show", "k"]);
        assert!(
            shown.contains(made.stdout.trim_end()) && shown.contains("made on the token"),
            "{shown}"
        );
        let shown = place.json(&["show", "k", "--json"]);
        assert_eq!(shown["public_key"], made.stdout.trim_end());
        assert_eq!(shown["current"]["generated"], true);
        let tested = place.ok(&["test", "k"]);
        assert!(
            tested.contains("signatures of the recorded public key"),
            "{tested}"
        );
        place.ok(&["remove", "k", "--yes"]);
        assert_eq!(objects(&place), 0, "both halves are gone");
    }
}

#[test]
fn generate_answers_in_json() {
    let Some(place) = Place::with_token() else { return };
    let answer = place.json(&[
        "generate",
        "-e",
        "binance",
        "--algorithm",
        "ed25519",
        "--json",
        "--api-key",
        "known",
    ]);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["key"], "binance");
    assert_eq!(answer["algorithm"], "ed25519");
    assert_eq!(answer["api_key"], "known");
    let public = spki(&format!("{}\n", answer["public_key"].as_str().unwrap()));
    assert_eq!(public.len(), 44);
    let again = place.run(
        &["generate", "-e", "binance", "--algorithm", "ed25519", "--json"],
        "",
    );
    assert_eq!(again.code, 5);
    let refusal: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(refusal["error"]["code"], "bad-input");
}

#[test]
fn what_an_exchange_does_not_take_is_not_made() {
    let Some(place) = Place::with_token() else { return };
    let generate = |exchange: &str, algorithm: &str, words: &str| {
        place.refused(
            &["generate", "--exchange", exchange, "--algorithm", algorithm],
            "",
            5,
            words,
        );
    };
    generate("kraken", "ed25519", "issues its keys itself");
    generate("binance", "hmac-sha256", "issues its hmac-sha256 keys itself");
    generate("binance", "p256", "takes no p256 keys");
    generate("generic", "ed25519", "makes MACs");
    generate("nowhere", "ed25519", "no exchange");
    place.refused(&["generate", "--exchange", "binance"], "", 5, "none was named");
    place.refused(
        &[
            "generate",
            "--exchange",
            "binance",
            "--algorithm",
            "ed25519",
            "--allow",
            "raw",
        ],
        "",
        5,
        "make no MACs",
    );
    assert_eq!(place.ok(&["list", "--json"]).trim(), "[]");
}

#[test]
fn a_key_that_signs_makes_no_macs() {
    let Some(place) = Place::with_token() else { return };
    place.ok(&[
        "generate",
        "-e",
        "binance",
        "-k",
        "k",
        "--algorithm",
        "ed25519",
        "--api-key",
        "a",
    ]);
    place.refused(&["hmac", "k"], "message", 5, "no MACs");
}

#[test]
fn a_public_key_that_was_changed_in_the_record_is_found_out() {
    let Some(place) = Place::with_token() else { return };
    for name in ["one", "two"] {
        place.ok(&[
            "generate",
            "-e",
            "binance",
            "-k",
            name,
            "--algorithm",
            "ed25519",
            "--api-key",
            "a",
        ]);
    }
    let path = |name: &str| place.home().join(format!("keys/{name}.json"));
    let public = |name: &str| {
        let record: Value = serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap();
        record["current"]["copies"][0]["objects"]["secret"]["public"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let text = std::fs::read_to_string(path("one")).unwrap();
    std::fs::write(path("one"), text.replace(&public("one"), &public("two"))).unwrap();
    place.refused(&["test", "one"], "", 1, "not one of the recorded public key");
    place.ok(&["test", "two"]);
}
