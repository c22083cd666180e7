//! Withdrawals in disguise: the rules must see each.

use super::{harmless, refused, withdrawal};
use crate::{
    exchange::{Scheme, builtin},
    request::Request,
};

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
