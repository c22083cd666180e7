//! Imports of what is no secret or not the exchange's, on the command line and as lines.

use serde_json::Value;

use crate::{
    bench::{KRAKEN_SECRET, Place},
    state::{files, refused},
};

#[test]
fn secrets_that_no_exchange_issues() {
    let Some(place) = Place::with_kraken() else { return };
    let before = files(&place.home());
    let cut = KRAKEN_SECRET.trim_end_matches('=');
    let two = format!("{KRAKEN_SECRET}\nmore");
    let cases: &[(&str, &str)] = &[
        ("", "the secret is empty"),
        (&format!(" {KRAKEN_SECRET}"), "blanks"),
        (&format!("{KRAKEN_SECRET} "), "blanks"),
        (&KRAKEN_SECRET.replacen('/', " ", 1), "blanks"),
        (&format!("{KRAKEN_SECRET}\t"), "blanks"),
        (&format!("\"{KRAKEN_SECRET}\""), "quotes"),
        (&format!("'{KRAKEN_SECRET}'"), "quotes"),
        (&two, "more lines"),
        (cut, "multiple of four"),
        (&format!("{KRAKEN_SECRET}===="), "not base64"),
        (&KRAKEN_SECRET.replacen('/', "-", 1), "not base64"),
        (
            &KRAKEN_SECRET.replace('/', "_").replace('+', "-"),
            "the form for URLs",
        ),
        (&KRAKEN_SECRET.replacen('/', "_:", 1), "does not have"),
        (&format!("\u{feff}{KRAKEN_SECRET}"), "byte order mark"),
        (&KRAKEN_SECRET.replacen('/', "é", 1), "outside ASCII"),
        (&KRAKEN_SECRET.replacen('/', "\0", 1), "the secret"),
        (&"A".repeat(20_000), "longer than"),
    ];
    for (secret, words) in cases {
        let done = place.run(
            &["import", "--exchange", "kraken", "--key", "n", "--api-key", "a"],
            &format!("{secret}\n"),
        );
        refused(&done, 5, words);
        for part in [&cut[..12], &cut[40..60], "AAAAAAAAAA"] {
            assert!(!done.stderr.contains(part), "it shows the secret: {done:?}");
        }
        assert_eq!(files(&place.home()), before, "{words} changed something");
    }
    for phrase in ["pass ", " pass"] {
        let coinbase = ["import", "--exchange", "coinbaseexchange", "--api-key", "a"];
        let done = place.run(&coinbase, &format!("{KRAKEN_SECRET}\n{phrase}\n"));
        refused(&done, 5, "begins or ends with a blank");
        assert_eq!(files(&place.home()), before);
    }
    let pem = "\u{feff}-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n";
    let ed25519 = ["import", "--exchange", "binance", "--algorithm", "ed25519"];
    refused(&place.run(&ed25519, pem), 5, "byte order mark");
    // A secret of another length is taken, with a note.
    let done = place.import(
        &["--exchange", "kraken", "--key", "short", "--api-key", "a"],
        "aHVzaGh1c2g=",
    );
    assert!(done.stderr.contains("note:"), "{done:?}");
}

#[test]
fn imports_that_are_refused_before_or_after_the_secret() {
    let Some(place) = Place::with_kraken() else { return };
    let before = files(&place.home());
    let kraken = ["--exchange", "kraken", "--key", "n"];
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--exchange", "nope"], 5, "no exchange \"nope\""),
        (&["--exchange", "kraken"], 5, "a key named kraken already"),
        (
            &[&kraken[..], &["--algorithm", "hmac-md5"]].concat(),
            2,
            "no algorithm \"hmac-md5\"",
        ),
        (
            &[&kraken[..], &["--algorithm", "hmac-sha256"]].concat(),
            5,
            "takes no hmac-sha256",
        ),
        (
            &[&kraken[..], &["--allow", "all"]].concat(),
            2,
            "nothing named \"all\"",
        ),
        (
            &[&kraken[..], &["--token", "none"]].concat(),
            4,
            "no token named \"none\"",
        ),
        (
            &[&kraken[..], &["--token", "softhsm", "--token", "softhsm"]].concat(),
            5,
            "named twice",
        ),
        (&[&kraken[..], &["--user-id", "1"]].concat(), 5, "has no user_id"),
        (
            &[&kraken[..], &["--api-key", "a b"]].concat(),
            5,
            "API key has blanks",
        ),
        (
            &[&kraken[..], &["--base-url", "http://example.com"]].concat(),
            5,
            "http without TLS",
        ),
        (
            &[&kraken[..], &["--base-url", "https://example.com/x"]].concat(),
            5,
            "no host that can be used",
        ),
        (
            &[&kraken[..], &["--encoding", "hex"]].concat(),
            5,
            "--exchange generic",
        ),
        (
            &[&kraken[..], &["--nonce-above", "9999999999999999999"]].concat(),
            5,
            "more than a day ahead",
        ),
        (
            &["--exchange", "kraken", "--key", "A b"],
            2,
            "cannot be a key's name",
        ),
        (
            &["--exchange", "kraken", "--key", "../x"],
            2,
            "cannot be a key's name",
        ),
        (
            &["--exchange", "kraken", "--key", &"x".repeat(64)],
            2,
            "cannot be a key's name",
        ),
        (&["--exchange", "generic", "--key", "n"], 5, "needs its algorithm"),
        (&["--exchange", "cbpro", "--key", "n"], 5, "wants a passphrase"),
    ];
    for (args, code, words) in cases {
        let args = [&["import"], *args].concat();
        refused(&place.run(&args, &format!("{KRAKEN_SECRET}\n")), *code, words);
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    for (args, input, words) in [
        (&kraken[..], format!("{KRAKEN_SECRET}\npass\n"), "more lines"),
        (
            &["--exchange", "cbpro", "--key", "n"],
            format!("{KRAKEN_SECRET}\n\n"),
            "passphrase is empty",
        ),
        (
            &["--exchange", "cbpro", "--key", "n"],
            format!("{KRAKEN_SECRET}\np\u{e9}\n"),
            "cannot stand in a request",
        ),
        (
            &["--exchange", "cbpro", "--key", "n"],
            format!("{KRAKEN_SECRET}\npass\nmore\n"),
            "more lines",
        ),
        (
            &["--exchange", "kraken", "--key", "n"],
            String::new(),
            "ended before the secret",
        ),
    ] {
        refused(&place.run(&[&["import"], args].concat(), &input), 5, words);
        assert_eq!(files(&place.home()), before, "{words} changed something");
    }
}

#[test]
fn a_secret_typed_as_an_argument_is_refused_and_not_shown_again() {
    let place = Place::new();
    for args in [
        &["import", "--exchange", "kraken", KRAKEN_SECRET][..],
        &["import", KRAKEN_SECRET],
        &["import", "--exchange", "kraken", "--key", KRAKEN_SECRET],
        &["rotate", "kraken", KRAKEN_SECRET],
        &["rotate", KRAKEN_SECRET],
    ] {
        let done = place.run(args, "");
        refused(&done, 2, "");
        assert!(!done.stderr.contains(&KRAKEN_SECRET[..10]), "{done:?}");
    }
}

#[test]
fn a_closed_or_lingering_standard_input_is_no_hang() {
    let Some(place) = Place::with_token() else { return };
    let import = ["import", "--exchange", "kraken", "--api-key", "a"];
    let mut closed = std::process::Command::new("sh");
    closed
        .args(["-c", "exec \"$0\" \"$@\" <&-", env!("CARGO_BIN_EXE_hsmsign")])
        .args(import)
        .env("HSMSIGN_HOME", place.home());
    let done = closed.output().unwrap();
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("ended before the secret"));
    // A writer that says no more and does not close.
    let mut child = place.start(&import);
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{KRAKEN_SECRET}\n").as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    drop(stdin);
}

#[test]
fn a_generic_key_that_may_make_no_mac_is_told_of() {
    let Some(place) = Place::with_token() else { return };
    let import = [
        "import",
        "--exchange",
        "generic",
        "--algorithm",
        "hmac-sha256",
        "--key",
        "service",
    ];
    let secret = "0123456789abcdef0123456789abcdef\n";
    let done = place.run(&import, secret);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("import it with --allow raw"), "{done:?}");
    place.refused(&["hmac", "service"], "", 3, "signs no raw bytes");
    place.ok(&["remove", "service"]);
    let done = place.run(&[&import[..], &["--allow", "raw"]].concat(), secret);
    assert!(!done.stderr.contains("import it with"), "{done:?}");
    place.ok(&["hmac", "service"]);
}

#[test]
fn lines_of_an_import_are_answered_one_by_one() {
    let Some(place) = Place::with_kraken() else { return };
    let line = |fields: &str| format!("{{\"exchange\":\"kraken\",\"api_key\":\"a\"{fields}}}");
    let secret = format!(",\"secret\":\"{KRAKEN_SECRET}\"");
    let lines = [
        (line(&format!("{secret},\"key\":\"one\"")), ""),
        (line(&format!("{secret},\"key\":\"one\"")), "bad-input"),
        (line(&format!("{secret},\"key\":\"A b\"")), "bad-input"),
        (line(&format!("{secret},\"key\":\"two\",\"hush\":1")), "bad-input"),
        (line(",\"key\":\"two\""), "bad-input"),
        (line(",\"key\":\"two\",\"secret\":\"a\\nb\""), "bad-input"),
        (line(",\"key\":\"two\",\"secret\":1"), "bad-input"),
        (
            line(&format!("{secret},\"key\":\"two\",\"passphrase\":\"p\"")),
            "bad-input",
        ),
        (
            line(&format!("{secret},\"key\":\"two\",\"allow\":[\"all\"]")),
            "bad-input",
        ),
        (format!("{{\"exchange\":\"nope\"{secret}}}"), "unknown-exchange"),
        ("not json".to_owned(), "bad-input"),
        (
            "{\"exchange\":\"okx\",\"api_key\":\"a\",\"secret\":\"0123456789ABCDEF0123456789ABCDEF\"}"
                .to_owned(),
            "bad-input",
        ),
        (line(&format!("{secret},\"key\":\"two\"")), ""),
    ];
    let input: Vec<_> = lines.iter().map(|(line, _)| line.as_str()).collect();
    let done = place.run(&["import", "--json"], &input.join("\n"));
    assert_eq!(done.code, 1);
    assert!(!done.stdout.contains(&KRAKEN_SECRET[..12]) && !done.stderr.contains(&KRAKEN_SECRET[..12]));
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    for ((line, code), answer) in lines.iter().zip(&answers) {
        let told = answer["error"]["code"].as_str().unwrap_or_default();
        assert_eq!(told, *code, "{line}: {answer}");
        for key in ["one", "two"] {
            let named = line.contains(&format!("\"key\":\"{key}\""));
            assert_eq!(answer["key"] == key, named, "{line}: {answer}");
        }
    }
    // What to do is said for who writes lines.
    let fix = |at: usize| answers[at]["error"]["fix"].as_str().unwrap();
    assert_eq!(fix(7), "leave the passphrase out");
    assert_eq!(fix(11), "give it as `passphrase`, beside the secret");
    place.ok(&["test", "one"]);
    place.ok(&["test", "two"]);
}
