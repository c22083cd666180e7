//! Withdrawals in disguise: the rules must see each.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};

use super::{harmless, refused, scheme, withdrawal};
use crate::{
    exchange::{Scheme, builtin},
    request::Request,
};

/// A file whose message has an endpoint's word in place of method and path.
fn by_words(message: &str) -> Scheme {
    let text = format!(
        r#"
id = "x"
name = "X"
hosts = ["x.com"]
key = {{ algorithm = "hmac-sha256", secret = "ascii", encoding = "hex" }}
params = {{ default = "query" }}
signature = {{ message = "{message}" }}
[endpoints]
"GET /withdrawals" = "withdrawals"
"POST /withdrawals" = "withdraw"
"GET /funds" = "funds"
"PUT /withdrawals/now" = "funds"
[withdrawal]
paths = ["POST /withdrawals*", "PUT /withdrawals*"]
"#
    );
    Scheme::parse(&text, "x").unwrap()
}

#[test]
fn an_endpoints_word_tells_a_question_from_a_withdrawal_where_it_stands_apart() {
    let moves = |scheme: &Scheme, method: &str, path: &str| {
        let line = format!(r#"{{"method":"{method}","path":"{path}","query":"a=1"}}"#);
        let request = Request::parse_line(&line).unwrap();
        let prepared = scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap();
        prepared.moves_money().is_some()
    };
    for apart in [
        "{endpoint}&{query}",
        "do={endpoint}{when(query, '&', query)}",
        "{query}&{endpoint}",
    ] {
        let scheme = by_words(apart);
        assert!(!moves(&scheme, "GET", "/withdrawals"), "{apart}");
        assert!(moves(&scheme, "POST", "/withdrawals"), "{apart}");
        // The word is that of a withdrawal too.
        assert!(moves(&scheme, "GET", "/funds"), "{apart}");
    }
    // `withdrawals` and `a=1` could be `withdraw` and `alsa=1`.
    for joined in [
        "{endpoint}{query}",
        "{endpoint}s{query}",
        "{query}{endpoint}",
        "{hex(endpoint, query)}",
    ] {
        assert!(moves(&by_words(joined), "GET", "/withdrawals"), "{joined}");
    }
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
        "backpack",
        r#"{"method":"POST","path":"/wapi/v1/capital/withdrawals","json":{}}"#,
    );
    for path in ["update-api", "update-sub-api", "delete-api", "create-sub-api"] {
        withdrawal(
            "bybit",
            &format!(r#"{{"method":"POST","path":"/v5/user/{path}"}}"#),
        );
    }
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
        ("backpack", "GET", "/wapi/v1/capital/withdrawals"),
        // What a key may do is asked there, by ccxt before nearly every call.
        ("bybit", "GET", "/v5/user/query-api"),
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
fn a_name_that_a_server_ends_or_mends_is_seen() {
    let body = |body: &str| format!(r#"{{"method":"POST","path":"/tapi","body":"{body}"}}"#);
    for name in [
        "method%00",
        "method%00x",
        "%00method",
        "a%0Ab",
        "%7Fa",
        "method%C2%85",
    ] {
        refused(
            "indodax",
            &body(&format!("method=getInfo&{name}=withdrawCoin")),
            "a name with a control character",
        );
    }
    refused(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","query":"coin=BTC;address%00=1x"}"#,
        "a name with a control character",
    );
    refused(
        "indodax",
        r#"{"method":"POST","path":"/tapi","form":{"method":"getInfo","method\u0000":"withdrawCoin"}}"#,
        "a name with a control character",
    );
    refused(
        "indodax",
        r#"{"method":"POST","path":"/tapi","params":{"method":"getInfo","method\u0000":"withdrawCoin"}}"#,
        "a name with a control character",
    );
    refused(
        "indodax",
        r#"{"method":"POST","path":"/tapi","params":{"method":"getInfo","":"withdrawCoin"}}"#,
        "is no name=value",
    );
    for name in [
        "withdraw.address",
        "withdraw%20address",
        "withdraw+address",
        "withdraw[address",
        "withdraw.address[]",
    ] {
        withdrawal("indodax", &body(&format!("method=getInfo&{name}=1x")));
    }
    harmless(
        "indodax",
        &body("method=getInfo&note=a%00b%0A&withdraw[]=1&a.b=2"),
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
fn where_nothing_is_signed_everything_may_be_a_withdrawal() {
    withdrawal(
        "bitstamp-legacy",
        r#"{"method":"POST","path":"/api/balance/","form":{}}"#,
    );
}

#[test]
fn a_login_that_is_signed_as_a_withdrawal_is_one() {
    for exchange in ["coinmate", "ndax", "btcturk", "bigone"] {
        withdrawal(exchange, r#"{"websocket":true}"#);
    }
    // A withdrawal has more in its message than a login.
    for exchange in ["bitopro", "cex", "phemex", "upbit"] {
        harmless(exchange, r#"{"websocket":true}"#);
    }
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
    // {"request":"/v1/withdraw"}, as the older API signs.
    assert!(raw("bitfinex", b"eyJyZXF1ZXN0IjoiL3YxL3dpdGhkcmF3In0=").is_some());
    // Where the beginning of the path is not signed.
    assert!(raw("cryptocom", b"private/create-withdrawal1keyaddressxamount1").is_some());
    assert!(raw("cryptocom", b"private/create-order1keyamount1").is_none());
    assert!(raw("cex", b"do_withdraw_funds1700000000{}").is_some());
    assert!(raw("cex", b"do_my_new_order1700000000{}").is_none());
    assert!(raw("poloniex-legacy", b"command=withdraw&nonce=1").is_some());
}

#[test]
fn a_raw_message_shows_a_withdrawal_however_its_path_is_spelled() {
    let raw = |exchange: &str, message: &str| scheme(exchange).raw_moves_money(message.as_bytes());
    for path in [
        "/0/private/%57ithdraw",
        "/0/private/%2557ithdraw",
        "/0/private/%252557ithdraw",
        "/0/private//WalletTransfer",
        "/0//private/./WalletTransfer",
        "/0/private/Balance/../WalletTransfer",
        "/0/private/Balance/%2e%2e/WalletTransfer",
        "/0/private;x=1/WalletTransfer",
        "/0\\private\\WalletTransfer",
    ] {
        assert!(raw("kraken", &format!("{path}\u{1}\u{2}")).is_some(), "{path}");
    }
    for path in [
        "/0/private//Balance",
        "/0/private/../public/Time",
        "/0/private/AddOrder;x",
    ] {
        assert!(raw("kraken", path).is_none(), "{path}");
    }
    for payload in [
        r#"{"request":"\/v1\/withdraw\/btc","nonce":1}"#,
        r#"{"request":"/v1/\u0077ithdraw/btc","nonce":1}"#,
        r#"{"request":"/v1//withdraw/btc","nonce":1}"#,
    ] {
        for text in [
            Base64::encode_string(payload.as_bytes()),
            Base64UrlUnpadded::encode_string(payload.as_bytes()),
        ] {
            assert!(raw("gemini", &text).is_some(), "{payload}");
        }
    }
    let order = Base64::encode_string(br#"{"request":"\/v1\/order\/new","nonce":1}"#);
    assert!(raw("gemini", &order).is_none());
}
