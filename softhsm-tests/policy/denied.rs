//! What a `[[deny]]` or a `[[confirm]]` knows by fields and their values.

use crate::judge::{Judge, ask};

#[test]
fn a_value_is_denied_in_every_reading() {
    let okx = Judge::new("okx", "[[deny]]\nvalues = { instId = [\"*-SWAP\", \"*-26*\"] }");
    let order = |body: &str| ask("POST", "/api/v5/trade/order", body);
    okx.permits(&order(r#"{"instId":"BTC-USDT","side":"buy"}"#));
    okx.permits(&ask("GET", "/api/v5/account/balance", ""));
    okx.denies(
        &order(r#"{"instId":"BTC-USDT-swap","side":"buy"}"#),
        "deny 1 (values of instId)",
    );
    okx.denies(
        &ask("GET", "/api/v5/account/positions?instId=BTC-USDT%2dSWAP", ""),
        "deny 1",
    );
    for body in [
        r#"{"inst_id":"BTC-USDT-SWAP"}"#,
        r#"{"instId":"BTC-USDT","INSTID":"BTC-USDT"}"#,
        r#"{"instId":"BTC-USDT","x":"{\"instId\":\"BTC-USDT-SWAP\"}"}"#,
        r#"[{"instId":"BTC-USDT"},{"instId":"BTC-USD-260327"}]"#,
    ] {
        okx.refuses(&order(body));
    }
    // All that a rule names must be there.
    let sells = "[[deny]]\npath = \"/api/v3/order*\"\nfields = [\"stopPrice\"]\nvalues = { side = [\"SELL\"], symbol = \"BTC*\" }";
    let binance = Judge::new("binance", sells);
    binance.permits(&ask(
        "POST",
        "/api/v3/order?symbol=BTCUSDT&side=BUY&stopPrice=1",
        "",
    ));
    binance.permits(&ask("POST", "/api/v3/order?symbol=BTCUSDT&side=SELL", ""));
    // The path is not signed.
    for path in ["/api/v3/order", "/sapi/v1/margin/order"] {
        let line = format!("{path}?symbol=BTCUSDT&side=sell&stopPrice=1");
        binance.denies(&ask("POST", &line, ""), "deny 1");
    }
    // A number is the same in every spelling.
    let set = |leverage: &str| {
        let body = format!(r#"{{"instId":"A","lever":{leverage}}}"#);
        ask("POST", "/api/v5/account/set-leverage", &body)
    };
    for (policy, denied, permitted) in [
        (
            "\"100\"",
            ["100", "\"100.0\"", "1e2", "\"+100\"", "\" 0100 \""],
            ["10", "-100"],
        ),
        (
            "[\"50.0\", \"-1\"]",
            ["50", "\"5E1\"", "-1.0", "\"-1\"", "50.000"],
            ["1", "5"],
        ),
        (
            "\"10*\"",
            ["10", "\"1e1\"", "1e2", "1.0e3", "\"10x\""],
            ["2e1", "1.01"],
        ),
    ] {
        let judge = Judge::new("okx", &format!("[[deny]]\nvalues = {{ lever = {policy} }}"));
        denied
            .iter()
            .for_each(|value| judge.denies(&set(value), "deny 1"));
        permitted.iter().for_each(|value| judge.permits(&set(value)));
    }
    // Nothing keeps names and values apart.
    Judge::new(
        "cryptocom",
        "[[deny]]\nvalues = { instrument_name = [\"*PERP\"] }",
    )
    .refuses(&ask(
        "POST",
        "/exchange/v1/private/create-order",
        r#"{"id":1,"method":"private/create-order","params":{"client_oid":"xinstrument_nameBTCUSD-PERP"},"nonce":1}"#,
    ));
}

/// Who has the signature could add the field.
#[test]
fn a_field_that_is_not_signed_is_denied_and_asked_about_though_it_is_not_there() {
    for (exchange, path) in [
        ("htx", "/v1/order/orders/place"),
        ("coinbase", "/api/v3/brokerage/orders"),
    ] {
        let judge = Judge::new(
            exchange,
            &format!("[[deny]]\npath = {path:?}\nfields = [\"leverage\"]"),
        );
        judge.denies(&ask("POST", path, r#"{"symbol":"x"}"#), "does not sign");
        judge.permits(&ask("POST", &format!("{path}/other"), r#"{"symbol":"x"}"#));
        let judge = Judge::new(exchange, "[[confirm]]\nfields = [\"leverage\"]");
        let verdict = judge.ask(&ask("POST", path, r#"{"symbol":"x"}"#)).unwrap();
        assert!(verdict.confirm.is_some(), "{exchange}");
    }
}
