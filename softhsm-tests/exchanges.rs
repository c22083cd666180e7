//! `hsmsign exchanges`: what is built in, what is impossible, and files of one's own from the check to the signature.

#![allow(clippy::unwrap_used)]

mod bench;

use std::{fs, os::unix::fs::PermissionsExt as _};

use bench::Place;
use hsmsign::exchange::{builtin, builtin_ids, impossible};
use serde_json::Value;

/// An exchange that signs neither path nor method, with all that can be said of sending.
const OWN: &str = r#"id = "my_exchange.v2"
name = "My exchange"
hosts = ["api.example.com"]
key = { algorithm = "hmac-sha256", secret = "ascii", encoding = "hex" }
clock = { unit = "ms" }
params = { GET = "query", default = "json" }
unsigned = ["body"]
signature = { message = "{timestamp}{query}" }
headers = { X-KEY = "{api_key}", X-TIME = "{timestamp}", X-SIGN = "{signature}" }

[withdrawal]
paths = ["/v2/withdraw*"]
fields = ["address", "coin+amount"]

[send]
time = [
    { path = "/futures/time", field = "now", unit = "s", for = "/futures/*" },
    { path = "/v2/time" },
]
error = { field = "data.*.code", not = ["0"], text = "data.*.msg" }
clock-errors = ["too old", "Too New"]
nonce-errors = ["used"]
read-only = ["/v2/orders/query"]
acting = ["/v2/orders/close"]
testnet = { "api.example.com" = "test.example.com" }

[[test]]
name = "an example"
credentials = { api_key = "K", secret = "S" }
request = '{"method":"GET","path":"/v2/orders","query":"a=1","timestamp":"1700000000000"}'
headers = { X-SIGN = "8e1e845a5ba83f86674fec37d9760482014d4758cc01aa7dfea009c96cb3699a" }
"#;

fn write(place: &Place, text: &str) {
    fs::write(place.path().join("own.toml"), text).unwrap();
}

#[test]
fn the_list_has_what_is_built_in_and_at_its_end_what_cannot_be() {
    let place = Place::new();
    let list = place.ok(&["exchanges"]);
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let names: Vec<_> = list
        .lines()
        .filter(|line| !line.starts_with(' '))
        .skip(1)
        .map(first)
        .collect();
    let wanted: Vec<_> = builtin_ids()
        .iter()
        .copied()
        .chain(impossible().iter().map(|exchange| exchange.id))
        .collect();
    assert_eq!(names, wanted);
    let json = place.json(&["exchanges", "--json"]);
    let ids: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["exchange"])
        .collect();
    assert_eq!(ids, builtin_ids());
    let kraken = json
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["exchange"] == "kraken");
    let kraken = kraken.unwrap();
    assert_eq!(kraken["algorithms"][0], "hmac-sha512");
    assert_eq!(kraken["from"], "built in");
    assert_eq!(kraken["path_signed"], true);
    assert_eq!(kraken["hosts"][0], "api.kraken.com");
}

#[test]
fn show_prints_the_file_by_id_and_by_alias() {
    let place = Place::new();
    for id in builtin_ids() {
        assert_eq!(place.ok(&["exchanges", "show", id]), builtin(id).unwrap());
    }
    assert_eq!(
        place.ok(&["exchanges", "show", "huobi"]),
        place.ok(&["exchanges", "show", "htx"])
    );
    let heir = place.run(&["exchanges", "show", "bybiteu"], "");
    assert!(
        heir.stderr
            .contains("`hsmsign exchanges show bybit` has the rest"),
        "{heir:?}"
    );
    place.refused(&["exchanges", "show", "krakn"], "", 5, "did you mean kraken?");
    place.refused(
        &["exchanges", "show", "../config"],
        "",
        5,
        "no exchange \"../config\"",
    );
}

#[test]
fn what_cannot_be_signed_for_is_refused_with_its_reason_before_a_secret_is_asked_for() {
    let Some(place) = Place::with_token() else { return };
    for exchange in impossible() {
        let reason = format!("{} {}", exchange.name, exchange.why);
        place.refused(&["exchanges", "show", exchange.id], "", 5, &reason);
        // A secret that is not whole would be refused with other words, had it been read.
        place.refused(&["import", "--exchange", exchange.id], "\"S E\"\n", 5, &reason);
        place.refused(
            &["generate", "--exchange", exchange.id, "--algorithm", "ed25519"],
            "",
            5,
            &reason,
        );
        let line = format!(r#"{{"exchange":"{}","key":"k","secret":"S"}}"#, exchange.id);
        let done = place.run(&["import", "--json"], &format!("{line}\n"));
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((done.code, &answer["ok"]), (1, &Value::Bool(false)));
        assert_eq!(answer["error"]["code"], "unsupported");
        assert_eq!(answer["error"]["message"], reason);
    }
    assert!(
        impossible()
            .iter()
            .any(|exchange| exchange.id == "alpaca" && exchange.why.contains("the secret itself sent"))
    );
}

#[test]
fn check_tells_what_is_signed_what_moves_money_and_what_sending_knows() {
    let place = Place::new();
    write(&place, OWN);
    let done = place.run(&["exchanges", "check", "own.toml"], "");
    assert_eq!(
        done.stdout,
        r#"my_exchange.v2 (My exchange)
  every request: signs query; not path, body
    longest message: query + 13 bytes
    example: {"method":"GET","path":"/v2/orders","query":"a=1","timestamp":"1700000000000"}
      signs 1700000000000a=1
  moves money out: /v2/withdraw*, address, coin+amount
  sending:
    a 2xx is an error where `data.*.code` is not `0`; its words are `data.*.msg`
    the time for /futures/*: `now` of GET /futures/time, in seconds
    the time: the Date header of GET /v2/time
    a wrong clock is known by `too old` or `too new`
    a nonce that was used is known by `used`
    sent again, since they only read: GETs but to /v2/orders/close
    and POSTs to /v2/orders/query
    the testnet of api.example.com is test.example.com
  its test passes
"#,
        "{done:?}"
    );
    assert_eq!(done.code, 0);
    for words in ["the path is not signed", "the body goes along unsigned"] {
        assert!(done.stderr.contains(words), "{done:?}");
    }
    // A file without the table is told what holds then.
    let (rest, test) = (
        OWN.split("[send]").next().unwrap(),
        OWN.split("[[test]]").nth(1).unwrap(),
    );
    write(&place, &format!("{rest}[[test]]{test}"));
    let said = place.ok(&["exchanges", "check", "own.toml"]);
    assert!(
        said.contains("  sending:\n    no answer with a status of 2xx is an error\n    the time: the Date header of the exchange's front page\n    sent again, since they only read: every GET\n"),
        "{said}"
    );
}

#[test]
fn each_fault_of_a_file_has_its_line_and_column_and_nothing_of_it_is_added() {
    let place = Place::new();
    place.ok(&["exchanges"]);
    // What is put in place of what; where the fault lies: the first of this text; what is said.
    for (from, to, at, code, words) in [
        ("= \"my_ex", "= my_ex", "my_ex", 5, "missing opening quote"),
        ("clock = {", "clok = {", "clok", 5, "unknown field `clok`"),
        (
            "{ unit = \"ms\"",
            "{ unit = \"m\"",
            "{ unit",
            5,
            "no clock unit \"m\"",
        ),
        ("{query}", "{qery}", "qery}", 5, "there is no name `qery` here"),
        ("{query}", "{hex(query}", "}\" }\nheaders", 5, "character 22"),
        ("{query}", "{nonce}", "nonce}", 5, "there is no name `nonce` here"),
        ("{query}", "{ward(query)}", "ward(", 5, "no function `ward`"),
        (
            "GET = \"query\"",
            "GET = \"url\"",
            "\"url\"",
            5,
            "there is no place \"url\"",
        ),
        (
            "not = [\"0\"]",
            "not = []",
            "{ field = \"data",
            5,
            "one of `when`, `is` and `not`",
        ),
        (
            "[\"/v2/orders/query\"]",
            "[\"/v2/withdraw\"]",
            "[\"/v2/withdraw\"]",
            5,
            "moves money out by `withdrawal`",
        ),
        (
            "\"test.example.com\"",
            "\"https://test\"",
            "{ \"api.example",
            5,
            "`testnet` has",
        ),
        (
            "[\"/v2/withdraw*\"]",
            "[\"withdraw\"]",
            "[\"withdraw\"]",
            5,
            "does not begin with `/`",
        ),
        (
            "\"my_exchange.v2\"",
            "\"My\"",
            "\"My\"",
            5,
            "cannot be an exchange's id",
        ),
        (
            "hosts = [\"api.example.com\"]\n",
            "",
            "id",
            5,
            "missing field `hosts`",
        ),
        (
            "fields = [\"address\", \"coin+amount\"]\n",
            "",
            "[withdrawal]",
            5,
            "no `withdrawal.fields`",
        ),
        (
            "\"S\"",
            "\"T\"",
            "[[test]]",
            1,
            "test \"an example\": the header X-SIGN is",
        ),
    ] {
        let text = OWN.replacen(from, to, 1);
        assert_ne!(text, OWN, "{from}");
        write(&place, &text);
        let before = &text[..text.find(at).unwrap()];
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        for command in ["check", "add"] {
            let done = place.run(&["exchanges", command, "own.toml"], "");
            let told = done.stderr.split("hsmsign: ").nth(1).unwrap_or_default();
            assert_eq!(done.code, code, "{done:?}");
            assert!(
                told.starts_with(&format!("own.toml: line {line}, column {column}: "))
                    && told.contains(words),
                "line {line}, column {column}, {words}: {told}"
            );
        }
    }
    let schemes = place.home().join("schemes");
    assert!(!schemes.exists() || fs::read_dir(schemes).unwrap().next().is_none());
}

#[test]
fn a_file_of_ones_own_is_added_once_and_signs_like_a_built_in_one() {
    let Some(place) = Place::with_token() else { return };
    write(&place, OWN);
    place.ok(&["exchanges", "add", "own.toml"]);
    let schemes = place.home().join("schemes");
    let file = schemes.join("my_exchange.v2.toml");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&schemes), mode(&file)), (0o700, 0o600));
    assert_eq!(place.ok(&["exchanges", "show", "my_exchange.v2"]), OWN);
    assert!(place.ok(&["exchanges"]).contains("my_exchange.v2"));
    place.import(&["--exchange", "my_exchange.v2", "--api-key", "K"], "S");
    let answer = place.json(&[
        "sign",
        "my_exchange.v2",
        "GET",
        "/v2/orders?a=1",
        "--timestamp",
        "1700000000000",
    ]);
    let own = OWN
        .split("X-SIGN = \"")
        .nth(2)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(answer["headers"]["X-SIGN"], own);
    // The path is not signed, so a withdrawal's fields are refused wherever they go.
    for path in [
        "/v2/withdraw",
        "/v2/orders?coin=BTC&amount=1",
        "/v2/orders?address=x",
    ] {
        place.refused(&["sign", "my_exchange.v2", "GET", path], "", 3, "money out");
    }

    place.ok(&["exchanges", "add", "own.toml"]);
    write(&place, &OWN.replace("My exchange", "Another"));
    let refused = |words: &str| {
        let done = place.run(&["exchanges", "add", "own.toml"], "");
        assert!(done.code == 5 && done.stderr.contains(words), "{done:?}");
    };
    refused("says something else");
    assert_eq!(fs::read_to_string(&file).unwrap(), OWN);

    write(&place, &OWN.replace("my_exchange.v2", "kraken"));
    refused("kraken is built in");
    let checked = place.run(&["exchanges", "check", "own.toml"], "");
    assert!(
        checked.code == 0 && checked.stderr.contains("kraken is built in"),
        "{checked:?}"
    );
    assert_eq!(
        place.ok(&["exchanges", "show", "kraken"]),
        builtin("kraken").unwrap()
    );
}
