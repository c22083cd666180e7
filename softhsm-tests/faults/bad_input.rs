//! Everything a person or program can get wrong: its exit code, what is said, and that nothing was changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    bench::{KRAKEN_SECRET, Place, compile, finish},
    state::{files, refused},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn requests_that_cannot_be_signed() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&BALANCE);
    let before = files(&place.home());
    let path = "/0/private/Balance";
    let cases: &[(&[&str], i32, &str)] = &[
        (&["sign", "krakn", "POST", path], 5, "no key named krakn"),
        (&["sign", "kraken", "FETCH", path], 5, "no method \"FETCH\""),
        (
            &["sign", "kraken", "POST", "0/private/Balance"],
            5,
            "does not begin with `/`",
        ),
        (&["sign", "kraken", "POST", ""], 5, "does not begin with `/`"),
        (
            &["sign", "kraken", "POST", path, "--data", "a=1", "--form", "b=2"],
            5,
            "given twice",
        ),
        (
            &[
                "sign",
                "kraken",
                "POST",
                "/0/private/Balance?a=1",
                "--query",
                "b=2",
            ],
            5,
            "two queries",
        ),
        (
            &["sign", "kraken", "POST", path, "--form", "b"],
            5,
            "not NAME=VALUE",
        ),
        (
            &["sign", "kraken", "POST", path, "--data", "@/nowhere"],
            5,
            "/nowhere cannot be read",
        ),
        (
            &["sign", "kraken", "POST", path, "--host", "evil.example"],
            5,
            "evil.example",
        ),
        (
            &["sign", "kraken", "POST", "https://evil.example/0/private/Balance"],
            5,
            "evil.example",
        ),
        (
            &["sign", "kraken", "POST", path, "--nonce", "99999999999999999999"],
            5,
            "nonce",
        ),
        (
            &["sign", "kraken", "POST", path, "--nonce", "9999999999999999"],
            5,
            "more than a day ahead",
        ),
        (
            &["sign", "kraken", "POST", "/0/private/Withdraw"],
            3,
            "move money out",
        ),
        (
            &["sign", "kraken", "POST", "/0/private/../private/Withdraw"],
            5,
            "..",
        ),
        (&["hmac", "kraken"], 3, "raw"),
        (&["websocket", "krakn"], 5, "no key named krakn"),
        (&["show", "krakn"], 5, "no key named krakn"),
        (&["test", "krakn"], 5, "no key named krakn"),
        (&["remove", "krakn"], 5, "no key named krakn"),
        (&["nonce", "krakn"], 5, "no key named krakn"),
        (&["set", "krakn", "--api-key", "x"], 5, "no key named krakn"),
        (&["set", "kraken"], 2, "nothing to set"),
        (&["set", "kraken", "--api-key", "a b"], 5, "API key has blanks"),
        (
            &["set", "kraken", "--api-key", "a\r\nX-Evil: 1"],
            5,
            "API key has blanks",
        ),
        (
            &["set", "kraken", "--base-url", "http://example.com"],
            5,
            "http without TLS",
        ),
        (
            &["set", "kraken", "--base-url", "https://example.com/v1"],
            5,
            "no host that can be used",
        ),
        (
            &["set", "kraken", "--base-url", "https://u:p@example.com"],
            5,
            "no host that can be used",
        ),
        (&["rotate", "kraken", "--commit"], 5, "no rotation"),
        (&["exchanges", "show", "nope"], 5, "no exchange \"nope\""),
        (&["exchanges", "check", "/nowhere"], 5, "/nowhere cannot be read"),
        (&["token", "show", "nope"], 4, "no token named \"nope\""),
        (&["token", "remove", "softhsm"], 5, "kraken is on token softhsm"),
        (&["backup", "/dev/null"], 5, "not a plain file"),
        (&["backup", "."], 5, "not a plain file"),
        (&["backup", "/nowhere/b"], 1, "cannot be written"),
        (&["restore", "/nowhere"], 5, "/nowhere cannot be read"),
        (&["restore", "/etc/passwd"], 5, "not a backup of hsmsign"),
        (&["restore", "/dev/zero"], 5, "the backup is longer than"),
        (
            &["exchanges", "check", "/dev/zero"],
            5,
            "the scheme is longer than",
        ),
        (
            &["policy", "set", "--all", "--file", "/dev/zero"],
            5,
            "the policy is longer than",
        ),
        (
            &["sign", "kraken", "POST", path, "--data", "@/dev/zero"],
            5,
            "the body is longer than",
        ),
        (&["sign", "KRAKEN", "POST", path], 2, "cannot be a key's name"),
        (&["man", "nope"], 2, "no command \"nope\""),
    ];
    for (args, code, words) in cases {
        refused(&place.run(args, ""), *code, words);
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    // What clap refuses.
    for args in [
        &["sign", "kraken"][..],
        &["bogus"],
        &[],
        &["sign", "kraken", "POST", path, "--output", "xml"],
        &["sign", "--json", "kraken"],
        &["rotate", "kraken", "--commit", "--undo"],
        &["import", "--exchange", "kraken", "--secret", "x"],
        &["import", "--exchange", "kraken", "--passphrase=x"],
    ] {
        let done = place.run(args, "");
        assert_eq!(done.code, 2, "{args:?}: {done:?}");
        assert!(done.stderr.contains("--help") || args.is_empty(), "{done:?}");
    }
}

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
fn lines_that_are_no_requests_are_answered_one_by_one() {
    let Some(place) = Place::with_kraken() else { return };
    let lines: &[(&str, &str)] = &[
        ("{", "bad-input"),
        ("[]", "bad-input"),
        ("null", "bad-input"),
        ("\"x\"", "bad-input"),
        ("{}", "bad-input"),
        (r#"{"key":"kraken"}"#, "bad-input"),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance","extra":1}"#,
            "bad-input",
        ),
        (
            r#"{"key":"kraken","key":"kraken","method":"POST","path":"/0/private/Balance"}"#,
            "bad-input",
        ),
        (
            r#"{"key":1,"method":"POST","path":"/0/private/Balance"}"#,
            "bad-input",
        ),
        (
            r#"{"key":"KRAKEN","method":"POST","path":"/0/private/Balance"}"#,
            "bad-input",
        ),
        (r#"{"key":"kraken","method":"POST","path":"0"}"#, "bad-input"),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance","body":"a=1","form":{"b":1}}"#,
            "bad-input",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance","form":{"b":null}}"#,
            "bad-input",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance?a=1","query":"b=2"}"#,
            "bad-input",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance","url":"https://api.kraken.com/x"}"#,
            "bad-input",
        ),
        (
            r#"{"key":"none","method":"POST","path":"/0/private/Balance"}"#,
            "unknown-key",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Withdraw"}"#,
            "denied",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/WithdrawInfo"}"#,
            "denied",
        ),
        (
            r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#,
            "",
        ),
    ];
    let input: Vec<_> = lines.iter().map(|(line, _)| *line).collect();
    let done = place.run(&["sign", "--json"], &input.join("\n"));
    assert_eq!(done.code, 1);
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    for ((line, code), answer) in lines.iter().zip(&answers) {
        if code.is_empty() {
            assert_eq!(answer["ok"], true, "{line}: {answer}");
        } else {
            assert_eq!(answer["error"]["code"], *code, "{line}: {answer}");
            assert!(
                answer["error"]["fix"].as_str().is_some_and(|fix| !fix.is_empty()),
                "{answer}"
            );
        }
    }
    // Bytes that are no text, and a line without end.
    let mut bytes = b"\xff\xfe\n{\"key\":\"kraken\"".to_vec();
    bytes.extend(vec![b' '; 1 << 20]);
    let done = finish(place.start(&["sign", "--json"]), &bytes);
    assert_eq!((done.code, done.stdout.lines().count()), (1, 2), "{done:?}");
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

#[test]
fn a_backup_takes_the_place_of_an_earlier_one_and_of_no_other_file() {
    let Some(place) = Place::with_kraken() else { return };
    let file = place.path().join("file");
    // As one that was encrypted, which is no text.
    for other in [&b"notes\n"[..], b"\xff\xfe\x00age", b""] {
        fs::write(&file, other).unwrap();
        refused(
            &place.run(&["backup", file.to_str().unwrap()], ""),
            5,
            "no backup of hsmsign",
        );
        assert_eq!(fs::read(&file).unwrap(), other);
    }
    fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        place.ok(&["backup", file.to_str().unwrap()]);
        assert!(fs::read_to_string(&file).unwrap().contains("kraken"));
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_left_alone() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&BALANCE);
    place.ok(&["backup", "b.json"]);
    let home = place.home();
    let cases = [
        (home.join("config.toml"), "version = 1", "version = 2"),
        (
            home.join("config.toml"),
            "version = 1",
            "version=2 # by a newer one",
        ),
        (
            home.join("config.toml"),
            "version = 1",
            "\"version\" = 4294967297",
        ),
        (home.join("keys/kraken.json"), "\"version\": 1", "\"version\": 2"),
        (
            home.join("keys/kraken.json"),
            "\"version\": 1",
            "\"version\": 2, \"new\": true",
        ),
    ];
    for (file, old, new) in cases {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(old));
        fs::write(&file, text.replacen(old, new, 1)).unwrap();
        let before = files(&home);
        for args in [
            &BALANCE[..],
            &["remove", "kraken"],
            &["set", "kraken", "--api-key", "x"],
        ] {
            let done = place.run(args, "");
            if file.ends_with("config.toml") && args[0] == "set" {
                continue;
            }
            refused(&done, 1, "version");
            assert!(done.stderr.contains("newer hsmsign"), "{done:?}");
            assert_eq!(files(&home), before, "{args:?}");
        }
        fs::write(&file, text).unwrap();
    }
    // The nonce file: its version stands at the front of each slot.
    let file = home.join("nonces/kraken");
    let bytes = fs::read(&file).unwrap();
    let mut newer = bytes.clone();
    newer[0] = b'2';
    newer[bytes.len() / 2] = b'2';
    fs::write(&file, &newer).unwrap();
    refused(&place.run(&BALANCE, ""), 1, "newer hsmsign");
    assert_eq!(fs::read(&file).unwrap(), newer);
    fs::write(&file, b"").unwrap();
    refused(&place.run(&BALANCE, ""), 1, "damaged");
    fs::write(&file, &bytes).unwrap();
    let backup = fs::read_to_string(place.path().join("b.json")).unwrap();
    let newer = backup.replacen("\"version\": 1", "\"version\": 2", 1);
    refused(&place.run(&["restore", "-"], &newer), 5, "version 2");
    place.ok(&BALANCE);
}

#[test]
fn damaged_and_misplaced_files_are_named() {
    let Some(place) = Place::with_kraken() else { return };
    let home = place.home();
    let config = fs::read(home.join("config.toml")).unwrap();
    fs::write(
        home.join("config.toml"),
        [b"nonsense = 1\n".as_slice(), &config].concat(),
    )
    .unwrap();
    let done = place.run(&BALANCE, "");
    refused(&done, 5, "nonsense");
    fs::write(home.join("config.toml"), b"[token").unwrap();
    refused(&place.run(&BALANCE, ""), 5, "config.toml");
    fs::write(home.join("config.toml"), &config).unwrap();
    // A record under another key's name would let `remove` delete that key's secret.
    fs::copy(home.join("keys/kraken.json"), home.join("keys/copy.json")).unwrap();
    let before = files(&home);
    for args in [
        &["remove", "copy"][..],
        &["sign", "copy", "POST", "/0/private/Balance"],
    ] {
        refused(&place.run(args, ""), 1, "the record of the key kraken");
    }
    assert_eq!(files(&home), before);
    fs::remove_file(home.join("keys/copy.json")).unwrap();
    fs::write(home.join("keys/kraken.json"), b"{}").unwrap();
    refused(&place.run(&BALANCE, ""), 1, "not a key's record");
}

#[test]
fn a_key_that_another_program_deleted_is_missed_and_can_be_removed() {
    let Some(place) = Place::with_kraken() else { return };
    place.import(
        &["--exchange", "kraken", "--key", "other", "--api-key", "b"],
        KRAKEN_SECRET,
    );
    let id = |name: &str| {
        let shown = place.json(&["show", name, "--json"]);
        shown["current"]["copies"][0]["objects"]["secret"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    let value = |name: &str| {
        let line = config.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let pin = fs::read_to_string(place.home().join("softhsm/softhsm.pin")).unwrap();
    let deleted = std::process::Command::new("pkcs11-tool")
        .args([
            "--module",
            &value("module"),
            "--token-label",
            &value("label"),
            "--login",
            "--pin",
            pin.trim(),
        ])
        .args(["--delete-object", "--type", "secrkey", "--id", &id("kraken")])
        .env("SOFTHSM2_CONF", place.home().join("softhsm/softhsm2.conf"))
        .output();
    let Ok(deleted) = deleted else {
        eprintln!("SKIPPED: pkcs11-tool is not installed (Debian: opensc)");
        return;
    };
    assert!(deleted.status.success(), "{deleted:?}");
    for args in [&BALANCE[..], &["test", "kraken"]] {
        let done = place.run(args, "");
        assert!(
            done.stderr.contains("hsmsign remove KEY, and import it again"),
            "{done:?}"
        );
        refused(&done, 4, "has no object with the id");
    }
    assert_eq!(place.run(&["doctor"], "").code, 1);
    place.ok(&["remove", "kraken"]);
    assert_eq!(place.json(&["list", "--json"]).as_array().unwrap().len(), 1);
    place.ok(&["test", "other"]);
    assert_eq!(place.run(&["doctor"], "").code, 0);
}

#[test]
fn without_a_place_there_is_nothing_to_do() {
    let place = Place::new();
    let done = place
        .command(&["list"])
        .env_remove("HSMSIGN_HOME")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&done.stderr).contains("HSMSIGN_HOME"));
    let file = place.path().join("home");
    fs::write(&file, "").unwrap();
    let done = place.run(&["list"], "");
    refused(&done, 5, "not a folder");
    assert!(!done.stderr.contains("chmod"), "{done:?}");
}

#[test]
fn modules_and_tokens_that_are_none() {
    let Some(place) = Place::with_token() else { return };
    let module = hsmsign::token::softhsm_module().unwrap().display().to_string();
    let before = files(&place.home());
    let text = place.path().join("text.so");
    fs::write(&text, "not a library").unwrap();
    let folder = place.path().display().to_string();
    for (args, words) in [
        (
            vec!["--pkcs11", "/nowhere.so"],
            "no PKCS#11 module at /nowhere.so",
        ),
        (vec!["--pkcs11", &folder], "directory"),
        (vec!["--pkcs11", text.to_str().unwrap()], "not a library"),
        (
            vec!["--pkcs11", "/lib/x86_64-linux-gnu/libm.so.6"],
            "not a PKCS#11 module",
        ),
        (vec!["--pkcs11", &module, "--label", "nobody's"], "nobody's"),
    ] {
        if args[1].starts_with("/lib/") && !fs::exists(args[1]).unwrap() {
            continue;
        }
        let done = place.run(&[&["init"], &args[..]].concat(), "");
        refused(&done, 4, words);
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    for (args, words) in [
        (["--pin-source", "1234"], "a PIN itself is never one"),
        (["--pin-source", "file:"], "pin-source"),
        (["--token", "A b"], "cannot be a token's name"),
        (["--token", "softhsm"], "set up already"),
    ] {
        let args = [&["init", "--pkcs11", &module], &args[..]].concat();
        let done = place.run(&args, "");
        refused(&done, 5, words);
        assert!(!done.stderr.contains("1234"), "{done:?}");
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    refused(
        &Place::new().run(&["import", "--exchange", "kraken"], "x\n"),
        4,
        "no token is set up",
    );
}

/// A module of this name behind which SoftHSM is, and that shows so much of it; none where it cannot be made.
pub fn narrow(place: &mut Place, name: &str, shows: &str) -> Option<PathBuf> {
    let module = compile::library(place.path(), name, "traps/c/narrow.c")?;
    let behind = hsmsign::token::softhsm_module().unwrap().display().to_string();
    place.set(("NARROW_MODULE".into(), behind));
    place.set(("NARROW_AS".into(), shows.into()));
    Some(module)
}

#[test]
fn a_token_that_computes_nothing_is_not_set_up() {
    let Some(mut place) = Place::with_token() else {
        return;
    };
    let Some(module) = narrow(&mut place, "narrow", "none") else {
        return;
    };
    let softhsm = place.home().join("softhsm");
    let conf = softhsm.join("softhsm2.conf").display().to_string();
    place.set(("SOFTHSM2_CONF".into(), conf));
    let pin = format!("file:{}", softhsm.join("softhsm.pin").display());
    let config = fs::read(place.home().join("config.toml")).unwrap();
    let args = [
        "init",
        "--pkcs11",
        module.to_str().unwrap(),
        "--pin-source",
        &pin,
        "--token",
        "empty",
    ];
    refused(&place.run(&args, ""), 5, "names none of the algorithms");
    assert_eq!(fs::read(place.home().join("config.toml")).unwrap(), config);
}

#[test]
fn a_pin_file_without_a_pin_spends_no_try() {
    let Some(place) = Place::with_kraken() else { return };
    let pin = place.home().join("softhsm").join("softhsm.pin");
    let kept = fs::read(&pin).unwrap();
    for nothing in ["", "\n", "\r\n"] {
        fs::write(&pin, nothing).unwrap();
        let done = place.run(&BALANCE, "");
        refused(&done, 4, "PIN");
        assert!(!done.stderr.contains("refused"), "{done:?}");
    }
    fs::write(&pin, [&b"\xef\xbb\xbf"[..], &kept].concat()).unwrap();
    let done = place.run(&BALANCE, "");
    refused(&done, 4, "byte order mark");
    assert!(!done.stderr.contains("refused"), "{done:?}");
    // Nothing was refused, so nothing has to be forgiven.
    fs::write(&pin, kept).unwrap();
    place.ok(&BALANCE);
}

/// That no token is made there, as is told with what to do.
fn refuses_home(place: &Place, home: &Path, told: &str) {
    let done = place
        .command(&["init", "--softhsm"])
        .env("HSMSIGN_HOME", home)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains(told) && stderr.contains("set HSMSIGN_HOME to a folder"),
        "{stderr}"
    );
}

#[test]
fn a_folder_that_softhsm_cannot_use_is_named_with_what_to_do() {
    use std::os::unix::ffi::OsStrExt as _;

    if hsmsign::token::softhsm_module().is_err() {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    for name in [&b"a#b"[..], b"a\nb", b"a\rb", b"\xff\xfe", b"a=b"] {
        let place = Place::new();
        // The folder that SoftHSM would take for it.
        fs::create_dir(place.path().join("a")).unwrap();
        let home = place.path().join(std::ffi::OsStr::from_bytes(name));
        refuses_home(&place, &home, "cannot use");
        assert_eq!(fs::read_dir(place.path().join("a")).unwrap().count(), 0);
    }
    let place = Place::new();
    let parent = place.path().join(format!("{0}/{0}/{0}/{0}", "x".repeat(240)));
    fs::create_dir_all(&parent).unwrap();
    refuses_home(&place, &parent.join("home"), "cannot use");
}

#[test]
fn a_home_that_is_a_file_or_a_link_to_nothing_is_told_so() {
    if hsmsign::token::softhsm_module().is_err() {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    let place = Place::new();
    let (file, link) = (place.path().join("file"), place.path().join("link"));
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(place.path().join("gone"), &link).unwrap();
    for (home, told) in [(file, "file is not a folder"), (link, "which is not there")] {
        refuses_home(&place, &home, told);
        assert!(!place.path().join("gone").exists());
    }
}
