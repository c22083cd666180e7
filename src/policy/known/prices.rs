//! What tells at which price an order is filled.

/// Fields that say how an order is filled, beside those of attached orders, which close it.
pub(in crate::policy) const ORDER_TYPES: &[&str] = &[
    "type",
    "ordertype",
    "ordtype",
    "childordertype",
    "conditiontype",
    "abovetype",
    "belowtype",
    "pendingtype",
    "pendingabovetype",
    "pendingbelowtype",
];

/// Endpoints of orders at the market's price, or at one that follows it.
pub(in crate::policy) const AT_MARKET: &[&str] = &[
    "*market_order*",
    "*market-order*",
    "*marketorder*",
    "*buy/market*",
    "*sell/market*",
    "*market_buy*",
    "*market_sell*",
    "*market-buy*",
    "*market-sell*",
    "*create_market*",
    "*marketprice*",
    "*order/*market",
    "*order/peg",
    "*bbo_order*",
    "*twap*",
    "*trail*",
    "*track*",
    "*instant*",
    "*/buy/now*",
    "*/sell/now*",
];

/// Whether an order of this type is filled at the price that it names or at a better one. `type` may name the side as well.
/// What is not known to, as a number that stands for a type, does not.
pub(in crate::policy) fn holds_its_price(name: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| value.contains(word));
    // At WOO X these are types: the best price of that side.
    let side = match name {
        "ordertype" => ["", "buy", "sell", "long", "short"].as_slice(),
        _ => &["", "buy", "sell", "bid", "ask", "long", "short", "b", "s"],
    };
    side.contains(&value.as_str())
        || has(&["limit", "lmt", "ioc", "fok", "gtc", "post", "maker"])
            && !has(&["market", "mkt", "optimal", "instant", "best"])
}

/// Whether a field of this folded name says that the order is one at the market's price, whatever its name.
pub(in crate::policy) fn says_market(name: &str, value: &str) -> bool {
    let attached = ["tp", "sl", "takeprofit", "stoploss", "close"]
        .iter()
        .any(|begin| name.starts_with(begin));
    let value = value.to_lowercase();
    (name.ends_with("type") || name.ends_with("method"))
        && !attached
        && ["market", "mkt"].iter().any(|word| value.contains(word))
}

/// Whether a field of this folded name has the exchange set the price, so that it does not look at the one that is named.
pub(in crate::policy) fn sets_price(name: &str, value: &str) -> bool {
    let value = value.trim().to_lowercase();
    match name {
        "advanced" => value == "implv",
        "pricematch" | "matchprice" | "pricetype" | "deviation"
        // Volatilities of options, by which OKX and Bybit work out the price.
        | "pxvol" | "newpxvol" | "orderiv" | "iv"
        // Of orders that follow the price or are filled bit by bit, where the path is not signed.
        | "backtype" | "backvalue" | "duration" => {
            !matches!(value.as_str(), "" | "0" | "none" | "false" | "input" | "limit")
        }
        _ => (name.starts_with("peg") || name.starts_with("bbo")) && !matches!(value.as_str(), "" | "none"),
    }
}

/// Whether a field of this folded name is a price.
pub(in crate::policy) fn is_price(name: &str) -> bool {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    name.contains("price")
        || ends(&["px", "pxep", "pxrp", "pxusd"])
        || matches!(name, "rate" | "limit" | "triggeramount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_type_holds_its_price_or_is_not_known_to() {
        for value in [
            "buy",
            "Limit",
            "LIMIT_MAKER",
            "stop-loss-limit",
            "post_only",
            "EXCHANGE FOK",
            "buy-limit",
            "lmt",
        ] {
            assert!(holds_its_price("type", value), "{value}");
        }
        for value in [
            "market",
            "MKT",
            "stop-loss",
            "EXCHANGE STOP",
            "optimal_limit_ioc",
            "buy-market",
            "price",
            "5",
            "market_ioc",
            "best",
            "trailing-stop",
        ] {
            assert!(!holds_its_price("type", value), "{value}");
        }
        assert!(holds_its_price("type", "bid") && !holds_its_price("ordertype", "BID"));
    }

    #[test]
    fn attached_orders_and_prices_that_trigger_do_not_say_market() {
        for (name, value) in [
            ("tpordertype", "Market"),
            ("workingtype", "MARK_PRICE"),
            ("ordermethod", "limit"),
        ] {
            assert!(!says_market(name, value), "{name}");
        }
        for (name, value) in [("ordermethod", "stopmarket"), ("entrusttype", "STOP_MARKET")] {
            assert!(says_market(name, value), "{name}");
        }
    }
}
