//! What bytes that hsmsign did not compose show of a request, for the rules that hold even there.

use super::{Scheme, endpoint::collect, glob::fits, target::origin};
use crate::error::Result;

impl Scheme {
    /// The words of the rule by which these bytes may be a withdrawal, if they show one.
    ///
    /// A path that moves money out counts wherever it stands in the bytes, and so do the fields that do; where a
    /// message carries neither (a hash, say), nothing can be told. Reading too much only refuses more.
    pub fn raw_moves_money(&self, message: &[u8]) -> Option<String> {
        let rules = self.withdrawal.as_ref()?;
        let text = String::from_utf8_lossy(message);
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        for shown in [&text, &decoded] {
            let lower = shown.to_lowercase();
            for pattern in &rules.paths {
                if fits(
                    &format!("*{}*", pattern.to_lowercase().trim_end_matches(['/', '*'])),
                    &lower,
                ) {
                    return Some(format!(
                        "the bytes carry the path {pattern}, which moves money out"
                    ));
                }
            }
        }
        let mut fields = Vec::new();
        collect(&text, &mut fields);
        collect(
            text.rsplit(['\n', '?', '|']).next().unwrap_or_default(),
            &mut fields,
        );
        let has = |wanted: &str| {
            fields
                .iter()
                .any(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        };
        if let Some(rule) = rules.fields.iter().find(|rule| rule.split('+').all(has)) {
            return Some(format!(
                "the bytes carry {}, which moves money out",
                rule.replace('+', " and ")
            ));
        }
        let (name, value) = rules.body.iter().find_map(|(name, values)| {
            let hit = fields.iter().find(|(field, value)| {
                field.eq_ignore_ascii_case(name)
                    && values.iter().any(|hit| hit.eq_ignore_ascii_case(value.trim()))
            })?;
            Some((name, &hit.1))
        })?;
        Some(format!("the bytes carry {name}={value}, which moves money out"))
    }
}

/// Looks at a base-url that is to stand in for the scheme's host.
///
/// # Errors
/// When it is not `https://host` or `https://host:port`; plain http only within the machine.
pub fn check_base_url(url: &str) -> Result<()> {
    origin(url).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::*;

    fn moves(id: &str, message: &str) -> bool {
        let scheme = Scheme::parse(builtin(id).unwrap(), id).unwrap();
        scheme.raw_moves_money(message.as_bytes()).is_some()
    }

    #[test]
    fn what_the_bytes_show_is_held_against_the_rules() {
        for (id, message) in [
            ("kraken", "/0/private/Withdraw\u{1}\u{2}"),
            ("kraken", "/0/private/WithdrawInfo"),
            ("kraken", "/0/private/%57ithdraw"),
            ("binance", "coin=BTC&address=x&amount=1&timestamp=1"),
            ("binance", "timestamp=1&asset=USDT&amount=1&type=MAIN_UMFUTURE"),
            ("poloniex-legacy", "nonce=1&command=withdraw&currency=BTC"),
            ("bitfinex", "/api/v2/auth/w/withdraw1700000000000{}"),
            ("coinbaseexchange", "1700000000POST/withdrawals/crypto{}"),
            (
                "bittrex",
                "https://bittrex.com/api/v1.1/account/withdraw?apikey=k&nonce=1",
            ),
        ] {
            assert!(moves(id, message), "{id}: {message}");
        }
        for (id, message) in [
            ("kraken", "/0/private/AddOrder"),
            ("binance", "symbol=BTCUSDT&side=BUY&quantity=1&timestamp=1"),
            ("poloniex-legacy", "command=buy&nonce=1"),
            ("coinbaseexchange", "1700000000GET/orders"),
        ] {
            assert!(!moves(id, message), "{id}: {message}");
        }
    }
}
