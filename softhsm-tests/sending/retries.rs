//! Sending again: what is, what never is, and that each attempt is signed anew.

use std::time::{Duration, Instant};

use crate::{
    BALANCE, ORDER, binance_at, judge_kraken, judges, kraken_at, send, send_json,
    server::{Act, Server, ok, status, with_header},
    shop_at,
};

const FINE: &str = r#"{"error":[]}"#;

#[test]
fn what_only_reads_is_sent_again_after_a_5xx() {
    let server = Server::new(vec![
        status(500, "{}"),
        status(502, "<html>"),
        status(503, ""),
        ok(FINE),
    ]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &BALANCE);
    assert_eq!((done.code, done.stdout.as_str()), (0, FINE), "{done:?}");
    assert_eq!(judge_kraken(&server), 4);
    assert_eq!(done.stderr.matches("tried again in").count(), 3, "{done:?}");
}

#[test]
fn an_order_is_not_sent_again_after_a_5xx() {
    for code in [500, 502, 503, 504, 520] {
        let server = Server::new(vec![status(code, r#"{"error":["EService:Busy"]}"#), ok(FINE)]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &ORDER);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(
            done.stderr.contains("EService:Busy") && done.stderr.contains("may have been done"),
            "{done:?}"
        );
        assert_eq!((server.connections(), judge_kraken(&server)), (1, 1), "{code}");
    }
}

#[test]
fn with_retry_unsafe_an_order_is_sent_again_too() {
    let server = Server::new(vec![status(503, "{}"), Act::Cut(Vec::new()), ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &[&ORDER[..], &["--retry-unsafe"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(judge_kraken(&server), 3);
}

#[test]
fn an_order_is_sent_again_after_a_429_when_the_exchange_says() {
    let dated = Act::Answer {
        status: 429,
        headers: vec![
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT".into()),
            ("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT".into()),
        ],
        body: "{}".into(),
    };
    for act in [with_header(429, "Retry-After", "1"), dated] {
        let server = Server::new(vec![act, ok(FINE)]);
        let Some(place) = kraken_at(&server) else { return };
        let began = Instant::now();
        let done = send(&place, &server, &ORDER);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert!(
            done.stderr
                .contains("429 Too Many Requests; tried again in 1.0 s"),
            "{done:?}"
        );
        assert_eq!(judge_kraken(&server), 2);
    }
}

#[test]
fn a_429_without_a_time_or_whose_body_breaks_is_sent_again_too() {
    let broken = b"HTTP/1.1 429 Slow\r\nContent-Length: 9\r\n\r\n{".to_vec();
    let server = Server::new(vec![status(429, "{}"), Act::Cut(broken), ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &ORDER);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(judge_kraken(&server), 3);
}

#[test]
fn a_longer_wait_than_allowed_ends_it() {
    let server = Server::new(vec![with_header(429, "Retry-After", "3600"), ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &ORDER);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("asks to wait 3600 s"), "{done:?}");
    let none = [&ORDER[..], &["--max-wait", "0"]].concat();
    let server = Server::new(vec![with_header(429, "Retry-After", "1"), ok(FINE)]);
    place.ok(&["set", "kraken", "--base-url", &server.url()]);
    assert_eq!(send(&place, &server, &none).code, 1);
    assert_eq!(server.connections(), 1);
}

#[test]
fn retries_end_and_may_be_none() {
    let server = Server::new(vec![status(503, "")]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &[&BALANCE[..], &["--retries", "1"]].concat());
    assert_eq!((code, &told["status"]), (1, &503.into()), "{told}");
    assert_eq!(judge_kraken(&server), 2);
    let (code, _) = send_json(&place, &server, &[&BALANCE[..], &["--retries", "0"]].concat());
    assert_eq!(code, 1);
    assert_eq!(judge_kraken(&server), 3);
}

#[test]
fn each_attempt_has_a_fresh_timestamp() {
    let server = Server::new(vec![status(503, ""), Act::Cut(Vec::new()), ok("{}")]);
    let Some(place) = binance_at(&server) else { return };
    let done = send(&place, &server, &["binance", "GET", "/api/v3/account"]);
    assert_eq!(done.code, 0, "{done:?}");
    let times: Vec<u64> = server.received().iter().map(judges::binance).collect();
    assert_eq!(times.len(), 3);
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[test]
fn stamps_that_were_brought_are_seen_once() {
    let nonce = ["--data", "nonce=1616492376594"];
    for act in [status(429, "{}"), Act::Cut(Vec::new())] {
        let server = Server::new(vec![act, ok(FINE)]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &[&BALANCE[..], &nonce].concat());
        assert_eq!(done.code, 1, "{done:?}");
        assert_eq!((server.connections(), judge_kraken(&server)), (1, 1));
    }
    // Where the exchange has seen nothing of it, the same bytes are as good as new.
    let server = Server::new(vec![Act::Close, ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    assert_eq!(send(&place, &server, &[&BALANCE[..], &nonce].concat()).code, 0);
    assert_eq!((server.connections(), judge_kraken(&server)), (2, 1));
}

#[test]
fn put_delete_and_patch_never_only_read_and_a_get_may_act() {
    let rules = "[send]\nread-only = [\"/look*\"]\nacting = [\"/buy*\"]\n";
    for (method, path, connections) in [
        ("GET", "/anything", 2),
        ("GET", "/buy/limit", 1),
        ("POST", "/look", 2),
        ("POST", "/anything", 1),
        ("PUT", "/look", 1),
        ("DELETE", "/look", 1),
        ("PATCH", "/look", 1),
    ] {
        let server = Server::new(vec![status(503, ""), ok("{}")]);
        let Some(place) = shop_at("shop.example", rules) else {
            return;
        };
        place.ok(&["set", "shop", "--base-url", &server.url()]);
        send(&place, &server, &["shop", method, path]);
        assert_eq!(server.connections(), connections, "{method} {path}");
        server.received().iter().for_each(|request| {
            judges::shop(request);
        });
    }
}

#[test]
fn an_order_that_may_be_done_is_not_forgotten_by_a_later_refusal() {
    let server = Server::new(vec![Act::Cut(Vec::new()), Act::Close]);
    let Some(place) = kraken_at(&server) else { return };
    let args = [&ORDER[..], &["--retry-unsafe", "--retries", "1"]].concat();
    let (code, told) = send_json(&place, &server, &args);
    assert_eq!((code, &told["sent"]), (1, &"maybe".into()), "{told}");
    assert!(
        told["error"]["fix"]
            .as_str()
            .unwrap()
            .contains("may have been done"),
        "{told}"
    );
}
