//! What endpoints do, as far as their names tell: looking and cancelling need no amount, and some trade without one.

use super::{SYMBOLS, words::Words};

/// What names have in them that cancel something else than orders, or put others in their place.
pub(super) static NO_CANCELS: Words =
    Words::new(&["replace", "amend", "modify", "edit", "position", "trader"]);

/// How names of endpoints begin that only look.
const LOOKS: &[&str] = &[
    "get", "query", "list", "return", "fetch", "search", "find", "view",
];

/// What names of endpoints have in them that only look.
pub(super) static LOOKS_AT: Words = Words::new(&[
    "hist",
    "balance",
    "info",
    "status",
    "detail",
    "record",
    "ledger",
    "openorder",
    "open_order",
    "open-order",
    "active_order",
    "active_position",
]);

/// Words that have one of [`ACTS`] in them.
const HARMLESS: &[&str] = &["asset", "address", "settle", "closed"];

/// What names have in them that do more than that, whatever else they have.
pub(super) static ACTS: Words = Words::new(&[
    "place",
    "submit",
    "create",
    "add",
    "new",
    "buy",
    "sell",
    "convert",
    "repay",
    "borrow",
    "redeem",
    "purchase",
    "accept",
    "execute",
    "confirm",
    "close",
    "set",
    "change",
    "update",
    "transfer",
    "withdraw",
    "send",
    "reverse",
    "stake",
    "adjust",
    "increase",
    "claim",
    "auto",
    "enable",
    "disable",
    "toggle",
    "margin-balance",
]);

/// Whether what bears this name, in lower case, only looks or takes orders back.
pub(in crate::policy) fn is_calm(name: &str) -> bool {
    is_calm_in("", name)
}

/// Whether the path, in lower case, is one of an endpoint that only looks or takes orders back. Its last part may be a name
/// that whoever asks has chosen, so what stands before it must not act.
pub(in crate::policy) fn is_calm_path(path: &str) -> bool {
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    is_calm_in(before, last)
}

fn is_calm_in(before: &str, last: &str) -> bool {
    if last.contains("cancel") || before.contains("cancel") {
        return !NO_CANCELS.stand_in(last);
    }
    if !LOOKS.iter().any(|word| last.starts_with(word)) && !LOOKS_AT.stand_in(last) {
        return false;
    }
    !HARMLESS
        .iter()
        .fold(format!("{before}/{last}"), |path, word| path.replace(word, ""))
        .split('/')
        .any(|part| ACTS.stand_in(part))
}

/// What paths have in them where an order is changed: without an amount its own stays.
pub(in crate::policy) static AMENDS: Words = Words::new(&["amend", "edit", "modify", "alter", "update"]);

/// What paths have in them where something is traded, closed, lent or paid back by other fields than those of orders, or by
/// none.
pub(in crate::policy) static TRADES_OTHERWISE: Words = Words::new(&[
    "convert",
    "flash",
    "swap/rfq",
    "one-click",
    "one_click",
    "dust",
    "repay",
    "trading-stop",
    "reverse",
    "liquidat",
    "stable-coin",
    "quote",
    "rfq",
    "copytrad",
    "copy-trad",
    "copy_trad",
    // Bitget's and DigiFinex's copied trades, and the bots that Bitget and Crypto.com run.
    "/copy/",
    "/trace/",
    "/follow/",
    "-bot",
    "earn/",
    "staking",
    "savings",
]);

/// Fields, beside those that name what is traded, of requests that look or take orders back, where nothing but the fields
/// tells what a request is.
const CALM_FIELDS: &[&str] = &[
    "orderid",
    "orderids",
    "origclientorderid",
    "origclientorderids",
    "origclientorderidlist",
    "orderidlist",
    "newclientorderid",
    "clientorderid",
    "clientorderids",
    "clientorderidlist",
    "clientoid",
    "clientoids",
    "orderlinkid",
    "orderlistid",
    "listclientorderid",
    "listenkey",
    "algoid",
    "clientalgoid",
    "id",
    "ids",
    "uuid",
    "uuids",
    "identifier",
    "identifiers",
    "txid",
    "tradeid",
    "ordernumber",
    "orderno",
    "orderuuid",
    "externaloid",
    "userorderid",
    "entryid",
    "customid",
    "starttime",
    "endtime",
    "start",
    "end",
    "starttimestamp",
    "endtimestamp",
    "fromtime",
    "totime",
    "startat",
    "endat",
    "fromid",
    "since",
    "before",
    "after",
    "begin",
    "begintime",
    "startdate",
    "enddate",
    "limit",
    "take",
    "page",
    "pageno",
    "pagenum",
    "pagenumber",
    "pagesize",
    "pagelength",
    "pageindex",
    "current",
    "currentpage",
    "rows",
    "cursor",
    "offset",
    "count",
    "orderby",
    "sort",
    "order",
    "coin",
    "currency",
    "currencies",
    "quotecurrency",
    "asset",
    "accounttype",
    "category",
    "settlecoin",
    "settle",
    "basecoin",
    "status",
    "state",
    "states",
    "statuses",
    "orderstatus",
    "orderfilter",
    "stopordertype",
    "incometype",
    "autoclosetype",
    "recvwindow",
    "omitzerobalances",
    "needbtcvaluation",
    "isisolated",
    "includetrades",
    "wallettype",
    "wallet",
    "contracttype",
    "timestamp",
    "nonce",
];

/// Whether a field of this folded name may stand in a request that looks or takes orders back.
pub(in crate::policy) fn is_calm_field(name: &str) -> bool {
    SYMBOLS.contains(&name) || CALM_FIELDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::subject::folded;

    #[test]
    fn what_looks_or_cancels_is_told_from_what_trades() {
        for path in [
            "/api/v5/trade/cancel-all-after",
            "/v1/order/orders/17/submitcancel",
            "/0/private/cancelorder",
            "/swap-api/v1/swap_account_info",
            "/linear-swap-api/v1/swap_openorders",
            "/private/getclosedorders",
            "/info/user_info",
            "active_positions",
        ] {
            assert!(is_calm_path(path), "{path}");
        }
        for path in [
            "/api/v5/trade/easy-convert",
            "/api/v5/asset/convert/trade",
            "/api/v4/flash_swap/orders",
            "/api/v3/order/cancelreplace",
            "/0/private/addorder",
            "/v1/orders/place",
            "/api/v5/account/set-leverage",
            "/api/v5/trade/order",
            "/v1/account/transfer-history/new",
            "/getorders/new",
            "/position/increase/balance",
            "/orders/new/getinfo",
            "/v1/convert/query-and-accept",
        ] {
            assert!(!is_calm_path(path), "{path}");
        }
    }

    #[test]
    fn the_names_are_folded_as_requests_are() {
        for name in CALM_FIELDS {
            assert_eq!(folded(name), *name);
        }
    }
}
