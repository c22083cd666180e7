//! What ordinary bots ask for, before the policies that `import --policy` writes, and before caps.

use hsmsign::exchange::Template;

use crate::{
    judge::{Judge, ask, cap},
    templates::with,
};

/// What ordinary bots ask for, as ccxt 4.5.90 does: looks, and trades.
type Calls<'a> = (
    &'a str,
    &'a [(&'a str, &'a str, &'a str)],
    &'a [(&'a str, &'a str, &'a str)],
);

const CALLS: &[Calls<'_>] = &[
    (
        "binance",
        &[
            ("GET", "/fapi/v3/account", ""),
            ("GET", "/fapi/v1/leverageBracket", ""),
            ("GET", "/sapi/v1/asset/tradeFee", ""),
        ],
        &[
            (
                "POST",
                "/api/v3/order/cancelReplace",
                "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2&cancelOrderId=1&cancelReplaceMode=STOP_ON_FAILURE",
            ),
            (
                "POST",
                "/fapi/v1/algoOrder",
                "symbol=BTCUSDT&side=SELL&type=STOP&quantity=1&price=2&triggerPrice=3&clientAlgoId=x&algoType=CONDITIONAL",
            ),
            (
                "DELETE",
                "/fapi/v1/batchOrders?symbol=BTCUSDT&orderIdList=%5B1%2C2%5D",
                "",
            ),
            ("GET", "/api/v3/myTrades?symbol=BTCUSDT&fromId=1", ""),
            ("GET", "/sapi/v1/asset/tradeFee?symbol=BTCUSDT", ""),
            (
                "POST",
                "/fapi/v1/batchOrders",
                "batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22BUY%22%2C%22type%22%3A%22LIMIT%22%2C%22quantity%22%3A%221%22%2C%22price%22%3A%222%22%7D%5D",
            ),
            (
                "POST",
                "/fapi/v1/order",
                "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&stopPrice=1&closePosition=true&priceProtect=TRUE",
            ),
            (
                "POST",
                "/api/v3/orderList/oco",
                "symbol=BTCUSDT&side=SELL&quantity=1&aboveType=LIMIT_MAKER&abovePrice=3&belowType=STOP_LOSS_LIMIT&belowStopPrice=2&belowPrice=1&belowTimeInForce=GTC",
            ),
            (
                "GET",
                "/dapi/v1/income?symbol=BTCUSD_PERP&incomeType=FUNDING_FEE",
                "",
            ),
        ],
    ),
    (
        "bittrade",
        &[],
        &[(
            "POST",
            "/v2/algo-orders/cancellation",
            r#"{"clientOrderIds":["a1"]}"#,
        )],
    ),
    (
        "bitget",
        &[("GET", "/api/v2/spot/account/assets", "")],
        &[
            ("POST", "/api/v2/spot/trade/place-plan-order", "{}"),
            ("POST", "/api/v2/mix/order/place-plan-order", "{}"),
            ("POST", "/api/v3/trade/place-order", "{}"),
            ("POST", "/api/v3/trade/cancel-order", "{}"),
        ],
    ),
    (
        "bybit",
        &[
            ("GET", "/v5/user/query-api", ""),
            ("GET", "/v5/order/realtime?category=spot&symbol=BTCUSDT", ""),
            ("GET", "/v5/position/list?category=linear&settleCoin=USDT", ""),
            (
                "GET",
                "/v5/execution/list?category=spot&symbol=BTCUSDT&execType=Trade",
                "",
            ),
            ("GET", "/v5/asset/deposit/query-record?coin=BTC", ""),
        ],
        &[
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"1","price":"2"}"#,
            ),
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"linear","symbol":"BTCUSDT","side":"Sell","orderType":"Market","qty":"1","triggerDirection":2,"triggerPrice":"2","reduceOnly":true,"positionIdx":0}"#,
            ),
            (
                "POST",
                "/v5/order/cancel-all",
                r#"{"category":"linear","settleCoin":"USDT","stop":true}"#,
            ),
            (
                "POST",
                "/v5/position/trading-stop",
                r#"{"category":"linear","symbol":"BTCUSDT","trailingStop":"100"}"#,
            ),
        ],
    ),
    (
        "coinbase",
        &[
            ("GET", "/v2/accounts", ""),
            ("GET", "/api/v3/brokerage/cfm/positions", ""),
        ],
        &[("POST", "/api/v3/brokerage/orders", "{}")],
    ),
    (
        "deepcoin",
        &[("GET", "/deepcoin/account/balances", "")],
        &[("POST", "/deepcoin/trade/swap/cancel-all", "{}")],
    ),
    (
        "htx",
        &[
            ("GET", "/v1/account/accounts", ""),
            (
                "POST",
                "/swap-api/v1/swap_openorders",
                r#"{"contract_code":"BTC-USD"}"#,
            ),
            ("POST", "/swap-api/v3/swap_hisorders", "{}"),
            ("POST", "/api/v1/contract_account_info", "{}"),
        ],
        &[
            ("POST", "/v5/algo/order", "{}"),
            ("POST", "/swap-api/v1/swap_order", "{}"),
            ("POST", "/swap-api/v1/swap_trigger_cancelall", "{}"),
            ("POST", "/api/v1/contract_batchorder", "{}"),
            ("POST", "/v2/algo-orders/cancel-all-after", "{}"),
            ("POST", "/v5/trade/position", "{}"),
        ],
    ),
    (
        "kraken",
        &[("POST", "/0/private/DepositStatus", "")],
        &[("POST", "/0/private/AmendOrder", "txid=1&limit_price=2")],
    ),
    (
        "kucoin",
        &[("GET", "/api/ua/v1/account/mode", "")],
        &[
            ("POST", "/api/ua/v1/unified/order/place", "{}"),
            ("POST", "/api/v1/st-orders", "{}"),
            ("DELETE", "/api/v1/order/client-order/1", ""),
        ],
    ),
    (
        "okx",
        &[("GET", "/api/v5/asset/deposit-history", "")],
        &[
            ("POST", "/api/v5/trade/close-position", "{}"),
            ("POST", "/api/v5/trade/mass-cancel", "{}"),
        ],
    ),
    (
        "poloniex",
        &[("GET", "/v3/trade/order/opens", "")],
        &[
            ("POST", "/v3/trade/order", "{}"),
            ("DELETE", "/v3/trade/allOrders", "{}"),
        ],
    ),
    (
        "weex",
        &[("POST", "/capi/v3/account/income", "{}")],
        &[
            ("POST", "/capi/v3/order", "{}"),
            ("DELETE", "/capi/v3/order?orderId=1", ""),
        ],
    ),
];

#[test]
fn the_calls_of_ordinary_bots_pass_the_templates() {
    for (exchange, looks, trades) in CALLS {
        let (look, trade) = (
            with(exchange, Template::ReadOnly),
            with(exchange, Template::Trade),
        );
        for (method, path, body) in *looks {
            look.permits(&ask(method, path, body));
            trade.permits(&ask(method, path, body));
        }
        for (method, path, body) in *trades {
            trade.permits(&ask(method, path, body));
            // A GET looks, whatever it asks for.
            if *method != "GET" {
                look.refuses(&ask(method, path, body));
            }
        }
    }
}

/// Bybit signs neither method nor path: the body of a GET is that of a POST as well.
#[test]
fn a_look_has_its_fields_in_the_query_where_the_method_is_not_signed() {
    let look = with("bybit", Template::ReadOnly);
    for body in [
        r#"{"category":"spot"}"#,
        r#"{"category":"linear","symbol":"BTCUSDT","orderId":"1"}"#,
    ] {
        look.denies(&ask("GET", "/v5/order/realtime", body), "it has a body");
    }
}

/// Where orders and the list of them have the same path, or a page's length the name of an amount, `size`.
#[test]
fn a_look_has_no_amount() {
    let text = format!("symbols = [\"PERP_BTC_USDC\"]\n{}", cap("order_quantity"));
    let judge = Judge::new("woofipro", &text);
    judge.permits(&ask("GET", "/v1/orders?size=500", ""));
    judge.permits(&ask("GET", "/v1/orders?symbol=PERP_BTC_USDC&size=500", ""));
    judge.denies(
        &ask("GET", "/v1/orders?symbol=PERP_ETH_USDC&size=500", ""),
        "symbols",
    );
    judge.denies(
        &ask("POST", "/v1/order", r#"{"symbol":"PERP_BTC_USDC","size":"500"}"#),
        "no cap is for",
    );
    judge.refuses(&ask("POST", "/v1/orders?size=500", ""));
    let judge = Judge::new("poloniex", &format!("{}\npath = \"/orders\"\n", cap("quantity")));
    judge.permits(&ask("GET", "/orders?symbol=BTC_USDT", ""));
    judge.denies(
        &ask("POST", "/orders", r#"{"symbol":"BTC_USDT"}"#),
        "does not have the field",
    );
    // Where the path is not signed, what looks like a look may be an order.
    let judge = Judge::new("binance", &cap("quantity"));
    judge.denies(
        &ask("GET", "/api/v3/allOrders?symbol=BTCUSDT&quantity=5", ""),
        "may have 0.1",
    );
    let judge = Judge::new("bybit", &cap("qty"));
    judge.denies(
        &ask("GET", "/v5/order/realtime?symbol=BTCUSDT&qty=5", ""),
        "may have 0.1",
    );
}

/// What looks, or takes orders back, as ccxt 4.5.90 asks for it.
#[test]
fn what_bots_look_at_and_take_back_passes_caps() {
    for (exchange, field, permitted, refused) in [
        (
            "lbank",
            "amount",
            (
                "POST",
                "/v2/supplement/orders_info_no_deal.do",
                "current_page=1&page_length=100&symbol=btc_usdt",
            ),
            (
                "POST",
                "/v2/supplement/orders_info_no_deal.do",
                "page_length=100&amount=5",
            ),
        ),
        (
            "binance",
            "quantity",
            ("GET", "/fapi/v1/income?incomeType=FUNDING_FEE&symbol=BTCUSDT", ""),
            ("GET", "/fapi/v1/income?incomeType=FUNDING_FEE&quoteId=1", ""),
        ),
        (
            "bydfi",
            "quantity",
            (
                "POST",
                "/v1/fapi/trade/cancel_all_order",
                r#"{"symbol":"BTC-USDT","wallet":"W001"}"#,
            ),
            (
                "POST",
                "/v1/fapi/trade/cancel_all_order",
                r#"{"wallet":"W001","leverage":5}"#,
            ),
        ),
        (
            "bitvavo",
            "amount",
            (
                "POST",
                "/v2/order",
                r#"{"market":"BTC-EUR","side":"sell","orderType":"stopLossLimit","amount":"0.1","price":"1","triggerAmount":"2"}"#,
            ),
            (
                "POST",
                "/v2/order",
                r#"{"market":"BTC-EUR","side":"sell","orderType":"stopLoss","triggerAmount":"2"}"#,
            ),
        ),
        (
            "weex",
            "quantity",
            ("POST", "/api/v3/account/bills", "{}"),
            ("POST", "/api/v3/account/bill", "{}"),
        ),
        (
            "bitbank",
            "amount",
            ("GET", "/v1/user/assets", ""),
            ("GET", "/v1/user/asset", ""),
        ),
        // Without a body it is no order under another method either, and a POST of the path may be one.
        (
            "coincheck",
            "amount",
            ("DELETE", "/api/exchange/orders/17", ""),
            ("POST", "/api/exchange/orders/17", ""),
        ),
        (
            "coincheck",
            "amount",
            ("DELETE", "/api/exchange/orders/17", ""),
            ("DELETE", "/api/exchange/positions/17", ""),
        ),
        // The query is not signed.
        (
            "btse",
            "size",
            ("GET", "/spot/api/v4/user/open_orders", ""),
            ("DELETE", "/spot/api/v4/trade/orders?orderId=17", ""),
        ),
    ] {
        Judge::new(exchange, &cap(field)).holds(&[permitted], &[refused]);
    }
}
