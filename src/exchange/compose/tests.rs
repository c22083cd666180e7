//! Requests composed, signed and put together.

use std::time::Duration;

use super::*;
use crate::{
    exchange::{Scheme, builtin},
    request::Request,
    secret::Secret,
};

fn credentials() -> Credentials {
    Credentials {
        api_key: Some("KEY".into()),
        passphrase: Some(Secret::take(&mut b"words".to_vec()).unwrap()),
        ..Credentials::default()
    }
}

fn sign(exchange: &str, line: &str, credentials: &Credentials) -> Result<SignedRequest> {
    let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
    let kind = scheme.kind(None).unwrap();
    let request = Request::parse_line(line).map_err(|(_, error)| error)?;
    let stamps = Stamps {
        now: Duration::from_millis(1_700_000_000_123),
        nonce: Some(5),
    };
    let mut composed = scheme
        .prepare(&request, kind, None)?
        .compose(credentials, &stamps)?;
    while composed.next()?.is_some() {
        let len = match exchange {
            "bitfinex" => 48,
            "kraken" => 64,
            _ => 32,
        };
        composed.supply(&vec![0; len])?;
    }
    composed.attach()
}

#[test]
fn a_signature_is_taken_once_and_only_when_asked_for() {
    let scheme = Scheme::parse(builtin("binance").unwrap(), "binance").unwrap();
    let request = Request::parse_line(r#"{"method":"GET","path":"/api/v3/account"}"#).unwrap();
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: None,
    };
    let prepared = scheme
        .prepare(&request, scheme.kind(None).unwrap(), None)
        .unwrap();
    let mut composed = prepared.compose(&credentials, &stamps).unwrap();
    assert!(composed.supply(&[0; 32]).is_err());
    assert!(composed.next().unwrap().is_some());
    assert!(composed.supply(&[0; 31]).is_err());
    composed.supply(&[0; 32]).unwrap();
    assert!(composed.supply(&[0; 32]).is_err());
    assert!(composed.next().unwrap().is_none());
    let signed = composed.attach().unwrap();
    assert!(
        signed
            .url
            .unwrap()
            .ends_with(&format!("?timestamp=1700000000000&signature={}", "00".repeat(32)))
    );
}

#[test]
fn an_unsigned_request_is_not_attached() {
    let scheme = Scheme::parse(builtin("binance").unwrap(), "binance").unwrap();
    let request = Request::parse_line(r#"{"method":"GET","path":"/api/v3/account"}"#).unwrap();
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: None,
    };
    let prepared = scheme
        .prepare(&request, scheme.kind(None).unwrap(), None)
        .unwrap();
    assert!(prepared.compose(&credentials, &stamps).unwrap().attach().is_err());
}

#[test]
fn what_the_key_lacks_is_said() {
    let none = Credentials::default();
    let line = r#"{"method":"GET","path":"/accounts"}"#;
    assert!(
        sign("coinbaseexchange", line, &none)
            .unwrap_err()
            .message()
            .contains("API key")
    );
    let key = Credentials {
        api_key: Some("KEY".into()),
        ..Credentials::default()
    };
    assert!(
        sign("coinbaseexchange", line, &key)
            .unwrap_err()
            .message()
            .contains("passphrase")
    );
}

#[test]
fn a_header_holds_no_line_feed() {
    let bad = Credentials {
        api_key: Some("KEY\r\nX: y".into()),
        ..credentials()
    };
    let error = sign(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/r/wallets"}"#,
        &bad,
    )
    .unwrap_err();
    assert!(error.message().contains("bfx-apikey"), "{error}");
}

#[test]
fn a_content_type_stands_wherever_there_is_a_body() {
    let types = |exchange: &str, line: &str| {
        let signed = sign(exchange, line, &credentials()).unwrap();
        let kind = signed.headers.iter().find(|(name, _)| name == "Content-Type");
        (signed.body.is_some(), kind.map(|(_, value)| value.clone()))
    };
    assert_eq!(
        types("coinbaseexchange", r#"{"method":"GET","path":"/accounts"}"#),
        (false, None)
    );
    assert_eq!(
        types(
            "coinbaseexchange",
            r#"{"method":"POST","path":"/orders","json":{"a":1}}"#
        ),
        (true, Some("application/json".into()))
    );
    assert_eq!(
        types(
            "binance",
            r#"{"method":"POST","path":"/api/v3/order","form":{"a":1}}"#
        ),
        (true, Some("application/x-www-form-urlencoded".into()))
    );
}

#[test]
fn a_body_is_of_the_kind_that_its_content_type_says() {
    let kraken = |more: &str| {
        let line = format!(r#"{{"method":"POST","path":"/0/private/Balance"{more}}}"#);
        sign("kraken", &line, &credentials())
    };
    for made in [
        "",
        r#","params":{"a":1}"#,
        r#","params":{}"#,
        r#","form":{"a":1}"#,
    ] {
        let error = kraken(&format!(r#"{made},"content_type":"application/json""#)).unwrap_err();
        assert!(error.message().contains("not of the kind"), "{made}: {error}");
    }
    for (made, kind) in [
        (r#","params":{"a":1}"#, "application/x-www-form-urlencoded"),
        (r#","json":{}"#, "application/json"),
    ] {
        let signed = kraken(&format!(r#"{made},"content_type":"{kind}""#)).unwrap();
        assert_eq!(signed.body.unwrap().starts_with(b"{"), kind == "application/json");
        assert!(signed.headers.contains(&("Content-Type".into(), kind.into())));
    }
}

#[test]
fn added_and_attached_fields_go_where_the_request_has_its_own() {
    let sent = |line: &str| {
        let signed = sign("binance", line, &credentials()).unwrap();
        let query = signed
            .url
            .unwrap()
            .split_once('?')
            .map(|(_, query)| query.to_owned())
            .unwrap_or_default();
        (query.contains("signature="), signed.body.is_some())
    };
    assert_eq!(
        sent(r#"{"method":"POST","path":"/api/v3/order","query":"a=1"}"#),
        (true, false)
    );
    assert_eq!(
        sent(r#"{"method":"POST","path":"/api/v3/order","query":"a=1","body":"b=2"}"#),
        (false, true)
    );
    // Beside the time, as pybotters has it.
    assert_eq!(
        sent(r#"{"method":"POST","path":"/api/v3/order","query":"timestamp=1700000000123","body":"b=2"}"#),
        (true, true)
    );
    assert_eq!(
        sent(
            r#"{"method":"POST","path":"/api/v3/order","query":"a=1","body":"b=2&timestamp=1700000000123"}"#
        ),
        (false, true)
    );
    assert_eq!(sent(r#"{"method":"POST","path":"/api/v3/order"}"#), (false, true));
    assert_eq!(
        sent(r#"{"method":"GET","path":"/api/v3/account"}"#),
        (true, false)
    );
}

#[test]
fn a_finished_request_is_given_no_window_that_it_does_without() {
    let query = |exchange: &str, more: &str| {
        let line = format!(r#"{{"method":"GET","path":"/api/v3/account",{more}}}"#);
        let url = sign(exchange, &line, &credentials()).unwrap().url.unwrap();
        url.split_once('?')
            .unwrap()
            .1
            .rsplit_once("&signature=")
            .unwrap()
            .0
            .to_owned()
    };
    for exchange in ["mexc", "toobit"] {
        let finished = r#""query":"a=1&timestamp=1700000000000""#;
        assert_eq!(query(exchange, finished), "a=1&timestamp=1700000000000");
        let with = query(exchange, &format!(r#"{finished},"window":"6000""#));
        assert_eq!(with, "a=1&timestamp=1700000000000&recvWindow=6000");
        let own = r#""query":"a=1&recvWindow=7000&timestamp=1700000000000""#;
        assert_eq!(
            query(exchange, own),
            "a=1&recvWindow=7000&timestamp=1700000000000"
        );
        for by_parts in [
            r#""params":{"a":1}"#,
            r#""query":"a=1""#,
            r#""query":"a=1","timestamp":"1700000000123""#,
        ] {
            let made = query(exchange, by_parts);
            assert!(
                made.starts_with("a=1&") && made.contains("timestamp=1700000000123"),
                "{made}"
            );
            assert!(made.contains("recvWindow=5000"), "{made}");
        }
    }
}

#[test]
fn a_websocket_login_is_a_frame() {
    let signed = sign("bitfinex", r#"{"websocket":true}"#, &credentials()).unwrap();
    assert_eq!(
        (signed.method.as_str(), signed.url.as_deref()),
        ("WS", Some("wss://api.bitfinex.com/ws/2"))
    );
    let frame = String::from_utf8(signed.body.unwrap()).unwrap();
    assert!(
        frame.contains(r#""authNonce":5,"authPayload":"AUTH5""#),
        "{frame}"
    );
    let signed = sign(
        "binance",
        r#"{"websocket":true,"json":{"symbol":"BTCUSDT"}}"#,
        &credentials(),
    )
    .unwrap();
    let frame = String::from_utf8(signed.body.unwrap()).unwrap();
    assert!(
        frame.starts_with(r#"{"symbol":"BTCUSDT","apiKey":"KEY","timestamp":1700000000123,"signature":"#),
        "{frame}"
    );
}
