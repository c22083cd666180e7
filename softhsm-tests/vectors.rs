//! Every vector of the exchanges that are shipped, through the command line and a real token: as finished bytes, and
//! as calls by parts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
#[path = "scheme_language/parts.rs"]
mod parts;
#[path = "suite/verify.rs"]
mod verify;

use std::collections::BTreeMap;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use bench::Place;
use hsmsign::{algorithm::SignatureAlgorithm, json::Json};
use parts::{NOT_BY_PARTS, by_parts, by_stamps};
use serde_json::{Value, json};

fn rows(wanted: fn(&str) -> bool) -> Vec<Value> {
    include_str!("data/vectors.jsonl")
        .lines()
        .chain(include_str!("data/ccxt-vectors.jsonl").lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| wanted(row["algorithm"].as_str().unwrap()))
        .collect()
}

fn import_line(key: &str, row: &Value) -> Value {
    let mut line = row["credentials"].clone();
    line["exchange"] = row["exchange"].clone();
    line["algorithm"] = row["algorithm"].clone();
    line["key"] = json!(key);
    line["allow"] = json!(["withdrawals"]);
    line
}

fn request_line(key: &str, row: &Value) -> String {
    let mut line = row["request"].clone();
    line["key"] = json!(key);
    line["id"] = row["id"].clone();
    line.to_string()
}

/// The row's call by parts, where the row has parameters; numbers and names as they stand there.
fn parts_line(key: &str, row: &Value) -> Option<String> {
    let Json::Object(given) = Json::parse(&row["request"].to_string()).unwrap() else {
        return None;
    };
    let params = Json::parse(&row["params"].to_string()).unwrap();
    let id = row["id"].as_str().unwrap();
    let exchange = row["exchange"].as_str().unwrap();
    let mut line = match &row["stamps"] {
        Value::Null if NOT_BY_PARTS.contains(&id) => return None,
        Value::Null => by_parts(exchange, &given, &params)?,
        stamps => by_stamps(id, &given, &Json::parse(&stamps.to_string()).unwrap(), &params)?,
    };
    for (name, value) in [("key", key), ("id", id)] {
        line.push((name.into(), Json::String(value.into())));
    }
    Some(Json::Object(line).to_compact())
}

#[test]
fn every_hmac_vector_comes_out_of_the_token_as_given_and_by_parts() {
    come_out(|algorithm| algorithm.starts_with("hmac"), 728);
}

#[test]
fn every_vector_of_a_private_key_comes_out_of_the_token_as_given_and_by_parts() {
    come_out(|algorithm| !algorithm.starts_with("hmac"), 75);
}

/// The same by arguments, for the rows of many libraries: the request's bytes, and its parameters where all are text.
#[test]
fn every_vector_comes_out_of_the_command_by_its_arguments() {
    let Some(place) = Place::with_token() else { return };
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut imports = String::new();
    let mut calls = Vec::new();
    for row in rows(|_| true).into_iter().filter(|row| row["stamps"].is_null()) {
        let next = format!("k{}", keys.len());
        let key = keys.entry(key_of(&row)).or_insert_with(|| {
            imports.push_str(&format!("{}\n", import_line(&next, &row)));
            next
        });
        if row["compare"] == "informative" || row["request"]["websocket"] == true {
            continue;
        }
        let by_parts = parts_line(key, &row).map(|line| serde_json::from_str(&line).unwrap());
        for line in [Some(row["request"].clone()), by_parts].into_iter().flatten() {
            if let Some(args) = arguments(key, &line) {
                calls.push((
                    args,
                    line["body"].as_str().unwrap_or_default().to_owned(),
                    row.clone(),
                ));
            }
        }
    }
    assert_eq!(place.run(&["import", "--json"], &imports).code, 0);
    for (args, body, row) in &calls {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = place.run(&args, body);
        assert_eq!(done.code, 0, "{}: {args:?} {done:?}", row["id"]);
        judge(row, &serde_json::from_str(&done.stdout).unwrap());
    }
    assert_eq!(calls.len(), 211);
}

/// The arguments of `hsmsign sign` for a request line; none where a parameter is no text, or there is none to give.
/// The body comes on standard input.
fn arguments(key: &str, line: &Value) -> Option<Vec<String>> {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let mark = if text("query").is_empty() { "" } else { "?" };
    let target = format!("{}{mark}{}", text("path"), text("query"));
    let mut args: Vec<String> = ["sign", key, text("method"), &target].map(str::to_owned).to_vec();
    for (field, flag) in [
        ("host", "--host"),
        ("timestamp", "--timestamp"),
        ("nonce", "--nonce"),
        ("window", "--window"),
        ("content_type", "--content-type"),
    ] {
        if let Some(value) = line[field].as_str() {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    if line["nonce"].is_null() && line.get("nonce").is_some() {
        args.extend(["--nonce", "none"].map(str::to_owned));
    }
    if line["params"].as_object().is_some_and(serde_json::Map::is_empty) {
        return None;
    }
    for (name, value) in line["params"].as_object().into_iter().flatten() {
        args.extend(["--param".to_owned(), format!("{name}={}", value.as_str()?)]);
    }
    if !text("body").is_empty() {
        args.extend(["--data", "@-"].map(str::to_owned));
    }
    Some(args)
}

/// Imports the keys of the rows, signs their requests, and compares; so many there are.
fn come_out(wanted: fn(&str) -> bool, count: usize) {
    let Some(place) = Place::with_token() else { return };
    let rows = rows(wanted);
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut imports = String::new();
    let mut requests = String::new();
    let mut judged = Vec::new();
    for row in &rows {
        let next = format!("k{}", keys.len());
        let key = keys.entry(key_of(row)).or_insert_with(|| {
            imports.push_str(&format!("{}\n", import_line(&next, row)));
            next
        });
        if row["compare"] == "informative" {
            continue;
        }
        for line in [Some(request_line(key, row)), parts_line(key, row)]
            .into_iter()
            .flatten()
        {
            requests.push_str(&format!("{line}\n"));
            judged.push(row);
        }
    }
    let imported = place.run(&["import", "--json"], &imports);
    assert_eq!(imported.code, 0, "{imported:?}");
    assert_eq!(imported.stdout.lines().count(), keys.len());
    let signed = place.run(&["sign", "--json"], &requests);
    assert_eq!(signed.code, 0, "{signed:?}");
    let answers: Vec<Value> = signed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), judged.len());
    for (row, answer) in judged.iter().zip(&answers) {
        assert_eq!(row["id"], answer["id"], "answers come in order");
        judge(row, answer);
    }
    assert_eq!(judged.len(), count);
    for row in judged.iter().filter(|row| row["request"]["websocket"] == true) {
        judge(row, &login(&place, &keys[&key_of(row)], row));
    }
}

/// The answer of `hsmsign websocket`.
fn login(place: &Place, key: &str, row: &Value) -> Value {
    let mut args = vec!["websocket".to_owned(), key.to_owned()];
    for name in ["host", "path", "challenge", "timestamp", "nonce"] {
        if let Some(value) = row["request"][name].as_str() {
            args.extend([format!("--{name}"), value.to_owned()]);
        }
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = place.run(&args, "");
    assert_eq!(done.code, 0, "{}: {done:?}", row["id"]);
    serde_json::from_str(&done.stdout).unwrap()
}

/// What tells keys apart: the exchange and what it issued.
fn key_of(row: &Value) -> String {
    row["credentials"].to_string() + &row["exchange"].to_string()
}

fn judge(row: &Value, answer: &Value) {
    let expected = &row["expected"];
    match row["compare"].as_str().unwrap() {
        "exact" => {
            for part in ["method", "url", "body"] {
                let ignored = row["ignore"]
                    .as_array()
                    .is_some_and(|list| list.contains(&json!(part)));
                assert!(
                    ignored || answer[part] == expected[part],
                    "{part} of {}: {answer} {expected}",
                    row["id"]
                );
            }
            for (name, value) in expected["headers"].as_object().unwrap() {
                assert_eq!(header(answer, name), value.as_str(), "{name} of {}", row["id"]);
            }
            if !answer["body"].is_null() {
                assert!(
                    header(answer, "Content-Type").is_some(),
                    "a body has its type: {answer}"
                );
            }
        }
        "verify" => token_verifies(row, answer),
        "contains-signature" => {
            let signature = row["signature"].as_str().unwrap();
            let all = answer.to_string();
            assert!(all.contains(signature), "{}: {answer}", row["id"]);
        }
        other => panic!("no rule for {other}"),
    }
}

/// A JSON Web Token: its claims as the library makes them, its signature one of the row's public key.
fn token_verifies(row: &Value, answer: &Value) {
    let (have, wanted) = (token(answer), token(&row["expected"]));
    for part in ["method", "url", "body"] {
        let (have, wanted) = (
            answer[part].to_string().replace(&have, ""),
            row["expected"][part].to_string().replace(&wanted, ""),
        );
        assert_eq!(have, wanted, "{part} of {}", row["id"]);
    }
    let (message, signature) = have.rsplit_once('.').unwrap();
    let json = |token: &str, at: usize| {
        let part = Base64UrlUnpadded::decode_vec(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&part).unwrap()
    };
    assert_eq!(json(&have, 0), json(&wanted, 0), "the header of {}", row["id"]);
    assert_eq!(json(&have, 1), json(&wanted, 1), "the claims of {}", row["id"]);
    let algorithm = match row["algorithm"].as_str().unwrap() {
        "p256" => SignatureAlgorithm::P256,
        "ed25519" => SignatureAlgorithm::Ed25519,
        other => panic!("no rule for {other}"),
    };
    let pem = row["public_key_pem"].as_str().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let public = Base64::decode_vec(&body).unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    verify::check(algorithm, &public, message.as_bytes(), &signature);
}

/// The token of a header, or that of the query.
fn token(answer: &Value) -> String {
    let bearer = header(answer, "Authorization").and_then(|header| header.strip_prefix("Bearer "));
    let url = answer["url"].as_str().unwrap();
    let token = bearer.or_else(|| Some(url.split_once("token=")?.1));
    token.unwrap().to_owned()
}

fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let headers = answer["headers"].as_object()?;
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))?
        .1
        .as_str()
}
