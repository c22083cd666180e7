//! Orders that say how much in another way than the field that is capped, what they trade by another name, or which
//! endpoint they mean in their body. Beside each exchange's tries stand honest requests, which must pass.

use crate::{bench::Place, judge::Judge};

const JSON: &str = "application/json";

/// What is asked: method, path with its query, and body; JSON where it begins so.
type Ask<'a> = (&'a str, &'a str, &'a str);

fn line((method, path, body): Ask<'_>) -> String {
    let mut line = serde_json::json!({"method": method, "path": path});
    if !body.is_empty() {
        line["body"] = body.into();
    }
    if body.starts_with(['{', '[']) {
        line["content_type"] = JSON.into();
    }
    line.to_string()
}

/// A policy, what it must permit, and what it must refuse.
fn holds(exchange: &str, policy: &str, permitted: &[Ask<'_>], refused: &[Ask<'_>]) {
    let judge = Judge::new(exchange, policy);
    for ask in permitted {
        judge.permits(&line(*ask));
    }
    for ask in refused {
        judge.refuses(&line(*ask));
    }
}

#[test]
fn an_order_at_okx_has_one_reading() {
    let order = "/api/v5/trade/order";
    let policy = "symbols = [\"BTC-USDT\"]\n[[allow]]\nmethod = \"POST\"\npath = [\"/api/v5/trade/order\", \"/api/v5/trade/batch-orders\"]\n[[cap]]\nfield = \"sz\"\nrequest = \"0.1\"";
    holds(
        "okx",
        policy,
        &[
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","side":"buy","ordType":"limit","sz":"0.1","px":"1"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","closeFraction":""}"#,
            ),
            (
                "POST",
                "/api/v5/trade/batch-orders",
                r#"[{"instId":"BTC-USDT","side":"buy","sz":"0.05"},{"instId":"BTC-USDT","side":"buy","sz":"0.05"}]"#,
            ),
        ],
        &[
            // JSON in a string in a list.
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","orders":["{\"sz\":\"5\",\"instId\":\"BTC-USDT\"}"]}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","orders":[" [{\"sz\":\"5\"}]"]}"#,
            ),
            // And in a string in that.
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","orders":"\"{\\\"sz\\\":5,\\\"instId\\\":\\\"BTC-USDT\\\"}\""}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","orders":["%7B%22instId%22%3A%22ETH-USDT%22%7D"]}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","orders":[["{\"instId\":\"ETH-USDT\",\"sz\":\"0.01\"}"]]}"#,
            ),
            // No amount, or one beside the number.
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","side":"buy","ordType":"market"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/batch-orders",
                r#"[{"instId":"BTC-USDT","sz":"0.05"},{"instId":"BTC-USDT","side":"buy"}]"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","closeFraction":"1"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","newNotional":"1"}"#,
            ),
            // Another unit.
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","tgtCcy":"base_ccy"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","tgt_ccy":"quote_ccy"}"#,
            ),
            // What is traded by another name.
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","instIdCode":12345,"sz":"0.1"}"#,
            ),
            // What is no JSON, or JSON that servers read differently.
            ("POST", order, "\u{feff}{\"instId\":\"BTC-USDT\",\"sz\":\"0.1\"}"),
            ("POST", order, r#"{"instId":"BTC-USDT","sz":01}"#),
            ("POST", order, r#"{"instId":"BTC-USDT","sz":+0.1}"#),
            ("POST", order, r#"{"instId":"BTC-USDT","sz":NaN}"#),
            ("POST", order, r#"{"instId":"BTC-USDT","sz":0.1}{"sz":5}"#),
            ("POST", order, r#"{"instId":"BTC-USDT",/*x*/"sz":5}"#),
            ("POST", order, r#"{"instId":"BTC-USDT","s\ud800z":5}"#),
            // A field that some servers take for the method.
            (
                "POST",
                "/api/v5/trade/order?_method=DELETE",
                r#"{"instId":"BTC-USDT","sz":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v5/trade/order?%5f%6d%65thod=DELETE",
                r#"{"instId":"BTC-USDT","sz":"0.1"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","_method":"DELETE"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","\u005fmethod":"DELETE"}"#,
            ),
            (
                "POST",
                order,
                r#"{"instId":"BTC-USDT","sz":"0.1","X-HTTP-Method-Override":"DELETE"}"#,
            ),
        ],
    );
    // A unit that the owner named is one.
    let pinned = format!("values = {{ tgtCcy = [\"base_ccy\"] }}\n{policy}");
    holds(
        "okx",
        &pinned,
        &[(
            "POST",
            order,
            r#"{"instId":"BTC-USDT","sz":"0.1","tgtCcy":"base_ccy"}"#,
        )],
        &[(
            "POST",
            order,
            r#"{"instId":"BTC-USDT","sz":"0.1","tgtCcy":"quote_ccy"}"#,
        )],
    );
}

#[test]
fn no_other_way_to_say_how_much_gets_by_a_cap() {
    let cap = |field: &str| format!("[[cap]]\nfield = \"{field}\"\nrequest = \"0.1\"");
    holds(
        "bybit",
        &cap("qty"),
        &[(
            "POST",
            "/v5/order/create",
            r#"{"symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.1"}"#,
        )],
        &[
            (
                "POST",
                "/v5/order/create",
                r#"{"symbol":"BTCUSDT","side":"Buy","qty":"0.1","marketUnit":"baseCoin"}"#,
            ),
            (
                "POST",
                "/v5/order/create",
                r#"{"symbol":"BTCUSDT","side":"Buy","orderType":"Market"}"#,
            ),
            (
                "POST",
                "/v5/order/create-batch",
                r#"{"request":["{\"symbol\":\"BTCUSDT\",\"qty\":\"5\"}"]}"#,
            ),
            (
                "POST",
                "/v5/order/create-batch",
                r#"{"request":[{"qty":"0.06"},{"qty":"0.06"}]}"#,
            ),
            (
                "POST",
                "/v5/position/trading-stop",
                r#"{"symbol":"BTCUSDT","tpSize":"5"}"#,
            ),
        ],
    );
    holds(
        "bitmex",
        &cap("orderQty"),
        &[
            (
                "POST",
                "/api/v1/order",
                r#"{"symbol":"XBTUSD","side":"Buy","orderQty":0.1,"execInst":"ParticipateDoNotInitiate"}"#,
            ),
            ("DELETE", "/api/v1/order/all?symbol=XBTUSD&side=Buy", ""),
            ("GET", "/api/v1/order?symbol=XBTUSD&side=Buy", ""),
        ],
        &[
            (
                "POST",
                "/api/v1/order",
                r#"{"symbol":"XBTUSD","execInst":"Close"}"#,
            ),
            (
                "POST",
                "/api/v1/order",
                r#"{"symbol":"XBTUSD","orderQty":0.1,"execInst":"LastPrice, close"}"#,
            ),
            (
                "POST",
                "/api/v1/order",
                r#"{"symbol":"XBTUSD","simpleOrderQty":5}"#,
            ),
            ("PUT", "/api/v1/order", r#"{"orderID":"x","leavesQty":5000}"#),
            (
                "POST",
                "/api/v1/order/bulk",
                r#"{"orders":[{"orderQty":0.06},{"orderQty":0.06}]}"#,
            ),
            (
                "POST",
                "/api/v1/order",
                "symbol=XBTUSD&orderQty=0.1&orders[]={\"orderQty\":5}",
            ),
        ],
    );
    holds(
        "bitfinex",
        &cap("amount"),
        &[(
            "POST",
            "/v2/auth/w/order/submit",
            r#"{"type":"LIMIT","symbol":"tBTCUSD","amount":"-0.1"}"#,
        )],
        &[
            ("POST", "/v2/auth/w/order/update", r#"{"id":1,"delta":"5"}"#),
            (
                "POST",
                "/v2/auth/w/order/multi",
                r#"{"ops":[["ou",{"id":1,"delta":"5"}]]}"#,
            ),
            (
                "POST",
                "/v2/auth/w/order/multi",
                r#"{"ops":[["on",{"amount":"0.06"}],["on",{"amount":"-0.06"}]]}"#,
            ),
        ],
    );
    holds(
        "kraken",
        &cap("volume"),
        &[(
            "POST",
            "/0/private/AddOrder",
            "pair=XBTUSD&type=buy&ordertype=limit&volume=0.1&oflags=post,fciq",
        )],
        &[
            (
                "POST",
                "/0/private/AddOrder",
                "pair=XBTUSD&volume=0.1&oflags=post,viqc",
            ),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=XBTUSD&type=buy&ordertype=market",
            ),
            (
                "POST",
                "/0/private/AddOrderBatch",
                "pair=XBTUSD&orders[0][volume]=0.06&orders[1][volume]=0.06",
            ),
            (
                "POST",
                "/0/private/AddOrderBatch",
                r#"{"pair":"XBTUSD","orders":[{"volume":"0.06"},{"volume":"0.06"}]}"#,
            ),
            ("POST", "/0/private/AmendOrder", "txid=x&order_qty=5"),
            (
                "POST",
                "/0/private/AddOrder",
                "pair=XBTUSD&volume=0.1&close[volume]=5",
            ),
        ],
    );
    holds(
        "binance",
        &cap("quantity"),
        &[
            (
                "POST",
                "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&icebergQty=0.01",
                "",
            ),
            (
                "POST",
                "/fapi/v1/order?symbol=BTCUSDT&side=BUY&quantity=0.1&closePosition=false",
                "",
            ),
        ],
        &[
            (
                "POST",
                "/fapi/v1/batchOrders?batchOrders=%5B%22%7B%5C%22quantity%5C%22%3A%5C%225%5C%22%7D%22%5D",
                "",
            ),
            (
                "POST",
                "/fapi/v1/batchOrders?batchOrders=%5B%7B%22quantity%22%3A%220.06%22%7D,%7B%22quantity%22%3A%220.06%22%7D%5D",
                "",
            ),
            (
                "POST",
                "/fapi/v1/batchOrders?batchOrders=%255B%257B%2522quantity%2522%253A%25225%2522%257D%255D",
                "",
            ),
            (
                "POST",
                "/fapi/v1/order?symbol=BTCUSDT&side=SELL&type=STOP_MARKET&closePosition=true",
                "",
            ),
            (
                "POST",
                "/api/v3/orderList/otoco?symbol=BTCUSDT&workingQuantity=5&pendingQuantity=5",
                "",
            ),
            (
                "POST",
                "/sapi/v1/convert/getQuote?fromAsset=BTC&toAsset=USDT&fromAmount=5",
                "",
            ),
            (
                "POST",
                "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100000",
                "",
            ),
        ],
    );
    holds(
        "kucoin",
        &cap("size"),
        &[(
            "POST",
            "/api/v1/orders",
            r#"{"symbol":"BTC-USDT","side":"buy","size":"0.1","visibleSize":"0.01"}"#,
        )],
        &[
            (
                "POST",
                "/api/v1/orders",
                r#"{"symbol":"BTC-USDT","side":"buy","type":"market","funds":"100000"}"#,
            ),
            (
                "POST",
                "/api/v1/orders",
                r#"{"symbol":"BTC-USDT","side":"buy","type":"market"}"#,
            ),
            (
                "POST",
                "/api/v1/orders",
                r#"{"symbol":"XBTUSDTM","closeOrder":true}"#,
            ),
            (
                "POST",
                "/api/v1/hf/orders/multi",
                r#"{"orderList":[{"size":"0.06"},{"size":"0.06"}]}"#,
            ),
        ],
    );
    for (exchange, field, path, body) in [
        (
            "bitvavo",
            "amount",
            "/v2/order",
            r#"{"market":"BTC-EUR","side":"buy","amountQuote":"100000"}"#,
        ),
        (
            "bitso",
            "major",
            "/v3/orders",
            r#"{"book":"btc_mxn","side":"buy","minor":"100000"}"#,
        ),
        (
            "upbit",
            "volume",
            "/v1/orders",
            r#"{"market":"KRW-BTC","side":"bid","ord_type":"price","price":"100000000"}"#,
        ),
        (
            "phemex",
            "orderQty",
            "/g-orders",
            r#"{"symbol":"BTCUSDT","orderQtyRq":"5"}"#,
        ),
        (
            "gate",
            "amount",
            "/api/v4/spot/batch_orders",
            r#"[{"amount":"0.06"},{"amount":"0.06"}]"#,
        ),
        (
            "gate",
            "size",
            "/api/v4/futures/usdt/orders",
            r#"{"contract":"BTC_USDT","size":0,"auto_size":"close_long"}"#,
        ),
        (
            "gate",
            "size",
            "/api/v4/futures/usdt/orders",
            r#"{"contract":"BTC_USDT","size":1,"close":true}"#,
        ),
        (
            "gate",
            "size",
            "/api/v4/futures/usdt/orders",
            r#"{"contract":"BTC_USDT","size":0,"reduce_only":true}"#,
        ),
        (
            "bybit",
            "qty",
            "/v5/order/create",
            r#"{"category":"linear","symbol":"BTCUSDT","side":"Sell","orderType":"Market","qty":"0","reduceOnly":true,"closeOnTrigger":true}"#,
        ),
        (
            "htx",
            "amount",
            "/v1/order/batch-orders",
            r#"[{"amount":"0.01"}]"#,
        ),
        (
            "coinbase",
            "base_size",
            "/api/v3/brokerage/orders",
            r#"{"base_size":"0.01"}"#,
        ),
    ] {
        holds(exchange, &cap(field), &[], &[("POST", path, body)]);
    }
    holds(
        "kraken",
        &cap("volume"),
        &[("POST", "/0/private/AddOrder", "pair=XBTUSD&type=sell&volume=0.1")],
        &[(
            "POST",
            "/0/private/AddOrder",
            "pair=XBTUSD&type=sell&volume=0&leverage=2",
        )],
    );
    holds(
        "bingx",
        &cap("quantity"),
        &[],
        &[(
            "POST",
            "/openApi/swap/v2/trade/order?clientOrderId=x%26closePosition=true%26side=SELL&symbol=BTC-USDT&type=STOP_MARKET",
            "",
        )],
    );
    holds(
        "bitstamp",
        &cap("amount"),
        &[("POST", "/api/v2/buy/market/btcusd/", "amount=0.1")],
        &[(
            "POST",
            "/api/v2/buy/instant/btcusd/",
            "amount=0.1&amount_in_counter=true",
        )],
    );
}

#[test]
fn what_is_traded_has_no_second_name() {
    for (exchange, path, body) in [
        (
            "bitflyer",
            "/v1/me/sendchildorder",
            r#"{"symbol":"BTC","product_code":"ETH_JPY","size":1}"#,
        ),
        (
            "btcturk",
            "/api/v1/order",
            r#"{"symbol":"BTC","pairSymbol":"ETHTRY","quantity":1}"#,
        ),
        (
            "delta",
            "/v2/orders",
            r#"{"symbol":"BTC","product_symbol":"ETHUSD","size":1}"#,
        ),
        (
            "bigone",
            "/api/v3/viewer/orders",
            r#"{"symbol":"BTC","asset_pair_name":"ETH-USDT","amount":"1"}"#,
        ),
        (
            "cex",
            "/api/spot/rest-api/v1/do_my_new_order",
            r#"{"symbol":"BTC","currency1":"ETH","currency2":"USD","amountCcy1":"1"}"#,
        ),
        (
            "coinone",
            "/v2.1/order",
            r#"{"symbol":"BTC","target_currency":"ETH","qty":"1"}"#,
        ),
    ] {
        holds(exchange, "symbols = [\"BTC\"]", &[], &[("POST", path, body)]);
    }
}

#[test]
fn a_method_in_the_body_is_no_way_to_another_endpoint() {
    let summary = "/api/v2/private/get_account_summary";
    let rpc =
        |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"amount":5}}}}"#);
    let (own, buy) = (rpc("private/get_account_summary"), rpc("private/buy"));
    let listed = format!("[{buy}]");
    let escaped = buy
        .replace("method", "m\\u0065thod")
        .replace("private/", "private\\/");
    holds(
        "deribit",
        &format!("[[allow]]\npath = \"{summary}\""),
        &[
            ("GET", &format!("{summary}?currency=BTC"), ""),
            ("POST", summary, &own),
        ],
        &[
            ("POST", summary, &buy),
            ("POST", summary, &escaped),
            ("POST", summary, &listed),
            ("POST", summary, &rpc("/private/buy")),
            ("POST", summary, &rpc("PRIVATE/BUY")),
            ("POST", summary, &rpc("private/withdraw")),
            ("POST", "/api/v2", &own),
            ("POST", "/api/v2/private/buy", &own),
        ],
    );
    holds(
        "deribit",
        "[[deny]]\npath = \"/api/v2/private/buy\"",
        &[("POST", summary, &own)],
        &[
            ("POST", summary, &buy),
            ("POST", "/api/v2", &buy),
            ("POST", "/api/v2", &escaped),
            ("GET", "/api/v2/private/buy?amount=1", ""),
        ],
    );
    // Where the path is signed as the body's method, a body that says another is refused at the latest when composed.
    let Some(place) = Place::with_token() else { return };
    place.import(
        &["--exchange", "cryptocom", "--api-key", "k"],
        "cxakp_4fBbVoR6EdBWJzzlKHmool",
    );
    let sign = |method: &str| {
        let body = format!(r#"{{"id":1,"method":"{method}","params":{{}}}}"#);
        let path = "/exchange/v1/private/get-account-summary";
        place
            .run(
                &[
                    "sign",
                    "cryptocom",
                    "POST",
                    path,
                    "--data",
                    &body,
                    "--content-type",
                    JSON,
                ],
                "",
            )
            .code
    };
    assert_eq!(sign("private/get-account-summary"), 0);
    assert_eq!(sign("private/create-withdrawal"), 5);
}

#[test]
fn a_url_leads_to_the_exchange_or_nowhere() {
    let judge = Judge::new("kraken", "[[allow]]\npath = \"/0/private/Balance\"");
    let ask = |url: &str| serde_json::json!({"method": "POST", "url": url}).to_string();
    judge.permits(&ask("https://api.kraken.com/0/private/Balance"));
    for url in [
        "https://api.kraken.com.evil.example/0/private/Balance",
        "https://api.kraken.com@evil.example/0/private/Balance",
        "https://evil.example#@api.kraken.com/0/private/Balance",
        "https://evil.example\\@api.kraken.com/0/private/Balance",
        "https://api.kraken.com:8443/0/private/Balance",
        "https://api.kraken.com./0/private/Balance",
        "https://user:password@api.kraken.com/0/private/Balance",
        "http://api.kraken.com/0/private/Balance",
        "//api.kraken.com/0/private/Balance",
        "https://api.kraken.com/0/private/Balance/../Withdraw",
        "https://api.kraken.com/0/private/Balance%252f..%252fWithdraw",
    ] {
        judge.refuses(&ask(url));
    }
    for line in [
        r#"{"method":"POST","path":"/0/private/Balance","headers":{"X-HTTP-Method-Override":"GET"}}"#,
        r#"{"method":"POST","path":"/0/private/Balance","host":"evil.example"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","path":"/0/private/Withdraw"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","url":"https://api.kraken.com/0/private/Withdraw"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","form":{"a":"1"},"body":"b=2"}"#,
        r#"{"method":"POST","path":"/0/private/Balance","p\u0061th":"/0/private/Withdraw"}"#,
    ] {
        judge.refuses(line);
    }
}

/// Crypto.com signs names and values one behind the other: an order of another amount can have the same message.
#[test]
fn where_names_and_values_run_together_none_hides_in_another() {
    let order = |params: &str| {
        let body = format!(r#"{{"id":1,"method":"private/create-order","params":{{{params}}}}}"#);
        line(("POST", "/exchange/v1/private/create-order", &body))
    };
    let honest = r#""client_oid":"c5f682ed-7108-4f1c-b755-972fcdca0f02","exec_inst":["POST_ONLY"],"instrument_name":"BTCUSD-PERP","price":"1","quantity":"0.1","side":"BUY","type":"MARKET""#;
    let cap = Judge::new("cryptocom", "[[cap]]\nfield = \"quantity\"\nrequest = \"0.1\"");
    let symbols = Judge::new("cryptocom", "symbols = [\"BTCUSD-PERP\"]");
    let values = Judge::new("cryptocom", "values = { side = [\"BUY\"] }");
    for judge in [&cap, &symbols, &values] {
        judge.permits(&order(honest));
    }
    for params in [
        // The same message as {"price":"1","quantity":"5","r":"quantity0.1"}.
        r#""instrument_name":"BTCUSD-PERP","price":"1quantity5r","quantity":"0.1""#,
        r#""client_oid":"Anotional5r","instrument_name":"BTCUSD-PERP","quantity":"0.1""#,
        // "p":"1quan" and "tity5r":"".
        r#""instrument_name":"BTCUSD-PERP","p":"1quan","quantity":"0.1","tity5r":"""#,
        r#""instrument_name":"BTCUSD-PERP","p":["1quan","tity5r"],"quantity":"0.1""#,
    ] {
        let asked = cap.ask(&order(params));
        if params.contains("tity5r\":\"") {
            // Between them stands another name, so that nothing runs together.
            assert!(asked.is_ok(), "{params}");
        } else {
            let error = asked.unwrap_err();
            assert!(error.message().contains("could be read"), "{params}: {error}");
        }
    }
    symbols.refuses(&order(
        r#""client_oid":"Ainstrument_nameETHUSD-PERPr","instrument_name":"BTCUSD-PERP","quantity":"0.1""#,
    ));
    values.refuses(&order(r#""quantity":"0.1sideSELLr","side":"BUY""#));
}
