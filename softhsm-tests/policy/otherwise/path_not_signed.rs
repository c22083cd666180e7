//! Requests of exchanges that do not sign the path, under a cap.

use super::Row;

pub const PATH_NOT_SIGNED: &[Row<'_>] = &[
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
