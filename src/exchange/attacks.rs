//! What an attacker who may ask for signatures tries, one test each.

use std::time::Duration;

use super::{Composed, NonceNeed, Scheme, Stamps, builtin};
use crate::{
    error::{Code, Error},
    request::{Credentials, Request},
    secret::Secret,
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../softhsm-tests/data/schemes/", $name, ".toml"))
    };
}

fn scheme(name: &str) -> Scheme {
    let text = match name {
        "bingx" => data!("bingx"),
        "bitmex" => data!("bitmex"),
        "bitso" => data!("bitso"),
        "bitstamp-legacy" => data!("bitstamp-legacy"),
        "btcmarkets" => data!("btcmarkets"),
        "bybit" => data!("bybit"),
        "cryptocom" => data!("cryptocom"),
        "gemini" => data!("gemini"),
        "htx" => data!("htx"),
        "krakenfutures" => data!("krakenfutures"),
        "kucoin" => data!("kucoin"),
        "okx" => data!("okx"),
        "phemex" => data!("phemex"),
        "whitebit" => data!("whitebit"),
        name => builtin(name).unwrap(),
    };
    Scheme::parse(text, name).unwrap()
}

/// What the rules say of a request, or why it is refused.
fn look(exchange: &str, line: &str) -> Result<Option<String>, Error> {
    let scheme = scheme(exchange);
    let request = Request::parse_line(line).map_err(|(_, error)| error)?;
    let prepared = scheme.prepare(&request, scheme.kind(None)?, None)?;
    Ok(prepared.moves_money())
}

#[track_caller]
fn withdrawal(exchange: &str, line: &str) {
    assert!(look(exchange, line).unwrap().is_some(), "{line}");
}

#[track_caller]
fn harmless(exchange: &str, line: &str) {
    assert_eq!(look(exchange, line).unwrap(), None, "{line}");
}

#[track_caller]
fn refused(exchange: &str, line: &str, says: &str) {
    let error = look(exchange, line).unwrap_err();
    assert!(error.message().contains(says), "{line}: {error}");
}

fn credentials() -> Credentials {
    Credentials {
        api_key: Some("KEY".into()),
        passphrase: Some(Secret::take(&mut b"words".to_vec()).unwrap()),
        extra: Vec::new(),
    }
}

/// The first message of a request, or why there is none.
fn message(exchange: &str, line: &str) -> Result<Vec<u8>, Error> {
    let scheme = scheme(exchange);
    let request = Request::parse_line(line).map_err(|(_, error)| error)?;
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: Some(1_700_000_000_000),
    };
    let mut composed: Composed<'_> = scheme
        .prepare(&request, scheme.kind(None)?, None)?
        .compose(&credentials, &stamps)?;
    Ok(composed.next()?.unwrap().message)
}

#[test]
fn plain_withdrawals_are_seen() {
    for path in [
        "Withdraw",
        "WithdrawCancel",
        "WalletTransfer",
        "AccountTransfer",
        "withdraw",
        "%57ithdraw",
        "Withdraw/",
    ] {
        withdrawal(
            "kraken",
            &format!(r#"{{"method":"POST","path":"/0/private/{path}"}}"#),
        );
    }
    withdrawal(
        "coinbaseexchange",
        r#"{"method":"POST","path":"/withdrawals/crypto","json":{}}"#,
    );
    withdrawal(
        "coinbaseexchange",
        r#"{"method":"POST","path":"/profiles/transfer","json":{}}"#,
    );
    withdrawal(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/withdraw","json":{}}"#,
    );
    withdrawal(
        "poloniex",
        r#"{"method":"POST","path":"/v2/wallets/withdraw","json":{}}"#,
    );
    withdrawal(
        "poloniex",
        r#"{"method":"POST","path":"/subaccounts/transfer","json":{}}"#,
    );
    withdrawal(
        "bittrex",
        r#"{"method":"GET","path":"/api/v1.1/account/withdraw"}"#,
    );
    for (exchange, method, path) in [
        ("kraken", "POST", "/0/private/AddOrder"),
        ("coinbaseexchange", "POST", "/conversions"),
        ("bitfinex", "POST", "/v2/auth/w/order/submit"),
        ("poloniex", "POST", "/orders"),
        ("bittrex", "GET", "/api/v1.1/market/cancel"),
        ("binance", "POST", "/api/v3/order"),
        ("binance", "GET", "/api/v3/myTrades?symbol=BTCUSDT&fromId=1"),
    ] {
        harmless(exchange, &format!(r#"{{"method":"{method}","path":"{path}"}}"#));
    }
}

#[test]
fn where_the_path_is_not_signed_the_fields_tell() {
    let order = |query: &str| format!(r#"{{"method":"POST","path":"/api/v3/order","query":"{query}"}}"#);
    withdrawal("binance", &order("coin=BTC&address=1x&amount=1"));
    withdrawal("binance", &order("coin=BTC&ADDRESS=1x"));
    withdrawal("binance", &order("coin=BTC&%61ddress=1x"));
    withdrawal("binance", &order("coin=BTC&address[0]=1x"));
    withdrawal("binance", &order("coin=BTC;address=1x"));
    withdrawal("binance", &order("type=MAIN_UMFUTURE&asset=USDT&amount=1"));
    withdrawal(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","form":{"batchOrders":"[{\"address\":\"x\"}]"}}"#,
    );
    harmless("binance", &order("symbol=BTCUSDT&side=BUY&quantity=1"));
    withdrawal(
        "bybit",
        r#"{"method":"POST","path":"/v5/order/create","json":{"coin":"BTC","address":"x"}}"#,
    );
}

#[test]
fn a_name_cut_in_two_between_query_and_body_is_seen() {
    withdrawal(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","query":"coin=BTC&addre","body":"ss=1x&amount=1"}"#,
    );
    withdrawal(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","query":"coin=BTC&amount=1","body":"&address=1x"}"#,
    );
}

#[test]
fn json_in_the_query_of_an_unsigned_path_is_seen() {
    withdrawal(
        "bybit",
        r#"{"method":"GET","path":"/v5/market/time","query":"{\"coin\":\"BTC\",\"address\":\"x\"}"}"#,
    );
    withdrawal(
        "bybit",
        r#"{"method":"GET","path":"/v5/market/time","query":"000address=x"}"#,
    );
    withdrawal(
        "bybit",
        r#"{"method":"GET","path":"/x","query":"{\"\\u0061ddress\":\"x\"}"}"#,
    );
}

#[test]
fn fields_inside_a_name_or_value_that_is_signed_as_it_is_are_seen() {
    withdrawal(
        "binance",
        r#"{"websocket":true,"json":{"a":"1&coin=BTC&address=x"}}"#,
    );
    withdrawal("binance", r#"{"websocket":true,"json":{"address=1&z":"x"}}"#);
    withdrawal("binance", r#"{"websocket":true,"json":{"address=1":"x"}}"#);
    withdrawal(
        "bingx",
        r#"{"method":"POST","path":"/openApi/x","query":"a=1%26address%3Dx"}"#,
    );
}

#[test]
fn a_command_in_the_body_is_seen_in_any_spelling() {
    let body = |body: &str| format!(r#"{{"method":"POST","path":"/tradingApi","body":"{body}"}}"#);
    withdrawal("poloniex-legacy", &body("command=withdraw"));
    withdrawal("poloniex-legacy", &body("command=Withdraw"));
    withdrawal("poloniex-legacy", &body("command=%77ithdraw"));
    withdrawal("poloniex-legacy", &body("command=buy&command=withdraw"));
    withdrawal("poloniex-legacy", &body("Command=transferBalance"));
    harmless("poloniex-legacy", &body("command=buy"));
    refused(
        "poloniex-legacy",
        r#"{"method":"POST","path":"/tradingApi?command=withdraw","body":"command=buy"}"#,
        "does not sign the query",
    );
}

#[test]
fn a_path_and_a_body_cannot_share_a_word() {
    refused(
        "okx",
        r#"{"method":"POST","path":"/api/v5/asset/withdrawa","body":"l{\"ccy\":\"BTC\"}"}"#,
        "neither JSON nor a form",
    );
    refused(
        "okx",
        r#"{"method":"POST","path":"/api/v5/asset/withdrawa","body":"l=1"}"#,
        "does not take",
    );
    refused(
        "bitso",
        r#"{"method":"POST","path":"/api/v3/withdrawa","body":"l"}"#,
        "neither",
    );
    refused(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/order","body":"{}x"}"#,
        "not JSON",
    );
}

#[test]
fn digits_of_a_stamp_cannot_hide_at_the_end_of_the_path() {
    withdrawal(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/withdraw17","nonce":"00"}"#
            .replace("\"00\"", "\"7\"")
            .as_str(),
    );
    withdrawal(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/transfer1","json":{}}"#,
    );
    withdrawal(
        "bitmex",
        r#"{"method":"POST","path":"/api/v1/user/requestWithdrawal17","json":{}}"#,
    );
    withdrawal(
        "btcmarkets",
        r#"{"method":"POST","path":"/v3/withdrawals1","json":{}}"#,
    );
    refused(
        "btcmarkets",
        r#"{"method":"POST","path":"/v3/withdrawals1","json":{},"timestamp":"700000000000"}"#,
        "form",
    );
}

#[test]
fn a_path_that_runs_into_its_query_is_looked_at_with_it() {
    withdrawal(
        "phemex",
        r#"{"method":"GET","path":"/phemex-withdra","query":"w/wallets/api/createWithdraw"}"#,
    );
    harmless(
        "phemex",
        r#"{"method":"GET","path":"/accounts/accountPositions","query":"currency=BTC"}"#,
    );
}

#[test]
fn a_body_in_front_of_the_path_cannot_end_in_one() {
    refused(
        "krakenfutures",
        r#"{"method":"POST","path":"/v3/withdrawal","body":"amount=1&x=/api"}"#,
        "has no path",
    );
    withdrawal(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/x/api/v3/withdrawal"}"#,
    );
    withdrawal(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/v3/withdrawal"}"#,
    );
    harmless(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/v3/sendorder"}"#,
    );
}

#[test]
fn methods_are_a_closed_set() {
    for method in ["HEAD", "OPTIONS", "POST ", "GETX", "", "P\\u00d6ST", "CONNECT"] {
        refused(
            "kraken",
            &format!(r#"{{"method":"{method}","path":"/0/private/Balance"}}"#),
            "no method",
        );
    }
    harmless("kraken", r#"{"method":"post","path":"/0/private/Balance"}"#);
}

#[test]
fn paths_have_one_reading() {
    for path in [
        "0/private",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2E/b",
        "/a%2fb",
        "/a%5Cb",
        "/a%00b",
        "/a%3Fb",
        "/a%23b",
        "/a%0ab",
        "/a#b",
        "/a\\\\b",
        "/a b",
        "/\\u00e9",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a;b",
        "/a%ff",
        "/a%2541",
        "",
    ] {
        let error = look("kraken", &format!(r#"{{"method":"POST","path":"{path}"}}"#)).unwrap_err();
        assert_eq!(error.code(), Code::BadInput, "{path}");
    }
    harmless(
        "coinbaseexchange",
        r#"{"method":"GET","path":"/a-._~:@,+!$()*'%20%C3%A9"}"#,
    );
}

#[test]
fn queries_and_forms_are_printable_ascii() {
    for query in ["a=b c", "a=\\u00e9", "a=b\\n", "a=%4", "a=b#c", "a=\\u007f"] {
        let error = look(
            "coinbaseexchange",
            &format!(r#"{{"method":"GET","path":"/x","query":"{query}"}}"#),
        )
        .unwrap_err();
        assert!(error.remedy().is_some(), "{query}");
    }
    for body in ["a=b c", "a=\\u00e9", "a=b\\r\\nc", "a", "=b", "a=%", "a=1&&=2"] {
        look(
            "kraken",
            &format!(r#"{{"method":"POST","path":"/0/private/X","body":"{body}"}}"#),
        )
        .unwrap_err();
    }
}

#[test]
fn a_body_is_wholly_of_one_kind() {
    let post = |body: &str| format!(r#"{{"method":"POST","path":"/0/private/X",{body}}}"#);
    refused("kraken", &post(r#""body":"{\"a\":1,\"a\":2}""#), "twice");
    refused("kraken", &post(r#""body":"{\"a\":1} x""#), "not JSON");
    refused("kraken", &post(r#""json":5"#), "object or list");
    refused("kraken", &post(r#""json":[{}]"#), "list cannot take");
    refused(
        "kraken",
        &post(r#""body":"a=1","content_type":"application/json""#),
        "not JSON",
    );
    refused(
        "kraken",
        &post(r#""json":{},"content_type":"application/x-www-form-urlencoded""#),
        "not of the kind",
    );
    refused(
        "kraken",
        &post(r#""body":"a=1","content_type":"text/plain""#),
        "content_type",
    );
    refused("kraken", &post(r#""body_base64":"/w==""#), "not UTF-8");
    refused(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","json":{}}"#,
        "does not take",
    );
}

#[test]
fn a_challenge_is_a_uuid_and_nothing_else() {
    let login = |challenge: &str| format!(r#"{{"websocket":true,"challenge":"{challenge}"}}"#);
    harmless("krakenfutures", &login("c100b894-1729-464d-ace1-52dbce11db42"));
    refused(
        "krakenfutures",
        &login("amount=1&currency=xbt/api/v3/withdrawal"),
        "not a UUID",
    );
    refused("krakenfutures", r#"{"websocket":true}"#, "challenge");
    refused(
        "bitfinex",
        &login("c100b894-1729-464d-ace1-52dbce11db42"),
        "challenge",
    );
}

#[test]
fn a_websocket_login_signs_no_other_path() {
    harmless("gemini", r#"{"websocket":true,"path":"/v1/order/events"}"#);
    refused(
        "gemini",
        r#"{"websocket":true,"path":"/v1/withdraw/btc"}"#,
        "has no path",
    );
    refused(
        "htx",
        r#"{"websocket":true,"path":"/v1/dw/withdraw/api/create"}"#,
        "has no path",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"path":"/v2/auth/w/withdraw"}"#,
        "does not depend on a path",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"query":"a=1"}"#,
        "does not sign the query",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"json":{"a":1}}"#,
        "does not sign the body",
    );
}

#[test]
fn a_websocket_frame_passes_the_withdrawal_look() {
    withdrawal(
        "binance",
        r#"{"websocket":true,"json":{"coin":"BTC","address":"x"}}"#,
    );
    withdrawal("binance", r#"{"websocket":true,"json":{"x":[{"address":"x"}]}}"#);
    harmless(
        "binance",
        r#"{"websocket":true,"json":{"symbol":"BTCUSDT","side":"BUY"}}"#,
    );
}

#[test]
fn without_a_websocket_login_the_file_says_what_to_do() {
    let error = look("kraken", r#"{"websocket":true}"#).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(
        error
            .remedy()
            .unwrap()
            .contains("POST /0/private/GetWebSocketsToken")
    );
}

#[test]
fn where_nothing_is_signed_everything_may_be_a_withdrawal() {
    withdrawal(
        "bitstamp-legacy",
        r#"{"method":"POST","path":"/api/balance/","form":{}}"#,
    );
}

#[test]
fn a_file_without_rules_lets_nothing_pass() {
    let text = builtin("kraken").unwrap();
    let cut = &text[..text.find("[withdrawal]").unwrap()];
    let scheme = Scheme::parse(cut, "cut").unwrap();
    let request = Request::parse_line(r#"{"method":"POST","path":"/0/private/Balance"}"#).unwrap();
    assert!(
        scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap()
            .moves_money()
            .is_some()
    );
    assert_eq!(scheme.faults().len(), 1);
}

#[test]
fn a_raw_message_that_shows_a_withdrawal_is_seen() {
    let raw = |exchange: &str, message: &[u8]| scheme(exchange).raw_moves_money(message);
    assert!(raw("kraken", b"/0/private/Withdraw\x01\xff\x00").is_some());
    assert!(raw("kraken", b"/0/private/AddOrder\x01\xff\x00").is_none());
    assert!(raw("binance", b"coin=BTC&address=x&timestamp=1").is_some());
    assert!(raw("binance", b"symbol=BTCUSDT&timestamp=1").is_none());
    assert!(
        raw(
            "okx",
            br#"2020-12-31T23:59:59.999ZPOST/api/v5/asset/withdrawal{"ccy":"BTC"}"#
        )
        .is_some()
    );
    assert!(raw("gemini", b"eyJyZXF1ZXN0IjoiL3YxL3dpdGhkcmF3L2J0YyJ9").is_some());
    assert!(raw("poloniex-legacy", b"command=withdraw&nonce=1").is_some());
}

#[test]
fn options_are_digits() {
    let with = |window: &str| format!(r#"{{"method":"GET","path":"/v5/x","window":"{window}"}}"#);
    harmless("bybit", &with("6000"));
    refused("bybit", &with("5000{\\\"address\\\":1}"), "whole number");
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","window":"5"}"#,
        "does not know",
    );
}

#[test]
fn binance_takes_its_window_as_recv_window() {
    let line = r#"{"method":"GET","path":"/api/v3/account","window":5000,"timestamp":"1700000000000"}"#;
    assert_eq!(
        message("binance", line).unwrap(),
        b"timestamp=1700000000000&recvWindow=5000"
    );
    refused(
        "binance",
        r#"{"method":"GET","path":"/a","query":"recvWindow=1","window":2}"#,
        "differ",
    );
}

#[test]
fn a_passphrase_never_comes_from_the_request() {
    refused(
        "okx",
        r#"{"method":"GET","path":"/x","passphrase":"y"}"#,
        "no field",
    );
    let scheme = scheme("kucoin");
    let request = Request::parse_line(r#"{"method":"GET","path":"/api/v1/accounts"}"#).unwrap();
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: None,
    };
    let prepared = scheme
        .prepare(&request, scheme.kind(None).unwrap(), None)
        .unwrap();
    let mut composed = prepared.compose(&credentials, &stamps).unwrap();
    assert!(!composed.next().unwrap().unwrap().sensitive);
    composed.supply(&[1; 32]).unwrap();
    let part = composed.next().unwrap().unwrap();
    assert!(part.sensitive && part.message == b"words");
    composed.supply(&[2; 32]).unwrap();
    assert!(
        composed.next().unwrap().is_none(),
        "a key without a partner needs no third signature"
    );
    assert!(composed.attach().is_ok());
}

#[test]
fn what_is_not_signed_is_refused_unless_the_file_lets_it_go_along() {
    for method in ["POST", "PUT", "DELETE"] {
        refused(
            "poloniex",
            &format!(r#"{{"method":"{method}","path":"/orders?x=1"}}"#),
            "does not sign the query",
        );
    }
    refused(
        "poloniex",
        r#"{"method":"GET","path":"/orders","json":{}}"#,
        "does not sign the body",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X?a=1"}"#,
        "does not sign the query",
    );
    harmless(
        "htx",
        r#"{"method":"POST","path":"/v1/order/orders","json":{"a":1}}"#,
    );
    harmless(
        "btcmarkets",
        r#"{"method":"GET","path":"/v3/orders?status=open"}"#,
    );
    let warnings = scheme("htx").warnings().join("\n");
    assert!(warnings.contains("the body goes along unsigned"), "{warnings}");
}

#[test]
fn carried_fields_are_used_and_not_doubled() {
    assert_eq!(
        message(
            "binance",
            r#"{"method":"POST","path":"/a","query":"x=1&timestamp=1700000000001","body":"y=2"}"#
        )
        .unwrap(),
        b"x=1&timestamp=1700000000001y=2"
    );
    refused(
        "binance",
        r#"{"method":"POST","path":"/a","query":"timestamp=1700000000001","body":"timestamp=1700000000001"}"#,
        "more than once",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=1&nonce=2"}"#,
        "more than once",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=1","nonce":"2"}"#,
        "differ",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=01"}"#,
        "form",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","nonce":null}"#,
        "wants a nonce",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","timestamp":"1700000000"}"#,
        "does not use",
    );
    refused(
        "binance",
        r#"{"method":"GET","path":"/a","query":"x=1&signature=00"}"#,
        "already signed",
    );
    let other = message(
        "bittrex",
        r#"{"method":"GET","path":"/api/x","query":"apikey=OTHER"}"#,
    )
    .unwrap_err();
    assert!(other.message().contains("apikey"), "{other}");
}

#[test]
fn a_payload_cannot_name_another_path() {
    for (exchange, line) in [
        (
            "gemini",
            r#"{"method":"POST","path":"/v1/mytrades","json":{"request":"/v1/withdraw/btc"}}"#,
        ),
        (
            "whitebit",
            r#"{"method":"POST","path":"/api/v4/order/new","json":{"request":"/api/v4/main-account/withdraw"}}"#,
        ),
        (
            "cryptocom",
            r#"{"method":"POST","path":"/exchange/v1/private/x","json":{"method":"private/create-withdrawal"}}"#,
        ),
    ] {
        let error = message(exchange, line).unwrap_err();
        assert!(
            error.message().contains("is not what this key and path want"),
            "{exchange}: {error}"
        );
    }
}

#[test]
fn brought_nonces_raise_the_sequence_and_others_need_one() {
    let scheme = scheme("kraken");
    let need = |line: &str| {
        let request = Request::parse_line(line).unwrap();
        scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap()
            .nonce()
    };
    assert_eq!(
        need(r#"{"method":"POST","path":"/0/private/X","body":"nonce=5"}"#),
        NonceNeed::Brought { value: 5 }
    );
    assert!(matches!(
        need(r#"{"method":"POST","path":"/0/private/X"}"#),
        NonceNeed::Fresh { .. }
    ));
}

#[test]
fn hosts_are_the_files_or_the_base_url() {
    let line = |part: &str| format!(r#"{{"method":"POST",{part}}}"#);
    refused(
        "kraken",
        &line(r#""path":"/0/x","host":"evil.example""#),
        "no host",
    );
    refused(
        "kraken",
        &line(r#""url":"http://api.kraken.com/0/x""#),
        "this machine",
    );
    refused(
        "kraken",
        &line(r#""url":"https://api.kraken.com@evil.example/0/x""#),
        "host",
    );
    refused(
        "kraken",
        &line(r#""url":"https://api.kraken.com/0/x","path":"/0/x""#),
        "beside it",
    );
    harmless("kraken", &line(r#""url":"https://API.kraken.com:443/0/x""#));
    let at = |exchange: &str, path: &str, base: Option<&str>| {
        let scheme = scheme(exchange);
        let request = Request::parse_line(&format!(r#"{{"method":"GET","path":"{path}"}}"#)).unwrap();
        let prepared = scheme.prepare(&request, scheme.kind(None).unwrap(), base);
        prepared.map(|prepared| format!("{} {}", prepared.origin, prepared.endpoint().host))
    };
    assert_eq!(
        at("binance", "/fapi/v1/order", None).unwrap(),
        "https://fapi.binance.com fapi.binance.com"
    );
    assert_eq!(
        at("binance", "/api/v3/order", None).unwrap(),
        "https://api.binance.com api.binance.com"
    );
    assert_eq!(
        at("binance", "/api", Some("http://127.0.0.1:8080")).unwrap(),
        "http://127.0.0.1:8080 127.0.0.1:8080"
    );
    assert_eq!(
        at("binance", "/api", Some("http://[::1]:8080")).unwrap(),
        "http://[::1]:8080 [::1]:8080"
    );
    for base in [
        "http://example.com",
        "ftp://x",
        "https://x/y",
        "https://",
        "https://a b",
        "https://x:99999",
    ] {
        assert!(at("binance", "/api", Some(base)).is_err(), "{base}");
    }
}

#[test]
fn a_key_below_headers_is_not_taken_for_a_header() {
    let text = "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = { algorithm = \"hmac-sha256\", secret = \"ascii\", \
                encoding = \"hex\" }\nsignature = { message = \"{body}\" }\n[headers]\nA = \"{signature}\"\n";
    assert!(Scheme::parse(text, "x").is_ok());
    for late in [
        "body = \"{path}\"",
        "add-at = \"first\"",
        "clock = { unit = \"s\" }",
        "nonce = { unit = \"s\" }",
    ] {
        let error = Scheme::parse(&format!("{text}{late}\n"), "x").unwrap_err();
        assert!(
            error.remedy().unwrap().contains("before the first [table]"),
            "{error}"
        );
    }
}

#[test]
fn faults_of_a_file_say_where_they_are() {
    let text = builtin("kraken").unwrap();
    for (from, to, says) in [
        ("id = \"kraken\"", "id = kraken", "line 1, column 6"),
        ("nonce = { unit", "nonse = { unit", "line 6, column 1"),
        ("{path}{sha256", "{pat}{sha256", "signature.message"),
        ("\"{api_key}\"", "\"{api_key\"", "headers.API-Key"),
        ("unit = \"us\"", "unit = \"min\"", "no nonce unit"),
        (
            "algorithm = \"hmac-sha512\"",
            "algorithm = \"md5\"",
            "no algorithm",
        ),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = Scheme::parse(&broken, "kraken.toml").unwrap_err();
        assert!(
            error.message().contains(says) && error.message().starts_with("kraken.toml: "),
            "{error}"
        );
    }
}
