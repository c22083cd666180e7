//! The fields of a request that rules look into: what is permitted under a cap holds no more than the cap, as other readers
//! of forms and JSON find.

use std::{sync::LazyLock, time::Duration};

use hsmsign::{
    caller::Caller,
    exchange::{Scheme, builtin},
    policy::Policy,
    request::Request,
};
use serde_json::Value;

use super::told::told;

const RULES: &str = "policy = 1\nsymbols = [\"XBTUSD\"]\n[[deny]]\nfields = [\"leverage\"]\n[[cap]]\nfield = \"volume\"\nrequest = \"0.1\"\n";

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(RULES, "p").unwrap());
static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    let all = ["kraken", "okx", "binance", "bitfinex"];
    all.map(|id| Scheme::parse(builtin(id).unwrap(), id).unwrap())
        .into()
});

/// Runs one input: a number that chooses the exchange, then a body or, on Binance, a query.
pub fn run(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let scheme = &SCHEMES[usize::from(*choice) % SCHEMES.len()];
    let (path, part) = match scheme.id() {
        "kraken" => ("/0/private/AddOrder", "body"),
        "okx" => ("/api/v5/trade/order", "body"),
        "binance" => ("/api/v3/order", "query"),
        _ => ("/v2/auth/w/order/submit", "body"),
    };
    let line = serde_json::json!({"method": "POST", "path": path, part: text}).to_string();
    let request = Request::parse_line(&line).unwrap_or_else(|(_, error)| panic!("{error}"));
    let kind = scheme.kind(None).unwrap();
    let prepared = match scheme.prepare(&request, kind, None) {
        Ok(prepared) => prepared,
        Err(error) => return told(&error),
    };
    match POLICY.judge(
        &prepared,
        &Caller::this_process(),
        Duration::from_secs(1_790_000_000),
    ) {
        Err(error) => told(&error),
        Ok(()) => check(text),
    }
}

/// Looks at what was permitted with other eyes.
fn check(text: &str) {
    let mut sum = 0.0;
    let mut found = Vec::new();
    match serde_json::from_str::<Value>(text) {
        Ok(json) => walk(&json, &mut found),
        Err(_) => {
            for piece in text.split(['&', ';']) {
                let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
                found.push((decode(name), decode(value)));
            }
        }
    }
    for (name, value) in found {
        match name.trim().to_ascii_lowercase().as_str() {
            "volume" => sum += value.parse::<f64>().map_or(f64::INFINITY, f64::abs),
            "leverage" => panic!("leverage: {text}"),
            "pair" | "symbol" | "instid" => assert!(value.eq_ignore_ascii_case("XBTUSD"), "{value}: {text}"),
            _ => {}
        }
    }
    assert!(sum <= 0.100_000_000_1, "{sum}: {text}");
}

fn walk(json: &Value, found: &mut Vec<(String, String)>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) => found.push((name.clone(), text.clone())),
                    Value::Number(number) => found.push((name.clone(), number.to_string())),
                    Value::Array(items) if items.iter().all(Value::is_string) => {
                        let texts = items.iter().filter_map(Value::as_str);
                        found.extend(texts.map(|text| (name.clone(), text.to_owned())));
                    }
                    _ => {}
                }
                walk(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
