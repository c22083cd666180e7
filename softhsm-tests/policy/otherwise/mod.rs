//! Caps before endpoints that trade, close or lend without an amount that a cap could see: converting, stops of a whole
//! position, tokens for sockets, and every endpoint where the path is not signed. Beside them stand what looks, cancels
//! and orders, which must pass.

mod path_not_signed;
mod path_signed;

use self::{path_not_signed::PATH_NOT_SIGNED, path_signed::PATH_SIGNED};
use crate::judge::{Ask, Judge, ask, cap};
use hsmsign::algorithm::{Algorithm, SignatureAlgorithm};

/// An exchange with the field that is capped; requests that pass, and some that do not.
type Row<'a> = (&'a str, &'a str, &'a [Ask<'a>], &'a [Ask<'a>]);

#[test]
fn what_trades_without_an_amount_gets_by_no_cap_where_the_path_is_signed() {
    for (exchange, field, passes, denied) in PATH_SIGNED {
        let judge = Judge::new(exchange, &cap(field));
        judge.holds(passes, &[]);
        for (method, path, body) in *denied {
            let error = judge.ask(&ask(method, path, body)).expect_err(path);
            assert_eq!(
                error.rule(),
                Some("cap of policy/k.toml"),
                "{exchange} {path}: {error}"
            );
            assert!(error.remedy().is_some(), "{exchange} {path}: {error}");
            // Without a cap they are no business of caps.
            Judge::new(exchange, "").permits(&ask(method, path, body));
        }
    }
}

#[test]
fn where_the_path_is_not_signed_what_fits_a_closing_endpoint_gets_by_no_cap() {
    for (exchange, field, passes, denied) in PATH_NOT_SIGNED {
        Judge::new(exchange, &cap(field)).holds(passes, denied);
    }
}

#[test]
fn the_owner_may_free_such_an_endpoint_by_its_path() {
    let body = r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#;
    for named in [
        "/api/v5/trade/easy-convert",
        "/api/v5/Trade/Easy-Convert/",
        "/api/v5/*convert",
        "easy-convert",
    ] {
        let policy = format!("uncapped = [{named:?}]\n{}", cap("sz"));
        let judge = Judge::new("okx", &policy);
        judge.permits(&ask("POST", "/api/v5/trade/easy-convert", body));
        judge.refuses(&ask("POST", "/api/v5/trade/one-click-repay", body));
        // What it names is still counted.
        judge.refuses(&ask("POST", "/api/v5/trade/easy-convert", r#"{"sz":"5"}"#));
    }
    let freed = format!(
        "uncapped = [\"/openApi/swap/v2/trade/closeAllPositions\"]\n{}",
        cap("quantity")
    );
    let bingx = Judge::new("bingx", &freed);
    bingx.permits(&ask("GET", "/openApi/swap/v2/user/balance", ""));
    bingx.permits(&ask(
        "DELETE",
        "/openApi/swap/v2/trade/order?symbol=BTC-USDT&orderId=1",
        "",
    ));
    bingx.refuses(&ask(
        "POST",
        "/openApi/swap/v1/trade/closePosition?positionId=1",
        "",
    ));
    bingx.refuses(&ask(
        "POST",
        "/openApi/swap/v2/trade/leverage?symbol=BTC-USDT&side=LONG&leverage=100",
        "",
    ));
    // Where the path is not signed, closing is asked for as it was freed.
    bingx.permits(&ask(
        "POST",
        "/openApi/swap/v2/trade/closeAllPositions?symbol=BTC-USDT",
        "",
    ));
    let zebpay = |free: &str| Judge::new("zebpay", &format!("uncapped = [{free}]\n{}", cap("amount")));
    let close = ask(
        "POST",
        "/api/v1/trade/position/close",
        r#"{"symbol":"BTCUSDT","positionId":"1"}"#,
    );
    zebpay(r#""/api/v1/trade/position/close", "positionId""#).permits(&close);
    zebpay(r#""positionId""#).denies(&close, "closes what there is");
    let field = format!("uncapped = [\"leverage\"]\n{}", cap("quantity"));
    Judge::new("binance", &field).permits(&ask("POST", "/fapi/v1/leverage?symbol=BTCUSDT&leverage=5", ""));
}

#[test]
fn a_new_price_makes_an_order_greater_where_the_product_is_capped() {
    let policy = "[[cap]]\nfield = \"sz\"\ntimes = \"px\"\nrequest = \"100\"";
    let okx = Judge::new("okx", policy);
    okx.permits(&ask(
        "POST",
        "/api/v5/trade/order",
        r#"{"instId":"A","side":"buy","ordType":"limit","sz":"100","px":"1"}"#,
    ));
    for body in [
        r#"{"instId":"A","ordId":"1","newPx":"60000"}"#,
        r#"{"instId":"A","ordId":"1","px":"60000"}"#,
    ] {
        okx.refuses(&ask("POST", "/api/v5/trade/amend-order", body));
    }
    let kraken = Judge::new(
        "kraken",
        "[[cap]]\nfield = \"volume\"\ntimes = \"price\"\nday = \"100\"",
    );
    kraken.refuses(&ask("POST", "/0/private/AmendOrder", "txid=x&limit_price=60000"));
    kraken.refuses(&ask(
        "POST",
        "/0/private/EditOrder",
        "txid=x&pair=XBTUSD&price=60000",
    ));
    kraken.permits(&ask("POST", "/0/private/CancelOrder", "txid=x"));
}

#[test]
fn what_trades_without_a_symbol_gets_by_no_list_of_symbols() {
    let okx = Judge::new("okx", "symbols = [\"BTC-USDT\"]");
    for (path, body) in [
        (
            "/api/v5/trade/easy-convert",
            r#"{"fromCcy":["ETH"],"toCcy":"BTC"}"#,
        ),
        (
            "/api/v5/trade/easy-convert",
            r#"{"fromCcy":["ETH"],"toCcy":"BTC","instId":"BTC-USDT"}"#,
        ),
        (
            "/api/v5/trade/one-click-repay",
            r#"{"debtCcy":["ETH"],"repayCcy":"USDT"}"#,
        ),
        ("/api/v5/account/set-position-mode", r#"{"posMode":"net_mode"}"#),
    ] {
        okx.denies(&ask("POST", path, body), "may trade");
    }
    for (path, body) in [
        ("/api/v5/trade/cancel-all-after", r#"{"timeOut":"60"}"#),
        ("/api/v5/trade/amend-order", r#"{"ordId":"1","newPx":"2"}"#),
        (
            "/api/v5/account/set-leverage",
            r#"{"instId":"BTC-USDT","lever":"2","mgnMode":"cross"}"#,
        ),
        (
            "/api/v5/trade/order",
            r#"{"instId":"BTC-USDT","side":"buy","sz":"5"}"#,
        ),
    ] {
        okx.permits(&ask("POST", path, body));
    }
    okx.permits(&ask("GET", "/api/v5/account/balance", ""));
    let free = "uncapped = [\"/api/v5/account/set-position-mode\"]\nsymbols = [\"BTC-USDT\"]";
    Judge::new("okx", free).permits(&ask(
        "POST",
        "/api/v5/account/set-position-mode",
        r#"{"posMode":"net_mode"}"#,
    ));
    let binance = Judge::new("binance", "symbols = [\"BTCUSDT\"]");
    for path in [
        "/api/v3/account",
        "/fapi/v1/leverage?symbol=BTCUSDT&leverage=5",
        "/api/v3/userDataStream?listenKey=x",
    ] {
        binance.permits(&ask("GET", path, ""));
    }
    binance.refuses(&ask("POST", "/sapi/v1/convert/acceptQuote?quoteId=1", ""));
    binance.refuses(&ask("POST", "/sapi/v1/asset/dust?assets=ETH", ""));
}

/// The message of a login is that of a request for its path: `{timestamp}GET/v2/websocket`.
#[test]
fn a_request_whose_signature_logs_in_is_a_login() {
    for (exchange, line, other) in [
        (
            "bitvavo",
            ask("GET", "/v2/websocket", ""),
            ask("GET", "/v2/balance", ""),
        ),
        (
            "cryptocom",
            ask("POST", "/exchange/v1/public/auth", r#"{"id":1,"params":{}}"#),
            ask(
                "POST",
                "/exchange/v1/private/get-order-detail",
                r#"{"id":1,"params":{}}"#,
            ),
        ),
        // The number of the request could stand in its path.
        (
            "cryptocom",
            ask("POST", "/exchange/v1/public/auth17", r#"{"id":1,"params":{}}"#),
            ask(
                "POST",
                "/exchange/v1/private/user-balance",
                r#"{"id":1,"params":{}}"#,
            ),
        ),
        (
            "blofin",
            ask("GET", "/users/self/verify", ""),
            ask("GET", "/api/v1/asset/balances", ""),
        ),
    ] {
        let any = "[[allow]]\npath = [\"*\", \"/*\"]";
        for rules in ["symbols = [\"X\"]", any, &cap("amount")] {
            let judge = Judge::new(exchange, rules);
            judge.denies(&line, "may log in to a WebSocket");
            judge.permits(&other);
        }
        Judge::new(exchange, &format!("websocket = true\n{any}")).permits(&line);
        Judge::new(exchange, "rate = { day = 5 }").permits(&line);
    }
    let named = "[[allow]]\npath = \"/v2/websocket\"";
    Judge::new("bitvavo", named).permits(&ask("GET", "/v2/websocket", ""));
}

/// Binance opens a session by the signature of a message that has no fields beside key and time.
#[test]
fn a_message_without_fields_logs_in_to_a_socket_whose_requests_are_signed() {
    let logons = [
        r#"{"websocket":true}"#.to_owned(),
        r#"{"websocket":true,"json":{}}"#.to_owned(),
        r#"{"websocket":true,"json":{"apiKey":"k"}}"#.to_owned(),
        ask("GET", "/api/v3/account?apiKey=k", ""),
        ask("POST", "/api/v3/order", "apiKey=k"),
        ask("POST", "/api/v3/order?api", "Key=k"),
        ask("POST", "/api/v3/order?apiKey=k&recvWindow=5000", ""),
    ];
    let look = r#"{"websocket":true,"json":{"symbol":"BTCUSDT"}}"#;
    for rules in [
        "symbols = [\"BTCUSDT\"]",
        "[[allow]]\npath = \"*\"\n[[allow]]\nmethod = \"WS\"\npath = \"/*\"\nfields = [\"symbol\"]",
        &cap("quantity"),
    ] {
        let mut judge = Judge::new("binance", rules);
        judge.permits(look);
        judge.algorithm = Some(Algorithm::Signature(SignatureAlgorithm::Ed25519));
        for logon in &logons {
            judge.refuses(logon);
        }
        judge.permits(&ask("GET", "/api/v3/account", ""));
    }
    let mut judge = Judge::new("binance", &format!("websocket = true\n{}", cap("quantity")));
    judge.algorithm = Some(Algorithm::Signature(SignatureAlgorithm::Ed25519));
    judge.permits(&logons[0]);
}

#[test]
fn a_token_for_a_socket_is_a_login() {
    let token = ask("POST", "/0/private/GetWebSocketsToken", "");
    for rules in [
        "symbols = [\"XBTUSD\"]",
        "values = { ordertype = [\"limit\"] }",
        &cap("volume"),
    ] {
        Judge::new("kraken", rules).denies(&token, "nothing more is signed");
        Judge::new("kraken", &format!("{rules}\n[[allow]]\npath = \"*\""))
            .denies(&token, "nothing more is signed");
        Judge::new("kraken", &format!("websocket = true\n{rules}")).permits(&token);
        let named = format!("{rules}\n[[allow]]\npath = \"/0/private/GetWebSocketsToken\"");
        Judge::new("kraken", &named).permits(&token);
    }
    Judge::new("kraken", "rate = { day = 5 }").permits(&token);
}
