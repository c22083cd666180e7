//! Requests with a second reading: each is refused.

use super::{harmless, look, message, refused, scheme};
use crate::{
    error::{Code, Error},
    request::Request,
};

#[test]
fn methods_are_a_closed_set() {
    for method in ["HEAD", "OPTIONS", "POST ", "GETX", "", "P\\u00d6ST", "CONNECT"] {
        refused(
            "kraken",
            &format!(r#"{{"method":"{method}","path":"/0/private/Balance"}}"#),
            "no method",
        );
    }
    harmless("kraken", r#"{"method":"post","path":"/0/private/Balance"}"#);
}

#[test]
fn paths_have_one_reading() {
    for path in [
        "0/private",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2E/b",
        "/a%2fb",
        "/a%5Cb",
        "/a%00b",
        "/a%3Fb",
        "/a%23b",
        "/a%0ab",
        "/a#b",
        "/a\\\\b",
        "/a b",
        "/\\u00e9",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a;b",
        "/a%ff",
        "/a%2541",
        "",
    ] {
        let error = look("kraken", &format!(r#"{{"method":"POST","path":"{path}"}}"#)).unwrap_err();
        assert_eq!(error.code(), Code::BadInput, "{path}");
    }
    harmless(
        "coinbaseexchange",
        r#"{"method":"GET","path":"/a-._~:@,+!$()*'%20%C3%A9"}"#,
    );
}

#[test]
fn queries_and_forms_are_printable_ascii() {
    for query in ["a=b c", "a=\\u00e9", "a=b\\n", "a=%4", "a=b#c", "a=\\u007f"] {
        let error = look(
            "coinbaseexchange",
            &format!(r#"{{"method":"GET","path":"/x","query":"{query}"}}"#),
        )
        .unwrap_err();
        assert!(error.remedy().is_some(), "{query}");
    }
    for body in ["a=b c", "a=\\u00e9", "a=b\\r\\nc", "a", "=b", "a=%", "a=1&&=2"] {
        look(
            "kraken",
            &format!(r#"{{"method":"POST","path":"/0/private/X","body":"{body}"}}"#),
        )
        .unwrap_err();
    }
}

#[test]
fn a_body_is_wholly_of_one_kind() {
    let post = |body: &str| format!(r#"{{"method":"POST","path":"/0/private/X",{body}}}"#);
    refused("kraken", &post(r#""body":"{\"a\":1,\"a\":2}""#), "twice");
    refused("kraken", &post(r#""body":"{\"a\":1} x""#), "not JSON");
    refused("kraken", &post(r#""json":5"#), "object or list");
    refused("kraken", &post(r#""json":[{}]"#), "list cannot take");
    refused(
        "kraken",
        &post(r#""body":"a=1","content_type":"application/json""#),
        "not JSON",
    );
    refused(
        "kraken",
        &post(r#""json":{},"content_type":"application/x-www-form-urlencoded""#),
        "not of the kind",
    );
    refused(
        "kraken",
        &post(r#""body":"a=1","content_type":"text/plain""#),
        "content_type",
    );
    refused("kraken", &post(r#""body_base64":"/w==""#), "not UTF-8");
    refused(
        "binance",
        r#"{"method":"POST","path":"/api/v3/order","json":{}}"#,
        "does not take",
    );
}

#[test]
fn a_body_of_parts_becomes_what_the_exchange_takes() {
    let body = |exchange: &str, rest: &str| {
        let line = format!(r#"{{"method":"POST","path":"/a",{rest}}}"#);
        let scheme = scheme(exchange);
        let request = Request::parse_line(&line).map_err(|(_, error)| error)?;
        let prepared = scheme.prepare(&request, scheme.kind(None)?, None)?;
        Ok::<_, Error>(prepared.body.map(|body| body.into_text()).unwrap_or_default())
    };
    let parts = r#""body":{"b": 0.10, "a":"x \u00e9","l":[1,2]}"#;
    let form = "b=0.10&a=x%20%C3%A9&l=1&l=2";
    // A form alone; a form or JSON, of which the first is usual; JSON alone, whose characters stay.
    for exchange in ["binance", "kraken"] {
        assert_eq!(body(exchange, parts).unwrap(), form, "{exchange}");
    }
    let json = r#"{"b": 0.10, "a":"x \u00e9","l":[1,2]}"#;
    assert_eq!(body("coinbaseexchange", parts).unwrap(), json);
    let typed = format!(r#"{parts},"content_type":"application/json""#);
    assert_eq!(body("kraken", &typed).unwrap(), json);
    let pairs = r#""body":[["b",0.10],["a","x \u00e9"]]"#;
    assert_eq!(body("binance", pairs).unwrap(), "b=0.10&a=x%20%C3%A9");
    assert_eq!(
        body("coinbaseexchange", pairs).unwrap(),
        r#"{"b":0.10,"a":"x é"}"#
    );
    assert_eq!(body("kraken", r#""body":{}"#).unwrap(), "");
    for (exchange, rest, says) in [
        ("kraken", r#""body":{"a":null}"#, "null"),
        ("coinbaseexchange", r#""body":[["a",1],["a",2]]"#, "twice"),
        ("coinbaseexchange", r#""body":[{"a":1}]"#, "pairs"),
        ("kraken", r#""body":5"#, "text, an object or a list of pairs"),
        ("kraken", r#""body":{"a":1},"form":"b=2""#, "more than one body"),
        ("kraken", r#""body":{"a":1},"params":{"b":2}"#, "and that as well"),
    ] {
        let error = body(exchange, rest).unwrap_err().to_string();
        assert!(error.contains(says), "{exchange} {rest}: {error}");
    }
}

#[test]
fn a_challenge_is_a_uuid_and_nothing_else() {
    let login = |challenge: &str| format!(r#"{{"websocket":true,"challenge":"{challenge}"}}"#);
    harmless("krakenfutures", &login("c100b894-1729-464d-ace1-52dbce11db42"));
    refused(
        "krakenfutures",
        &login("amount=1&currency=xbt/api/v3/withdrawal"),
        "not a UUID",
    );
    refused("krakenfutures", r#"{"websocket":true}"#, "challenge");
    refused(
        "bitfinex",
        &login("c100b894-1729-464d-ace1-52dbce11db42"),
        "challenge",
    );
}

#[test]
fn a_websocket_login_signs_no_other_path() {
    harmless("gemini", r#"{"websocket":true,"path":"/v1/order/events"}"#);
    refused(
        "gemini",
        r#"{"websocket":true,"path":"/v1/withdraw/btc"}"#,
        "has no path",
    );
    refused(
        "htx",
        r#"{"websocket":true,"path":"/v1/dw/withdraw/api/create"}"#,
        "has no path",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"path":"/v2/auth/w/withdraw"}"#,
        "does not depend on this path",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"query":"a=1"}"#,
        "does not sign the query",
    );
    refused(
        "bitfinex",
        r#"{"websocket":true,"json":{"a":1}}"#,
        "does not sign the body",
    );
}

#[test]
fn a_payload_cannot_name_another_path() {
    for (exchange, line) in [
        (
            "gemini",
            r#"{"method":"POST","path":"/v1/mytrades","json":{"request":"/v1/withdraw/btc"}}"#,
        ),
        (
            "whitebit",
            r#"{"method":"POST","path":"/api/v4/order/new","json":{"request":"/api/v4/main-account/withdraw"}}"#,
        ),
        (
            "cryptocom",
            r#"{"method":"POST","path":"/exchange/v1/private/x","json":{"method":"private/create-withdrawal"}}"#,
        ),
    ] {
        let error = message(exchange, line).unwrap_err();
        assert!(
            error.message().contains("is not what this key and path want"),
            "{exchange}: {error}"
        );
    }
}

#[test]
fn hosts_are_the_files_or_the_base_url() {
    let line = |part: &str| format!(r#"{{"method":"POST",{part}}}"#);
    refused(
        "kraken",
        &line(r#""path":"/0/x","host":"evil.example""#),
        "no host",
    );
    refused(
        "kraken",
        &line(r#""url":"http://api.kraken.com/0/x""#),
        "this machine",
    );
    refused(
        "kraken",
        &line(r#""url":"https://api.kraken.com@evil.example/0/x""#),
        "host",
    );
    refused(
        "kraken",
        &line(r#""url":"https://api.kraken.com/0/x","path":"/0/x""#),
        "beside it",
    );
    harmless("kraken", &line(r#""url":"https://API.kraken.com:443/0/x""#));
    let at = |exchange: &str, path: &str, base: Option<&str>| {
        let scheme = scheme(exchange);
        let request = Request::parse_line(&format!(r#"{{"method":"GET","path":"{path}"}}"#)).unwrap();
        let prepared = scheme.prepare(&request, scheme.kind(None).unwrap(), base);
        prepared.map(|prepared| format!("{} {}", prepared.origin, prepared.endpoint().host))
    };
    assert_eq!(
        at("binance", "/fapi/v1/order", None).unwrap(),
        "https://fapi.binance.com fapi.binance.com"
    );
    assert_eq!(
        at("binance", "/api/v3/order", None).unwrap(),
        "https://api.binance.com api.binance.com"
    );
    assert_eq!(
        at("binance", "/api", Some("http://127.0.0.1:8080")).unwrap(),
        "http://127.0.0.1:8080 127.0.0.1:8080"
    );
    assert_eq!(
        at("binance", "/api", Some("http://[::1]:8080")).unwrap(),
        "http://[::1]:8080 [::1]:8080"
    );
    for base in [
        "http://example.com",
        "ftp://x",
        "https://x/y",
        "https://",
        "https://a b",
        "https://x:99999",
    ] {
        assert!(at("binance", "/api", Some(base)).is_err(), "{base}");
    }
}
