//! Which endpoints a key refuses unless it was allowed withdrawals, over what exchanges have.

use hsmsign::error::Code;

use crate::judge::Judge;

const ENDPOINTS: &str = include_str!("../data/endpoints-of-money.tsv");

#[test]
fn what_moves_money_or_gives_access_is_refused_and_what_only_tells_of_it_is_not() {
    let mut last: Option<(&str, Judge)> = None;
    let (mut refused, mut passed, mut wrong) = (0, 0, Vec::new());
    for row in ENDPOINTS.lines().filter(|row| !row.starts_with('#')) {
        let [exchange, method, path, wanted] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row:?}");
        };
        if last.as_ref().is_none_or(|(known, _)| *known != exchange) {
            last = Some((exchange, Judge::new(exchange, "")));
        }
        let (_, judge) = last.as_ref().unwrap();
        let line = serde_json::json!({"method": method, "path": path}).to_string();
        let is = match judge.ask(&line) {
            Ok(_) => "passes",
            Err(error) if error.code() == Code::Denied && error.rule() == Some("withdrawals") => "refused",
            Err(error) => panic!("{row}: {error}"),
        };
        *if is == "refused" {
            &mut refused
        } else {
            &mut passed
        } += 1;
        if is != wanted {
            wrong.push(format!("{row}: it {is}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 500 && passed > 700, "{refused} {passed}");
}

/// Where the path is not signed, an innocent path must not hide the fields.
#[test]
fn the_fields_of_what_moves_money_or_gives_access_are_refused_below_any_path() {
    for (exchange, path, fields) in [
        ("binance", "/api/v3/order", "subAccountId=1&canTrade=true"),
        (
            "binance",
            "/api/v3/order",
            "email=x%40y.z&subAccountApiKey=k&status=1&ipAddress=1.2.3.4",
        ),
        (
            "binance",
            "/api/v3/order",
            "userName=a&algo=sha256&toPoolUser=b&hashRate=1&startDate=1&endDate=2",
        ),
        ("bybit", "/v5/order/create", r#"{"ips":["*"]}"#),
        ("bybit", "/v5/order/create", r#"{"readOnly":0}"#),
        (
            "bybit",
            "/v5/order/create",
            r#"{"username":"a1234567","memberType":1,"switch":1}"#,
        ),
        ("bybit", "/v5/order/create", r#"{"uid":"592324","operate":"0"}"#),
        // A withdrawal of dollars from Binance.US, which names no `asset` and no `coin`.
        (
            "binanceus",
            "/api/v3/order",
            "paymentMethod=BITGO&paymentAccount=1&amount=5",
        ),
        ("binance", "/api/v3/order", "apiName=x&permissionMode=TRADE"),
        ("binance", "/api/v3/order", "apiKey=k&ip=1.2.3.4"),
        // P2P: what alone releases coins that were sold, offers some, or takes an offer.
        ("binance", "/api/v3/order", "orderNumber=1"),
        ("mexc", "/api/v3/order", "advOrderNo=1"),
        (
            "mexc",
            "/api/v3/order",
            "coinId=USDT&initQuantity=1&price=1&side=SELL",
        ),
        ("mexc", "/api/v3/order", "advNo=1&amount=1"),
        // What is offered at any price is sold to whoever comes first.
        (
            "bybit",
            "/v5/order/create",
            r#"{"tokenId":"BTC","currencyId":"EUR","side":"1","priceType":"0","price":"1","tradingPreferenceSet":{},"quantity":"1"}"#,
        ),
        (
            "bybit",
            "/v5/order/amend",
            r#"{"id":"1","price":"1","actionType":"MODIFY","tradingPreferenceSet":{"isKyc":0}}"#,
        ),
        // A list of API keys has their secrets, and a POST names what it asks in the body.
        (
            "deribit",
            "/api/v2",
            r#"{"jsonrpc":"2.0","id":1,"method":"private/list_api_keys","params":{}}"#,
        ),
    ] {
        let judge = Judge::new(exchange, "");
        let mut line = serde_json::json!({"method": "POST", "path": path, "body": fields});
        if fields.starts_with('{') {
            line["content_type"] = "application/json".into();
        }
        judge.denies(&line.to_string(), "not allowed to move money out");
    }
}
