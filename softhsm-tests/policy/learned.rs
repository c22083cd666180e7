//! What is learned of a bot: as much as it did, and nothing beside it.

use std::collections::BTreeMap;

use hsmsign::{
    exchange::{Scheme, builtin},
    json::Json,
    policy::Seen,
};
use serde_json::{Value, json};

use crate::judge::{Ask, Judge, ask};

/// The line of the log for a request that a judge who watches permits; none where it is refused.
fn line_of(judge: &Judge, request: &str, time: &str) -> Option<String> {
    let verdict = judge.ask(request).ok()?;
    let (fields, rule) = (verdict.fields, verdict.rules.join(" and "));
    let quoted = |text: &str| Value::from(text).to_string();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in fields {
        values.entry(name).or_default().push(value);
    }
    let fields: Vec<_> = values
        .into_iter()
        .map(|(name, values)| match values.as_slice() {
            [value] => format!("{}:{}", quoted(&name), quoted(value)),
            values => format!("{}:{}", quoted(&name), json!(values)),
        })
        .collect();
    let request: Value = serde_json::from_str(request).unwrap();
    let path = request["path"]
        .as_str()
        .unwrap_or_default()
        .split('?')
        .next()
        .unwrap();
    let method = request["method"].as_str().unwrap_or("WS");
    Some(format!(
        r#"{{"t":"{time}","what":"sign","outcome":"signed","method":{},"path":{},"rule":{},"uid":{},"fields":{{{}}}}}"#,
        quoted(method),
        quoted(path),
        quoted(&rule),
        judge.caller.uid,
        fields.join(",")
    ))
}

/// What is proposed for requests, each at its time.
pub fn learned(exchange: &str, seen: &[(String, &str)]) -> String {
    let watching = Judge::new(exchange, "");
    watching.watches();
    learned_by(&watching, exchange, seen)
}

pub fn learned_by(watching: &Judge, exchange: &str, seen: &[(String, &str)]) -> String {
    let mut all = Seen::default();
    for (request, time) in seen {
        if let Some(line) = line_of(watching, request, time) {
            all.take(&Json::parse(&line).unwrap());
        }
    }
    let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
    all.propose(&scheme).replacen("policy = 1\n", "", 1)
}

pub const TIME: &str = "2026-09-21T14:13:20.000000Z";

/// What must pass under what is proposed for it, and what must not.
pub fn holds(exchange: &str, seen: &[Ask<'_>], denied: &[Ask<'_>]) {
    let line = |(method, path, body): &Ask<'_>| (ask(method, path, body), TIME);
    let judge = Judge::new(
        exchange,
        &learned(exchange, &seen.iter().map(line).collect::<Vec<_>>()),
    );
    judge.holds(seen, denied);
}

#[test]
fn what_was_seen_passes_and_no_other_field_amount_or_symbol() {
    holds(
        "kraken",
        &[
            ("POST", "/0/private/AddOrder", "pair=XBTUSD&type=buy&volume=0.1"),
            ("POST", "/0/private/AddOrder", "pair=DOGEUSD&type=buy&volume=1000"),
            ("POST", "/0/private/CancelOrder", "txid=x"),
        ],
        &[
            ("POST", "/0/private/AddOrder", "pair=XBTUSD&type=buy&volume=1000"),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=XBTUSD&type=buy&volume=0.1&leverage=5",
            ),
            ("POST", "/0/private/CancelOrder", "txid=x&pair=XBTUSD"),
            ("POST", "/0/private/AddOrder", "pair=ETHUSD&type=buy&volume=0.1"),
        ],
    );
    let order = |symbol: &str, size: &str| format!(r#"{{"instId":"{symbol}","side":"buy","sz":"{size}"}}"#);
    let list = format!("[{},{}]", order("A", "2"), order("B", "3"));
    holds(
        "okx",
        &[
            ("POST", "/api/v5/trade/batch-orders", &list),
            ("POST", "/api/v5/trade/order", &order("C", "100")),
            ("GET", "/api/v5/trade/order?instId=A&ordId=1", ""),
        ],
        &[
            ("POST", "/api/v5/trade/order", &order("A", "100")),
            (
                "POST",
                "/api/v5/trade/order",
                r#"{"instId":"A","side":"buy","sz":"1","tdMode":"cross"}"#,
            ),
            ("GET", "/api/v5/trade/order?instId=A&clOrdId=1", ""),
        ],
    );
    let error = Judge::new(
        "gate",
        &learned(
            "gate",
            &[
                (
                    ask("DELETE", "/api/v4/spot/orders?currency_pair=A&side=buy", ""),
                    TIME,
                ),
                (
                    ask(
                        "POST",
                        "/api/v4/spot/orders",
                        r#"{"currency_pair":"A","side":"buy","amount":"1"}"#,
                    ),
                    TIME,
                ),
            ],
        ),
    )
    .ask(&ask(
        "POST",
        "/api/v4/spot/orders",
        r#"{"currency_pair":"A","side":"buy"}"#,
    ));
    assert!(error.is_err(), "a cancel with a side frees no order");
    // A key has room for so many counts: one for all where there are more symbols.
    let many = |at: usize| {
        (
            ask("POST", "/0/private/AddOrder", &format!("pair=A{at}&volume={at}")),
            TIME,
        )
    };
    let judge = Judge::new(
        "kraken",
        &learned("kraken", &(1..=1200).map(many).collect::<Vec<_>>()),
    );
    judge.permits(&ask("POST", "/0/private/AddOrder", "pair=A1&volume=1200"));
    judge.refuses(&ask("POST", "/0/private/AddOrder", "pair=A1&volume=1201"));
    // Where amounts have no symbol beside them, or two, there is one cap.
    holds(
        "bitstamp",
        &[
            ("POST", "/api/v2/buy/btcusd/", "amount=1&price=5"),
            ("POST", "/api/v2/buy/dogeusd/", "amount=5&price=5"),
        ],
        &[("POST", "/api/v2/buy/btcusd/", "amount=6&price=5")],
    );
    let order =
        |id: u8, symbol: &str| format!(r#"{{"product_id":{id},"product_symbol":"{symbol}","size":{id}}}"#);
    holds(
        "delta",
        &[
            ("POST", "/v2/orders", &order(1, "A")),
            ("POST", "/v2/orders", &order(2, "B")),
        ],
        &[(
            "POST",
            "/v2/orders",
            r#"{"product_id":1,"product_symbol":"A","size":3}"#,
        )],
    );
}

#[test]
fn what_a_bot_chose_as_it_liked_is_a_policy_all_the_same() {
    let order = |symbol: &str| ask("POST", "/0/private/AddOrder", &format!("pair={symbol}&volume=1"));
    let odd = ["a%22%0A%5C", "%E2%80%AE", "%C2%9B", "%E5%B8%81"].map(|symbol| (order(symbol), TIME));
    let proposed = learned("kraken", &odd);
    assert!(
        proposed.contains(r#""a\"\U0000000a\\", "\U0000009b", "\U0000202e", "币""#),
        "{proposed}"
    );
    let judge = Judge::new("kraken", &proposed);
    odd.iter().for_each(|(order, _)| judge.permits(order));
    judge.refuses(&order("A"));
    holds(
        "gate",
        &[("DELETE", "/api/v4/spot/orders/a%2Db?currency_pair=A", "")],
        &[],
    );
}

/// As rules count: a second, a minute and a day are any such span.
#[test]
fn the_limits_are_those_of_any_span() {
    let order = ask("POST", "/0/private/AddOrder", "pair=XBTUSD&volume=2");
    let seen = [
        "2026-09-21T23:59:59.900000Z",
        "2026-09-22T00:00:00.100000Z",
        "2026-09-22T20:00:00.000000Z",
    ];
    let proposed = learned("kraken", &seen.map(|time| (order.clone(), time)));
    for words in [
        "rate = { second = 2, minute = 2, day = 3 }",
        "request = \"2\"\nday = \"6\"",
    ] {
        assert!(proposed.contains(words), "{words}: {proposed}");
    }
}

/// The requests that many libraries make of each exchange, as if one bot had made them.
#[test]
fn what_is_proposed_lets_through_what_was_seen_of_every_exchange() {
    let mut requests: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
    let rows = include_str!("../data/vectors.jsonl")
        .lines()
        .chain(include_str!("../data/ccxt-vectors.jsonl").lines());
    for row in rows {
        let row: Value = serde_json::from_str(row).unwrap();
        let mut request = row["request"].clone();
        let text = request.to_string();
        // What is odd in a value could be read in two ways; nothing and two names of a symbol are denied where rules look.
        let odd = ["%26", "&a=", ";", "0.000", "BTC_USDT&amount=2"]
            .iter()
            .any(|odd| text.contains(odd));
        if request["path"].is_string() && request["websocket"].is_null() && !odd {
            request["id"] = Value::Null;
            request.as_object_mut().unwrap().remove("id");
            let exchange = row["exchange"].as_str().unwrap().to_owned();
            requests
                .entry(exchange)
                .or_default()
                .push((request.to_string(), TIME));
        }
    }
    let (mut permitted, mut refused) = (0, Vec::new());
    for (exchange, seen) in &requests {
        let before = Judge::new(exchange, "");
        before.watches();
        let proposed = learned_by(&before, exchange, seen);
        let after = Judge::new(exchange, &proposed);
        for (request, _) in seen.iter().filter(|(request, _)| before.ask(request).is_ok()) {
            match after.ask(request) {
                Ok(_) => permitted += 1,
                Err(error) => refused.push(format!("{exchange} {request}: {error}\n{proposed}")),
            }
        }
    }
    assert!(
        refused.is_empty(),
        "{permitted} {} {}",
        refused.len(),
        refused.join("\n")
    );
}

/// At Indodax amounts bear the names of currencies.
#[test]
fn an_amount_named_after_a_side_of_what_is_traded_is_capped() {
    let trade = |more: &str| {
        ask(
            "POST",
            "/tapi",
            &format!("method=trade&pair=btc_idr&price=1&{more}"),
        )
    };
    let text = learned(
        "indodax",
        &[
            (trade("type=buy&idr=600"), TIME),
            (trade("type=sell&btc=0.02"), TIME),
        ],
    );
    assert!(!text.contains("uncapped"), "{text}");
    let judge = Judge::new("indodax", &text);
    judge.permits(&trade("type=buy&idr=600"));
    judge.permits(&trade("type=sell&btc=0.02"));
    judge.denies(&trade("type=buy&idr=601"), "a request may have 600");
    judge.denies(&trade("type=sell&btc=0.03"), "a request may have 0.02");
}

#[test]
fn endpoints_with_one_word_are_named_and_no_others() {
    let order = ask("POST", "/api/v1/order", r#"{"symbol":"A","quantity":"1"}"#);
    let proposed = learned("backpack", &[(order.clone(), TIME)]);
    assert!(
        proposed.contains(r#"path = ["/api/v1/order", "/api/v1/orders"]"#),
        "{proposed}"
    );
    Judge::new("backpack", &proposed).permits(&order);
}
