//! The road of a trader: a token, an import, requests, through the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN, Place};

#[test]
fn krakens_documented_example_is_signed_on_the_token() {
    let Some(place) = Place::with_kraken() else { return };
    let answer = place.json(&[
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--data",
        KRAKEN_BODY,
    ]);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["url"], "https://api.kraken.com/0/private/AddOrder");
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(answer["headers"]["API-Key"], "example");
    assert_eq!(answer["body"], KRAKEN_BODY);
}

#[test]
fn the_outputs_carry_one_request() {
    let Some(place) = Place::with_kraken() else { return };
    let sign = |form: &str| {
        place.ok(&[
            "sign",
            "kraken",
            "POST",
            "/0/private/AddOrder",
            "--data",
            KRAKEN_BODY,
            "--output",
            form,
        ])
    };
    assert!(sign("headers").contains(&format!("API-Sign: {KRAKEN_SIGN}\n")));
    assert_eq!(sign("url"), "https://api.kraken.com/0/private/AddOrder\n");
    let curl = sign("curl");
    for line in [
        "request = \"POST\"",
        "url = \"https://api.kraken.com/0/private/AddOrder\"",
        &format!("header = \"API-Sign: {KRAKEN_SIGN}\""),
        &format!("data-raw = \"{KRAKEN_BODY}\""),
    ] {
        assert!(curl.lines().any(|other| other == line), "{line}: {curl}");
    }
}

#[test]
fn a_made_nonce_increases_from_one_process_to_the_next() {
    let Some(place) = Place::with_kraken() else { return };
    let nonce = || {
        let answer = place.json(&["sign", "kraken", "POST", "/0/private/Balance"]);
        let body = answer["body"].as_str().unwrap().to_owned();
        body.strip_prefix("nonce=").unwrap().parse::<u64>().unwrap()
    };
    let first = nonce();
    assert!(nonce() > first);
    let above = first + 3_600_000_000;
    place.ok(&["nonce", "kraken", "--set-above", &above.to_string()]);
    assert_eq!(nonce(), above + 1);
    place.refused(
        &["nonce", "kraken", "--set-above", "9999999999999999999"],
        "",
        5,
        "more than a day ahead",
    );
}

#[test]
fn withdrawals_and_raw_macs_are_denied_unless_allowed() {
    let Some(place) = Place::with_kraken() else { return };
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Withdraw"],
        "",
        3,
        "move money out",
    );
    place.refused(&["hmac", "kraken"], "message", 3, "raw");
    place.import(
        &[
            "--exchange",
            "kraken",
            "--key",
            "all",
            "--api-key",
            "a",
            "--allow",
            "withdrawals",
        ],
        KRAKEN_SECRET,
    );
    place.ok(&["sign", "all", "POST", "/0/private/Withdraw"]);
    place.import_raw("raw", "key");
    let mac = place.run(&["hmac", "raw"], "The quick brown fox jumps over the lazy dog");
    assert_eq!(
        mac.stdout.trim(),
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    );
}

#[test]
fn a_raw_mac_that_carries_a_withdrawals_path_wants_both_consents() {
    let Some(place) = Place::with_token() else { return };
    place.import(
        &["--exchange", "kraken", "--api-key", "a", "--allow", "raw"],
        KRAKEN_SECRET,
    );
    place.refused(
        &["hmac", "kraken"],
        "/0/private/Withdraw0123456789abcdef0123456789abcdef",
        3,
        "move money out",
    );
    assert_eq!(place.run(&["hmac", "kraken"], "/0/private/Balance0123").code, 0);
}

#[test]
fn a_rotation_switches_both_and_goes_back() {
    let Some(place) = Place::with_kraken() else { return };
    let sign = || {
        let answer = place.json(&[
            "sign",
            "kraken",
            "POST",
            "/0/private/AddOrder",
            "--data",
            KRAKEN_BODY,
        ]);
        (
            answer["headers"]["API-Key"].to_string(),
            answer["headers"]["API-Sign"].to_string(),
        )
    };
    let old = sign();
    let other = KRAKEN_SECRET.replace("kQH5", "AAAA");
    let done = place.run(&["rotate", "kraken", "--api-key", "new"], &format!("{other}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let new = sign();
    assert_ne!(new.0, old.0);
    assert_ne!(new.1, old.1);
    place.refused(
        &["rotate", "kraken", "--api-key", "newer"],
        "x\n",
        5,
        "neither committed nor undone",
    );
    place.ok(&["rotate", "kraken", "--undo"]);
    assert_eq!(sign(), old);
    place.refused(&["rotate", "kraken", "--undo"], "", 5, "no rotation");
    place.run(&["rotate", "kraken", "--api-key", "new"], &format!("{other}\n"));
    place.ok(&["rotate", "kraken", "--commit"]);
    assert_eq!(sign(), new);
    assert_eq!(
        place.json(&["show", "kraken", "--json"])["previous"],
        serde_json::Value::Null
    );
    place.ok(&["test", "kraken"]);
}

#[test]
fn a_key_that_was_removed_is_gone_from_the_token_too() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["test", "kraken"]);
    place.ok(&["remove", "kraken"]);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        5,
        "no key named kraken",
    );
    let objects = walk(&place.token_folder())
        .into_iter()
        .filter(|name| name.ends_with(".object") && !name.ends_with("token.object"));
    assert_eq!(objects.count(), 0);
    place.import(&["--exchange", "kraken", "--api-key", "example"], KRAKEN_SECRET);
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path.display().to_string()]
            }
        })
        .collect()
}

#[test]
fn a_stream_answers_each_line_in_order_and_goes_on_after_a_bad_one() {
    let Some(place) = Place::with_kraken() else { return };
    let lines = [
        r#"{"id":1,"key":"kraken","method":"POST","path":"/0/private/Balance"}"#,
        r#"{"id":2,"key":"kraken","method":"POST","path":"/0/private/Withdraw"}"#,
        r#"{"id":3"#,
        r#"{"id":4,"key":"none","method":"POST","path":"/0/private/Balance"}"#,
        r#"{"id":5,"key":"kraken","method":"POST","path":"/0/private/Balance","newfield":1}"#,
        "",
        r#"{"id":6,"key":"kraken","method":"POST","path":"/0/private/Balance"}"#,
    ];
    let done = place.run(&["sign", "--json"], &lines.join("\n"));
    assert_eq!(done.code, 1);
    let answers: Vec<serde_json::Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| answer["error"]["code"].as_str().unwrap_or("ok"))
        .collect();
    assert_eq!(
        codes,
        ["ok", "denied", "bad-input", "unknown-key", "bad-input", "ok"]
    );
    assert_eq!(answers[5]["id"], 6);
    assert!(
        answers
            .iter()
            .all(|answer| answer["ok"] == true || answer["error"]["fix"].is_string()),
        "{answers:?}"
    );
}

#[test]
fn passphrases_live_on_the_token_and_stand_in_the_request() {
    let Some(place) = Place::with_token() else { return };
    let import = ["import", "--exchange", "cbpro", "--key", "cb", "--api-key", "k"];
    place.refused(&import, &format!("{KRAKEN_SECRET}\n"), 5, "wants a passphrase");
    let done = place.run(&import, &format!("{KRAKEN_SECRET}\nopen sesame\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let answer = place.json(&["sign", "cb", "GET", "/accounts", "--timestamp", "1700000000"]);
    assert_eq!(answer["headers"]["CB-ACCESS-PASSPHRASE"], "open sesame");
    for file in walk(&place.home()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(11).any(|window| window == b"open sesame"),
            "{file}"
        );
    }
}

#[test]
fn a_backup_restores_the_keys_and_repeats_no_nonce() {
    let Some(place) = Place::with_kraken() else { return };
    let ahead = hsmsign::nonce::now().as_micros() + 3_600_000_000;
    place.ok(&["nonce", "kraken", "--set-above", &ahead.to_string()]);
    place.ok(&["backup", "b.json"]);
    let text = std::fs::read_to_string(place.path().join("b.json")).unwrap();
    assert!(!text.contains(&KRAKEN_SECRET[..20]));
    let nonce = || {
        let answer = place.json(&["sign", "kraken", "POST", "/0/private/Balance"]);
        answer["body"].as_str().unwrap()[6..].parse::<u128>().unwrap()
    };
    let given = nonce();
    // The state is lost, the token is not.
    for folder in ["keys", "nonces"] {
        std::fs::remove_dir_all(place.home().join(folder)).unwrap();
    }
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        5,
        "no key named kraken",
    );
    place.ok(&["restore", "b.json"]);
    assert!(nonce() > given);
    place.ok(&["test", "kraken"]);
}

#[test]
fn a_backup_is_not_restored_beside_another_token_of_that_name() {
    let Some(old) = Place::with_kraken() else { return };
    let Some(new) = Place::with_token() else { return };
    old.ok(&["backup", "b.json"]);
    let backup = old.path().join("b.json");
    let restore = ["restore", backup.to_str().unwrap()];
    new.refused(
        &restore,
        "",
        5,
        "the token softhsm is here already, and is another one",
    );
    assert_eq!(new.json(&["list", "--json"]), serde_json::json!([]));
    assert!(!new.home().join("nonces/kraken").exists());
    new.ok(&["token", "remove", "softhsm"]);
    new.ok(&restore);
    assert!(new.ok(&["list"]).contains("kraken"));
}

#[test]
fn a_rotation_to_the_secret_that_was_there_is_told() {
    let Some(place) = Place::with_kraken() else { return };
    let pem = include_str!("data/keys/rsa2048.pem");
    place.import(
        &["-e", "binance", "--algorithm", "rsa2048", "--api-key", "a"],
        pem,
    );
    let other = KRAKEN_SECRET.replace("kQH5HW", "kQH5HX");
    for (key, secret, same) in [
        ("kraken", KRAKEN_SECRET, true),
        ("kraken", &other, false),
        ("binance", pem, true),
    ] {
        let done = place.run(&["rotate", key, "--api-key", "b"], &format!("{secret}\n"));
        assert_eq!(done.code, 0, "{done:?}");
        let told = done.stderr.contains("is the secret that the key") && done.stderr.contains("--undo");
        assert_eq!(told, same, "{done:?}");
        place.ok(&["rotate", key, "--undo"]);
    }
}
