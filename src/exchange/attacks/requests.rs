//! Requests and files with a second reading: each is refused.

use std::time::Duration;

use super::{credentials, harmless, look, message, refused, scheme};
use crate::{
    error::Code,
    exchange::{NonceNeed, Scheme, Stamps, builtin},
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
fn without_a_websocket_login_the_file_says_what_to_do() {
    let error = look("kraken", r#"{"websocket":true}"#).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(
        error
            .remedy()
            .unwrap()
            .contains("POST /0/private/GetWebSocketsToken")
    );
}

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

#[test]
fn a_key_below_headers_is_not_taken_for_a_header() {
    let text = "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = { algorithm = \"hmac-sha256\", secret = \"ascii\", \
                encoding = \"hex\" }\nsignature = { message = \"{body}\" }\n[headers]\nA = \"{signature}\"\n";
    assert!(Scheme::parse(text, "x").is_ok());
    for late in [
        "body = \"{path}\"",
        "add-at = \"first\"",
        "clock = { unit = \"s\" }",
        "nonce = { unit = \"s\" }",
    ] {
        let error = Scheme::parse(&format!("{text}{late}\n"), "x").unwrap_err();
        assert!(
            error.remedy().unwrap().contains("before the first [table]"),
            "{error}"
        );
    }
}

#[test]
fn no_message_holds_its_own_signature() {
    let file = |more: &str| {
        format!(
            "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = {{ algorithm = \"hmac-sha256\", secret = \"ascii\", \
             encoding = \"hex\" }}\nlet.a = \"{{json.t}}\"\njson.t = {{ s = \"{{signature}}\" }}\n{more}\n"
        )
    };
    let fine = "signature = { message = \"{body}\" }\nheaders = { A = \"{a}\" }";
    assert!(Scheme::parse(&file(fine), "x").is_ok());
    for circle in ["{a}", "{json.t}", "{sha256(path, a)}"] {
        let error =
            Scheme::parse(&file(&format!("signature = {{ message = \"{circle}\" }}")), "x").unwrap_err();
        assert!(error.message().contains("its own signature"), "{circle}: {error}");
    }
    let error = Scheme::parse(&file("signature = { message = \"{signature}\" }"), "x").unwrap_err();
    assert!(error.message().contains("no name `signature`"), "{error}");
}

#[test]
fn faults_of_a_file_say_where_they_are() {
    let text = builtin("kraken").unwrap();
    for (from, to, says) in [
        ("id = \"kraken\"", "id = kraken", "line 1, column 6"),
        ("nonce = { unit", "nonse = { unit", "line 7, column 1"),
        ("{path}{sha256", "{pat}{sha256", "signature.message"),
        ("\"{api_key}\"", "\"{api_key\"", "headers.API-Key"),
        ("unit = \"us\"", "unit = \"min\"", "no nonce unit"),
        (
            "algorithm = \"hmac-sha512\"",
            "algorithm = \"md5\"",
            "no algorithm",
        ),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = Scheme::parse(&broken, "kraken.toml").unwrap_err();
        assert!(
            error.message().contains(says) && error.message().starts_with("kraken.toml: "),
            "{error}"
        );
    }
}
