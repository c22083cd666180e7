//! Fields that a request brings: used as they are, or refused.

use std::time::Duration;

use super::{credentials, harmless, message, refused, scheme};
use crate::{
    exchange::{NonceNeed, Stamps},
    request::Request,
};

#[test]
fn options_are_digits() {
    let with = |window: &str| format!(r#"{{"method":"GET","path":"/v5/x","window":"{window}"}}"#);
    harmless("bybit", &with("6000"));
    refused("bybit", &with("5000{\\\"address\\\":1}"), "whole number");
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","window":"5"}"#,
        "does not know",
    );
    refused(
        "binance",
        r#"{"method":"GET","path":"/api/v3/account?recvWindow=5%26address%3Dx"}"#,
        "not a number",
    );
    harmless(
        "binance",
        r#"{"method":"GET","path":"/api/v3/account?recvWindow=5000.5"}"#,
    );
}

#[test]
fn binance_takes_its_window_as_recv_window() {
    let line = r#"{"method":"GET","path":"/api/v3/account","window":5000,"timestamp":"1700000000000"}"#;
    assert_eq!(
        message("binance", line).unwrap(),
        b"timestamp=1700000000000&recvWindow=5000"
    );
    refused(
        "binance",
        r#"{"method":"GET","path":"/a","query":"recvWindow=1","window":2}"#,
        "differ",
    );
}

#[test]
fn content_types_are_the_two_and_nothing_like_them() {
    let with = |kind: &str| {
        format!(r#"{{"method":"POST","path":"/0/private/X","body":"a=1","content_type":"{kind}"}}"#)
    };
    harmless(
        "kraken",
        &with("application/x-www-form-urlencoded; charset=UTF-8"),
    );
    for kind in [
        "app lication/json",
        "application/x-www-form-urlencoded\\r\\nX: y",
        "application/x-www-form-urlencoded;x=y",
        "",
    ] {
        refused("kraken", &with(kind), "content_type");
    }
}

#[test]
fn a_passphrase_never_comes_from_the_request() {
    refused(
        "okx",
        r#"{"method":"GET","path":"/x","passphrase":"y"}"#,
        "no field",
    );
    let scheme = scheme("kucoin");
    let request = Request::parse_line(r#"{"method":"GET","path":"/api/v1/accounts"}"#).unwrap();
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: None,
    };
    let prepared = scheme
        .prepare(&request, scheme.kind(None).unwrap(), None)
        .unwrap();
    let mut composed = prepared.compose(&credentials, &stamps).unwrap();
    assert!(!composed.next().unwrap().unwrap().sensitive);
    composed.supply(&[1; 32]).unwrap();
    let part = composed.next().unwrap().unwrap();
    assert!(part.sensitive && part.message == b"words");
    composed.supply(&[2; 32]).unwrap();
    assert!(
        composed.next().unwrap().is_none(),
        "a key without a partner needs no third signature"
    );
    assert!(composed.attach().is_ok());
}

#[test]
fn what_is_not_signed_is_refused_unless_the_file_lets_it_go_along() {
    for method in ["POST", "PUT", "DELETE"] {
        refused(
            "poloniex",
            &format!(r#"{{"method":"{method}","path":"/orders?x=1"}}"#),
            "does not sign the query",
        );
    }
    refused(
        "poloniex",
        r#"{"method":"GET","path":"/orders","json":{}}"#,
        "does not sign the body",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X?a=1"}"#,
        "does not sign the query",
    );
    harmless(
        "htx",
        r#"{"method":"POST","path":"/v1/order/orders","json":{"a":1}}"#,
    );
    harmless(
        "btcmarkets",
        r#"{"method":"GET","path":"/v3/orders?status=open"}"#,
    );
    let warnings = scheme("htx").warnings().join("\n");
    assert!(warnings.contains("the body goes along unsigned"), "{warnings}");
}

#[test]
fn carried_fields_are_used_and_not_doubled() {
    assert_eq!(
        message(
            "binance",
            r#"{"method":"POST","path":"/a","query":"x=1&timestamp=1700000000001","body":"y=2"}"#
        )
        .unwrap(),
        b"x=1&timestamp=1700000000001y=2"
    );
    refused(
        "binance",
        r#"{"method":"POST","path":"/a","query":"timestamp=1700000000001","body":"timestamp=1700000000001"}"#,
        "more than once",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=1&nonce=2"}"#,
        "more than once",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=1","nonce":"2"}"#,
        "differ",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","body":"nonce=01"}"#,
        "form",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","nonce":null}"#,
        "wants a nonce",
    );
    refused(
        "kraken",
        r#"{"method":"POST","path":"/0/private/X","timestamp":"1700000000"}"#,
        "does not use",
    );
    refused(
        "binance",
        r#"{"method":"GET","path":"/a","query":"x=1&signature=00"}"#,
        "already signed",
    );
    let other = message(
        "bittrex",
        r#"{"method":"GET","path":"/api/x","query":"apikey=OTHER"}"#,
    )
    .unwrap_err();
    assert!(other.message().contains("apikey"), "{other}");
}

#[test]
fn brought_nonces_raise_the_sequence_and_others_need_one() {
    let scheme = scheme("kraken");
    let need = |line: &str| {
        let request = Request::parse_line(line).unwrap();
        scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap()
            .nonce()
    };
    assert_eq!(
        need(r#"{"method":"POST","path":"/0/private/X","body":"nonce=5"}"#),
        NonceNeed::Brought { value: 5 }
    );
    assert!(matches!(
        need(r#"{"method":"POST","path":"/0/private/X"}"#),
        NonceNeed::Fresh { .. }
    ));
}
