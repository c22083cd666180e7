//! Caps before endpoints that trade, close or lend without an amount that a cap could see: converting, stops of a whole
//! position, tokens for sockets, and every endpoint where the path is not signed. Beside them stand what looks, cancels
//! and orders, which must pass.

use crate::judge::Judge;

fn ask(method: &str, path: &str, body: &str) -> String {
    let mut line = serde_json::json!({"method": method, "path": path});
    if !body.is_empty() {
        line["body"] = body.into();
        if body.starts_with(['{', '[']) {
            line["content_type"] = "application/json".into();
        }
    }
    line.to_string()
}

fn cap(field: &str) -> String {
    format!("[[cap]]\nfield = \"{field}\"\nrequest = \"0.1\"")
}

/// An exchange with the field that is capped; requests that pass, and some that do not.
type Row<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str, &'a str)],
    &'a [(&'a str, &'a str, &'a str)],
);

const PATH_SIGNED: &[Row<'_>] = &[
    (
        "okx",
        "sz",
        &[
            ("GET", "/api/v5/account/balance?ccy=BTC", ""),
            ("GET", "/api/v5/asset/convert/history", ""),
            (
                "POST",
                "/api/v5/trade/order",
                r#"{"instId":"BTC-USDT","side":"buy","ordType":"limit","px":"1","sz":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/cancel-order",
                r#"{"instId":"BTC-USDT","ordId":"1"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/cancel-batch-orders",
                r#"[{"instId":"BTC-USDT","ordId":"1"}]"#,
            ),
            ("POST", "/api/v5/trade/cancel-all-after", r#"{"timeOut":"60"}"#),
            (
                "POST",
                "/api/v5/trade/amend-order",
                r#"{"instId":"BTC-USDT","ordId":"1","newPx":"2"}"#,
            ),
        ],
        &[
            (
                "POST",
                "/api/v5/trade/easy-convert",
                r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/easy-convert",
                r#"{"fromCcy":["ETH"],"toCcy":"BTC","sz":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v5/Trade/%65asy-convert/",
                r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/one-click-repay",
                r#"{"debtCcy":["ETH"],"repayCcy":"USDT"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/one-click-repay-v2",
                r#"{"debtCcy":"ETH","repayCcyList":["USDT"]}"#,
            ),
            (
                "POST",
                "/api/v5/asset/convert/trade",
                r#"{"quoteId":"q","baseCcy":"ETH","quoteCcy":"USDT","side":"buy","sz":"0.1","szCcy":"USDT"}"#,
            ),
            ("POST", "/api/v5/asset/convert-dust-assets", r#"{"ccy":["BTC"]}"#),
            (
                "POST",
                "/api/v5/account/set-leverage",
                r#"{"instId":"BTC-USDT-SWAP","lever":"100","mgnMode":"cross"}"#,
            ),
            ("POST", "/api/v5/account/activate-option", r#"{}"#),
            (
                "POST",
                "/api/v5/finance/staking-defi/redeem",
                r#"{"ordId":"1","protocolType":"defi"}"#,
            ),
            (
                "POST",
                "/api/v5/copytrading/amend-copy-settings",
                r#"{"instType":"SWAP","uniqueCode":"25CD"}"#,
            ),
            (
                "POST",
                "/api/v5/rfq/execute-quote",
                r#"{"rfqId":"1","quoteId":"2"}"#,
            ),
            (
                "POST",
                "/api/v5/tradingBot/grid/stop-order-algo",
                r#"[{"algoId":"1","instId":"BTC-USDT","stopType":"1"}]"#,
            ),
        ],
    ),
    (
        "gate",
        "amount",
        &[
            ("GET", "/api/v4/flash_swap/orders", ""),
            (
                "POST",
                "/api/v4/spot/orders",
                r#"{"currency_pair":"BTC_USDT","side":"buy","amount":"0.1","price":"1"}"#,
            ),
            ("DELETE", "/api/v4/spot/orders?currency_pair=BTC_USDT", ""),
            (
                "PATCH",
                "/api/v4/spot/orders/1?currency_pair=BTC_USDT",
                r#"{"price":"2"}"#,
            ),
            (
                "POST",
                "/api/v4/spot/cancel_batch_orders",
                r#"[{"currency_pair":"BTC_USDT","id":"1"}]"#,
            ),
        ],
        &[
            (
                "POST",
                "/api/v4/flash_swap/orders",
                r#"{"preview_id":"1","sell_currency":"BTC","buy_currency":"USDT"}"#,
            ),
            (
                "POST",
                "/api/v4/flash_swap/orders",
                r#"{"preview_id":"1","sell_currency":"BTC","amount":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v4/earn/uni/interest_reinvest",
                r#"{"currency":"BTC","status":true}"#,
            ),
            ("POST", "/api/v4/futures/usdt/dual_mode?dual_mode=true", ""),
            (
                "POST",
                "/api/v4/futures/usdt/positions/BTC_USDT/leverage?leverage=100",
                "",
            ),
            ("DELETE", "/api/v4/futures/usdt/positions/BTC_USDT", ""),
        ],
    ),
    (
        "kraken",
        "volume",
        &[
            ("POST", "/0/private/Balance", ""),
            ("POST", "/0/private/OpenOrders", "trades=true"),
            ("POST", "/0/private/OpenPositions", "docalcs=true"),
            ("POST", "/0/private/CancelOrder", "txid=x"),
            ("POST", "/0/private/CancelAll", ""),
            ("POST", "/0/private/AmendOrder", "txid=x&limit_price=5"),
            ("POST", "/0/private/AddOrder", "pair=XBTUSD&type=buy&volume=0.1"),
        ],
        &[
            ("POST", "/0/private/GetWebSocketsToken", ""),
            ("POST", "/0/private/getwebsocketstoken/", ""),
            ("POST", "/0/private/GetWebSocketsToken.json", "volume=0.1"),
            ("POST", "/0/private/SomethingNew", "pair=XBTUSD"),
        ],
    ),
    (
        "bitfinex",
        "amount",
        &[
            ("POST", "/v2/auth/r/wallets", ""),
            ("POST", "/v2/auth/r/positions", "{}"),
            ("POST", "/v2/auth/w/order/cancel", r#"{"id":1}"#),
            ("POST", "/v2/auth/w/order/update", r#"{"id":1,"price":"2"}"#),
        ],
        &[
            ("POST", "/v2/auth/w/position/claim", r#"{"id":1}"#),
            ("POST", "/v2/auth/w/funding/close", r#"{"id":1}"#),
            ("POST", "/v2/auth/w/position/increase", r#"{"symbol":"tBTCUSD"}"#),
            (
                "POST",
                "/v2/auth/w/position/increase/r/balance",
                r#"{"symbol":"tBTCUSD"}"#,
            ),
        ],
    ),
    (
        "kucoin",
        "size",
        &[
            ("DELETE", "/api/v1/orders/1", ""),
            ("GET", "/api/v1/orders?status=active", ""),
        ],
        &[
            ("POST", "/api/v1/convert/order", r#"{"quoteId":"1","size":"0.1"}"#),
            ("POST", "/api/v1/earn/orders", r#"{"productId":"1","size":"0.1"}"#),
            ("POST", "/api/v3/hf/margin/orders/x", r#"{"symbol":"BTC-USDT"}"#),
        ],
    ),
    (
        "hitbtc",
        "quantity",
        &[("DELETE", "/api/3/spot/order/x", "")],
        &[
            ("DELETE", "/api/3/futures/position/isolated/BTCUSDT_PERP", ""),
            ("DELETE", "/api/3/margin/position", ""),
        ],
    ),
    (
        "mercado",
        "quantity",
        &[
            ("POST", "/tapi/v3/", "tapi_method=list_orders&coin_pair=BRLBTC"),
            (
                "POST",
                "/tapi/v3/",
                "tapi_method=cancel_order&coin_pair=BRLBTC&order_id=1",
            ),
            (
                "POST",
                "/tapi/v3/",
                "tapi_method=place_buy_order&coin_pair=BRLBTC&quantity=0.1&limit_price=1",
            ),
        ],
        &[
            (
                "POST",
                "/tapi/v3/",
                "tapi_method=place_market_buy_order&coin_pair=BRLBTC&cost=1000",
            ),
            (
                "POST",
                "/tapi/v3/",
                "tapi_method=place_market_buy_order&coin_pair=BRLBTC",
            ),
            (
                "POST",
                "/tapi/v3/",
                "tapi_method=list_orders&tapi_method=place_buy_order",
            ),
            ("POST", "/tapi/v3/", "coin_pair=BRLBTC"),
        ],
    ),
];

#[test]
fn what_trades_without_an_amount_gets_by_no_cap_where_the_path_is_signed() {
    for (exchange, field, passes, denied) in PATH_SIGNED {
        let judge = Judge::new(exchange, &cap(field));
        for (method, path, body) in *passes {
            judge.permits(&ask(method, path, body));
        }
        for (method, path, body) in *denied {
            let error = judge.ask(&ask(method, path, body)).expect_err(path);
            assert_eq!(
                error.rule(),
                Some("cap of policy/k.toml"),
                "{exchange} {path}: {error}"
            );
            assert!(error.remedy().is_some(), "{exchange} {path}: {error}");
            // Without a cap they are no business of caps.
            Judge::new(exchange, "").permits(&ask(method, path, body));
        }
    }
}

const PATH_NOT_SIGNED: &[Row<'_>] = &[
    (
        "bybit",
        "qty",
        &[
            ("GET", "/v5/position/list?category=linear&symbol=BTCUSDT", ""),
            ("GET", "/v5/execution/list?category=linear&execType=Trade", ""),
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.1","price":"1"}"#,
            ),
            (
                "POST",
                "/v5/order/cancel",
                r#"{"category":"linear","symbol":"BTCUSDT","orderId":"1"}"#,
            ),
            (
                "POST",
                "/v5/order/cancel-all",
                r#"{"category":"linear","settleCoin":"USDT"}"#,
            ),
        ],
        &[
            (
                "POST",
                "/v5/position/trading-stop",
                r#"{"category":"linear","symbol":"BTCUSDT","stopLoss":"70000","positionIdx":0}"#,
            ),
            (
                "POST",
                "/v5/order/cancel",
                r#"{"category":"linear","symbol":"BTCUSDT","trailingStop":"1"}"#,
            ),
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.1","price":"1","stopLoss":"70000"}"#,
            ),
            (
                "POST",
                "/v5/position/set-leverage",
                r#"{"category":"linear","symbol":"BTCUSDT","buyLeverage":"100","sellLeverage":"100"}"#,
            ),
            (
                "POST",
                "/v5/asset/exchange/convert-execute",
                r#"{"quoteTxId":"1"}"#,
            ),
            ("POST", "/v5/order/cancel", r#"{"quoteTxId":"1","qty":"0.1"}"#),
            ("GET", "/v5/order/realtime?%7B%22stopLoss%22%3A%221%22%7D", ""),
        ],
    ),
    (
        "bingx",
        "quantity",
        &[],
        &[
            (
                "POST",
                "/openApi/swap/v2/trade/closeAllPositions?symbol=BTC-USDT",
                "",
            ),
            ("GET", "/openApi/swap/v2/trade/openOrders?symbol=BTC-USDT", ""),
            ("GET", "/openApi/swap/v2/user/balance", ""),
            (
                "POST",
                "/openApi/swap/v2/trade/order?symbol=BTC-USDT&side=BUY&type=LIMIT&quantity=0.1&price=1",
                "",
            ),
        ],
    ),
    (
        "mexc",
        "quantity",
        &[
            ("GET", "/api/v3/openOrders?symbol=BTCUSDT", ""),
            ("DELETE", "/api/v3/order?symbol=BTCUSDT&orderId=1", ""),
            (
                "POST",
                "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&price=1",
                "",
            ),
            (
                "GET",
                "/api/v1/private/order/list/history_orders?symbol=BTC_USDT",
                "",
            ),
        ],
        &[
            ("POST", "/api/v1/private/position/close_all", "{}"),
            ("POST", "/api/v1/private/order/cancel", "[1]"),
            ("GET", "/api/v1/private/account/assets", ""),
        ],
    ),
    (
        "binance",
        "quantity",
        &[
            ("GET", "/api/v3/account", ""),
            ("GET", "/api/v3/allOrders?symbol=BTCUSDT&limit=50&startTime=1", ""),
            ("DELETE", "/api/v3/order?symbol=BTCUSDT&origClientOrderId=x", ""),
            (
                "POST",
                "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=1",
                "",
            ),
        ],
        &[
            ("POST", "/sapi/v1/convert/acceptQuote?quoteId=1", ""),
            ("GET", "/api/v3/account?quoteId=1", ""),
            ("GET", "/api/v3/account?symbol=BTCUSDT&quantity=0.1&quoteId=1", ""),
            ("POST", "/fapi/v1/leverage?symbol=BTCUSDT&leverage=125", ""),
            (
                "POST",
                "/sapi/v1/margin/exchange-small-liability?assetNames=BTC",
                "",
            ),
            (
                "POST",
                "/sapi/v1/simple-earn/flexible/redeem?productId=BTC001&redeemAll=true",
                "",
            ),
        ],
    ),
    (
        "toobit",
        "quantity",
        &[("GET", "/api/v1/futures/openOrders?symbol=BTC-SWAP-USDT", "")],
        &[
            (
                "POST",
                "/api/v1/futures/flashClose?symbol=BTC-SWAP-USDT&side=LONG",
                "",
            ),
            (
                "POST",
                "/api/v1/spot/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&price=1",
                "",
            ),
        ],
    ),
    (
        "poloniex-legacy",
        "amount",
        &[
            ("POST", "/tradingApi", "command=returnBalances"),
            (
                "POST",
                "/tradingApi",
                "command=returnOpenOrders&currencyPair=BTC_ETH",
            ),
            ("POST", "/tradingApi", "command=cancelOrder&orderNumber=1"),
            (
                "POST",
                "/tradingApi",
                "command=buy&currencyPair=BTC_ETH&rate=0.01&amount=0.1",
            ),
        ],
        &[
            (
                "POST",
                "/tradingApi",
                "command=closeMarginPosition&currencyPair=BTC_ETH",
            ),
            (
                "POST",
                "/tradingApi",
                "command=cancelOrder&command=closeMarginPosition&currencyPair=BTC_ETH",
            ),
            ("POST", "/tradingApi", "command=toggleAutoRenew&orderNumber=1"),
        ],
    ),
];

#[test]
fn where_the_path_is_not_signed_what_fits_a_closing_endpoint_gets_by_no_cap() {
    for (exchange, field, passes, denied) in PATH_NOT_SIGNED {
        let judge = Judge::new(exchange, &cap(field));
        for (method, path, body) in *passes {
            judge.permits(&ask(method, path, body));
        }
        for (method, path, body) in *denied {
            judge.refuses(&ask(method, path, body));
        }
    }
}

#[test]
fn the_owner_may_free_such_an_endpoint_by_its_path() {
    let body = r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#;
    for named in [
        "/api/v5/trade/easy-convert",
        "/api/v5/Trade/Easy-Convert/",
        "/api/v5/*convert",
        "easy-convert",
    ] {
        let policy = format!("uncapped = [{named:?}]\n{}", cap("sz"));
        let judge = Judge::new("okx", &policy);
        judge.permits(&ask("POST", "/api/v5/trade/easy-convert", body));
        judge.refuses(&ask("POST", "/api/v5/trade/one-click-repay", body));
        // What it names is still counted.
        judge.refuses(&ask("POST", "/api/v5/trade/easy-convert", r#"{"sz":"5"}"#));
    }
    let freed = format!(
        "uncapped = [\"/openApi/swap/v2/trade/closeAllPositions\"]\n{}",
        cap("quantity")
    );
    let bingx = Judge::new("bingx", &freed);
    bingx.permits(&ask("GET", "/openApi/swap/v2/user/balance", ""));
    bingx.permits(&ask(
        "DELETE",
        "/openApi/swap/v2/trade/order?symbol=BTC-USDT&orderId=1",
        "",
    ));
    bingx.refuses(&ask(
        "POST",
        "/openApi/swap/v1/trade/closePosition?positionId=1",
        "",
    ));
    bingx.refuses(&ask(
        "POST",
        "/openApi/swap/v2/trade/leverage?symbol=BTC-USDT&side=LONG&leverage=100",
        "",
    ));
    let field = format!("uncapped = [\"leverage\"]\n{}", cap("quantity"));
    Judge::new("binance", &field).permits(&ask("POST", "/fapi/v1/leverage?symbol=BTCUSDT&leverage=5", ""));
}

#[test]
fn a_new_price_makes_an_order_greater_where_the_product_is_capped() {
    let policy = "[[cap]]\nfield = \"sz\"\ntimes = \"px\"\nrequest = \"100\"";
    let okx = Judge::new("okx", policy);
    okx.permits(&ask(
        "POST",
        "/api/v5/trade/order",
        r#"{"instId":"A","side":"buy","ordType":"limit","sz":"100","px":"1"}"#,
    ));
    for body in [
        r#"{"instId":"A","ordId":"1","newPx":"60000"}"#,
        r#"{"instId":"A","ordId":"1","px":"60000"}"#,
    ] {
        okx.refuses(&ask("POST", "/api/v5/trade/amend-order", body));
    }
    let kraken = Judge::new(
        "kraken",
        "[[cap]]\nfield = \"volume\"\ntimes = \"price\"\nday = \"100\"",
    );
    kraken.refuses(&ask("POST", "/0/private/AmendOrder", "txid=x&limit_price=60000"));
    kraken.refuses(&ask(
        "POST",
        "/0/private/EditOrder",
        "txid=x&pair=XBTUSD&price=60000",
    ));
    kraken.permits(&ask("POST", "/0/private/CancelOrder", "txid=x"));
}

#[test]
fn what_trades_without_a_symbol_gets_by_no_list_of_symbols() {
    let okx = Judge::new("okx", "symbols = [\"BTC-USDT\"]");
    for (path, body) in [
        (
            "/api/v5/trade/easy-convert",
            r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#,
        ),
        (
            "/api/v5/trade/easy-convert",
            r#"{"fromCcy":["ETH"],"toCcy":"BTC","instId":"BTC-USDT"}"#,
        ),
        (
            "/api/v5/trade/one-click-repay",
            r#"{"debtCcy":["ETH"],"repayCcy":"USDT"}"#,
        ),
        ("/api/v5/account/set-position-mode", r#"{"posMode":"net_mode"}"#),
    ] {
        okx.denies(&ask("POST", path, body), "may trade");
    }
    for (path, body) in [
        ("/api/v5/trade/cancel-all-after", r#"{"timeOut":"60"}"#),
        ("/api/v5/trade/amend-order", r#"{"ordId":"1","newPx":"2"}"#),
        (
            "/api/v5/account/set-leverage",
            r#"{"instId":"BTC-USDT","lever":"2","mgnMode":"cross"}"#,
        ),
        (
            "/api/v5/trade/order",
            r#"{"instId":"BTC-USDT","side":"buy","sz":"5"}"#,
        ),
    ] {
        okx.permits(&ask("POST", path, body));
    }
    okx.permits(&ask("GET", "/api/v5/account/balance", ""));
    let free = "uncapped = [\"/api/v5/account/set-position-mode\"]\nsymbols = [\"BTC-USDT\"]";
    Judge::new("okx", free).permits(&ask(
        "POST",
        "/api/v5/account/set-position-mode",
        r#"{"posMode":"net_mode"}"#,
    ));
    let binance = Judge::new("binance", "symbols = [\"BTCUSDT\"]");
    for path in [
        "/api/v3/account",
        "/fapi/v1/leverage?symbol=BTCUSDT&leverage=5",
        "/api/v3/userDataStream?listenKey=x",
    ] {
        binance.permits(&ask("GET", path, ""));
    }
    binance.refuses(&ask("POST", "/sapi/v1/convert/acceptQuote?quoteId=1", ""));
    binance.refuses(&ask("POST", "/sapi/v1/asset/dust?assets=ETH", ""));
}

#[test]
fn a_token_for_a_socket_is_a_login() {
    let token = ask("POST", "/0/private/GetWebSocketsToken", "");
    for rules in [
        "symbols = [\"XBTUSD\"]",
        "values = { ordertype = [\"limit\"] }",
        &cap("volume"),
    ] {
        Judge::new("kraken", rules).denies(&token, "nothing more is signed");
        Judge::new("kraken", &format!("{rules}\n[[allow]]\npath = \"*\""))
            .denies(&token, "nothing more is signed");
        Judge::new("kraken", &format!("websocket = true\n{rules}")).permits(&token);
        let named = format!("{rules}\n[[allow]]\npath = \"/0/private/GetWebSocketsToken\"");
        Judge::new("kraken", &named).permits(&token);
    }
    Judge::new("kraken", "rate = { day = 5 }").permits(&token);
}
