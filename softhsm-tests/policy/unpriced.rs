//! Orders that have a price to a rule and none to the exchange.

use crate::judge::{Judge, ask, holds};

fn cap(field: &str, price: &str) -> String {
    format!("[[cap]]\nfield = \"{field}\"\ntimes = \"{price}\"\nrequest = \"100\"")
}

/// Poloniex: "Default type is MARKET."
#[test]
fn an_order_without_a_type_is_at_the_markets_price_where_the_exchange_says_so() {
    let order =
        |kind: &str| format!(r#"{{"symbol":"BTC_USDT","side":"SELL","quantity":"1","price":"1"{kind}}}"#);
    let (limit, batch) = (
        order(r#","type":"LIMIT""#),
        format!("[{}]", order(r#","type":"LIMIT_MAKER""#)),
    );
    let (none, decoy, second) = (
        order(""),
        order(r#","Type":"LIMIT""#),
        format!("[{limit},{}]", order("")),
    );
    let decoys = order(r#","x.type":"LIMIT""#);
    let change = r#"{"price":"1","quantity":"1"}"#;
    let refused = [
        ("POST", "/orders", none.as_str()),
        ("POST", "/orders", &decoy),
        ("POST", "/orders", &decoys),
        ("POST", "/orders/batch", &second),
    ];
    let permitted = [
        ("POST", "/orders", limit.as_str()),
        ("POST", "/orders/batch", &batch),
        ("PUT", "/orders/17", change),
        ("GET", "/orders?symbol=BTC_USDT", ""),
    ];
    holds("poloniex", &cap("quantity", "price"), &permitted, &refused);
    let words = "takes such an order for one at the market's price";
    Judge::new("poloniex", &cap("quantity", "price")).denies(&ask("POST", "/orders", &none), words);
    let limits = "values = { type = [\"limit\"] }\n[[cap]]\nfield = \"quantity\"\nrequest = \"1\"";
    let refused = [("POST", "/orders", none.as_str()), ("POST", "/orders", &decoy)];
    holds("poloniex", limits, &[("POST", "/orders", &limit)], &refused);
}

/// BitMEX and Gate's futures take an order without a price for one at the market's, and know only their own spelling of it.
#[test]
fn a_price_by_another_spelling_of_its_name_is_none() {
    let bitmex = |price: &str| format!(r#"{{"symbol":"XBTUSD","orderQty":100,"{price}":1}}"#);
    let plain = bitmex("price");
    let others: Vec<_> = ["Price", "price_", "$price", "x.price", "PRICE"]
        .map(bitmex)
        .into();
    let refused: Vec<_> = others
        .iter()
        .map(|body| ("POST", "/api/v1/order", body.as_str()))
        .collect();
    holds(
        "bitmex",
        &cap("orderQty", "price"),
        &[("POST", "/api/v1/order", &plain)],
        &refused,
    );
    let turned = format!("uncapped = [\"orderQty\"]\n{}", cap("price", "orderQty"));
    holds("bitmex", &turned, &[("POST", "/api/v1/order", &plain)], &refused);
    let gate = |price: &str| format!(r#"{{"contract":"BTC_USDT","size":1,"tif":"ioc","{price}":"1"}}"#);
    let (plain, other) = (gate("price"), gate("Price"));
    let at = "/api/v4/futures/usdt/orders";
    holds(
        "gate",
        &cap("size", "price"),
        &[("POST", at, &plain)],
        &[("POST", at, &other)],
    );
    // The owner says how it is spelled.
    holds(
        "gate",
        &cap("size", "Price"),
        &[("POST", at, &other)],
        &[("POST", at, &plain)],
    );
    let list = "json=%7B%22batchOrder%22%3A%5B%7B%22order%22%3A%22send%22%2C%22orderType%22%3A%22lmt%22%2C%22symbol%22%3A\
        %22PI_XBTUSD%22%2C%22side%22%3A%22buy%22%2C%22size%22%3A1%2C%22limitPrice%22%3A1%7D%5D%7D";
    let at = "/derivatives/api/v3/batchorder";
    holds(
        "krakenfutures",
        &cap("size", "limitPrice"),
        &[("POST", at, list)],
        &[],
    );
}
