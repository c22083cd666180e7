//! Tries to get by a policy, each of which must be refused; beside them honest requests, which must not.

use crate::judge::Judge;

/// "My bot may only trade BTC/USD, at most 0.1, no withdrawals."
const KRAKEN: &str = r#"
symbols = ["XBTUSD"]
withdrawals = false

[[allow]]
path = ["/0/private/AddOrder", "/0/private/CancelOrder", "/0/private/Balance"]

[[cap]]
field = "volume"
path = "/0/private/AddOrder"
request = "0.1"
"#;

fn form(path: &str, body: &str) -> String {
    serde_json::json!({"method": "POST", "path": path, "body": body}).to_string()
}

fn json(path: &str, body: &str) -> String {
    serde_json::json!({"method": "POST", "path": path, "body": body, "content_type": "application/json"})
        .to_string()
}

/// Bodies of an order that would buy more than 0.1, or something else than BTC/USD.
const KRAKEN_BODIES: [&str; 84] = [
    // More, plainly and in other spellings of the number.
    "pair=XBTUSD&volume=0.2",
    "pair=XBTUSD&volume=1",
    "pair=XBTUSD&volume=1e0",
    "pair=XBTUSD&volume=1E1",
    "pair=XBTUSD&volume=%31",
    "pair=XBTUSD&volume=0.1000000001",
    "pair=XBTUSD&volume=-5",
    "pair=XBTUSD&volume=%2B5",
    "pair=XBTUSD&volume=+5",
    "pair=XBTUSD&volume=5+",
    "pair=XBTUSD&volume=%205",
    "pair=XBTUSD&volume=0x10",
    "pair=XBTUSD&volume=1_000",
    "pair=XBTUSD&volume=0,5",
    "pair=XBTUSD&volume=1,000.0",
    "pair=XBTUSD&volume=.5",
    "pair=XBTUSD&volume=5.",
    "pair=XBTUSD&volume=00005",
    "pair=XBTUSD&volume=1e-0",
    "pair=XBTUSD&volume=10e-1",
    "pair=XBTUSD&volume=1e400",
    "pair=XBTUSD&volume=inf",
    "pair=XBTUSD&volume=Infinity",
    "pair=XBTUSD&volume=NaN",
    "pair=XBTUSD&volume=%D9%A1",
    "pair=XBTUSD&volume=%EF%BC%95",
    "pair=XBTUSD&volume=5%00",
    "pair=XBTUSD&volume=0.1%0A5",
    "pair=XBTUSD&volume=0.1%265",
    "pair=XBTUSD&volume=",
    "pair=XBTUSD&volume",
    "pair=XBTUSD",
    "pair=XBTUSD&volume=true",
    "pair=XBTUSD&volume=null",
    "pair=XBTUSD&volume=%7B%22a%22:5%7D",
    "pair=XBTUSD&volume=%5B5%5D",
    "pair=XBTUSD&volume=%5B0.1,0.1%5D",
    "pair=XBTUSD&volume=%225%22",
    "pair=XBTUSD&volume=1.2.3",
    "pair=XBTUSD&volume=1234567890123456789012345678901234567890",
    // Twice.
    "pair=XBTUSD&volume=0.1&volume=5",
    "pair=XBTUSD&volume=5&volume=0.1",
    "pair=XBTUSD&volume=0.05&volume=0.05",
    "volume=5&pair=XBTUSD&volume=0.1",
    "pair=XBTUSD&volume=0.1&Volume=5",
    "pair=XBTUSD&VOLUME=5",
    "pair=XBTUSD&volume=0.1&vo%6Cume=5",
    "pair=XBTUSD&vo%6Cume=5",
    "pair=XBTUSD&volume=0.1&%76%6F%6C%75%6D%65=5",
    "pair=XBTUSD&volume=0.1&volume%20=5",
    "pair=XBTUSD&volume=0.1&+volume=5",
    "pair=XBTUSD&volume=0.1&volume%00=5",
    "pair=XBTUSD&volume=0.1&volume%5B%5D=5",
    "pair=XBTUSD&volume=0.1&volume[]=5",
    "pair=XBTUSD&volume=0.1&volume[0]=5",
    "pair=XBTUSD&volume=0.1&volume[x]=5",
    "pair=XBTUSD&volume=0.1&volume.x=5",
    "pair=XBTUSD&volume=0.1;volume=5",
    "pair=XBTUSD;volume=5",
    "pair=XBTUSD&volume=0.1&x=1;volume=5",
    "pair=XBTUSD&volume=0.1&x=1%26volume=5",
    "pair=XBTUSD&volume=0.1&x=%7B%22volume%22:5%7D",
    "pair=XBTUSD&volume=0.1&orders=%5B%7B%22volume%22:5%7D%5D",
    "pair=XBTUSD&volume=0.1&orders[0][volume]=5",
    "pair=XBTUSD&volume=0.1&orders.0.volume=5",
    "pair=XBTUSD&volume=0.1&1volume=5",
    "pair=XBTUSD&volume=0.1&vol_ume=5",
    "pair=XBTUSD&volume=0.1&vol%C3%BCme=5",
    "pair=XBTUSD&volume=0.1&%EF%BD%96olume=5",
    "pair=XBTUSD&volume=0.1&volume%E2%80%8B=5",
    "pair=XBTUSD&volume=0.1&%2576olume=5",
    // Another amount.
    "pair=XBTUSD&volume=0.1&cost=100000",
    "pair=XBTUSD&volume=0.1&quoteOrderQty=100000",
    "pair=XBTUSD&amount=5",
    // Something else.
    "pair=ETHUSD&volume=0.1",
    "pair=XBTUSD&pair=ETHUSD&volume=0.1",
    "pair=XBTUSD&Pair=ETHUSD&volume=0.1",
    "pair=XBTUSD&symbol=ETHUSD&volume=0.1",
    "pair=XBTUSD,ETHUSD&volume=0.1",
    "pair=XBTUSD%2CETHUSD&volume=0.1",
    "pair=XBTUSD%00&volume=0.1",
    "pair=%20XBTUSD&volume=0.1",
    "pair=&volume=0.1",
    "volume=0.1",
];

#[test]
fn no_spelling_of_a_form_gets_by_a_cap_or_the_symbols() {
    let judge = Judge::new("kraken", KRAKEN);
    for body in [
        "pair=XBTUSD&volume=0.1",
        "volume=1e-1&pair=xbtusd&type=buy&ordertype=limit&price=37500",
        "pair=XBTUSD&volume=0.01&close[price]=5",
    ] {
        judge.permits(&form("/0/private/AddOrder", body));
    }
    judge.permits(&form("/0/private/Balance", ""));
    for body in KRAKEN_BODIES {
        judge.refuses(&form("/0/private/AddOrder", body));
    }
}

const KRAKEN_PATHS: [&str; 44] = [
    "/0/private/Withdraw",
    "/0/private/withdraw",
    "/0/private/AddOrderBatch",
    "/0/private/CancelAll",
    "/0/private/AddOrde",
    "/0/private",
    "/",
    "",
    "/0/private/Balance/../Withdraw",
    "/0/private/./Withdraw",
    "/0/private/Balance/..",
    "/0/private/Balance/%2e%2e/Withdraw",
    "/0/private/Balance%2f..%2fWithdraw",
    "/0/private/Balance%2FWithdraw",
    "/0/private//Withdraw",
    "//0/private/Balance",
    "/0/private/Balance//",
    "/0/private/Balance;/Withdraw",
    "/0/private/Balance%00",
    "/0/private/Balance%0a",
    "/0/private/Balance%20x",
    "/0/private/Balance#Withdraw",
    "/0/private/Balance%23",
    "/0/private/Balance%3f",
    "/0/private/Balance\\Withdraw",
    "/0/private/Balance%5c",
    "/0/private/%57ithdraw",
    "/0/private/%2557ithdraw",
    "/0/private/Withdraw.json",
    "/0/private/Withdraw/",
    "/0/private/BalanceEx",
    "/0/private/Balance*",
    "/1/private/Balance",
    "/0/public/Balance",
    "/0/private/Balance/x",
    "/0/private/xBalance",
    "/0/private/AddOrder/validate",
    "/0/private/AddOrder.php",
    "https://evil.example/0/private/Balance",
    "0/private/Balance",
    "/0/private/B%alance",
    "/0/private/Bal\u{0430}nce",
    "/0/private/\u{212a}ey",
    "/0/private/Balance\r\nHost: x",
];

#[test]
fn no_spelling_of_a_path_gets_by_an_allow_list() {
    let judge = Judge::new("kraken", KRAKEN);
    for path in [
        "/0/private/Balance",
        "/0/private/balance",
        "/0/private/Bal%61nce",
        "/0/private/Balance/",
    ] {
        judge.permits(&form(path, ""));
    }
    for path in KRAKEN_PATHS {
        judge.refuses(&form(path, ""));
    }
}

const OKX: &str = r#"
symbols = ["BTC-USDT"]

[[allow]]
method = "POST"
path = ["/api/v5/trade/order", "/api/v5/trade/batch-orders"]
[[allow]]
method = "GET"
path = "/api/v5/account/*"

[[cap]]
field = "sz"
request = "0.1"
[[cap]]
field = "sz"
times = "px"
request = "5000"
"#;

const OKX_BODIES: [&str; 38] = [
    r#"{"instId":"BTC-USDT","sz":"0.2","px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":0.2,"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":2e-1,"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"2E-1","px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"50001"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":5e5}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":""}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":null}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","sz":"5"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","\u0073z":"5"}"#,
    r#"{"instId":"BTC-USDT","\u0073\u007a":"5","px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","SZ":"5"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","sz ":"5"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","s\u0000z":"5"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","ſz":"5"}"#,
    r#"{"instId":"BTC-USDT","sz":["0.1","5"],"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":{"a":"5"},"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":true,"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":null,"px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1 ","px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"\uff15","px":"1"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","attachAlgoOrds":[{"sz":"5"}]}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","x":"{\"sz\":\"5\"}"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","x":"[{\"sz\":5,\"px\":1}]"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","x":"a&sz=5"}"#,
    r#"{"instId":"BTC-USDT","sz":"0.1","px":"1","amount":"5"}"#,
    r#"{"instId":"ETH-USDT","sz":"0.1","px":"1"}"#,
    r#"{"instId":"BTC-USDT","InstId":"ETH-USDT","sz":"0.1","px":"1"}"#,
    r#"{"instId":"BTC-USDT","inst_id":"ETH-USDT","sz":"0.1","px":"1"}"#,
    r#"{"instId":["BTC-USDT","ETH-USDT"],"sz":"0.1","px":"1"}"#,
    r#"{"instId":{"a":"ETH-USDT"},"sz":"0.1","px":"1"}"#,
    r#"{"instId":null,"sz":"0.1","px":"1"}"#,
    r#"{"sz":"0.1","px":"1"}"#,
    r#"[{"instId":"BTC-USDT","sz":"0.1","px":"1"},{"instId":"BTC-USDT","sz":"0.1","px":"1"}]"#,
    r#"[{"instId":"BTC-USDT","sz":"0.05","px":"1"},{"instId":"ETH-USDT","sz":"0.01","px":"1"}]"#,
    r#"[{"instId":"BTC-USDT","sz":"0.05","px":"1"},{"sz":"0.01","px":"1"}]"#,
    r#"[[{"instId":"BTC-USDT","sz":"5","px":"1"}]]"#,
];

#[test]
fn no_spelling_of_json_gets_by_a_cap_or_the_symbols() {
    let judge = Judge::new("okx", OKX);
    for body in [
        r#"{"instId":"BTC-USDT","sz":"0.1","px":"50000"}"#,
        r#"[{"instId":"BTC-USDT","sz":"0.05","px":"50000"},{"instId":"BTC-USDT","sz":0.05,"px":50000}]"#,
    ] {
        judge.permits(&json("/api/v5/trade/order", body));
    }
    for body in OKX_BODIES {
        judge.refuses(&json("/api/v5/trade/order", body));
    }
}

#[test]
fn another_method_or_query_gets_by_no_rule() {
    let judge = Judge::new("okx", OKX);
    let line = |method: &str, path: &str| serde_json::json!({"method": method, "path": path}).to_string();
    judge.permits(&line("GET", "/api/v5/account/balance?ccy=BTC"));
    for (method, path) in [
        ("POST", "/api/v5/account/set-leverage"),
        ("post", "/api/v5/account/set-leverage"),
        ("DELETE", "/api/v5/account/x"),
        ("HEAD", "/api/v5/account/balance"),
        ("GET\n", "/api/v5/account/balance"),
        ("PATCH", "/api/v5/account/balance"),
        ("GET", "/api/v5/asset/balances"),
        ("GET", "/api/v5/account"),
        ("GET", "/api/v5/account/x?instId=ETH-USDT"),
        ("GET", "/api/v5/account/x?instId=BTC-USDT&instId=ETH-USDT"),
        ("GET", "/api/v5/account/x?instId=BTC-USDT&INSTID=ETH-USDT"),
        ("GET", "/api/v5/account/x?sz=5&px=1&instId=BTC-USDT"),
    ] {
        judge.refuses(&line(method, path));
    }
    for line in [
        r#"{"method":"POST","path":"/api/v5/trade/order","query":"sz=5","body":"{\"instId\":\"BTC-USDT\",\"sz\":\"0.1\",\"px\":\"1\"}"}"#,
        r#"{"method":"POST","path":"/api/v5/trade/order?instId=ETH-USDT","body":"{\"instId\":\"BTC-USDT\",\"sz\":\"0.1\",\"px\":\"1\"}"}"#,
        r#"{"method":"POST","path":"/api/v5/trade/order","params":{"instId":"BTC-USDT","sz":"5","px":"1"}}"#,
        r#"{"method":"POST","path":"/api/v5/trade/order","form":{"instId":"BTC-USDT","sz":"0.1","px":"1"}}"#,
        r#"{"method":"POST","path":"/api/v5/trade/order","body_base64":"eyJpbnN0SWQiOiJCVEMtVVNEVCIsInN6IjoiNSIsInB4IjoiMSJ9"}"#,
    ] {
        judge.refuses(line);
    }
}

/// Neither path nor method is signed: what is permitted for one endpoint can be used for every other.
const BINANCE: &str = r#"
symbols = ["BTCUSDT"]

[[allow]]
path = ["/api/v3/account", "/api/v3/order"]
fields = ["symbol", "side", "type", "timeInForce", "quantity", "price", "omitZeroBalances", "recvWindow", "timestamp"]

[[deny]]
path = "/fapi/*"
fields = ["positionSide"]

[[cap]]
field = "quantity"
path = "/api/v3/order"
request = "0.1"
"#;

#[test]
fn where_the_path_is_not_signed_the_fields_decide_alone() {
    let judge = Judge::new("binance", BINANCE);
    let ask = |method: &str, path: &str, query: &str| {
        serde_json::json!({"method": method, "path": path, "query": query}).to_string()
    };
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&price=1";
    judge.permits(&ask("POST", "/api/v3/order", order));
    judge.permits(&ask("GET", "/api/v3/account", "omitZeroBalances=true"));
    for (method, path, query) in [
        // An order that pretends to be a look at the account.
        (
            "GET",
            "/api/v3/account",
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=5",
        ),
        (
            "GET",
            "/api/v3/account",
            "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0.1",
        ),
        (
            "GET",
            "/api/v3/account",
            "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100000",
        ),
        ("GET", "/api/v3/account", "coin=BTC&address=x&amount=1"),
        ("GET", "/api/v3/account", "asset=BTC&amount=1&type=MAIN_UMFUTURE"),
        ("GET", "/api/v3/account", "symbol=BTCUSDT&leverage=125"),
        ("GET", "/api/v3/account", "symbol=BTCUSDT&orderId=1"),
        (
            "POST",
            "/api/v3/order",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&price=1&positionSide=LONG",
        ),
        (
            "POST",
            "/api/v3/order",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.1&icebergQty=5",
        ),
        (
            "POST",
            "/api/v3/order",
            "symbol=BTCUSDT&side=BUY&quantity=0.1&quantity=5",
        ),
        (
            "POST",
            "/api/v3/order",
            "symbol=BTCUSDT&side=BUY&quantity=0.1&Quantity=5",
        ),
        ("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&5quantity=0.1"),
        ("POST", "/api/v3/order", "side=BUY&quantity=0.1"),
        ("POST", "/fapi/v1/order", order),
        ("POST", "/sapi/v1/margin/order", order),
        ("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"),
        (
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            "coin=BTC&address=x&amount=1",
        ),
        (
            "GET",
            "/api/v3/account",
            "batchOrders=%5B%7B%22symbol%22:%22ETHUSDT%22%7D%5D",
        ),
        ("GET", "/api/v3/account", "symbol=BTCUSDT&x=1;quantity=5"),
        ("GET", "/api/v3/account", "symbol=BTCUSDT&side=BUY%26quantity=5"),
    ] {
        judge.refuses(&ask(method, path, query));
    }
    // The message is query and body side by side: what is cut there is one field elsewhere.
    for (query, body) in [
        ("symbol=BTCUSDT&side=BUY&quantity=0.1", "0&price=1"),
        ("symbol=BTCUSDT&side=BUY&quantity=0", ".5&price=1"),
        ("side=BUY&quantity=0.1&symbol=BTCUSDT", "&symbol=ETHUSDT"),
        ("quantity=0.1", "quantity=5&symbol=BTCUSDT"),
        ("price=1&quant", "ity=5&symbol=BTCUSDT"),
        ("symbol=BTCUSDT&quantity=0.1&price=1", "e=5"),
    ] {
        let line =
            serde_json::json!({"method": "POST", "path": "/api/v3/order", "query": query, "body": body});
        judge.refuses(&line.to_string());
    }
}

#[test]
fn a_rule_about_what_is_not_signed_denies_and_says_why() {
    let get = r#"{"method":"GET","path":"/api/v3/account"}"#;
    Judge::new("binance", "[[allow]]\npath = \"/api/v3/account\"").denies(get, "does not sign the path");
    Judge::new("binance", "[[deny]]\npath = \"/api/v3/order\"").denies(get, "does not sign method and path");
    Judge::new("binance", "[[deny]]\nmethod = \"DELETE\"\npath = \"*\"")
        .denies(get, "does not sign method and path");
    Judge::new("bybit", "[[allow]]\npath = \"/v5/account/*\"").denies(
        r#"{"method":"GET","path":"/v5/account/wallet-balance"}"#,
        "does not sign the path",
    );
    // Kraken signs the path and no method.
    let balance = r#"{"method":"POST","path":"/0/private/Balance"}"#;
    Judge::new("kraken", "[[allow]]\nmethod = \"POST\"\npath = \"/0/private/*\"")
        .denies(balance, "does not sign the method");
    Judge::new(
        "kraken",
        "[[deny]]\nmethod = \"GET\"\npath = \"/0/private/Balance\"",
    )
    .denies(balance, "deny 1");
    // HashKey signs no body of a batch of orders, and no path: any signature fits one.
    for rules in [
        "symbols = [\"BTCUSDT\"]",
        "[[cap]]\nfield = \"quantity\"\nday = \"1\"",
        "values = { type = [\"LIMIT\"] }",
    ] {
        for (method, path) in [
            ("GET", "/api/v1/account"),
            (
                "POST",
                "/api/v1/spot/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1",
            ),
            ("DELETE", "/api/v1/spot/order?symbol=BTCUSDT&orderId=1"),
        ] {
            let line = format!(r#"{{"method":"{method}","path":"{path}"}}"#);
            Judge::new("hashkey", rules).denies(&line, "does not sign in this request");
            Judge::new("hashkey", "rate = { day = 5 }").permits(&line);
        }
    }
    // Coinbase signs neither query nor body, HTX no body.
    Judge::new("coinbase", "[[cap]]\nfield = \"base_size\"\nrequest = \"1\"").denies(
        r#"{"method":"POST","path":"/api/v3/brokerage/orders","body":"{\"base_size\":\"0.1\"}"}"#,
        "does not sign in this request",
    );
    for body in ["", r#","body":"{\"symbol\":\"btcusdt\",\"amount\":\"0.1\"}""#] {
        let line = format!(r#"{{"method":"POST","path":"/v1/order/orders/place"{body}}}"#);
        Judge::new("htx", "symbols = [\"btcusdt\"]").denies(&line, "does not sign in this request");
    }
}

#[test]
fn a_deny_rule_sees_every_reading_of_a_path() {
    let judge = Judge::new("kraken", "[[deny]]\npath = \"/0/private/AddOrder*\"");
    judge.permits(&form("/0/private/Balance", ""));
    for path in [
        "/0/private/AddOrder",
        "/0/private/addorder",
        "/0/private/ADDORDER/",
        "/0/private/Add%4Frder",
        "/0/private/AddOrderBatch",
        "/0/private/AddOrder.json",
    ] {
        judge.refuses(&form(path, "pair=XBTUSD&volume=0.1"));
    }
    let exact = Judge::new("bitfinex", "[[deny]]\npath = \"/v2/auth/w/order/submit\"");
    exact.permits(&json("/v2/auth/r/wallets", "{}"));
    // Digits at the end may belong to the nonce that follows.
    for path in [
        "/v2/auth/w/order/submit",
        "/v2/auth/w/order/submit1",
        "/v2/auth/w/order/submit/17",
        "/v2/auth/w/order/submit.json",
    ] {
        exact.refuses(&json(path, "{}"));
    }
    let fields = Judge::new("okx", "[[deny]]\nfields = [\"lever\"]");
    fields.permits(&json("/api/v5/trade/order", r#"{"instId":"BTC-USDT"}"#));
    for body in [
        r#"{"lever":"5"}"#,
        r#"{"LEVER":"5"}"#,
        r#"{"x":{"lever":5}}"#,
        r#"[{"lever":null}]"#,
        r#"{"l\u0065ver":1}"#,
        r#"{"x":"{\"lever\":1}"}"#,
        r#"{"lever[]":1}"#,
    ] {
        fields.refuses(&json("/api/v5/account/set-leverage", body));
    }
}

#[test]
fn a_path_that_runs_into_the_fields_wants_them_named() {
    // Bitso's message is the path and then the body; the query stands in the path.
    let open = Judge::new("bitstamp-legacy", "[[allow]]\npath = \"/api/v2/balance\"");
    open.refuses(r#"{"method":"POST","path":"/api/v2/balance/"}"#);
    for (exchange, path) in [
        ("okx", "/api/v5/trade/order"),
        ("kucoin", "/api/v1/orders"),
        ("gate", "/api/v4/spot/orders"),
    ] {
        let judge = Judge::new(
            exchange,
            &format!("[[allow]]\nmethod = \"GET\"\npath = \"{path}\""),
        );
        judge.permits(&format!(r#"{{"method":"GET","path":"{path}"}}"#));
        judge.refuses(&format!(r#"{{"method":"POST","path":"{path}"}}"#));
        judge.refuses(&format!(r#"{{"method":"GET","path":"{path}s"}}"#));
        judge.refuses(&format!(r#"{{"method":"GET","path":"{path}/1"}}"#));
    }
}

#[test]
fn a_websocket_login_is_no_way_around_the_rules() {
    let login = r#"{"websocket":true}"#;
    for exchange in ["okx", "bybit", "bitfinex", "kucoin", "gate", "binance"] {
        let plain = Judge::new(exchange, "rate = { day = 5 }");
        if plain.ask(login).is_err() {
            continue;
        }
        for rules in [
            "[[allow]]\npath = \"*\"",
            "[[deny]]\nfields = [\"lever\"]",
            "symbols = [\"BTCUSDT\"]",
            "[[cap]]\nfield = \"qty\"\nrequest = \"1\"",
        ] {
            let judge = Judge::new(exchange, rules);
            if exchange != "binance" {
                judge.denies(login, "WebSocket login");
                Judge::new(exchange, &format!("websocket = true\n{rules}")).permits(login);
            }
        }
    }
    // An order over Binance's socket is signed as a form: what stands in a list may be cut there.
    let binance = Judge::new("binance", "[[cap]]\nfield = \"quantity\"\nrequest = \"0.1\"");
    let order = |more: &str| {
        format!(r#"{{"websocket":true,"json":{{"symbol":"BTCUSDT","side":"BUY","quantity":"0.1"{more}}}}}"#)
    };
    binance.permits(&order(""));
    binance.permits(&order(r#","x":["1"]"#));
    for more in [
        r#","x":["1&quantity=5&y="]"#,
        r#","x":["1\u0026quantity=5\u0026y="]"#,
        r#","x":[["1&quantity=5&y="]]"#,
        r#","x":[{"y":["1&quantity=5&z="]}]"#,
        r#","x":"1&quantity=5""#,
        r#","x":{"y":"1&quantity=5&z="}"#,
    ] {
        binance.refuses(&order(more));
    }
    // A challenge that is a request in disguise.
    let judge = Judge::new("krakenfutures", "websocket = true");
    judge.permits(r#"{"websocket":true,"challenge":"226aee50-88fc-4618-a42a-34f7709570b2"}"#);
    for challenge in [
        "amount=1/derivatives/api/v3/withdrawal",
        "",
        "226aee50-88fc-4618-a42a-34f7709570b2x",
        "226AEE50 88fc-4618-a42a-34f7709570b2",
    ] {
        let line = serde_json::json!({"websocket": true, "challenge": challenge});
        judge.refuses(&line.to_string());
    }
    // Gemini signs the path of a login as it signs a request's.
    let gemini = Judge::new("gemini", "[[allow]]\npath = \"/v1/balances\"");
    gemini.refuses(r#"{"websocket":true,"path":"/v1/withdraw/btc"}"#);
    gemini.refuses(r#"{"websocket":true}"#);
}

#[test]
fn raw_bytes_are_denied_where_a_rule_looks_at_requests() {
    use hsmsign::keyring::Allow;

    for (rules, permitted) in [
        ("rate = { day = 5 }", true),
        ("raw = true", true),
        ("raw = false", false),
        ("symbols = [\"XBTUSD\"]", false),
        ("[[allow]]\npath = \"*\"", false),
        ("[[deny]]\npath = \"/0/private/Withdraw\"", false),
        ("[[cap]]\nfield = \"volume\"\nrequest = \"1\"", false),
        ("[[confirm]]\npath = \"*\"", false),
        ("values = { type = [\"buy\"] }", false),
        ("raw = true\n[[deny]]\npath = \"/0/private/Withdraw\"", false),
    ] {
        let mut judge = Judge::new("kraken", rules);
        assert!(judge.ask_raw(b"/0/private/Balance").is_err(), "without consent");
        judge.allow.push(Allow::Raw);
        assert_eq!(judge.ask_raw(b"/0/private/Balance").is_ok(), permitted, "{rules}");
        assert!(judge.ask_raw(b"/0/private/Withdraw\x00\x01").is_err(), "{rules}");
    }
}

#[test]
fn withdrawals_are_denied_where_the_policy_says_so_though_they_were_allowed_at_import() {
    use hsmsign::keyring::Allow;

    let line = form("/0/private/Withdraw", "asset=XBT&key=x&amount=1");
    let mut judge = Judge::new("kraken", "");
    judge.denies(&line, "not allowed to move money out");
    judge.allow.push(Allow::Withdrawals);
    judge.permits(&line);
    let mut tight = Judge::new("kraken", "withdrawals = false");
    tight.allow.push(Allow::Withdrawals);
    tight.denies(&line, "withdrawals of policy/k.toml");
    // So are the bytes of one, where they show it.
    tight.allow.push(Allow::Raw);
    assert!(tight.ask_raw(b"/0/private/Balance").is_ok());
    let error = tight.ask_raw(b"/0/private/Withdraw\x00\x01").unwrap_err();
    assert!(
        error.message().contains("withdrawals of policy/k.toml"),
        "{error}"
    );
    let mut listed = Judge::new("kraken", "[[allow]]\npath = \"/0/private/Balance\"");
    listed.allow.push(Allow::Withdrawals);
    listed.denies(&line, "no rule fits");
}
