//! Requests whose message is that of a withdrawal, because it can be cut into path, query, body and stamps elsewhere.

use super::{Exchange, PAIRS, Verdict, exchanges, forms, request, with_body, with_query};
use crate::{
    exchange::plan::METHODS,
    request::{Body, Fields, Nonce, Request},
};

/// What stamps begin with in the messages here.
const STAMP: &str = "1700000000123456";

#[test]
fn no_request_that_is_signed_has_the_message_of_a_withdrawal() {
    let mut compared = 0;
    for exchange in exchanges() {
        let mut all = exchange.withdrawals();
        all.retain(|(_, path)| !exchange.is_loose(path));
        all.dedup_by(|(_, a), (_, b)| a == b);
        for (method, path) in all {
            for real in &forms(method, &path, &PAIRS)[..4] {
                if let Ok((true, wanted)) = exchange.message(real) {
                    compared += compare(&exchange, real, &Verdict::Signed(wanted));
                }
            }
        }
    }
    assert!(compared > 100_000, "{compared}");
}

/// Answers with how many it was compared.
fn compare(exchange: &Exchange, real: &Request, wanted: &Verdict) -> usize {
    let all = forgeries(real);
    for forged in &all {
        assert_ne!(
            exchange.judge(forged),
            *wanted,
            "{}: {forged:?} has the message of {real:?}",
            exchange.id()
        );
    }
    all.len()
}

/// Requests that could have the message of this one: by another method, with the path cut elsewhere, and with digits of
/// a stamp at the end of the path.
fn forgeries(real: &Request) -> Vec<Request> {
    let (method, path) = (real.method.as_deref().unwrap(), real.path.as_deref().unwrap());
    let query = match &real.query {
        Some(Fields::Text(text)) => text.as_str(),
        _ => "",
    };
    let body = match &real.body {
        Some(Body::Bytes(bytes)) => std::str::from_utf8(bytes).unwrap(),
        _ => "",
    };
    let mut all = METHODS.map(|method| whole(method, path, query, body)).to_vec();
    for at in 1..path.len() {
        let (front, back) = path.split_at(at);
        all.push(whole(method, front, &format!("{back}{query}"), body));
        all.push(whole(method, front, &format!("{back}?{query}"), body));
        all.push(whole(method, front, query, &format!("{back}{body}")));
    }
    for at in 1..=body.len() {
        let (front, back) = body.split_at(at);
        all.push(whole(method, &format!("{path}{front}"), query, back));
        all.push(whole(method, path, &format!("{query}{front}"), back));
    }
    for at in 1..=query.len() {
        let (front, back) = query.split_at(at);
        all.push(whole(method, &format!("{path}{front}"), back, body));
        all.push(whole(method, path, front, &format!("{back}{body}")));
    }
    for digits in 1..8 {
        let (front, back) = STAMP.split_at(digits);
        let longer = whole(method, &format!("{path}{front}"), query, body);
        for end in [10, 13, 16] {
            let mut stamped = longer.clone();
            stamped.nonce = Nonce::Brought(back[..end - digits].to_owned());
            all.push(stamped);
            let mut stamped = longer.clone();
            stamped.timestamp = Some(back[..end - digits].to_owned());
            all.push(stamped);
        }
    }
    all
}

fn whole(method: &str, path: &str, query: &str, body: &str) -> Request {
    let mut whole = request(method, path);
    if !query.is_empty() {
        whole = with_query(&whole, query);
    }
    if !body.is_empty() {
        whole = with_body(&whole, body);
    }
    whole
}
