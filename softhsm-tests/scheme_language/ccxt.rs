//! Requests that ccxt signed, which `scripts/ccxt-vectors.py` wrote down: as they stand, and again by parts.

use std::collections::BTreeSet;

use hsmsign::{
    exchange::{Scheme, builtin, impossible},
    json::Json,
    request::Request,
};

use super::{
    Row, judge,
    parts::{by_stamps, member},
    rows_of, run, scheme,
};

/// Exchanges whose signature covers nothing of a request, so that each may be a withdrawal.
const NOTHING_SIGNED: [&str; 4] = ["bigone", "btcturk", "coinmate", "ndax"];

fn rows() -> Vec<Row> {
    rows_of(include_str!("../data/ccxt-vectors.jsonl"))
}

/// The bytes of base58 text.
pub(super) fn base58(text: &str) -> Vec<u8> {
    const LETTERS: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::new();
    for letter in text.chars() {
        let mut carry = LETTERS.find(letter).unwrap();
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = u8::try_from(carry % 256).unwrap();
            carry /= 256;
        }
        while carry > 0 {
            bytes.insert(0, u8::try_from(carry % 256).unwrap());
            carry /= 256;
        }
    }
    let zeros = text.chars().take_while(|letter| *letter == '1').count();
    [vec![0; zeros], bytes].concat()
}

fn check(what: &str, request: impl Fn(&Row) -> Option<Vec<(String, Json)>>) -> usize {
    let mut faults = Vec::new();
    let mut done = 0;
    for row in &rows() {
        let scheme = scheme(&row.exchange);
        let Some(request) = request(row) else { continue };
        done += 1;
        let fault = match run(row, &scheme, &request) {
            Ok(outcome) => judge(row, &outcome),
            Err(error) => Some(error),
        };
        faults.extend(fault.map(|fault| format!("{}: {fault}", row.id)));
    }
    eprintln!("{what}: {done} rows, {} faults", faults.len());
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    done
}

#[test]
fn every_row_comes_out_as_ccxt_signed_it() {
    assert_eq!(check("as given", |row| Some(row.request.clone())), 284);
}

#[test]
fn every_exchange_of_the_rows_is_shipped() {
    let ids: BTreeSet<_> = rows().into_iter().map(|row| row.exchange).collect();
    let missing: Vec<_> = ids.iter().filter(|id| builtin(id).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_exchange_of_ccxt_is_shipped_or_has_a_reason_why_not() {
    let classes: BTreeSet<_> = include_str!("../data/ccxt-classes.txt").lines().collect();
    assert_eq!(classes.len(), 104);
    let reasons: BTreeSet<_> = impossible().iter().map(|exchange| exchange.id).collect();
    for class in &classes {
        assert!(builtin(class).is_some() != reasons.contains(class), "{class}");
    }
    assert!(reasons.is_subset(&classes), "{reasons:?}");
}

/// What the withdrawal rules say of a request.
fn moves_money(scheme: &Scheme, request: &[(String, Json)]) -> Option<String> {
    let line = Json::Object(request.to_vec()).to_compact();
    let request = Request::parse_line(&line).map_err(|(_, error)| error).unwrap();
    scheme
        .prepare(&request, scheme.kind(None).unwrap(), None)
        .unwrap()
        .moves_money()
}

#[test]
fn what_moves_money_is_known_and_an_order_is_not() {
    let mut moved = 0;
    for row in &rows() {
        let scheme = scheme(&row.exchange);
        let found = moves_money(&scheme, &row.request);
        let all = NOTHING_SIGNED.contains(&row.exchange.as_str());
        let login = member(&row.request, "method").is_none();
        assert_eq!(
            found.is_some(),
            row.moves_money || all && !login,
            "{}: {found:?}",
            row.id
        );
        moved += usize::from(row.moves_money);
    }
    assert!(moved >= 50, "{moved}");
}

#[test]
fn a_withdrawal_is_known_by_its_fields_where_the_path_is_not_signed() {
    let rows = rows();
    let mut tried = 0;
    for row in rows.iter().filter(|row| row.moves_money) {
        let scheme = scheme(&row.exchange);
        if scheme.signs_path() {
            continue;
        }
        // The withdrawal's own query and body, sent to every other path of the exchange.
        for other in rows
            .iter()
            .filter(|other| other.exchange == row.exchange && !other.moves_money)
        {
            let Some(path) = member(&other.request, "path") else {
                continue;
            };
            let mut request = row.request.clone();
            request.retain(|(name, _)| name != "path" && name != "host");
            request.push(("path".into(), Json::String(path.into())));
            let line = Json::Object(request).to_compact();
            let request = Request::parse_line(&line).map_err(|(_, error)| error).unwrap();
            // What the other path cannot take is refused before any rule is asked.
            let Ok(prepared) = scheme.prepare(&request, scheme.kind(None).unwrap(), None) else {
                continue;
            };
            assert!(prepared.moves_money().is_some(), "{} at {path}", row.id);
            tried += 1;
        }
    }
    assert!(tried >= 80, "{tried}");
}

fn by_parts(row: &Row) -> Option<Vec<(String, Json)>> {
    by_stamps(
        &row.id,
        &row.request,
        &Json::Object(row.stamps.clone()),
        row.params.as_ref()?,
    )
}

#[test]
fn calls_by_parts_come_out_as_ccxt_signs_them() {
    check("by parts", by_parts);
}
