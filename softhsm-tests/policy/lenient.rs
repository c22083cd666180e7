//! Names and values that a server takes for others than they are, since it is not strict about spelling.

use crate::judge::{Judge, ask, holds};

#[test]
fn a_value_that_is_the_denied_one_in_the_other_case_or_without_what_does_not_show_is_denied() {
    let policy = "[[deny]]\nvalues = { ordType = [\"market\"] }\n[[deny]]\nvalues = { side = [\"sell\"] }";
    let order = |side: &str, kind: &str| {
        let body = serde_json::json!({"instId": "BTC-USDT", "side": side, "ordType": kind, "sz": "1"});
        ask("POST", "/api/v5/trade/order", &body.to_string())
    };
    let okx = Judge::new("okx", policy);
    okx.permits(&order("buy", "limit"));
    // Java's and Python's upper case makes an S of a long s, and their lower case a k of the sign of Kelvin.
    for side in [
        "\u{17f}ell",
        "\u{17f}ELL",
        "sell\0",
        "sell\0x",
        "\u{feff}sell",
        "\u{1f}SELL",
        "\u{b}sell",
    ] {
        okx.denies(&order(side, "limit"), "deny 2");
    }
    for kind in ["mar\u{212a}et", "market\0", "market\u{1c}", "market\u{feff}"] {
        okx.denies(&order("buy", kind), "deny 1");
    }
    // What is as it stands in every reading is another value.
    okx.permits(&order("naïve", "币安"));
    for form in [
        "side=%C5%BFell",
        "side=sell%00",
        "side=%EF%BB%BFsell",
        "side[]=%C5%BFell",
    ] {
        let line = format!("/api/v3/order?symbol=BTCUSDT&type=LIMIT&{form}");
        let deny = "[[deny]]\nvalues = { side = [\"SELL\"] }";
        holds(
            "binance",
            deny,
            &[("POST", "/api/v3/order?side=BUY", "")],
            &[("POST", &line, "")],
        );
    }
}

#[test]
fn a_number_is_denied_as_lenient_readers_take_it() {
    let okx = Judge::new("okx", "[[deny]]\nvalues = { lever = [\"50\", \"-7\", \"1*\"] }");
    let set = |lever: &str| {
        let body = serde_json::json!({"instId": "A", "lever": lever}).to_string();
        ask("POST", "/api/v5/account/set-leverage", &body)
    };
    for lever in [
        "0x32",
        "0X32",
        "5_0",
        "50x",
        "50.0 x",
        "+50,5",
        "\u{ff15}\u{ff10}",
        "\u{665}\u{660}",
        "-0x7",
        "-7a",
        "50e",
    ] {
        okx.denies(&set(lever), "deny 1");
    }
    for lever in ["5", "500", "0x5", "x50", "5 0", "7", "5e", "0x", "-", ""] {
        okx.permits(&set(lever));
    }
}

#[test]
fn a_list_in_a_list_has_its_values() {
    let deny = "[[deny]]\nvalues = { side = [\"sell\"] }";
    let body = |side: &str| format!(r#"{{"symbol":"A_B","side":{side}}}"#);
    let refused = [
        body(r#"[["sell"]]"#),
        body(r#"[[],[["SELL"]]]"#),
        body("[\"\u{17f}ell\"]"),
    ];
    let refused: Vec<_> = refused
        .iter()
        .map(|body| ("POST", "/orders", body.as_str()))
        .collect();
    let permitted = body(r#"[["buy"]]"#);
    holds("poloniex", deny, &[("POST", "/orders", &permitted)], &refused);
}

#[test]
fn a_dot_or_an_open_bracket_in_a_name_is_an_underscore_to_php() {
    let deny = "[[deny]]\nvalues = { currency_pair = [\"eth_jpy\"] }";
    holds(
        "zaif",
        deny,
        &[
            ("POST", "/tapi", "method=trade&currency_pair=btc_jpy&amount=1"),
            (
                "POST",
                "/tapi",
                "method=trade&currency_pair=btc_jpy&currency.unit=eth_jpy",
            ),
        ],
        &[
            ("POST", "/tapi", "method=trade&currency.pair=eth_jpy&amount=1"),
            ("POST", "/tapi", "method=trade&currency%5Bpair=eth_jpy&amount=1"),
            (
                "POST",
                "/tapi",
                "method=trade&currency_pair=btc_jpy&currency.pair[]=eth_jpy",
            ),
        ],
    );
    let woo = "values = { order_type = [\"LIMIT\"] }\n[[cap]]\nfield = \"order_quantity\"\nrequest = \"1\"";
    let order = "symbol=SPOT_A_B&side=BUY&order_price=1&order_quantity=1";
    let spelled = |kind: &str| format!("{order}&{kind}");
    holds(
        "woo",
        woo,
        &[("POST", "/v1/order", &spelled("order_type=LIMIT"))],
        &[
            ("POST", "/v1/order", &spelled("order.type=MARKET")),
            (
                "POST",
                "/v1/order",
                &spelled("order_type=LIMIT&order[type=MARKET"),
            ),
        ],
    );
}

/// Where the path is not signed, fields tell a withdrawal, and Go takes a long s in a name for an s.
#[test]
fn what_moves_money_does_so_by_names_and_values_that_are_spelled_leniently() {
    for (exchange, path, body) in [
        (
            "bybit",
            "/v5/order/create",
            "{\"coin\":\"BTC\",\"addre\u{17f}\u{17f}\":\"x\"}",
        ),
        (
            "bybit",
            "/v5/order/create",
            r#"{"coin":"BTC","addre\u017fs":"x"}"#,
        ),
        ("poloniex-legacy", "/tradingApi", "command=withdraw%00&x=1"),
        ("indodax", "/tapi", "method=%EF%BB%BFwithdrawCoin&x=1"),
        ("zaif", "/tapi", "method=withdraw%1F&x=1"),
    ] {
        Judge::new(exchange, "").denies(&ask("POST", path, body), "move money out");
    }
}

/// What is compared with each other must not be without measure: one line would keep a token busy for hours.
#[test]
fn a_request_with_more_fields_than_any_exchange_takes_is_denied_soon() {
    let many = |piece: &dyn Fn(usize) -> String| (0..200_000).map(piece).collect::<Vec<_>>().join("&");
    let lists = many(&|at| format!("o[{at}][x]=1"));
    let plain = many(&|at| format!("f{at}=1"));
    let cut = format!("volume=1&note=x&{}", many(&|_| "note=x;volume=1".into()));
    let kraken = Judge::new("kraken", "[[cap]]\nfield = \"volume\"\nrequest = \"1\"");
    for body in [lists, plain, cut] {
        kraken.denies(
            &ask("POST", "/0/private/AddOrder", &body),
            "there are more than 4096 of them",
        );
    }
    let member = |at: usize| format!(r#""f{at}":1,"#);
    let (members, orders) = (
        (0..100_000).map(member).collect::<String>(),
        r#"{"sz":"0.1"},"#.repeat(100_000),
    );
    let body = format!(r#"{{{members}"px":"1","o":[{orders}{{}}]}}"#);
    let okx = Judge::new("okx", "[[cap]]\nfield = \"sz\"\ntimes = \"px\"\nrequest = \"1\"");
    okx.denies(
        &ask("POST", "/api/v5/trade/order", &body),
        "there are more than 4096 of them",
    );
    // As many as exchanges take, and far more.
    let order = r#"{"instId":"A","side":"buy","ordType":"limit","px":"1","sz":"0.001"},"#.repeat(500);
    okx.permits(&ask(
        "POST",
        "/api/v5/trade/batch-orders",
        &format!("[{}]", order.trim_end_matches(',')),
    ));
}
