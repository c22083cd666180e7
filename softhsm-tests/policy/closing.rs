//! What gets by caps and hours without a number or a clock: endpoints and flags that close all there is, prices that do not
//! hold, and requests that are signed now for later.

use crate::judge::{Judge, NOW, ask, cap};

#[test]
fn an_endpoint_that_closes_all_there_is_gets_by_no_cap() {
    let rpc = r#"{"jsonrpc":"2.0","id":1,"method":"private/close_position","params":{"instrument_name":"A","type":"market"}}"#;
    for (exchange, field, method, path, body) in [
        (
            "okx",
            "sz",
            "POST",
            "/api/v5/trade/close-position",
            r#"{"instId":"A","mgnMode":"cross"}"#,
        ),
        (
            "okx",
            "sz",
            "POST",
            "/api/v5/trade/Close-Position/",
            r#"{"instId":"A","sz":"0.1"}"#,
        ),
        (
            "deribit",
            "amount",
            "GET",
            "/api/v2/private/close_position?instrument_name=A&type=market",
            "",
        ),
        (
            "deribit",
            "amount",
            "GET",
            "/api/v2/private/close%5Fposition?instrument_name=A&type=market",
            "",
        ),
        ("deribit", "amount", "POST", "/api/v2/private/get_positions", rpc),
        (
            "bitget",
            "size",
            "POST",
            "/api/v2/mix/order/close-positions",
            r#"{"symbol":"A"}"#,
        ),
        (
            "bitmex",
            "orderQty",
            "POST",
            "/api/v1/order/closePosition",
            "symbol=A",
        ),
        (
            "delta",
            "size",
            "POST",
            "/v2/positions/close_all",
            r#"{"close_all_portfolio":true}"#,
        ),
    ] {
        let cap = format!("[[cap]]\nfield = \"{field}\"\nday = \"1\"");
        let error = Judge::new(exchange, &cap)
            .ask(&ask(method, path, body))
            .unwrap_err();
        assert!(
            error.message().contains("closes what there is") && error.rule().is_some(),
            "{exchange} {path}: {error}"
        );
        Judge::new(exchange, "").permits(&ask(method, path, body));
    }
    // What tells of closed ones is no such endpoint, and the owner may allow it by its name.
    let cap = "uncapped = [\"close-position\"]\n[[cap]]\nfield = \"sz\"\nday = \"1\"";
    let okx = Judge::new("okx", cap);
    okx.permits(&ask("GET", "/api/v5/account/closed-positions", ""));
    okx.permits(&ask("GET", "/api/v5/account/close-positions-history", ""));
    okx.permits(&ask("POST", "/api/v5/trade/close-position", r#"{"instId":"A"}"#));
}

#[test]
fn a_flag_that_closes_the_position_gets_by_no_cap() {
    let bitfinex = Judge::new("bitfinex", "[[cap]]\nfield = \"amount\"\nrequest = \"0.1\"");
    let order = |flags: &str| {
        let body = format!(r#"{{"type":"LIMIT","symbol":"tBTCUSD","amount":"0.1","flags":{flags}}}"#);
        ask("POST", "/v2/auth/w/order/submit", &body)
    };
    for flags in ["0", "64", "4096", "\"1024\""] {
        bitfinex.permits(&order(flags));
    }
    for flags in ["512", "\"512\"", "4608", "512.0", "5.12e2", "0512"] {
        assert!(bitfinex.ask(&order(flags)).is_err(), "{flags}");
    }
}

#[test]
fn a_request_that_brings_a_later_time_must_be_permitted_then_too() {
    // The clock stands at 14:13:20 of a Monday.
    let (soon, later) = ("1790000030000", "1790020000000");
    let binance = |policy: &str, stamp: &str| {
        Judge::new("binance", policy).ask(
            &serde_json::json!({"method": "GET", "path": "/api/v3/account", "timestamp": stamp}).to_string(),
        )
    };
    for policy in ["hours = [\"mon 14:00-15:00\"]", "expires = 2026-09-21T15:00:00Z"] {
        assert!(binance(policy, soon).is_ok(), "{policy}");
        assert!(
            binance(policy, "1700000000000").is_ok(),
            "{policy}: an old one opens nothing"
        );
        let error = binance(policy, later).unwrap_err();
        assert!(
            error
                .message()
                .contains("the request brings the time 2026-09-21T19:46:40Z"),
            "{error}"
        );
        let carried = ask("GET", &format!("/api/v3/account?timestamp={later}"), "");
        assert!(Judge::new("binance", policy).ask(&carried).is_err(), "{policy}");
    }
    assert!(binance("", later).is_ok());
    let okx = |stamp: &str| {
        Judge::new("okx", "hours = [\"14:00-15:00\"]").ask(
            &serde_json::json!({"method": "GET", "path": "/api/v5/account/balance", "timestamp": stamp})
                .to_string(),
        )
    };
    assert!(okx("2026-09-21T14:13:20.000Z").is_ok());
    assert!(okx("2026-09-21T15:00:00.000Z").is_err());
    // An expiry lies ahead by itself.
    let bitmex = |stamp: &str| {
        Judge::new("bitmex", "expires = 2026-09-21T14:14:40Z").ask(
            &serde_json::json!({"method": "GET", "path": "/api/v1/order", "timestamp": stamp}).to_string(),
        )
    };
    assert!(bitmex("1790000060").is_ok());
    assert!(bitmex("1790900000").is_err());
}

#[test]
fn a_time_that_an_offset_moves_is_one_that_the_request_brings() {
    // The clock stands at 14:13:20.
    let ask = |exchange: &str, policy: &str, offset: i64| {
        let line = serde_json::json!({"method": "GET", "path": "/api/v3/account", "offset_ms": offset});
        Judge::new(exchange, policy).ask(&line.to_string())
    };
    let hour = 3_600_000;
    for policy in ["hours = [\"mon 14:00-15:00\"]", "expires = 2026-09-21T15:00:00Z"] {
        for exchange in ["binance", "okx", "bitmex"] {
            for offset in [0, 45_000, -hour] {
                ask(exchange, policy, offset).unwrap();
            }
            for offset in [hour, 6 * hour, 24 * hour - 1] {
                ask(exchange, policy, offset).unwrap_err();
            }
        }
    }
    let error = ask("okx", "hours = [\"mon 14:00-15:00\"]", 6 * hour).unwrap_err();
    assert!(
        error
            .message()
            .contains("the request brings the time 2026-09-21T20:13:20Z"),
        "{error}"
    );
    // It is within the hours again, and those between are no matter: the exchange takes it then alone.
    ask("okx", "hours = [\"14:00-15:00\", \"20:00-21:00\"]", 6 * hour).unwrap();
}

#[test]
fn what_holds_for_long_must_be_permitted_all_the_while() {
    let day = 86_400;
    let at = |seconds: u64| (NOW.as_secs() + seconds).to_string();
    let expiring =
        |stamp: String| serde_json::json!({"method": "GET", "path": "/api/v1/order", "timestamp": stamp});
    let within = |exchange: &'static str, path: &'static str, window: u64| {
        let line =
            serde_json::json!({"method": "POST", "path": path, "window": window, "params": {"symbol": "A"}});
        (exchange, line)
    };
    // The clock stands at 14:13:20 of a Monday.
    for (hours, (exchange, line), permitted) in [
        ("14:00-15:00", ("bitmex", expiring(at(600))), true),
        // It lies in the hours of the next day, and the night between them.
        ("14:00-15:00", ("bitmex", expiring(at(day))), false),
        ("mon-tue 00:00-24:00", ("bitmex", expiring(at(day))), true),
        ("14:00-15:00", ("bitmex", expiring(at(3600))), false),
        ("14:00-15:00", within("bybit", "/v5/order/create", 60_000), true),
        (
            "14:00-15:00",
            within("bybit", "/v5/order/create", 2_000_000),
            true,
        ),
        (
            "14:00-15:00",
            within("bybit", "/v5/order/create", 3_600_000),
            false,
        ),
        (
            "14:00-15:00",
            within("bybit", "/v5/order/create", 9_999_999_999),
            false,
        ),
        (
            "14:00-15:00",
            within("backpack", "/api/v1/order", 86_400_000),
            false,
        ),
        (
            "14:00-15:00",
            within("pacifica", "/api/v1/orders/create", 86_400_000),
            false,
        ),
    ] {
        let judge = Judge::new(exchange, &format!("hours = [\"{hours}\"]"));
        let asked = judge.ask(&line.to_string());
        assert_eq!(asked.is_ok(), permitted, "{exchange} {line}: {asked:?}");
    }
    let carried = "/api/v3/order?symbol=A&recvWindow=7200000";
    for policy in ["hours = [\"14:00-15:00\"]", "expires = 2026-09-21T15:00:00Z"] {
        Judge::new("binance", policy).denies(&ask("POST", carried, ""), "the request holds at 2026-09-21T");
    }
    Judge::new("binance", "").permits(&ask("POST", carried, ""));
}

#[test]
fn a_price_that_the_exchange_does_not_look_at_makes_no_order_small() {
    let product = |exchange: &str, field: &str, more: &str| {
        let cap = format!("{more}\n[[cap]]\nfield = \"{field}\"\ntimes = \"price\"\nrequest = \"100\"");
        Judge::new(exchange, &cap)
    };
    let kraken = |order: &str| {
        ask(
            "POST",
            "/0/private/AddOrder",
            &format!("pair=XBTUSD&type=buy&{order}"),
        )
    };
    let judge = product("kraken", "volume", "");
    for order in [
        "ordertype=limit&volume=0.001&price=37500",
        "ordertype=stop-loss-limit&volume=0.001&price=37500&price2=37500",
        "volume=0.001&price=37500",
    ] {
        judge.permits(&kraken(order));
    }
    for order in [
        "ordertype=market&volume=100&price=0.001",
        "ordertype=MARKET&volume=100&price=0.001",
        "ordertype=stop-loss&volume=100&price=0.001",
        "ordertype=settle-position&volume=100&price=0.001",
        // Kraken adds these to the last price.
        "ordertype=limit&volume=100&price=%2B0.1",
        "ordertype=limit&volume=100&price=-0.1",
        "ordertype=limit&volume=100&price=%230.1",
    ] {
        let error = judge.ask(&kraken(order)).unwrap_err();
        assert_eq!(
            error.rule(),
            Some("cap 1 (price × volume) of policy/k.toml"),
            "{order}: {error}"
        );
    }
    // The owner may say that a type holds its price.
    let named = product(
        "kraken",
        "volume",
        "values = { ordertype = [\"limit\", \"iceberg\"] }",
    );
    named.permits(&kraken("ordertype=iceberg&volume=0.001&price=37500"));
    let market = r#"{"symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"100","price":"0.001"}"#;
    let two = r#"{"request":[{"orderType":"Limit","qty":"1","price":"1"},{"orderType":"Market","qty":"9","price":"1"}]}"#;
    for body in [market, two] {
        assert!(
            product("bybit", "qty", "")
                .ask(&ask("POST", "/v5/order/create", body))
                .is_err(),
            "{body}"
        );
    }
    for (path, permitted) in [
        ("/api/v2/buy/btcusd/", true),
        ("/api/v2/buy/market/btcusd/", false),
        ("/api/v2/buy/instant/btcusd/", false),
    ] {
        let asked = product("bitstamp", "amount", "").ask(&ask("POST", path, "amount=1&price=1"));
        assert_eq!(asked.is_ok(), permitted, "{path}");
    }
}

#[test]
fn a_bot_of_the_exchange_is_started_by_an_amount_too() {
    let okx = Judge::new("okx", "[[cap]]\nfield = \"sz\"\nday = \"1\"");
    for (path, body) in [
        (
            "/api/v5/tradingBot/grid/order-algo",
            r#"{"instId":"A","algoOrdType":"grid","quoteSz":"2500"}"#,
        ),
        (
            "/api/v5/tradingBot/signal/create-algo",
            r#"{"signalChanId":"1","investAmt":"2500"}"#,
        ),
        (
            "/api/v5/copytrading/first-copy-settings",
            r#"{"copyTotalAmt":"500","copyMode":"fixed_amount"}"#,
        ),
        (
            "/api/v4/unified/loans",
            r#"{"currency":"BTC","type":"borrow","borrow_all":true}"#,
        ),
    ] {
        assert!(okx.ask(&ask("POST", path, body)).is_err(), "{path}");
    }
}

/// What was closed is told by a look.
#[test]
fn what_tells_of_closed_positions_closes_none() {
    Judge::new("bybit", &cap("qty")).permits(&ask(
        "GET",
        "/v5/position/closed-pnl?category=linear&symbol=BTCUSDT",
        "",
    ));
    let mexc = format!(
        "uncapped = [\"/api/v1/private/position/close_all\"]\n{}",
        cap("vol")
    );
    let mexc = Judge::new("mexc", &mexc);
    mexc.permits(&ask(
        "GET",
        "/api/v1/private/order/list/close_orders?symbol=BTC_USDT",
        "",
    ));
    // The body may name what is asked.
    let deribit = Judge::new("deribit", &cap("amount"));
    deribit.denies(
        &ask(
            "POST",
            "/api/v2/private/get_settlement_history",
            r#"{"jsonrpc":"2.0","id":1,"method":"private/close_position","params":{"instrument_name":"BTC-PERPETUAL","type":"market","amount":"0.1"}}"#,
        ),
        "closes what there is",
    );
}
