//! What clients send as they are, under policies that their owners would write.

use crate::judge::holds;

#[test]
fn an_empty_field_says_no_unit() {
    // As python-okx 0.4.4 sends it.
    let order = |unit: &str| {
        format!(
            r#"{{"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.1", "ccy": "", "clOrdId": "", "tag": "", "posSide": "", "px": "30000", "reduceOnly": "", "tgtCcy": {unit}, "stpMode": "", "pxUsd": "", "pxVol": "", "banAmend": "", "attachAlgoOrds": null}}"#
        )
    };
    let (empty, null, unit) = (order(r#""""#), order("null"), order(r#"" quote_ccy""#));
    for times in ["", "times = \"px\"\n"] {
        let policy = format!("symbols = [\"BTC-USDT\"]\n[[cap]]\nfield = \"sz\"\n{times}request = \"3000\"");
        let permitted = [
            ("POST", "/api/v5/trade/order", empty.as_str()),
            ("POST", "/api/v5/trade/order", &null),
        ];
        holds(
            "okx",
            &policy,
            &permitted,
            &[("POST", "/api/v5/trade/order", &unit)],
        );
    }
}

#[test]
fn whitebits_ticker_is_a_currency_and_nothing_that_is_traded() {
    let policy =
        "symbols = [\"ETH_BTC\"]\n[[cap]]\nfield = \"amount\"\nrequest = \"1\"\nsymbol = \"ETH_BTC\"";
    holds(
        "whitebit",
        policy,
        &[
            ("POST", "/api/v4/trade-account/balance", r#"{"ticker":"BTC"}"#),
            (
                "POST",
                "/api/v4/order/new",
                r#"{"market":"ETH_BTC","side":"sell","amount":"1","price":"0.05"}"#,
            ),
        ],
        &[
            (
                "POST",
                "/api/v4/order/new",
                r#"{"ticker":"ETH_BTC","side":"sell","amount":"1","price":"0.05"}"#,
            ),
            (
                "POST",
                "/api/v4/order/new",
                r#"{"market":"XRP_BTC","ticker":"ETH_BTC","side":"sell","amount":"1","price":"1"}"#,
            ),
        ],
    );
}

#[test]
fn coinones_looks_name_both_currencies() {
    let policy = "symbols = [\"BTC\"]\n[[cap]]\nfield = \"qty\"\nrequest = \"1\"";
    holds(
        "coinone",
        policy,
        &[
            (
                "POST",
                "/v2.1/order/open_orders",
                r#"{"quote_currency":"KRW","target_currency":"BTC"}"#,
            ),
            ("POST", "/v2.1/account/balance", r#"{"currencies":["BTC"]}"#),
        ],
        &[(
            "POST",
            "/v2.1/order",
            r#"{"quote_currency":"KRW","target_currency":"BTC","side":"BUY","type":"MARKET"}"#,
        )],
    );
}

#[test]
fn zaifs_positions_are_looked_at_under_caps() {
    let refused = [(
        "POST",
        "/tlapi",
        "method=create_position&type=margin&currency_pair=btc_jpy",
    )];
    let positions = "method=active_positions&type=margin";
    holds(
        "zaif",
        &crate::judge::cap("amount"),
        &[("POST", "/tlapi", positions)],
        &refused,
    );
}

/// Bullish signs method and path of a GET, and no query.
#[test]
fn a_look_whose_query_is_not_signed_passes_under_caps_and_no_rule_about_its_fields() {
    let looks = [
        ("GET", "/trading-api/v2/orders?symbol=BTCUSDC", ""),
        ("GET", "/trading-api/v1/accounts/trading-accounts", ""),
    ];
    let order = r#"{"symbol":"BTCUSDC","type":"LIMIT","side":"BUY","price":"1","quantity":"0.2"}"#;
    let caps = crate::judge::cap("quantity");
    holds(
        "bullish",
        &caps,
        &looks,
        &[("POST", "/trading-api/v2/orders", order)],
    );
    holds("bullish", "symbols = [\"BTCUSDC\"]", &[], &looks);
    let deny = "[[deny]]\nvalues = { symbol = [\"BTCUSDC\"] }";
    holds("bullish", deny, &[], &looks);
}
