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
        assert_eq!(objects(&place), 0, "nothing is left");
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

const ED25519: &str = include_str!("data/keys/ed25519.pem");
const RSA2048: &str = include_str!("data/keys/rsa2048.pem");
const RSA3072: &str = include_str!("data/keys/rsa3072.pem");
const P256: &str = include_str!("data/keys/p256.pem");

fn import(algorithm: &str) -> Vec<&str> {
    vec![
        "import",
        "-e",
        "binance",
        "-k",
        "k",
        "--api-key",
        "a",
        "--algorithm",
        algorithm,
    ]
}

#[test]
fn a_pem_block_is_read_from_standard_input_however_its_lines_end() {
    let Some(place) = Place::with_token() else { return };
    for (pem, algorithm) in [
        (ED25519.to_owned(), "ed25519"),
        (ED25519.trim_end().to_owned(), "ed25519"),
        (ED25519.replace('\n', "\r\n"), "ed25519"),
        (ED25519.replace('\n', "\\n"), "ed25519"),
        (ED25519.replace('\n', "\\n") + "\n", "ed25519"),
        (RSA2048.to_owned(), "rsa2048"),
        (include_str!("data/keys/rsa2048-pkcs1.pem").to_owned(), "rsa2048"),
        (RSA3072.to_owned(), "rsa3072"),
        (include_str!("data/keys/rsa4096.pem").to_owned(), "rsa4096"),
    ] {
        let done = place.run(&import(algorithm), &pem);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains("not-extractable"), "{done:?}");
        let shown = place.json(&["show", "k", "--json"]);
        assert_eq!(shown["current"]["generated"], false);
        let public = spki(&format!("{}\n", shown["public_key"].as_str().unwrap()));
        let (message, signature) = parts(&place.json(&ACCOUNT));
        verify::check(algorithm_named(algorithm), &public, &message, &signature);
        place.ok(&["test", "k"]);
        place.ok(&["remove", "k", "--yes"]);
        assert_eq!(objects(&place), 0);
    }
}

fn algorithm_named(name: &str) -> SignatureAlgorithm {
    SignatureAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
        .unwrap()
}

#[test]
fn a_line_of_import_takes_a_pem_or_the_exchanges_own_form() {
    let Some(place) = Place::with_token() else { return };
    let seed = "GQbxX/rMtItFvVzEaQeOY/lMUVSFWbQ1oo1IRodVlpc=";
    let line = |key: &str, secret: &str| serde_json::json!({"exchange": "binance", "key": key, "api_key": "a", "algorithm": "ed25519", "secret": secret});
    let lines = format!("{}\n{}\n", line("pem", ED25519), line("seed", seed));
    let done = place.run(&["import", "--json"], &lines);
    assert_eq!(done.code, 0, "{done:?}");
    let public: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["public_key"].clone())
        .collect();
    assert_eq!(public, [include_str!("data/keys/ed25519.pub").trim_end(); 2]);
}

#[test]
fn a_key_of_another_kind_than_was_said_is_refused_and_nothing_is_left() {
    let Some(place) = Place::with_token() else { return };
    for (algorithm, secret, words) in [
        (
            "ed25519",
            RSA2048,
            "is for rsa2048, and this key is to be ed25519",
        ),
        (
            "rsa2048",
            RSA3072,
            "is for rsa3072, and this key is to be rsa2048",
        ),
        ("ed25519", P256, "is for p256"),
        ("hmac-sha256", ED25519, "is an ed25519 private key"),
        ("rsa2048", include_str!("data/keys/rsa1024.pem"), "1024 bits"),
        ("ed25519", include_str!("data/keys/ed448.pem"), "Ed448"),
        ("ed25519", include_str!("data/keys/encrypted.pem"), "encrypted"),
        ("ed25519", include_str!("data/keys/ed25519.pub"), "a public key"),
        ("ed25519", "not a key at all", "neither a PEM block nor base64"),
        ("rsa2048", include_str!("data/keys/rsa2048-two-halves.pem"), ""),
    ] {
        let done = place.run(&import(algorithm), secret);
        assert!(done.code == 5 || (words.is_empty() && done.code == 1), "{done:?}");
        assert!(done.stderr.contains(words), "{words:?}: {done:?}");
        let line = secret.lines().nth(1).unwrap_or(secret);
        assert!(!done.stderr.contains(line), "{done:?}");
        assert_eq!(place.ok(&["list", "--json"]).trim(), "[]");
        assert_eq!(objects(&place), 0);
    }
    let done = place.run(&import("ed25519"), include_str!("data/keys/encrypted.pem"));
    assert!(done.stderr.contains("openssl pkey"), "{done:?}");
    let two = format!("{ED25519}{ED25519}");
    place.refused(&import("ed25519"), &two, 5, "more lines");
    let bag = format!("Bag Attributes\n    localKeyID: 01\n{ED25519}");
    place.refused(
        &import("ed25519"),
        &bag,
        5,
        "give one PEM block and nothing beside it",
    );
}

#[test]
fn an_import_points_out_the_stronger_way_where_there_is_one() {
    let Some(place) = Place::with_token() else { return };
    let done = place.import(&["-e", "binance"], &"a1B2".repeat(16));
    assert!(
        done.stderr
            .contains("hsmsign generate --exchange binance --algorithm ed25519"),
        "{done:?}"
    );
    let done = place.import(&["-e", "kraken"], bench::KRAKEN_SECRET);
    assert!(!done.stderr.contains("generate"), "{done:?}");
}

/// The public key that the key signs with, found out by its signature.
fn signs_with(place: &Place, candidates: &[&str]) -> (usize, String) {
    let answer = place.json(&ACCOUNT);
    let (message, signature) = parts(&answer);
    let own = candidates.iter().position(|pem| {
        PublicKey::from_der(&spki(pem))
            .unwrap()
            .verifies(&message, &signature)
    });
    (
        own.expect("it is one of these"),
        answer["headers"]["X-MBX-APIKEY"].as_str().unwrap().to_owned(),
    )
}

fn generated(place: &Place) -> String {
    place.ok(&[
        "generate",
        "-e",
        "binance",
        "-k",
        "k",
        "--algorithm",
        "ed25519",
        "--api-key",
        "old",
    ])
}

#[test]
fn a_new_key_on_the_token_waits_until_the_exchange_knows_it() {
    let Some(place) = Place::with_token() else { return };
    let old = generated(&place);
    for by in [
        ["rotate", "k", "--api-key", "new"],
        ["set", "k", "--api-key", "new"],
    ] {
        let rotated = place.run(&["rotate", "k"], "");
        assert_eq!(rotated.code, 0, "{rotated:?}");
        let new = rotated.stdout.clone();
        assert_ne!(new, old);
        assert!(rotated.stderr.contains("register its public key"), "{rotated:?}");
        assert_eq!(
            signs_with(&place, &[&old, &new]),
            (0, "old".into()),
            "the old key goes on signing"
        );
        assert!(place.ok(&["show", "k"]).contains(new.trim_end()));
        assert_eq!(
            place.json(&["show", "k", "--json"])["next"]["public_key"],
            new.trim_end()
        );
        assert!(place.ok(&["test", "k"]).contains("not in force yet"));
        place.refused(&["rotate", "k"], "", 5, "waits for its API key");
        place.refused(&["rotate", "k", "--commit"], "", 5, "waits for its API key");
        let done = place.ok(&by);
        assert!(done.contains("--commit"), "{done}");
        assert_eq!(signs_with(&place, &[&old, &new]), (1, "new".into()));
        place.ok(&["rotate", "k", "--undo"]);
        assert_eq!(signs_with(&place, &[&old, &new]), (0, "old".into()));
        assert_eq!(objects(&place), 1, "the old key alone is left");
    }
    let new = place.ok(&["rotate", "k"]);
    place.ok(&["rotate", "k", "--undo"]);
    assert_eq!(objects(&place), 1, "the key that waited is gone");
    assert_eq!(signs_with(&place, &[&old, &new]), (0, "old".into()));
    let new = place.ok(&["rotate", "k"]);
    place.ok(&["rotate", "k", "--api-key", "new"]);
    place.ok(&["rotate", "k", "--commit"]);
    assert_eq!(signs_with(&place, &[&old, &new]), (1, "new".into()));
    assert_eq!(objects(&place), 1, "the old key is gone");
    place.ok(&["rotate", "k"]);
    place.ok(&["remove", "k", "--yes"]);
    assert_eq!(objects(&place), 0, "a key that waits goes with it");
}

#[test]
fn a_new_key_on_the_token_is_in_force_at_once_where_its_api_key_is_known() {
    let Some(place) = Place::with_token() else { return };
    let old = generated(&place);
    let new = place.ok(&["rotate", "k", "--api-key", "new"]);
    assert_eq!(signs_with(&place, &[&old, &new]), (1, "new".into()));
    place.ok(&["rotate", "k", "--undo"]);
    assert_eq!(signs_with(&place, &[&old, &new]), (0, "old".into()));
}

#[test]
fn an_imported_private_key_is_rotated_by_another() {
    let Some(place) = Place::with_token() else { return };
    let done = place.run(&import("rsa2048"), RSA2048);
    assert_eq!(done.code, 0, "{done:?}");
    let old = include_str!("data/keys/rsa2048.pub");
    place.refused(
        &["rotate", "k", "--api-key", "new"],
        RSA3072,
        5,
        "this key is to be rsa2048",
    );
    let halves = include_str!("data/keys/rsa2048-two-halves.pem");
    assert_ne!(place.run(&["rotate", "k"], halves).code, 0);
    assert_eq!(signs_with(&place, &[old]), (0, "a".into()));
    let done = place.run(&["rotate", "k", "--api-key", "new"], RSA2048);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(signs_with(&place, &[old]), (0, "new".into()));
    place.ok(&["rotate", "k", "--commit"]);
    assert_eq!(objects(&place), 1);
}

#[test]
fn backpack_knows_a_key_by_its_public_key() {
    let Some(place) = Place::with_token() else { return };
    let made = place.run(&["generate", "-e", "backpack", "--algorithm", "ed25519"], "");
    assert_eq!(made.code, 0, "{made:?}");
    let public = made.stdout.trim_end();
    let point = Base64::decode_vec(public).unwrap();
    assert_eq!(point.len(), 32);
    let sign = |key: &str| {
        place.json(&[
            "sign",
            key,
            "GET",
            "/api/v1/capital",
            "--timestamp",
            "1700000000000",
        ])
    };
    let answer = sign("backpack");
    assert_eq!(answer["headers"]["X-API-Key"], public);
    let signature = Base64::decode_vec(answer["headers"]["X-Signature"].as_str().unwrap()).unwrap();
    let key = PublicKey::ed25519(&point).unwrap();
    let message = b"instruction=balanceQuery&timestamp=1700000000000&window=5000";
    verify::check(SignatureAlgorithm::Ed25519, key.as_der(), message, &signature);
    assert!(place.ok(&["show", "backpack"]).contains(public));
    place.refused(
        &["set", "backpack", "--api-key", "another"],
        "",
        5,
        "the public key itself",
    );
    place.ok(&["set", "backpack", "--api-key", public]);
    place.refused(
        &[
            "generate",
            "-e",
            "backpack",
            "-k",
            "two",
            "--algorithm",
            "ed25519",
            "--api-key",
            "a",
        ],
        "",
        5,
        "about to make",
    );

    // A new one waits although its API key is known: the exchange must be told first.
    let new = place.ok(&["rotate", "backpack"]);
    assert_eq!(sign("backpack")["headers"]["X-API-Key"], public);
    place.refused(
        &["rotate", "backpack", "--api-key", public],
        "",
        5,
        "the public key itself",
    );
    place.ok(&["rotate", "backpack", "--api-key", new.trim_end()]);
    assert_eq!(sign("backpack")["headers"]["X-API-Key"], new.trim_end());

    // Imported, it is filled in, and compared where it is given.
    let seed = "GQbxX/rMtItFvVzEaQeOY/lMUVSFWbQ1oo1IRodVlpc=";
    let own = "NoKi2B3qbkIpY64cAZnKrr6DBfW7WA4B1dS77uDciB8=";
    let imported = place.run(&["import", "-e", "backpack", "-k", "own"], seed);
    assert_eq!(imported.code, 0, "{imported:?}");
    assert!(!imported.stderr.contains("no API key"), "{imported:?}");
    assert_eq!(sign("own")["headers"]["X-API-Key"], own);
    place.refused(
        &["import", "-e", "backpack", "-k", "other", "--api-key", public],
        seed,
        5,
        "not this key's",
    );
}

#[test]
fn a_key_on_the_token_is_known_to_pacifica_and_orderly_by_its_base58() {
    let Some(place) = Place::with_token() else { return };
    let generate = |exchange: &str| {
        let user = ["--algorithm", "ed25519", "--user-id", "0x5a7f"];
        let made = place.run(&[&["generate", "-e", exchange], &user[..]].concat(), "");
        assert_eq!(made.code, 0, "{made:?}");
        made.stdout.trim_end().to_owned()
    };
    let point = |text: &str| bs58::decode(text).into_vec().unwrap();
    let public = generate("pacifica");
    assert_eq!(point(&public).len(), 32);
    let order = ["sign", "pacifica", "POST", "/api/v1/orders/cancel_all"];
    let answer = place.json(&[&order, &["--data", r#"{"all_symbols":true}"#][..]].concat());
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["agent_wallet"], public);
    let message = format!(
        r#"{{"data":{{"all_symbols":true}},"expiry_window":5000,"timestamp":{},"type":"cancel_all_orders"}}"#,
        body["timestamp"]
    );
    let signature = point(body["signature"].as_str().unwrap());
    let key = PublicKey::ed25519(&point(&public)).unwrap();
    verify::check(
        SignatureAlgorithm::Ed25519,
        key.as_der(),
        message.as_bytes(),
        &signature,
    );

    let public = generate("woofipro");
    let bare = public.strip_prefix("ed25519:").unwrap();
    assert_eq!(point(bare).len(), 32);
    // It may be given without what stands in front, and is sent with it.
    place.ok(&["set", "woofipro", "--api-key", bare]);
    let answer = place.json(&["sign", "woofipro", "GET", "/v1/positions"]);
    assert_eq!(answer["headers"]["orderly-key"], public);
    place.refused(
        &["set", "woofipro", "--api-key", "ed25519:another"],
        "",
        5,
        "the public key itself",
    );
}

#[test]
fn coinbase_issues_its_keys_and_they_are_imported_as_it_shows_them() {
    let Some(place) = Place::with_token() else { return };
    for algorithm in ["p256", "ed25519"] {
        place.refused(
            &["generate", "-e", "coinbase", "--algorithm", algorithm],
            "",
            5,
            "issues its keys itself",
        );
    }
    place.refused(
        &["generate", "-e", "coinbase"],
        "",
        5,
        "import --exchange coinbase",
    );
    let name = "organizations/0/apiKeys/1";
    let import = ["import", "-e", "coinbase", "-k", "p256", "--api-key", name];
    // As it stands in the JSON file, without the quotes.
    let pem = include_str!("data/keys/p256-sec1.pem").replace('\n', "\\n");
    let done = place.run(&import, &pem);
    assert_eq!(done.code, 0, "{done:?}");
    let both = "GQbxX/rMtItFvVzEaQeOY/lMUVSFWbQ1oo1IRodVlpc2gqLYHepuQiljrhwBmcquvoMF9btYDgHV1Lvu4NyIHw==";
    let import = ["import", "-e", "coinbase", "-k", "ed25519", "--api-key", name];
    place.refused(&import, both, 5, "is for ed25519, and this key is to be p256");
    let import = [&import[..], &["--algorithm", "ed25519"]].concat();
    let done = place.run(&import, both);
    assert_eq!(done.code, 0, "{done:?}");
    for (key, pem) in [
        ("p256", include_str!("data/keys/p256-sec1.pub")),
        ("ed25519", include_str!("data/keys/ed25519.pub")),
    ] {
        let answer = place.json(&["sign", key, "GET", "/api/v3/brokerage/accounts?limit=1"]);
        let token = answer["headers"]["Authorization"].as_str().unwrap();
        let (message, signature) = token
            .strip_prefix("Bearer ")
            .and_then(|token| token.rsplit_once('.'))
            .unwrap();
        let signature = base64ct::Base64UrlUnpadded::decode_vec(signature).unwrap();
        verify::check(algorithm_named(key), &spki(pem), message.as_bytes(), &signature);
        let claims = base64ct::Base64UrlUnpadded::decode_vec(message.split_once('.').unwrap().1).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["uri"], "GET api.coinbase.com/api/v3/brokerage/accounts");
        assert_eq!(claims["sub"], name);
        let login = place.json(&["websocket", key]);
        let frame: Value = serde_json::from_str(login["body"].as_str().unwrap()).unwrap();
        assert_eq!(frame["jwt"].as_str().unwrap().split('.').count(), 3);
        place.refused(
            &["sign", key, "POST", "/v2/accounts/1/transactions"],
            "",
            3,
            "not allowed to move money out",
        );
    }
}

#[test]
fn bybit_takes_an_rsa_key_of_the_token_and_refuses_withdrawals_wherever_they_go() {
    let Some(place) = Place::with_token() else { return };
    let made = place.ok(&[
        "generate",
        "-e",
        "bybit",
        "--algorithm",
        "rsa2048",
        "--api-key",
        "KEY",
    ]);
    let public = spki(&made);
    let answer = place.json(&[
        "sign",
        "bybit",
        "GET",
        "/v5/order/realtime?category=spot",
        "--timestamp",
        "1700000000000",
    ]);
    let signature = Base64::decode_vec(answer["headers"]["X-BAPI-SIGN"].as_str().unwrap()).unwrap();
    let message = b"1700000000000KEY5000category=spot";
    verify::check(SignatureAlgorithm::Rsa2048, &public, message, &signature);
    for body in [
        r#"{"coin":"USDT","chain":"ETH","Address":"0x1","amount":"1"}"#,
        r#"{"category":"spot","list":[{"transferId":"1"}]}"#,
        r#"{"category":"spot","toMemberId":1}"#,
    ] {
        place.refused(
            &["sign", "bybit", "POST", "/v5/order/create", "--data", body],
            "",
            3,
            "not allowed to move money out",
        );
    }
    let body = r#"{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"1"}"#;
    place.ok(&["sign", "bybit", "POST", "/v5/order/create", "--data", body]);
}
