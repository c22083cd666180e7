//! Requests that cannot be signed, on the command line and as lines.

use serde_json::Value;

use crate::{
    bad_input::BALANCE,
    bench::{Place, finish},
    state::{files, refused},
};

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
