//! Withdrawals that are asked for by their paths.

use super::{PAIRS, Verdict, exchanges, forms};
use crate::exchange::{glob, plan::METHODS};

/// Exchanges that sign a nonce or a clock and nothing of the request.
const NOTHING_SIGNED: [&str; 5] = ["bigone", "bitstamp-legacy", "btcturk", "coinmate", "ndax"];

#[test]
fn every_withdrawal_path_is_refused_however_it_is_asked_for() {
    let mut tried = 0;
    for exchange in exchanges() {
        let rules = exchange.scheme.withdrawals();
        assert!(!rules.is_empty(), "{} knows no withdrawal", exchange.id());
        for (method, path) in exchange.withdrawals() {
            let all = forms(method, &path, &PAIRS);
            all.iter().for_each(|request| exchange.never_signs(request));
            let seen = all
                .iter()
                .any(|request| exchange.judge(request) == Verdict::Withdrawal);
            let has_list = !exchange.scheme.endpoints.is_empty()
                || !exchange.scheme.plan_for(method, &path).paths.is_empty();
            assert!(
                seen || has_list,
                "{} {method} {path} is never seen",
                exchange.id()
            );
            tried += all.len();
        }
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn a_withdrawal_path_in_another_spelling_is_refused() {
    for exchange in exchanges() {
        for (method, path) in exchange.withdrawals() {
            let last = path.trim_end_matches('/').rfind('/').unwrap() + 1;
            let (front, end) = path.split_at(last);
            let front = front.trim_end_matches('/');
            let at = end.find(|char: char| char.is_ascii_alphabetic()).unwrap();
            let escape = format!("%{:02x}", end.as_bytes()[at]);
            let spellings = [
                path.to_uppercase(),
                path.to_lowercase(),
                format!("{front}/{}{escape}{}", &end[..at], &end[at + 1..]),
                format!("{path}/"),
                format!("{path}.json"),
                format!("{front}/./{end}"),
                format!("{front}/x/../{end}"),
                format!("{front}/%2e%2E/{end}"),
                format!("{front}%2f{end}"),
                format!("{front}//{end}"),
                format!("/{path}"),
                format!("{path};x=y"),
                format!("{path}\\"),
                format!("{path}%00"),
                format!("{path}#"),
                format!("{path} "),
            ];
            for spelling in spellings {
                for request in forms(method, &spelling, &PAIRS) {
                    exchange.never_signs(&request);
                }
            }
        }
    }
}

#[test]
fn where_nothing_of_a_request_is_signed_each_is_a_withdrawal() {
    let mut found = Vec::new();
    for exchange in exchanges() {
        let mut gaps = exchange.scheme.warnings().into_iter();
        if gaps.any(|gap| gap.contains("nothing of the request is signed")) {
            for path in exchange.innocent() {
                for request in forms("POST", &path, &PAIRS) {
                    exchange.never_signs(&request);
                }
            }
            found.push(exchange.id().to_owned());
        }
    }
    assert_eq!(found, NOTHING_SIGNED);
}

#[test]
fn requests_that_move_no_money_are_signed() {
    for exchange in exchanges().filter(|exchange| !NOTHING_SIGNED.contains(&exchange.id())) {
        for path in exchange.innocent() {
            let signed = METHODS.into_iter().any(|method| {
                let all = forms(method, &path, &[("symbol", "BTCUSDT"), ("side", "buy")]);
                all.iter()
                    .any(|request| matches!(exchange.judge(request), Verdict::Signed(_)))
            });
            let mut rules = exchange.scheme.withdrawal.iter().flat_map(|rules| &rules.paths);
            let all_refused = rules.any(|rule| glob::fits(&rule.pattern, &path.to_lowercase()));
            assert!(signed || all_refused, "{} {path}", exchange.id());
        }
    }
}
