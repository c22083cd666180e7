//! Caps of price × quantity before orders that may be filled at another price than the one that the cap counts.

use crate::judge::{Ask, Judge, ask};

/// A cap of 100 on the product.
pub fn product(exchange: &str, field: &str, price: &str, more: &str) -> Judge {
    let cap = format!("{more}\n[[cap]]\nfield = \"{field}\"\ntimes = \"{price}\"\nrequest = \"100\"");
    Judge::new(exchange, &cap)
}

/// An exchange with the fields of quantity and price; orders of less than 100, and some that may be worth more.
type Row<'a> = (&'a str, [&'a str; 2], &'a [Ask<'a>], &'a [Ask<'a>]);

const ROWS: &[Row<'_>] = &[
    (
        // `price` is where the stop begins, `price2` the limit.
        "kraken",
        ["volume", "price"],
        &[
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=stop-loss-limit&volume=0.001&price=37500&price2=37400",
            ),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=limit&volume=0.001&price=37500&trigger=last",
            ),
        ],
        &[
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=stop-loss-limit&volume=100&price=0.01&price2=60000",
            ),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=take-profit-limit&volume=100&price=0.01&price2=%2B5",
            ),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=take-profit-limit&volume=100&price=0.01&price2=5%25",
            ),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=A&ordertype=stop-loss-limit&volume=100&price=0.01&x=%3Bprice2=60000",
            ),
        ],
    ),
    (
        "bitfinex",
        ["amount", "price"],
        &[(
            "POST",
            "/v2/auth/w/order/submit",
            r#"{"type":"EXCHANGE STOP LIMIT","symbol":"tA","amount":"1","price":"50","price_aux_limit":"60"}"#,
        )],
        &[(
            "POST",
            "/v2/auth/w/order/submit",
            r#"{"type":"EXCHANGE STOP LIMIT","symbol":"tA","amount":"1","price":"50","price_aux_limit":"600"}"#,
        )],
    ),
    (
        "bitget",
        ["size", "price"],
        &[],
        &[(
            "POST",
            "/api/v2/spot/trade/place-plan-order",
            r#"{"symbol":"A","orderType":"limit","price":"0.01","executePrice":"60000","size":"100"}"#,
        )],
    ),
    (
        "binance",
        ["quantity", "price"],
        &[
            (
                "POST",
                "/fapi/v1/order?symbol=A&side=BUY&type=LIMIT&quantity=1&price=60&priceMatch=NONE&workingType=MARK_PRICE",
                "",
            ),
            (
                "POST",
                "/api/v3/order/oco?symbol=A&side=BUY&quantity=1&price=60&stopPrice=50&stopLimitPrice=70",
                "",
            ),
        ],
        &[
            (
                "POST",
                "/fapi/v1/order?symbol=A&side=BUY&type=LIMIT&quantity=100&price=0.01&priceMatch=OPPONENT",
                "",
            ),
            (
                "POST",
                "/api/v3/order?symbol=A&side=BUY&type=LIMIT&quantity=100&price=0.01&pegPriceType=PRIMARY_PEG",
                "",
            ),
            (
                "POST",
                "/api/v3/order/oco?symbol=A&side=BUY&quantity=100&price=0.01&stopPrice=1&stopLimitPrice=60000",
                "",
            ),
            (
                "POST",
                "/api/v3/orderList/oco?symbol=A&side=BUY&quantity=100&price=0.01&aboveType=STOP_LOSS&belowType=LIMIT_MAKER",
                "",
            ),
        ],
    ),
    (
        "bybit",
        ["qty", "price"],
        &[(
            "POST",
            "/v5/order/create",
            r#"{"symbol":"A","orderType":"Limit","qty":"1","price":"50","tpOrderType":"Market","orderIv":""}"#,
        )],
        &[
            (
                "POST",
                "/v5/order/create",
                r#"{"symbol":"A","orderType":"Limit","qty":"100","price":"0.01","bboSideType":"Queue","bboLevel":"1"}"#,
            ),
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"option","symbol":"A","orderType":"Limit","qty":"100","price":"0.01","orderIv":"5"}"#,
            ),
        ],
    ),
    (
        "okx",
        ["sz", "px"],
        &[],
        &[
            (
                "POST",
                "/api/v5/trade/order",
                r#"{"instId":"A","ordType":"limit","sz":"100","px":"0.01","pxUsd":"6000"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/order",
                r#"{"instId":"A","ordType":"limit","sz":"100","px":"0.01","pxVol":"1.5"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/order-algo",
                r#"{"instId":"A","ordType":"limit","sz":"100","px":"0.01","orderPx":"-1"}"#,
            ),
        ],
    ),
    (
        "bitflyer",
        ["size", "price"],
        &[
            (
                "POST",
                "/v1/me/sendchildorder",
                r#"{"product_code":"A","child_order_type":"LIMIT","price":50,"size":1}"#,
            ),
            (
                "POST",
                "/v1/me/sendparentorder",
                r#"{"order_method":"IFD","parameters":[{"product_code":"A","condition_type":"LIMIT","price":50,"size":1}]}"#,
            ),
        ],
        &[
            (
                "POST",
                "/v1/me/sendchildorder",
                r#"{"product_code":"A","child_order_type":"MARKET","price":0.01,"size":100}"#,
            ),
            (
                "POST",
                "/v1/me/sendparentorder",
                r#"{"order_method":"IFD","parameters":[{"product_code":"A","condition_type":"STOP","price":0.01,"size":100}]}"#,
            ),
        ],
    ),
    (
        "whitebit",
        ["amount", "price"],
        &[
            (
                "POST",
                "/api/v4/order/new",
                r#"{"market":"A","side":"buy","amount":"1","price":"50"}"#,
            ),
            (
                "POST",
                "/api/v4/order/stop_limit",
                r#"{"market":"A","side":"buy","amount":"1","price":"50","activation_price":"60"}"#,
            ),
        ],
        &[
            (
                "POST",
                "/api/v4/order/market",
                r#"{"market":"A","side":"buy","amount":"100","price":"0.01"}"#,
            ),
            (
                "POST",
                "/api/v4/order/stock_market",
                r#"{"market":"A","side":"buy","amount":"100","price":"0.01"}"#,
            ),
            (
                "POST",
                "/api/v4/order/collateral/trigger-market",
                r#"{"market":"A","side":"buy","amount":"100","price":"0.01"}"#,
            ),
        ],
    ),
    (
        "bit2c",
        ["Amount", "Price"],
        &[(
            "POST",
            "/Order/AddOrder",
            "Pair=BtcNis&Amount=1&Price=50&IsBid=true",
        )],
        &[(
            "POST",
            "/Order/AddOrderMarketPriceSell",
            "Pair=BtcNis&Amount=100&Price=0.01",
        )],
    ),
    (
        "bithumb-legacy",
        ["units", "price"],
        &[(
            "POST",
            "/trade/place",
            "order_currency=BTC&type=bid&units=1&price=50",
        )],
        &[(
            "POST",
            "/trade/market_buy",
            "order_currency=BTC&units=100&price=0.01",
        )],
    ),
    (
        "mercado",
        ["quantity", "limit_price"],
        &[(
            "POST",
            "/tapi/v3/",
            "tapi_method=place_buy_order&coin_pair=BRLBTC&quantity=1&limit_price=50",
        )],
        &[(
            "POST",
            "/tapi/v3/",
            "tapi_method=place_market_sell_order&coin_pair=BRLBTC&quantity=100&limit_price=0.01",
        )],
    ),
    (
        "pacifica",
        ["amount", "price"],
        &[(
            "POST",
            "/api/v1/orders/create",
            r#"{"symbol":"A","price":"50","amount":"1","side":"bid","tif":"GTC"}"#,
        )],
        &[(
            "POST",
            "/api/v1/orders/create_market",
            r#"{"symbol":"A","price":"0.01","amount":"100","side":"bid","slippage_percent":"5"}"#,
        )],
    ),
    (
        "revolutx",
        ["base_size", "price"],
        &[(
            "POST",
            "/api/1.0/orders",
            r#"{"symbol":"A","side":"buy","order_configuration":{"limit":{"base_size":"1","price":"50"}}}"#,
        )],
        &[(
            "POST",
            "/api/1.0/orders",
            r#"{"symbol":"A","side":"buy","order_configuration":{"market":{"base_size":"100","price":"0.01"}}}"#,
        )],
    ),
    (
        "xt",
        ["origQty", "price"],
        &[],
        &[
            (
                "POST",
                "/future/trade/v1/entrust/create-plan",
                r#"{"symbol":"a","orderType":"LIMIT","entrustType":"STOP_MARKET","price":"0.01","origQty":"100"}"#,
            ),
            (
                "POST",
                "/future/trade/v1/entrust/create-track",
                r#"{"symbol":"a","orderSide":"BUY","callback":"FIXED","callbackVal":"1","price":"0.01","origQty":"100"}"#,
            ),
        ],
    ),
    (
        "woo",
        ["order_quantity", "order_price"],
        &[(
            "POST",
            "/v1/order",
            "symbol=A&order_type=LIMIT&order_price=50&order_quantity=1&side=BUY",
        )],
        &[(
            "POST",
            "/v1/order",
            "symbol=A&order_type=ASK&order_price=0.01&order_quantity=100&side=BUY",
        )],
    ),
    (
        "gate",
        ["size", "price"],
        &[(
            "POST",
            "/api/v4/futures/usdt/price_orders",
            r#"{"initial":{"contract":"A","size":1,"price":"50"},"trigger":{"price":"3000"}}"#,
        )],
        // A price of nothing is the market's, whatever else is named.
        &[(
            "POST",
            "/api/v4/futures/usdt/price_orders",
            r#"{"initial":{"contract":"A","size":100,"price":"0"},"price":"0.01"}"#,
        )],
    ),
];

#[test]
fn no_other_price_than_the_one_that_is_counted_makes_an_order_great() {
    for (exchange, [field, price], permitted, denied) in ROWS {
        let judge = product(exchange, field, price, "");
        judge.holds(permitted, &[]);
        for (method, path, body) in *denied {
            let error = judge
                .ask(&ask(method, path, body))
                .expect_err(&format!("{exchange} {path} {body}"));
            let rule = format!("cap 1 ({price} × {field}) of policy/k.toml");
            assert_eq!(error.rule(), Some(rule.as_str()), "{exchange} {path}: {error}");
        }
    }
}

#[test]
fn an_order_that_leaves_its_type_out_is_of_none_that_is_allowed() {
    // Poloniex takes it for one at the market's price, and so does BitMEX where it has no price.
    for (exchange, name, path, order) in [
        (
            "poloniex",
            "type",
            "/orders",
            r#"{"symbol":"A","side":"BUY","quantity":"1""#,
        ),
        (
            "bitmex",
            "ordType",
            "/api/v1/order",
            r#"{"symbol":"XBTUSD","orderQty":1"#,
        ),
    ] {
        let judge = Judge::new(exchange, &format!("values = {{ {name} = [\"LIMIT\"] }}"));
        judge.permits(&ask("POST", path, &format!("{order},\"{name}\":\"Limit\"}}")));
        judge.denies(
            &ask("POST", path, &format!("{order}}}")),
            &format!("and no {}", name.to_lowercase()),
        );
        judge.denies(
            &ask("POST", path, &format!("{order},\"{name}\":\"Market\"}}")),
            "Market",
        );
        judge.permits(&ask("PUT", path, &format!("{order}}}")));
        judge.permits(&ask("DELETE", path, r#"{"orderID":"1"}"#));
        judge.permits(&ask("GET", path, ""));
    }
    let kraken = Judge::new("kraken", "values = { ordertype = [\"limit\"] }");
    kraken.permits(&ask("POST", "/0/private/EditOrder", "txid=x&pair=A&volume=1"));
    kraken.permits(&ask("POST", "/0/private/Balance", ""));
}

#[test]
fn the_owner_may_say_that_a_price_holds_all_the_same() {
    let peg = "/fapi/v1/order?symbol=A&side=BUY&type=LIMIT&quantity=1&price=50&priceMatch=QUEUE";
    let values = "values = { priceMatch = [\"queue\"] }";
    product("binance", "quantity", "price", values).permits(&ask("POST", peg, ""));
}
