//! What is learned of requests that are no plain orders: it lets them pass again, and no others.

use crate::{
    judge::{Judge, ask},
    learned::{TIME, holds, learned},
};

/// Closing all there is has no amount: freed is what was seen, and nothing else that closes.
#[test]
fn what_closed_all_passes_again() {
    holds(
        "zebpay",
        &[
            (
                "POST",
                "/api/v2/ex/orders",
                r#"{"symbol":"BTC-INR","side":"BUY","amount":"1","price":"2","type":"LIMIT"}"#,
            ),
            (
                "POST",
                "/api/v1/trade/position/close",
                r#"{"symbol":"BTCUSDT","positionId":"1"}"#,
            ),
        ],
        &[(
            "POST",
            "/api/v2/ex/orders",
            r#"{"symbol":"BTC-INR","side":"BUY","amount":"2","price":"2","type":"LIMIT"}"#,
        )],
    );
    holds(
        "kucoin",
        &[
            (
                "POST",
                "/api/v1/orders",
                r#"{"symbol":"XBTUSDTM","side":"buy","type":"limit","size":"1","price":"2"}"#,
            ),
            (
                "POST",
                "/api/v1/orders",
                r#"{"symbol":"XBTUSDTM","type":"market","closeOrder":true}"#,
            ),
        ],
        &[(
            "POST",
            "/api/v1/orders",
            r#"{"symbol":"ETHUSDTM","type":"market","closeOrder":true}"#,
        )],
    );
    holds(
        "coinbase",
        &[(
            "POST",
            "/api/v3/brokerage/orders/close_position",
            r#"{"client_order_id":"x","product_id":"BIT-28JUL23-CDE","size":"1"}"#,
        )],
        &[],
    );
}

/// A field in brackets may be read as the one in front of them.
#[test]
fn what_was_seen_in_brackets_passes_again() {
    holds(
        "kraken",
        &[
            (
                "POST",
                "/0/private/AddOrder",
                "pair=XBTUSD&type=buy&ordertype=limit&volume=1&price=2&close[ordertype]=stop-loss&close[price]=1",
            ),
            (
                "POST",
                "/0/private/AddOrderBatch",
                "pair=XBTUSD&orders[0][volume]=1&orders[0][type]=buy&orders[1][volume]=1&orders[1][type]=sell",
            ),
        ],
        &[(
            "POST",
            "/0/private/AddOrder",
            "pair=XBTUSD&type=buy&ordertype=limit&volume=1&price=2&close[ordertype]=stop-loss&close[price2]=1",
        )],
    );
}

/// A change of an order has no symbol: it passes by its path, and orders keep the symbols that were seen.
#[test]
fn a_change_of_an_order_takes_no_symbol_of_the_others_away() {
    let order = |pair: &str| format!("pair={pair}&type=buy&ordertype=limit&volume=1&price=2");
    let (seen, other) = (order("XBTUSD"), order("ETHUSD"));
    holds(
        "kraken",
        &[
            ("POST", "/0/private/AddOrder", &seen),
            (
                "POST",
                "/0/private/AmendOrder",
                "txid=x&order_qty=1&limit_price=2",
            ),
        ],
        &[
            ("POST", "/0/private/AddOrder", &other),
            (
                "POST",
                "/0/private/AddOrder",
                "type=buy&ordertype=limit&volume=1&price=2",
            ),
            (
                "POST",
                "/0/private/AmendOrder",
                "txid=x&order_qty=2&limit_price=2",
            ),
        ],
    );
    holds(
        "poloniex",
        &[
            (
                "POST",
                "/orders",
                r#"{"symbol":"BTC_USDT","side":"BUY","quantity":"1","price":"2"}"#,
            ),
            ("PUT", "/orders/1234567", r#"{"quantity":"1","price":"2"}"#),
        ],
        &[(
            "POST",
            "/orders",
            r#"{"symbol":"ETH_USDT","side":"BUY","quantity":"1","price":"2"}"#,
        )],
    );
}

/// Freed is the path, which must be signed; a field of the name of its last part frees nothing.
#[test]
fn an_amount_without_a_symbol_passes_by_a_whole_path_alone() {
    let amend = ask("POST", "/0/private/AmendOrder", "txid=x&order_qty=1");
    let kraken = |free: &str| {
        Judge::new(
            "kraken",
            &format!("symbols = [\"XBTUSD\"]\nuncapped = [{free:?}]"),
        )
    };
    kraken("/0/private/AmendOrder").permits(&amend);
    kraken("amendorder").denies(&amend, "no field that names what is traded");
    let text = "symbols = [\"BTCUSDT\"]\nuncapped = [\"/fapi/v1/order\"]";
    Judge::new("binance", text).denies(
        &ask("PUT", "/fapi/v1/order?orderId=1&quantity=5", ""),
        "no field that names what is traded",
    );
}

/// Where there is one path for all, a field is the endpoint.
#[test]
fn what_was_asked_by_a_field_is_all_that_may_be_asked() {
    let trade = "method=trade&pair=btc_idr&type=buy&price=2&idr=600";
    holds(
        "indodax",
        &[
            ("POST", "/tapi", "method=getInfo"),
            ("POST", "/tapi", "method=openOrders&pair=btc_idr"),
            ("POST", "/tapi", trade),
        ],
        &[
            ("POST", "/tapi", "method=transHistory"),
            ("POST", "/tapi", "method=orderHistory&pair=btc_idr"),
            (
                "POST",
                "/tapi",
                "method=tradeNew&pair=btc_idr&type=buy&price=2&idr=600",
            ),
            (
                "POST",
                "/tapi",
                "pair=btc_idr&type=buy&price=2&idr=601&method=trade",
            ),
        ],
    );
}

/// A field that no rule can name takes no file's use away.
#[test]
fn what_had_a_field_that_cannot_be_named_passes_by_its_path() {
    let balance = |fields: &'static str| ("POST", "/0/private/Balance", fields);
    let odd = [balance("gr%C3%B6%C3%9Fe=1"), balance(".=1&a=2")];
    holds("kraken", &odd, &[("POST", "/0/private/CancelAll", "")]);
    // Caps look at all fields, and deny such names; what else was seen passes.
    let order = ask("POST", "/0/private/AddOrder", "pair=XBTUSD&volume=1");
    let seen = odd.map(|(method, path, body)| (ask(method, path, body), TIME));
    let text = learned("kraken", &[&seen[..], &[(order.clone(), TIME)]].concat());
    let judge = Judge::new("kraken", &text);
    judge.permits(&order);
    judge.refuses(&ask("POST", "/0/private/AddOrder", "pair=XBTUSD&volume=2"));
}
