//! What the built-in files say of sending, on answers that the exchanges document.

use crate::{
    exchange::{Scheme, builtin, builtin_ids},
    json::Json,
};

fn scheme(id: &str) -> Scheme {
    Scheme::parse(builtin(id).unwrap(), id).unwrap()
}

#[test]
fn documented_errors_are_known_and_documented_answers_are_none() {
    for (id, answer, words) in [
        (
            "binance",
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
            Some("Invalid symbol. (-1121)"),
        ),
        (
            "binance",
            r#"[{"orderId":1},{"code":-2022,"msg":"ReduceOnly Order is rejected."}]"#,
            Some("ReduceOnly Order is rejected. (-2022)"),
        ),
        ("binance", r#"{"code":200,"msg":"success"}"#, None),
        (
            "binanceus",
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
            Some("Invalid symbol. (-1121)"),
        ),
        (
            "bingx",
            r#"{"code":80014,"msg":"Invalid parameters","data":{}}"#,
            Some("Invalid parameters (80014)"),
        ),
        (
            "bingx",
            r#"{"code":0,"msg":"","data":{"serverTime":1675319535362}}"#,
            None,
        ),
        (
            "bitfinex",
            r#"["error",10114,"nonce: small"]"#,
            Some("nonce: small (error)"),
        ),
        (
            "bitfinex",
            r#"[1567590617,"on-req",null,null,[],null,"ERROR","Invalid order"]"#,
            Some("Invalid order (ERROR)"),
        ),
        (
            "bitfinex",
            r#"[1567590617,"on-req",null,null,[],null,"SUCCESS","Submitting"]"#,
            None,
        ),
        (
            "bitget",
            r#"{"code":"40017","msg":"Order id must not be blank","data":null}"#,
            Some("Order id must not be blank (40017)"),
        ),
        ("bitget", r#"{"code":"00000","msg":"success","data":{}}"#, None),
        (
            "bitso",
            r#"{"success":false,"error":{"code":104,"message":"nonce must be higher than 1"}}"#,
            Some("nonce must be higher than 1 (false)"),
        ),
        (
            "bitstamp",
            r#"{"status":"error","reason":"Invalid nonce","code":"API0004"}"#,
            Some("Invalid nonce (error)"),
        ),
        (
            "bitvavo",
            r#"{"errorCode":203,"error":"symbol parameter is required."}"#,
            Some("symbol parameter is required. (203)"),
        ),
        ("bitvavo", r#"{"time":1590379519148}"#, None),
        (
            "coinone",
            r#"{"result":"error","error_code":"107","error_msg":"Parameter value is wrong"}"#,
            Some("Parameter value is wrong (error)"),
        ),
        ("coinone-plain", r#"{"result":"success","error_code":"0"}"#, None),
        (
            "deribit",
            r#"{"jsonrpc":"2.0","error":{"message":"invalid_credentials","code":13004}}"#,
            Some(r#"invalid_credentials ({"message":"invalid_credentials","code":13004})"#),
        ),
        (
            "htx",
            r#"{"status":"error","err-code":"bad-request","err-msg":"invalid amount","data":null}"#,
            Some("invalid amount"),
        ),
        ("htx", r#"{"status":"ok","data":"59378"}"#, None),
        (
            "kraken",
            r#"{"error":["EGeneral:Invalid arguments"]}"#,
            Some("EGeneral:Invalid arguments"),
        ),
        (
            "krakenfutures",
            r#"{"result":"success","sendStatus":{"status":"insufficientAvailableFunds"}}"#,
            Some("insufficientAvailableFunds"),
        ),
        (
            "krakenfutures",
            r#"{"result":"success","sendStatus":{"status":"placed","order_id":"1"}}"#,
            None,
        ),
        (
            "krakenfutures",
            r#"{"result":"error","error":"apiLimitExceeded"}"#,
            Some("apiLimitExceeded (error)"),
        ),
        (
            "okx",
            r#"{"code":"1","data":[{"sCode":"51008","sMsg":"Insufficient balance"}],"msg":""}"#,
            Some("Insufficient balance (51008)"),
        ),
        (
            "okx",
            r#"{"code":"50111","data":[],"msg":"Invalid OK-ACCESS-KEY"}"#,
            Some("Invalid OK-ACCESS-KEY (50111)"),
        ),
        (
            "okx",
            r#"{"code":"0","data":[{"sCode":"0","sMsg":""}],"msg":""}"#,
            None,
        ),
        ("phemex", r#"{"code":0,"msg":"OK","data":{}}"#, None),
        (
            "poloniex",
            r#"{"code":21709,"message":"Low available balance"}"#,
            Some("Low available balance (21709)"),
        ),
        ("poloniex", r#"{"id":"1","clientOrderId":"2"}"#, None),
        (
            "xt",
            r#"{"rc":1,"mc":"ORDER_001","ma":[],"result":null}"#,
            Some("ORDER_001 (1)"),
        ),
        ("xt", r#"{"rc":0,"mc":"SUCCESS","result":[]}"#, None),
    ] {
        let found = scheme(id).sending().error(&Json::parse(answer).unwrap());
        assert_eq!(found.as_deref(), words, "{id}: {answer}");
    }
}

#[test]
fn nothing_that_places_or_cancels_orders_is_taken_for_a_look() {
    for (id, method, path) in [
        ("binance", "POST", "/api/v3/order"),
        ("bitbns", "POST", "/api/trade/v1/placeBuyOrder/BTC"),
        ("bitfinex", "POST", "/v2/auth/w/order/submit"),
        ("bitstamp", "POST", "/api/v2/buy/btcusd/"),
        ("bitstamp", "POST", "/api/v2/cancel_all_orders/"),
        (
            "bitstamp",
            "POST",
            "/api/v2/crypto-transactions/deposits/1/reject/",
        ),
        ("bittrex", "GET", "/api/v1.1/market/buylimit"),
        ("btcbox", "POST", "/api/v1/trade_add"),
        ("cex", "POST", "/api/spot/rest/do_my_new_order"),
        ("coinmate", "POST", "/api/buyLimit"),
        ("coinmate", "POST", "/api/cancelAllOpenOrders"),
        ("coinone", "POST", "/v2.1/order"),
        ("coinone", "POST", "/v2.1/order/cancel/all"),
        ("coinspot", "POST", "/api/v2/my/buy/now"),
        ("cryptocom", "POST", "/exchange/v1/private/create-order"),
        ("deribit", "GET", "/api/v2/private/buy"),
        ("deribit", "GET", "/api/v2/private/cancel_all"),
        ("deribit", "POST", "/api/v2"),
        ("gemini", "POST", "/v1/order/new"),
        ("gemini", "POST", "/v1/order/cancel/all"),
        ("htx", "POST", "/linear-swap-api/v1/swap_cross_order"),
        ("independentreserve", "POST", "/Private/PlaceLimitOrder"),
        ("indodax", "POST", "/tapi"),
        ("kraken", "POST", "/0/private/AddOrder"),
        ("kraken", "POST", "/0/private/CancelAll"),
        ("kraken", "POST", "/0/private/DepositAddresses"),
        ("lbank", "POST", "/v2/supplement/create_order.do"),
        ("p2b", "POST", "/api/v2/order/new"),
        ("whitebit", "POST", "/api/v4/order/new"),
        ("whitebit", "POST", "/api/v4/order/kill-switch"),
        ("zaif", "POST", "/tapi"),
    ] {
        assert!(
            !scheme(id).sending().only_reads(method, path),
            "{id}: {method} {path}"
        );
    }
    for (id, method, path) in [
        ("deribit", "GET", "/api/v2/private/get_positions"),
        ("gemini", "POST", "/v1/balances"),
        ("kraken", "POST", "/0/private/Balance"),
        ("whitebit", "POST", "/api/v4/trade-account/balance"),
    ] {
        assert!(
            scheme(id).sending().only_reads(method, path),
            "{id}: {method} {path}"
        );
    }
}

#[test]
fn answers_of_exchanges_that_tell_of_a_wrong_clock_are_known() {
    for (id, answer) in [
        (
            "binance",
            r#"{"code": -1021, "msg": "Timestamp for this request was 1000ms ahead of the server's time."}"#,
        ),
        (
            "bitbank",
            "{\n  \"success\": 0,\n  \"data\": {\n    \"code\": 20035\n  }\n}",
        ),
        ("bitbank", r#"{"success":0,"data":{"code":20034}}"#),
        (
            "coinbase-legacy",
            r#"{"errors":[{"id":"authentication_error","message":"request timestamp expired"}]}"#,
        ),
        ("digifinex", r#"{"code":10008}"#),
        ("revolutx", r#"{"message":"Timestamp is in the future"}"#),
    ] {
        assert!(scheme(id).sending().is_clock_error(answer), "{id}: {answer}");
    }
    for (id, answer) in [
        ("bitbank", r#"{"success":0,"data":{"code":20003}}"#),
        ("revolutx", r#"{"message":"Order not found"}"#),
    ] {
        assert!(!scheme(id).sending().is_clock_error(answer), "{id}: {answer}");
    }
}

#[test]
fn an_exchange_like_another_has_its_rules_and_not_its_testnet() {
    for id in builtin_ids() {
        let scheme = scheme(id);
        for (real, _) in scheme.sending().testnet() {
            assert!(scheme.hosts().contains(real), "{id}: {real}");
        }
    }
    let (heir, other) = (scheme("okxus"), scheme("okx"));
    assert_eq!(heir.sending().time("/"), other.sending().time("/"));
    assert!(heir.sending().testnet().is_empty() && heir.sending().testnet_headers().is_empty());
    assert_eq!(other.sending().testnet_headers().len(), 1);
}
