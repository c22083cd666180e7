//! Requests of exchanges that sign the path, under a cap.

use super::Row;

pub const PATH_SIGNED: &[Row<'_>] = &[
    (
        // An amount that the exchange does not look at, beside those under names of their own.
        "bitget",
        "size",
        &[
            (
                "POST",
                "/api/v2/spot/trade/place-order",
                r#"{"symbol":"A","side":"buy","orderType":"limit","price":"1","size":"0.1"}"#,
            ),
            ("GET", "/api/v2/copy/mix-follower/query-settings?traderId=1", ""),
        ],
        &[
            (
                "POST",
                "/api/v2/copy/mix-follower/settings",
                r#"{"traderId":"1","settings":[{"symbol":"A","traceType":"amount","traceValue":"100000"}],"size":"0.1"}"#,
            ),
            (
                "POST",
                "/api/mix/v1/trace/followerSetBatchTraceConfig",
                r#"{"traderId":"1","size":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v3/trade/grid/create-bot",
                r#"{"symbol":"A","investment":"100000","size":"0.1"}"#,
            ),
        ],
    ),
    (
        "cryptocom",
        "quantity",
        &[],
        &[(
            "POST",
            "/exchange/v1/private/bot/create-trading-bot",
            r#"{"id":1,"method":"private/bot/create-trading-bot","params":{"investment":"100000","quantity":"0.1"}}"#,
        )],
    ),
    (
        // What is signed ends with the path, and could begin with text of the form.
        "krakenfutures",
        "size",
        &[
            ("POST", "/derivatives/api/v3/cancelorder", "order_id=x"),
            ("POST", "/derivatives/api/v3/cancelallorders", "symbol=PI_XBTUSD"),
            (
                "POST",
                "/derivatives/api/v3/sendorder",
                "symbol=PI_XBTUSD&side=buy&size=0.1",
            ),
        ],
        &[
            ("POST", "/derivatives/api/v3/sendorder", "symbol=PI_XBTUSD"),
            (
                "PUT",
                "/derivatives/api/v3/leveragepreferences",
                "symbol=PI_XBTUSD&maxLeverage=50",
            ),
        ],
    ),
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
