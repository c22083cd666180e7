//! `import --policy`: what each template of each exchange permits and refuses.

use hsmsign::exchange::{Scheme, Template, builtin, builtin_ids};

use crate::judge::{Judge, ask};

fn scheme(exchange: &str) -> Scheme {
    Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap()
}

/// A key with a template's policy.
pub fn with(exchange: &str, template: Template) -> Judge {
    let text = scheme(exchange).policy_template(template).unwrap();
    Judge::new(exchange, text.trim_start_matches("policy = 1"))
}

/// Exchange, an order, and what is neither a look nor an order.
type Row<'a> = (&'a str, (&'a str, &'a str, &'a str), &'a [(&'a str, &'a str)]);

const ROWS: &[Row<'_>] = &[
    (
        "bitflyer",
        ("POST", "/v1/me/sendchildorder", "{}"),
        &[("POST", "/v1/me/withdraw")],
    ),
    (
        "bitget",
        ("POST", "/api/v2/spot/trade/place-order", "{}"),
        &[
            ("POST", "/api/v2/mix/account/set-leverage"),
            ("POST", "/api/v2/spot/wallet/withdrawal"),
            ("POST", "/api/v2/margin/crossed/borrow"),
        ],
    ),
    (
        "bitso",
        ("POST", "/v3/orders", "{}"),
        &[("POST", "/v3/crypto_withdrawal")],
    ),
    (
        "bittrade",
        ("POST", "/v1/order/orders/place", ""),
        &[
            ("POST", "/v1/dw/withdraw/api/create"),
            ("POST", "/v1/margin/orders"),
        ],
    ),
    (
        "bitvavo",
        ("POST", "/v2/order", "{}"),
        &[("POST", "/v2/withdrawal")],
    ),
    (
        "coinbaseexchange",
        ("POST", "/orders", "{}"),
        &[
            ("POST", "/withdrawals/crypto"),
            ("POST", "/conversions"),
            ("POST", "/profiles/transfer"),
        ],
    ),
    (
        "deepcoin",
        ("POST", "/deepcoin/trade/order", "{}"),
        &[("POST", "/deepcoin/account/set-leverage")],
    ),
    (
        "delta",
        ("POST", "/v2/orders", "{}"),
        &[
            ("POST", "/v2/products/1/orders/leverage"),
            ("POST", "/v2/orders/leverage"),
        ],
    ),
    (
        "gate",
        ("POST", "/api/v4/spot/orders", "{}"),
        &[
            ("POST", "/api/v4/futures/usdt/positions/BTC_USDT/leverage"),
            ("POST", "/api/v4/withdrawals"),
            ("POST", "/api/v4/margin/uni/loans"),
            ("POST", "/api/v4/wallet/transfers"),
        ],
    ),
    (
        "gateeu",
        ("POST", "/api/v4/spot/orders", "{}"),
        &[("POST", "/api/v4/withdrawals")],
    ),
    (
        "htx",
        ("POST", "/v1/order/orders/place", ""),
        &[
            ("POST", "/v1/dw/withdraw/api/create"),
            ("POST", "/v1/margin/orders"),
            ("POST", "/linear-swap-api/v1/swap_switch_lever_rate"),
            ("POST", "/swap-api/v1/swap_switch_lever_rate"),
            ("POST", "/swap-api/v1/swap_master_sub_transfer"),
            ("POST", "/swap-api/v1/swap_sub_auth"),
            ("POST", "/v5/position/lever"),
        ],
    ),
    (
        "poloniex",
        ("POST", "/orders", "{}"),
        &[
            ("POST", "/v2/wallets/withdraw"),
            ("POST", "/accounts/transfer"),
            ("POST", "/margin/borrow"),
            ("POST", "/v3/trade/position/margin"),
            ("POST", "/v3/position/leverage"),
        ],
    ),
    (
        "weex",
        ("POST", "/api/v3/order", "{}"),
        &[("POST", "/api/v3/account/transfer")],
    ),
    (
        "woofipro",
        ("POST", "/v1/order", "{}"),
        &[("POST", "/v1/withdraw_request"), ("POST", "/v1/client/leverage")],
    ),
    (
        "kraken",
        ("POST", "/0/private/AddOrder", "pair=XBTUSD&volume=1"),
        &[
            ("POST", "/0/private/Withdraw"),
            ("POST", "/0/private/WalletTransfer"),
        ],
    ),
    (
        "okx",
        ("POST", "/api/v5/trade/order", "{}"),
        &[
            ("POST", "/api/v5/account/set-leverage"),
            ("POST", "/api/v5/asset/withdrawal"),
        ],
    ),
    (
        "kucoin",
        ("POST", "/api/v1/orders", "{}"),
        &[
            ("POST", "/api/v3/accounts/universal-transfer"),
            ("POST", "/api/v3/margin/borrow"),
        ],
    ),
    (
        "deribit",
        (
            "GET",
            "/api/v2/private/buy?instrument_name=BTC-PERPETUAL&amount=10",
            "",
        ),
        &[
            ("GET", "/api/v2/private/withdraw"),
            ("GET", "/api/v2/private/set_self_trading_config"),
            ("GET", "/api/v2/private/change_margin_model"),
        ],
    ),
];

#[test]
fn a_template_permits_what_it_is_named_for_and_no_more() {
    for (exchange, (method, path, body), others) in ROWS {
        let order = ask(method, path, body);
        let (look, trade) = (
            with(exchange, Template::ReadOnly),
            with(exchange, Template::Trade),
        );
        trade.permits(&order);
        look.refuses(&order);
        for (method, path) in *others {
            let other = ask(method, path, "");
            look.refuses(&other);
            trade.refuses(&other);
        }
    }
}

#[test]
fn a_look_by_get_that_acts_is_no_look() {
    let look = with("deribit", Template::ReadOnly);
    look.permits(&ask(
        "GET",
        "/api/v2/private/get_account_summary?currency=BTC",
        "",
    ));
    for path in ["buy", "sell", "cancel_all", "close_position", "logout"] {
        look.refuses(&ask("GET", &format!("/api/v2/private/{path}"), ""));
    }
    with("bittrex", Template::Full);
}

#[test]
fn trading_without_leverage_leaves_no_credit() {
    let order = |fields: &str| ask("POST", "/v2/auth/w/order/submit", fields);
    let bitfinex = with("bitfinex", Template::TradeNoLeverage);
    bitfinex.permits(&order(
        r#"{"type":"EXCHANGE LIMIT","symbol":"tBTCUSD","amount":"1","price":"1"}"#,
    ));
    for fields in [
        r#"{"type":"LIMIT","symbol":"tBTCUSD","amount":"1","price":"1"}"#,
        r#"{"type":"MARKET","symbol":"tBTCF0:USTF0","amount":"1"}"#,
        r#"{"type":"EXCHANGE LIMIT","symbol":"tBTCUSD","amount":"1","price":"1","lev":5}"#,
    ] {
        bitfinex.refuses(&order(fields));
    }
    let spot = |rest: &str| {
        ask(
            "POST",
            "/v5/order/create",
            &format!(r#"{{"side":"Buy","orderType":"Limit","qty":"1","price":"1",{rest}}}"#),
        )
    };
    let bybit = with("bybit", Template::TradeNoLeverage);
    bybit.permits(&spot(r#""category":"spot","symbol":"BTCUSDT","isLeverage":0"#));
    for rest in [
        r#""category":"spot","symbol":"BTCUSDT","isLeverage":1"#,
        r#""category":"linear","symbol":"BTCUSDT""#,
        // The signature fits an order for a spread, at another path.
        r#""symbol":"SOLUSDT_SOL/USDT""#,
        r#""category":"spot","symbol":"BTCUSDT_BTCUSDT-26DEC25""#,
    ] {
        bybit.refuses(&spot(rest));
    }
    let batch = r#"{"category":"spot","request":[{"symbol":"SOLUSDT_SOL/USDT","qty":"1"}]}"#;
    bybit.refuses(&ask("POST", "/v5/order/create-batch", batch));
    // An order for spot fits futures at another host.
    for exchange in ["kucoin", "binance", "gate", "htx"] {
        assert!(
            scheme(exchange)
                .policy_template(Template::TradeNoLeverage)
                .is_err(),
            "{exchange}"
        );
    }
    with("bitvavo", Template::TradeNoLeverage).permits(&ask("POST", "/v2/order", "{}"));
}

#[test]
fn the_page_on_policies_names_every_exchange_that_has_a_template_for_trading() {
    let page = include_str!("../../docs/policy.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let begin = page.find("The others are there for").expect("the sentence");
    let text = &page[begin..begin + page[begin..].find("; with a star").unwrap()];
    let named = |id: &str, star: &str| text.contains(&format!("`{id}`{star}"));
    for id in builtin_ids() {
        let scheme = scheme(id);
        let has = scheme.policy_template(Template::Trade).is_ok();
        assert_eq!(named(id, ""), has, "{id}: {text}");
        let free = scheme.policy_template(Template::TradeNoLeverage).is_ok();
        assert_eq!(named(id, "\\*"), free, "{id} without leverage: {text}");
    }
}
