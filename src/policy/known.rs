//! Names of fields, folded, that exchanges use for what rules are about.

/// Fields that name what is traded.
pub(super) const SYMBOLS: &[&str] = &[
    "symbol",
    "symbols",
    "pair",
    "pairs",
    "instid",
    "instids",
    "instrument",
    "instruments",
    "instrumentname",
    "instrumentid",
    "instrumentcode",
    "instrumentnames",
    "productid",
    "productids",
    "product",
    "products",
    "market",
    "markets",
    "marketid",
    "marketids",
    "marketsymbol",
    "currencypair",
    "currencypairs",
    "coinpair",
    "tradingpair",
    "contract",
    "contractcode",
    "contractid",
    "book",
    "books",
    "ticker",
    "tickersymbol",
    "tickerid",
    "orderbook",
    "orderbookid",
    "orderbooksymbol",
    "instfamily",
    "uly",
    "basequote",
];

/// Fields that say how much is traded, moved or spent.
pub(super) const AMOUNTS: &[&str] = &[
    "quantity",
    "qty",
    "orderqty",
    "origqty",
    "volume",
    "vol",
    "ordervolume",
    "size",
    "sz",
    "ordersize",
    "basesize",
    "quotesize",
    "amount",
    "amt",
    "orderamount",
    "baseamount",
    "quoteamount",
    "quoteorderqty",
    "quoteqty",
    "baseqty",
    "quotequantity",
    "basequantity",
    "funds",
    "cost",
    "total",
    "totalamount",
    "notional",
    "value",
    "ordervalue",
    "quotevolume",
    "volumequote",
    "cashorderqty",
    "newqty",
    "newsz",
    "neworderqty",
    "newquantity",
    "newsize",
    "newvolume",
    "primaryamount",
    "secondaryamount",
    "depositamount",
    "marketorderamount",
    "orderquantity",
    "contracts",
    "numcontracts",
    "contractqty",
    "lots",
    "stake",
    "units",
    "spend",
    "sizeusd",
    "szusd",
    "closevolume",
];

/// Programs that run what they are given: a rule about the executable says nothing of the script.
pub(super) const INTERPRETERS: &[&str] = &[
    "python", "node", "nodejs", "ruby", "perl", "php", "java", "bash", "sh", "dash", "zsh", "fish", "deno",
    "bun", "lua", "env", "busybox", "julia", "Rscript", "dotnet", "mono", "pypy", "uv", "npx", "sudo",
];

/// Whether the file's name is an interpreter's, with a version or without.
pub(super) fn is_interpreter(name: &str) -> bool {
    let bare = name.trim_end_matches(|char: char| char.is_ascii_digit() || matches!(char, '.' | '-'));
    INTERPRETERS.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::{super::subject::folded, *};

    #[test]
    fn interpreters_are_known_with_their_versions() {
        for name in ["python3.11", "node", "pypy3", "bash"] {
            assert!(is_interpreter(name), "{name}");
        }
        for name in ["hsmsign", "bot", "python-bot", "mynode"] {
            assert!(!is_interpreter(name), "{name}");
        }
    }

    #[test]
    fn the_names_are_folded_as_requests_are() {
        for name in SYMBOLS.iter().chain(AMOUNTS) {
            assert_eq!(folded(name), *name);
        }
    }
}
