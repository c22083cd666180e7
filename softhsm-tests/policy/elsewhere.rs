//! Requests that mean another endpoint, or another host, than they seem to.

use crate::{
    bench::Place,
    judge::{Judge, ask, cap, holds},
};

#[test]
fn a_method_in_the_body_is_no_way_to_another_endpoint() {
    let summary = "/api/v2/private/get_account_summary";
    let rpc =
        |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"amount":5}}}}"#);
    let (own, buy) = (rpc("private/get_account_summary"), rpc("private/buy"));
    let listed = format!("[{buy}]");
    let escaped = buy
        .replace("method", "m\\u0065thod")
        .replace("private/", "private\\/");
    holds(
        "deribit",
        &format!("[[allow]]\npath = \"{summary}\""),
        &[
            ("GET", &format!("{summary}?currency=BTC"), ""),
            ("POST", summary, &own),
        ],
        &[
            ("POST", summary, &buy),
            ("POST", summary, &escaped),
            ("POST", summary, &listed),
            ("POST", summary, &rpc("/private/buy")),
            ("POST", summary, &rpc("PRIVATE/BUY")),
            ("POST", summary, &rpc("private/withdraw")),
            ("POST", "/api/v2", &own),
            ("POST", "/api/v2/private/buy", &own),
        ],
    );
    holds(
        "deribit",
        "[[deny]]\npath = \"/api/v2/private/buy\"",
        &[("POST", summary, &own)],
        &[
            ("POST", summary, &buy),
            ("POST", "/api/v2", &buy),
            ("POST", "/api/v2", &escaped),
            ("GET", "/api/v2/private/buy?amount=1", ""),
        ],
    );
    // Where the path is signed as the body's method, a body that says another is refused at the latest when composed.
    let Some(place) = Place::with_token() else { return };
    place.import(
        &["--exchange", "cryptocom", "--api-key", "k"],
        "cxakp_4fBbVoR6EdBWJzzlKHmool",
    );
    let sign = |method: &str| {
        let body = format!(r#"{{"id":1,"method":"{method}","params":{{}}}}"#);
        let path = "/exchange/v1/private/get-account-summary";
        place
            .run(
                &[
                    "sign",
                    "cryptocom",
                    "POST",
                    path,
                    "--data",
                    &body,
                    "--content-type",
                    "application/json",
                ],
                "",
            )
            .code
    };
    assert_eq!(sign("private/get-account-summary"), 0);
    assert_eq!(sign("private/create-withdrawal"), 5);
}

#[test]
fn endpoints_with_one_word_are_allowed_each_by_its_path() {
    // One word is signed for an order and for a list of them.
    let order = ask(
        "POST",
        "/api/v1/order",
        r#"{"symbol":"A","side":"Bid","quantity":"1"}"#,
    );
    let judge = Judge::new("backpack", "[[allow]]\npath = \"/api/v1/order\"");
    judge.denies(&order, "may go to /api/v1/orders as well, and no rule fits that");
    let error = judge.ask(&order).unwrap_err();
    assert!(error.advice().contains("path = \"/api/v1/orders\""), "{error:?}");
    for rules in [
        "[[allow]]\npath = [\"/api/v1/order\", \"/api/v1/orders\"]",
        "[[allow]]\npath = \"/api/v1/orders\"\n[[allow]]\nmethod = \"POST\"\npath = \"/api/v1/order\"",
        "[[allow]]\npath = \"/api/v1/order*\"",
    ] {
        Judge::new("backpack", rules).permits(&order);
    }
    for rules in [
        "[[allow]]\npath = \"/api/v1/orders\"",
        "[[allow]]\npath = \"/api/v1/order\"\n[[allow]]\nmethod = \"DELETE\"\npath = \"/api/v1/orders\"",
        "[[allow]]\npath = [\"/api/v1/order\", \"/api/v1/orders\"]\n[[deny]]\npath = \"/api/v1/orders\"",
    ] {
        Judge::new("backpack", rules).refuses(&order);
    }
    // The last part of a path names the only endpoint of its word.
    let free = format!("uncapped = [\"convertDust\"]\n{}", cap("quantity"));
    let dust = ask("POST", "/api/v1/account/convertDust", r#"{"symbol":"BTC"}"#);
    Judge::new("backpack", &free).permits(&dust);
    Judge::new("backpack", &cap("quantity")).denies(&dust, "may trade");
    // What the body of JSON-RPC names must be allowed as well, and may be.
    let summary = "/api/v2/private/get_account_summary";
    let buy = r#"{"jsonrpc":"2.0","id":1,"method":"private/buy","params":{"amount":5}}"#;
    let both =
        format!("[[allow]]\npath = [\"{summary}\", \"{summary}/private/buy\", \"/api/v2/private/buy\"]");
    Judge::new("deribit", &both).permits(&ask("POST", summary, buy));
}

#[test]
fn a_url_leads_to_the_exchange_or_nowhere() {
    let judge = Judge::new("kraken", "[[allow]]\npath = \"/0/private/Balance\"");
    let ask = |url: &str| serde_json::json!({"method": "POST", "url": url}).to_string();
    judge.permits(&ask("https://api.kraken.com/0/private/Balance"));
    for url in [
        "https://api.kraken.com.evil.example/0/private/Balance",
        "https://api.kraken.com@evil.example/0/private/Balance",
        "https://evil.example#@api.kraken.com/0/private/Balance",
        "https://evil.example\\@api.kraken.com/0/private/Balance",
        "https://api.kraken.com:8443/0/private/Balance",
        "https://api.kraken.com./0/private/Balance",
        "https://user:password@api.kraken.com/0/private/Balance",
        "http://api.kraken.com/0/private/Balance",
        "//api.kraken.com/0/private/Balance",
        "https://api.kraken.com/0/private/Balance/../Withdraw",
        "https://api.kraken.com/0/private/Balance%252f..%252fWithdraw",
    ] {
        judge.refuses(&ask(url));
    }
    for line in [
        r#"{"method":"POST","path":"/0/private/Balance","headers":{"X-HTTP-Method-Override":"GET"}}"#,
        r#"{"method":"POST","path":"/0/private/Balance","host":"evil.example"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","path":"/0/private/Withdraw"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","url":"https://api.kraken.com/0/private/Withdraw"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","form":{"a":"1"},"body":"b=2"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","p\u0061th":"/0/private/Withdraw"}"#,
    ] {
        judge.refuses(line);
    }
}
