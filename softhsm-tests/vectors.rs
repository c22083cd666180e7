//! Every HMAC vector of the exchanges that are shipped, through the command line and a real token: as finished bytes,
//! and as calls by parts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
#[path = "scheme_language/parts.rs"]
mod parts;

use std::collections::BTreeMap;

use bench::Place;
use hsmsign::{exchange::builtin, json::Json};
use parts::{NOT_BY_PARTS, by_parts, by_stamps};
use serde_json::{Value, json};

fn rows() -> Vec<Value> {
    include_str!("data/vectors.jsonl")
        .lines()
        .chain(include_str!("data/ccxt-vectors.jsonl").lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| builtin(row["exchange"].as_str().unwrap()).is_some())
        .filter(|row| row["algorithm"].as_str().unwrap().starts_with("hmac"))
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
    let Some(place) = Place::with_token() else { return };
    let rows = rows();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut imports = String::new();
    let mut requests = String::new();
    let mut judged = Vec::new();
    for row in &rows {
        let next = format!("k{}", keys.len());
        let key = keys
            .entry(row["credentials"].to_string() + &row["exchange"].to_string())
            .or_insert_with(|| {
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
    assert!(judged.len() >= 690, "{}", judged.len());
    eprintln!("{} requests of {} keys", judged.len(), keys.len());
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
        "contains-signature" => {
            let signature = row["signature"].as_str().unwrap();
            let all = answer.to_string();
            assert!(all.contains(signature), "{}: {answer}", row["id"]);
        }
        other => panic!("no rule for {other}"),
    }
}

fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let headers = answer["headers"].as_object()?;
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))?
        .1
        .as_str()
}
