//! What closes all that there is, whatever amount is named: fields and endpoints.

/// Fields by which all that there is, or a part of it, is closed, sold or lent, whatever amount is named.
pub(super) const CLOSES: &[&str] = &[
    "closeposition",
    "closeorder",
    "closefraction",
    "closeall",
    "closepct",
    "autosize",
    "borrowall",
    "repaidall",
    "repayall",
    "redeemall",
    "sellall",
];

/// Whether a field of this folded name closes what there is.
pub(in crate::policy) fn closes(name: &str, value: &str) -> bool {
    let lower = || value.to_lowercase();
    CLOSES.contains(&name) && !matches!(lower().as_str(), "" | "false" | "0")
        // Kraken has orders that close another one below this name.
        || name == "close" && matches!(lower().as_str(), "true" | "1")
        // Bitfinex says so by one bit of a number, and BitMEX among other flags.
        || name == "flags" && has_close_bit(&lower())
        || name == "execinst" && lower().split(|char: char| !char.is_alphanumeric()).any(|flag| flag == "close")
}

/// Whether a number has the bit 512, or is written so that it cannot be told: JavaScript takes bits of text, too, be it hex or
/// with blanks around it, and rounds what is great.
fn has_close_bit(value: &str) -> bool {
    match value.parse::<u32>() {
        Ok(flags) => flags & 512 != 0,
        Err(_) => value.bytes().any(|byte| byte.is_ascii_digit()),
    }
}

/// Endpoints that close what there is, whatever the request says. What was closed is another word.
pub(in crate::policy) const CLOSING: &[&str] = &[
    "*close_position*",
    "*close-position*",
    "*closeposition*",
    "*close_all*",
    "*close-all*",
    "*closeall*",
    "*position/close*",
    "*positions/close*",
    "*/close",
    "*close_order*",
    "*closeorder*",
    "*close-order*",
    "*closetrack*",
    "*followerclose*",
    "*flashclose*",
    "*close-subposition*",
];

/// Whether the path, in lower case, is one of an endpoint that closes what there is.
pub(in crate::policy) fn closes_by_path(path: &str) -> bool {
    let is_one = |pattern: &&str| {
        let word = pattern.trim_matches('*');
        match pattern.ends_with('*') {
            true => path.contains(word),
            false => path.ends_with(word),
        }
    };
    CLOSING.iter().any(is_one) && !tells_of_closed(path)
}

/// Whether the path, in lower case, is one of an endpoint that tells what was closed.
pub(in crate::policy) fn tells_of_closed(path: &str) -> bool {
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    // The last part may be a name that whoever asks has chosen.
    let tells = last.starts_with("closed") || before.ends_with("/list");
    last.ends_with("history") || tells && !before.contains("close")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_close_in_whatever_way_they_are_written() {
        for (name, value) in [
            ("flags", "512"),
            ("flags", "4608"),
            ("flags", " 512"),
            ("flags", "0x200"),
            ("flags", "512.0"),
            ("flags", "-512"),
            ("flags", "1152921504606847487"),
            ("execinst", "ReduceOnly,Close"),
            ("execinst", "ReduceOnly Close"),
        ] {
            assert!(closes(name, value), "{name} = {value:?}");
        }
        for (name, value) in [
            ("flags", "0"),
            ("flags", "4096"),
            ("flags", "hidden"),
            ("flags", ""),
            ("execinst", "ReduceOnly, LastPrice"),
            ("execinst", "ParticipateDoNotInitiate"),
        ] {
            assert!(!closes(name, value), "{name} = {value:?}");
        }
    }

    #[test]
    fn what_closes_is_told_from_what_was_closed() {
        for path in [
            "/api/v1/trade/position/close",
            "/openapi/swap/v2/trade/closeallpositions",
            "/api/v5/trade/close-position",
            "/history/close_all",
            "/v1/positions/close/closed",
        ] {
            assert!(closes_by_path(path), "{path}");
        }
        for path in [
            "/v5/position/closed-pnl",
            "/api/v1/private/order/list/close_orders",
            "/v1/position/close-history",
            "/0/private/closedorders",
        ] {
            assert!(!closes_by_path(path), "{path}");
        }
    }
}
