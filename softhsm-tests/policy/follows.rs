//! Caps of price × quantity before orders that go by the market and not by the price that they bring.

use crate::{judge::ask, prices::product};

#[test]
fn an_order_at_the_best_price_or_behind_the_markets_looks_at_no_price() {
    let gate = product("gate", "size", "price", "");
    let order = |path: &str| {
        let path = format!("/api/v4/futures/usdt/{path}");
        ask("POST", &path, r#"{"contract":"A","size":100,"price":"0.01"}"#)
    };
    gate.permits(&order("orders"));
    for path in ["bbo_orders", "BBO_orders/", "autoorder/v1/trail/create"] {
        gate.denies(&order(path), "is at the market's price");
    }
    product("pacifica", "amount", "price", "").denies(
        &ask(
            "POST",
            "/api/v1/orders/twap/create",
            r#"{"symbol":"A","amount":"100","price":"0.01","duration_in_seconds":60}"#,
        ),
        "is at the market's price",
    );
}

/// Where the path is not signed, the fields tell that an order follows the price or is filled bit by bit.
#[test]
fn an_order_that_follows_the_price_holds_none_wherever_it_goes() {
    let free = "uncapped = [\"/api/v1/private/position/close_all\"]";
    let mexc = product("mexc", "vol", "price", free);
    let order = |more: &str| {
        let body = format!(r#"{{"symbol":"A","side":1,"price":0.01,"vol":100{more}}}"#);
        ask("POST", "/api/v1/private/order/submit", &body)
    };
    mexc.permits(&order(""));
    mexc.denies(
        &order(r#","trend":1,"backType":1,"backValue":0.1"#),
        "may be filled at another price",
    );
    let bithumb = product("bithumb", "volume", "price", "");
    let order = |more: &str| {
        let body = format!(r#"{{"market":"KRW-A","side":"bid","price":"0.01","volume":"100"{more}}}"#);
        ask("POST", "/v2/orders", &body)
    };
    bithumb.permits(&order(""));
    bithumb.denies(
        &order(r#","duration":300,"frequency":20"#),
        "may be filled at another price",
    );
}
