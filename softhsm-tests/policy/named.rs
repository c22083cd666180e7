//! Endpoints whose names seem to look, or whose path the exchange does not sign, and that trade, repay or change how much is
//! at stake.

use crate::judge::{Ask, Judge, ask, cap};

/// Under a cap: what must be permitted, and what must be denied unless the owner names its path.
fn under_a_cap(exchange: &str, field: &str, permitted: &[Ask<'_>], denied: &[Ask<'_>]) {
    let judge = Judge::new(exchange, &cap(field));
    judge.holds(permitted, &[]);
    for (method, path, body) in denied {
        judge.denies(&ask(method, path, body), "cap of policy/k.toml");
        let path_alone = path.split('?').next().unwrap();
        let free = format!("uncapped = [{path_alone:?}]\n{}", cap(field));
        Judge::new(exchange, &free).permits(&ask(method, path, body));
    }
}

#[test]
fn a_name_that_seems_to_look_does_not_hide_what_acts() {
    under_a_cap(
        "okx",
        "sz",
        &[
            ("GET", "/api/v5/account/balance?ccy=BTC", ""),
            ("GET", "/api/v5/trade/orders-pending?instId=BTC-USDT", ""),
            ("POST", "/api/v5/trade/cancel-batch-orders", "[]"),
        ],
        &[
            (
                "POST",
                "/api/v5/tradingBot/grid/margin-balance",
                r#"{"algoId":"1","type":"add","percent":"1"}"#,
            ),
            (
                "POST",
                "/api/v5/account/position/margin-balance",
                r#"{"instId":"BTC-USDT-SWAP","posSide":"net","type":"add","percent":"1"}"#,
            ),
        ],
    );
    under_a_cap(
        "kucoin",
        "size",
        &[("GET", "/api/v1/position?symbol=XBTUSDTM", "")],
        &[
            (
                "POST",
                "/api/v1/position/margin/auto-deposit-status",
                r#"{"symbol":"XBTUSDTM","status":true}"#,
            ),
            (
                "POST",
                "/api/v1/copy-trade/futures/position/margin/auto-deposit-status",
                r#"{"symbol":"XBTUSDTM","status":true}"#,
            ),
        ],
    );
    // Also in the body of JSON-RPC, under a path that looks.
    let judge = Judge::new("deribit", &cap("amount"));
    for method in [
        "private/change_margin_model",
        "private/close_position",
        "private/set_mmp_config",
    ] {
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).to_string();
        judge.refuses(&ask("POST", "/api/v2/private/get_positions", &body));
    }
}

#[test]
fn a_get_that_acts_is_no_look() {
    under_a_cap(
        "deribit",
        "amount",
        &[
            ("GET", "/api/v2/private/get_positions?currency=BTC", ""),
            ("GET", "/api/v2/private/cancel_all", ""),
            (
                "GET",
                "/api/v2/private/buy?instrument_name=BTC-PERPETUAL&amount=0.1&type=market",
                "",
            ),
            ("GET", "/api/v2/private/edit?order_id=1&amount=0.1&price=1", ""),
        ],
        &[
            (
                "GET",
                "/api/v2/private/change_margin_model?margin_model=cross_pm",
                "",
            ),
            ("GET", "/api/v2/private/set_self_trading_config?mode=x", ""),
            (
                "GET",
                "/api/v2/private/set_mmp_config?index_name=btc_usd&interval=1",
                "",
            ),
            ("GET", "/api/v2/private/edit?order_id=1&price=1", ""),
        ],
    );
}

#[test]
fn a_path_that_is_not_signed_still_says_what_is_meant() {
    under_a_cap(
        "bybit",
        "qty",
        &[
            (
                "POST",
                "/v5/order/create",
                r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","qty":"0.1"}"#,
            ),
            (
                "POST",
                "/v5/order/cancel",
                r#"{"category":"linear","symbol":"BTCUSDT","orderId":"x"}"#,
            ),
            (
                "GET",
                "/v5/account/wallet-balance?accountType=UNIFIED&coin=USDT",
                "",
            ),
            ("GET", "/v5/user/query-api", ""),
        ],
        &[
            ("POST", "/v5/account/quick-repayment", ""),
            ("POST", "/v5/account/quick-repayment", r#"{"coin":"USDT"}"#),
            ("POST", "/v5/account/no-convert-repay", "{}"),
            (
                "POST",
                "/v5/rfq/create-rfq",
                r#"{"list":[{"symbol":"BTCUSDT","qty":"0.05"}]}"#,
            ),
        ],
    );
    // By another path, whose signature fits as well.
    let judge = Judge::new("bybit", &cap("qty"));
    judge.denies(
        &ask("POST", "/v5/order/history", r#"{"coin":"USDT"}"#),
        "the signature fits /v5/account/quick-repayment",
    );
    under_a_cap(
        "binance",
        "quantity",
        &[
            ("GET", "/sapi/v1/margin/forceLiquidationRec?symbol=BTCUSDT", ""),
            ("GET", "/api/v3/account", ""),
            ("POST", "/api/v3/userDataStream", ""),
        ],
        &[("POST", "/sapi/v1/asset/dust?asset=BTC&asset=ETH", "")],
    );
    under_a_cap(
        "mexc",
        "quantity",
        &[("GET", "/api/v3/account", "")],
        &[("POST", "/api/v3/capital/convert?asset=BTC,ETH", "")],
    );
    // A stop for a symbol that is listed, where nothing is capped.
    Judge::new("bybit", "symbols = [\"BTCUSDT\"]").permits(&ask(
        "POST",
        "/v5/position/trading-stop",
        r#"{"category":"linear","symbol":"BTCUSDT","stopLoss":"1"}"#,
    ));
}

#[test]
fn an_amount_by_a_name_of_its_exchanges_own_is_one() {
    let judge = Judge::new("btse", &cap("orderSize"));
    let order = |more: &str| {
        ask(
            "POST",
            "/futures/api/v3/trade/orders",
            &format!(r#"{{"symbol":"BTC-PERP","side":"BUY","type":"MARKET","orderSize":"0.1"{more}}}"#),
        )
    };
    judge.permits(&order(""));
    judge.denies(
        &order(r#","quoteOrderSize":"100000""#),
        "no cap is for quoteOrderSize",
    );
    let judge = Judge::new("gemini", &cap("amount"));
    let order = r#"{"symbol":"btcusd","side":"buy","type":"exchange market","amount":"0.1""#;
    judge.permits(&ask("POST", "/v1/order/new", &format!("{order}}}")));
    judge.denies(
        &ask(
            "POST",
            "/v1/order/new",
            &format!(r#"{order},"total_spend":"100000"}}"#),
        ),
        "no cap is for total_spend",
    );
}

#[test]
fn what_an_order_spends_by_its_price_or_by_a_currencys_name_gets_by_no_cap() {
    // The price of such an order is all that is spent, whatever amount stands beside it.
    for (exchange, field, path, order, kind) in [
        (
            "lbank",
            "amount",
            "/v2/create_order.do",
            "symbol=btc_usdt&price=100000&amount=0.1",
            "type=buy_market",
        ),
        (
            "upbit",
            "volume",
            "/v1/orders",
            r#"{"market":"KRW-BTC","side":"bid","volume":"0.1","price":"100000000""#,
            r#""ord_type":"price""#,
        ),
        (
            "bithumb",
            "volume",
            "/v2/orders",
            r#"{"market":"KRW-BTC","side":"bid","volume":"0.1","price":"100000000""#,
            r#""order_type":"price""#,
        ),
    ] {
        let whole = |kind: &str| match order.starts_with('{') {
            true => ask("POST", path, &format!("{order},{kind}}}")),
            false => ask("POST", path, &format!("{order}&{kind}")),
        };
        let limit = kind
            .replace("buy_market", "buy")
            .replace("\"price\"", "\"limit\"");
        let judge = Judge::new(exchange, &cap(field));
        judge.permits(&whole(&limit));
        judge.denies(&whole(kind), "says in which unit the amount is");
        let spelled = kind
            .replace("=buy_market", "=BUY_MARKET")
            .replace(":\"price", ":\"PRICE");
        judge.denies(&whole(&spelled), "says in which unit the amount is");
    }
    let judge = Judge::new("indodax", &cap("btc"));
    let trade = |more: &str| {
        ask(
            "POST",
            "/tapi",
            &format!("method=trade&pair=btc_idr&price=1&{more}"),
        )
    };
    judge.permits(&trade("type=sell&btc=0.1"));
    judge.refuses(&trade("type=sell&btc=5"));
    judge.denies(&trade("type=buy&btc=0.1&idr=100000000"), "no cap is for idr");
    judge.denies(&trade("type=buy&idr=100000000"), "no cap is for idr");
    judge.denies(&trade("type=buy"), "no amount that a cap is for");
}

/// At many exchanges an order is placed, looked at and taken back at one path.
#[test]
fn a_cap_for_a_path_lets_orders_be_looked_at_and_taken_back_there() {
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [Ask<'a>], &'a [Ask<'a>]);
    let rows: [Row<'_>; 4] = [
        (
            "binance",
            "quantity",
            "/api/v3/order",
            &[
                ("DELETE", "/api/v3/order?symbol=BTCUSDT&orderId=1", ""),
                ("GET", "/api/v3/order?symbol=BTCUSDT&origClientOrderId=x", ""),
            ],
            &[
                ("POST", "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET", ""),
                ("POST", "/api/v3/order?symbol=BTCUSDT&leverage=5", ""),
            ],
        ),
        (
            "bitvavo",
            "amount",
            "/v2/order",
            &[
                ("DELETE", "/v2/order?market=BTC-EUR&orderId=x", ""),
                (
                    "PUT",
                    "/v2/order",
                    r#"{"market":"BTC-EUR","orderId":"x","price":"5"}"#,
                ),
            ],
            &[
                ("POST", "/v2/order", r#"{"market":"BTC-EUR","orderId":"x"}"#),
                (
                    "PUT",
                    "/v2/order",
                    r#"{"market":"BTC-EUR","orderId":"x","amount":"5"}"#,
                ),
            ],
        ),
        (
            "gate",
            "amount",
            "/api/v4/spot/orders*",
            &[("DELETE", "/api/v4/spot/orders?currency_pair=BTC_USDT", "")],
            &[("POST", "/api/v4/spot/orders", r#"{"currency_pair":"BTC_USDT"}"#)],
        ),
        (
            "okx",
            "sz",
            "/api/v5/trade/*",
            &[
                (
                    "POST",
                    "/api/v5/trade/amend-order",
                    r#"{"instId":"A","ordId":"1","newPx":"2"}"#,
                ),
                (
                    "POST",
                    "/api/v5/trade/cancel-order",
                    r#"{"instId":"A","ordId":"1"}"#,
                ),
            ],
            &[("POST", "/api/v5/trade/order", r#"{"instId":"A"}"#)],
        ),
    ];
    for (exchange, field, path, permitted, refused) in rows {
        let policy = format!("{}\npath = {path:?}", cap(field));
        Judge::new(exchange, &policy).holds(permitted, refused);
    }
}
