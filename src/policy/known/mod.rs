//! Names of fields, folded, that exchanges use for what rules are about.

mod calm;
mod closing;
mod marks;
pub(super) mod prices;
mod words;

pub(super) use self::{
    calm::{AMENDS, TRADES_OTHERWISE, is_calm, is_calm_field, is_calm_path},
    closing::{CLOSING, closes, closes_by_path, tells_of_closed},
    marks::Marks,
};
use super::subject::Field;

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
    "productcode",
    "productsymbol",
    "pairsymbol",
    "assetpairname",
    "instidcode",
    "marketcode",
    "tradepair",
    "tradingsymbol",
    "currency1",
    "currency2",
    "targetcurrency",
    "ordercurrency",
    "primarycurrencycode",
];

/// Where a field's name stands among [`SYMBOLS`].
pub(super) fn place_of_symbol(field: &Field<'_>) -> Option<usize> {
    let named = field.marks.has(Marks::SYMBOL);
    named.then(|| SYMBOLS.iter().position(|name| *name == field.name))?
}

/// Fields that say how much is traded, moved or spent, beside those that [`is_amount`] knows by how they end; in order.
const AMOUNTS: &[&str] = &[
    "amount",
    "amountccy1",
    "amountccy2",
    "amountquote",
    "amountremaining",
    "amt",
    "baseamount",
    "baseqty",
    "basequantity",
    "basesize",
    "cancelsize",
    "cashorderqty",
    "closevolume",
    "contractqty",
    "contracts",
    "cost",
    "delta",
    "depositamount",
    "funds",
    "lots",
    "major",
    "marketorderamount",
    "minor",
    "neworderqty",
    "newqty",
    "newquantity",
    "newsize",
    "newsz",
    "newvolume",
    "notional",
    "numcontracts",
    "orderamount",
    "orderqty",
    "orderquantity",
    "ordersize",
    "ordervalue",
    "ordervolume",
    "origqty",
    "primaryamount",
    "qty",
    "quantity",
    "quoteamount",
    "quoteorderqty",
    "quoteqty",
    "quotequantity",
    "quotesize",
    "quotevolume",
    "secondaryamount",
    "size",
    "sizeusd",
    "slsize",
    "spend",
    "stake",
    "sz",
    "szsl",
    "sztp",
    "szusd",
    "total",
    "totalamount",
    "tpsize",
    "units",
    "value",
    "vol",
    "volume",
    "volumequote",
];

/// How the names of fields end that say how much; exchanges that scale numbers add `Ev`, `Rq` and the like.
const ENDINGS: &[&str] = &[
    "qty",
    "quantity",
    "amount",
    "volume",
    "notional",
    "qtyev",
    "qtyrq",
    "qtyrv",
    "qtyep",
    "amountev",
    "valueev",
    "sz",
    "amt",
    "spend",
    "ordersize",
    "coinsize",
];
/// How names begin that end so and say what is seen of an order, or the least of it, and nothing beyond its amount; or, at
/// Bitvavo, at which price it is placed.
const BEGINNINGS: &[&str] = &[
    "iceberg",
    "visible",
    "display",
    "show",
    "hidden",
    "min",
    "filled",
    "executed",
    "origin",
    "triggeramount",
];

/// The longer of their names, which stand in a text by no accident.
pub(super) fn amounts() -> impl Iterator<Item = &'static str> {
    AMOUNTS.iter().copied().filter(|name| name.len() > 3)
}

/// Whether a folded name is that of a side of what is traded: at Indodax `idr` is how much of `btc_idr` is spent.
pub(super) fn is_side(traded: &str, name: &str) -> bool {
    sides(traded).any(|side| side.eq_ignore_ascii_case(name.as_bytes()))
}

/// The sides of what is traded: `btc` and `idr` of `btc_idr`.
pub(super) fn sides(traded: &str) -> impl Iterator<Item = &[u8]> {
    let sides = traded.as_bytes().split(|byte| !byte.is_ascii_alphanumeric());
    sides.filter(|side| !side.is_empty())
}

/// Whether a field of this folded name says how much is traded, moved or spent.
pub(super) fn is_amount(name: &str) -> bool {
    AMOUNTS.binary_search(&name).is_ok() || ends_as_amount(name)
}

fn ends_as_amount(name: &str) -> bool {
    // Few other names end in the last two letters of one.
    let may = matches!(
        name.as_bytes(),
        [.., b't', b'y']
            | [.., b'n', b't']
            | [.., b'm', b'e']
            | [.., b'a', b'l']
            | [.., b'e', b'v']
            | [.., b'r', b'q']
            | [.., b'r', b'v']
            | [.., b'e', b'p']
            | [.., b's', b'z']
            | [.., b'm', b't']
            | [.., b'n', b'd']
            | [.., b'z', b'e']
    );
    may && ENDINGS.iter().any(|end| name.ends_with(end))
        && !BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

/// Fields that say in which unit an amount is, and what must stand in them for that; nothing for anything.
const UNITS: &[(&str, &str)] = &[
    ("tgtccy", ""),
    ("marketunit", ""),
    ("qtytype", ""),
    ("amountincounter", ""),
    ("quantitytype", ""),
    ("sizetype", ""),
    ("sizeunit", ""),
    ("volumecurrencytype", ""),
    ("amounttype", ""),
    // Among other flags: the volume is in the quote currency.
    ("oflags", "viqc"),
];

/// Types of an order whose price is all that is spent, or whose amount is of what is paid with: LBank, DigiFinex, Upbit, Bithumb.
const SPENDING: &[(&str, &str)] = &[
    ("type", "buy_market"),
    ("ordtype", "price"),
    ("ordtype", "best"),
    ("newordtype", "price"),
    ("newordtype", "best"),
    ("ordertype", "price"),
    ("ordertype", "best"),
];

/// A bit for each letter that one of these types begins with, by the lowest five of its own.
const BEGIN_SPENDING: u32 = {
    let (mut bits, mut at) = (0, 0);
    while at < SPENDING.len() {
        bits |= 1 << (SPENDING[at].1.as_bytes()[0] & 31);
        at += 1;
    }
    bits
};

/// A bit for each length that one of them has, each less than 31.
const LONG_AS_SPENDING: u32 = {
    let (mut bits, mut at) = (0, 0);
    while at < SPENDING.len() {
        bits |= 1 << SPENDING[at].1.len();
        at += 1;
    }
    bits
};

/// Whether a field of this folded name may say in which unit an amount is.
pub(super) fn is_unit(name: &str) -> bool {
    UNITS.iter().any(|(known, _)| *known == name)
}

/// Whether a field of this folded name says in which unit an amount is. One that is empty does not, as those that python-okx
/// sends of all that an order may have.
pub(super) fn sets_unit(name: &str, value: &str) -> bool {
    let of_units = |(known, part): &(&str, &str)| *known == name && value.to_lowercase().contains(part);
    !value.is_empty() && UNITS.iter().any(of_units) || spends(name, value)
}

/// Whether a field of this folded name says that the order's amount is in another place than its own, or in another unit.
pub(super) fn spends(name: &str, value: &str) -> bool {
    // Blanks of any kind may stand around it.
    let value = match value.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => value,
        false => value.trim(),
    };
    let begins = value.bytes().next().unwrap_or_default() & 31;
    if BEGIN_SPENDING >> begins & 1 == 0 || LONG_AS_SPENDING >> value.len().min(31) & 1 == 0 {
        return false;
    }
    let of_type = |(known, kind): &(&str, &str)| *known == name && value.eq_ignore_ascii_case(kind);
    SPENDING.iter().any(of_type)
}

/// Fields that an order has, and little else.
pub(super) const ORDERS: &[&str] = &[
    "side",
    "orderside",
    "ordertype",
    "ordtype",
    "direction",
    "tradeside",
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
    fn names_of_amounts_are_in_order_since_they_are_searched_by_halves() {
        assert!(AMOUNTS.is_sorted());
        assert!(AMOUNTS.iter().all(|name| is_amount(name)));
        assert!(ENDINGS.iter().all(|end| is_amount(&format!("x{end}"))));
    }

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
