//! An order has one reading: of its amount, of what is traded, and of where names and values end. Beside each exchange's tries
//! stand honest requests, which must pass.

use crate::judge::{Judge, ask, cap, holds};

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

/// Where none of the usual fields names what is traded, one that the exchange does not look at does not pass for it.
#[test]
fn what_no_usual_field_names_is_named_by_no_other() {
    for (exchange, path, own, other) in [
        (
            "coinspot",
            "/api/v2/my/buy",
            r#"{"cointype":"BTC","amount":1,"rate":1}"#,
            r#"{"cointype":"DOGE","symbol":"BTC","amount":1,"rate":1}"#,
        ),
        (
            "latoken",
            "/v2/auth/order/place",
            r#"{"baseCurrency":"BTC","quoteCurrency":"USDT","quantity":"1"}"#,
            r#"{"baseCurrency":"DOGE","quoteCurrency":"USDT","symbol":"BTC","quantity":"1"}"#,
        ),
        (
            "btcbox",
            "/api/v1/trade_add",
            "coin=btc&amount=1&price=1&type=buy",
            "coin=doge&symbol=btc&amount=1&price=1&type=buy",
        ),
        (
            "bitrue",
            "/fapi/v2/order",
            r#"{"contractName":"BTC","volume":1}"#,
            r#"{"contractName":"E-DOGE-USDT","symbol":"BTC","volume":1}"#,
        ),
    ] {
        let symbols = "symbols = [\"BTC\"]";
        holds(
            exchange,
            symbols,
            &[("POST", path, own)],
            &[("POST", path, other)],
        );
    }
    // `market` is the account.
    let order = |body| ("POST", "/v3/spot/order/new", body);
    holds(
        "digifinex",
        "symbols = [\"btc_usdt\"]",
        &[order("market=spot&symbol=btc_usdt&type=buy&amount=1&price=1")],
        &[
            order("market=spot&symbol=doge_usdt&type=buy&amount=1&price=1"),
            order("market=btc_usdt&type=buy&amount=1&price=1"),
        ],
    );
    // The path has it.
    let caps = "[[cap]]\nfield = \"amount\"\nsymbol = \"dogeusd\"\nrequest = \"1000\"\n\
                [[cap]]\nfield = \"amount\"\nsymbol = \"btcusd\"\nrequest = \"0.1\"";
    let order = ("POST", "/api/v2/buy/btcusd/", "pair=dogeusd&amount=5&price=1");
    holds("bitstamp", "symbols = [\"dogeusd\"]", &[], &[order]);
    holds("bitstamp", caps, &[], &[order]);
    let named = format!("symbol-fields = [\"pair\"]\n{caps}");
    holds("bitstamp", &named, &[order], &[]);
}

/// The exchange goes by one of the two, and a cap for the other is not for what it trades.
#[test]
fn a_second_name_of_what_is_traded_chooses_no_other_cap() {
    let caps = |field: &str| {
        let of = |symbol: &str, most: &str| {
            format!("[[cap]]\nfield = \"{field}\"\nsymbol = {symbol}\nrequest = \"{most}\"\n")
        };
        of("[\"DOGEUSD\", \"doge\"]", "100000") + &of("\"XBTUSD\"", "0.1")
    };
    let kraken = |form: &'static str| ("POST", "/0/private/AddOrder", form);
    let okx = |body: &'static str| ("POST", "/api/v5/trade/order", body);
    holds(
        "kraken",
        &caps("volume"),
        &[
            kraken("pair=DOGEUSD&volume=1000"),
            kraken("pair=DOGEUSD&symbol=DOGE&volume=1000"),
        ],
        &[
            kraken("pair=XBTUSD&volume=1000"),
            kraken("pair=XBTUSD&symbol=DOGEUSD&volume=1000"),
            kraken("pair=DOGEUSD&symbol=XBTUSD&volume=1000"),
            // No cap is for what may be traded.
            kraken("pair=ETHUSD&symbol=DOGEUSD&volume=1000"),
        ],
    );
    holds(
        "okx",
        &caps("sz"),
        &[],
        &[
            okx(r#"{"instId":"XBTUSD","symbol":"DOGEUSD","sz":"1000"}"#),
            okx(r#"{"symbol":"DOGEUSD","orders":[{"instId":"XBTUSD","sz":"1000"}]}"#),
            okx(r#"{"instId":"XBTUSD","orders":[{"symbol":"DOGEUSD","sz":"1000"}]}"#),
        ],
    );
    // The owner knows which one it goes by.
    let named = format!("symbol-fields = [\"pair\"]\n{}", caps("volume"));
    holds(
        "kraken",
        &named,
        &[kraken("pair=DOGEUSD&symbol=XBTUSD&volume=1000")],
        &[kraken("pair=XBTUSD&symbol=DOGEUSD&volume=1000")],
    );
    // CEX.IO's second is what is paid with.
    let cex = (
        "POST",
        "/api/spot/rest/do_my_new_order",
        r#"{"currency1":"DOGE","currency2":"USD","amountCcy1":"5"}"#,
    );
    holds("cex", &caps("amountCcy1"), &[cex], &[]);
}

/// Crypto.com signs names and values one behind the other: an order of another amount can have the same message.
#[test]
fn where_names_and_values_run_together_none_hides_in_another() {
    let order = |params: &str| {
        let body = format!(r#"{{"id":1,"method":"private/create-order","params":{{{params}}}}}"#);
        ask("POST", "/exchange/v1/private/create-order", &body)
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

/// ccxt's PATCH for Gate has all its fields twice, in the query and as JSON.
#[test]
fn a_field_is_one_that_query_and_json_have_alike() {
    let path = "/api/v4/spot/orders/1";
    let amend = "/api/v4/spot/orders/1?currency_pair=BTC_USDT&account=spot&amount=0.1";
    let policy = format!("symbols = [\"BTC_USDT\"]\n{}\nday = \"0.15\"", cap("amount"));
    holds(
        "gate",
        &policy,
        &[(
            "PATCH",
            amend,
            r#"{"currency_pair":"BTC_USDT","account":"spot","amount":"0.1"}"#,
        )],
        &[
            ("PATCH", amend, r#"{"currency_pair":"ETH_USDT","amount":"0.1"}"#),
            ("PATCH", amend, r#"{"currency_pair":"BTC_USDT","amount":"0.01"}"#),
            ("PATCH", amend, r#"{"currencyPair":"BTC_USDT","amount":"0.1"}"#),
            ("PATCH", amend, r#"{"amount":["0.1"]}"#),
            ("PATCH", amend, r#"{"amount":"0.1","amount":"0.1"}"#),
            ("PATCH", amend, r#"{"amount":"0.1","order":{"amount":"0.1"}}"#),
            (
                "PATCH",
                "/api/v4/spot/orders/1?currency_pair=BTC_USDT&amount=0.1&amount=0.1",
                r#"{"amount":"0.1"}"#,
            ),
            (
                "POST",
                "/api/v4/spot/orders?currency_pair=null&amount=0.1",
                r#"{"currency_pair":null,"amount":"0.1"}"#,
            ),
        ],
    );
    // As hsmsign itself places them.
    let line = serde_json::json!({"method": "PATCH", "path": path, "params": {"currency_pair": "BTC_USDT", "amount": "0.1"}});
    Judge::new("gate", &policy).permits(&line.to_string());
}
