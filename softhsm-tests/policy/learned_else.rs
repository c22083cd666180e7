//! What is learned of a bot that does something else than to sign requests for paths: messages for sockets, raw bytes,
//! withdrawals.

use hsmsign::{
    exchange::{Scheme, builtin},
    json::Json,
    keyring::Allow,
    policy::Seen,
};

use crate::{
    bench::{Place, RAW_SECRET},
    judge::{Judge, ask},
    learned::{TIME, learned, learned_by},
};

const LOGIN: &str = r#"{"websocket":true}"#;

/// As Binance's sockets take it: each message signed by its fields.
fn message(fields: &str) -> String {
    format!(r#"{{"websocket":true,"json":{{{fields}}}}}"#)
}

/// A file without a rule for requests would let all of them through.
#[test]
fn a_bot_that_only_logs_in_may_only_log_in() {
    for (exchange, method, path) in [
        ("bitfinex", "POST", "/v2/auth/w/order/submit"),
        ("okx", "POST", "/api/v5/trade/order"),
        ("binance", "POST", "/api/v3/order"),
    ] {
        let judge = Judge::new(exchange, &learned(exchange, &[(LOGIN.to_owned(), TIME)]));
        judge.permits(LOGIN);
        for body in ["", "symbol=A", r#"{"symbol":"A"}"#] {
            judge.refuses(&ask(method, path, body));
        }
    }
    let judge = Judge::new("binance", &learned("binance", &[(LOGIN.to_owned(), TIME)]));
    judge.refuses(&message(r#""symbol":"A""#));
}

#[test]
fn messages_of_a_socket_that_are_signed_are_learned_as_requests_are() {
    let order = |symbol: &str, quantity: &str| {
        let fields = format!(r#""symbol":"{symbol}","side":"BUY","type":"MARKET","quantity":"{quantity}""#);
        (message(&fields), TIME)
    };
    let look = (ask("GET", "/api/v3/account", ""), TIME);
    for with in [&[][..], &[look]] {
        let seen = [&[order("BTCUSDT", "0.5")], with].concat();
        let text = learned("binance", &seen);
        assert!(!text.contains("websocket = true"), "{text}");
        let judge = Judge::new("binance", &text);
        for (request, _) in &seen {
            judge.permits(request);
        }
        for (other, words) in [
            (order("BTCUSDT", "0.6"), "a request may have 0.5"),
            (order("ETHUSDT", "0.5"), "symbol"),
            (
                (message(r#""symbol":"BTCUSDT","newOrder":"1""#), TIME),
                "not among its `fields`",
            ),
        ] {
            judge.denies(&other.0, words);
        }
    }
    // What is not allowed is told so that it can be.
    let judge = Judge::new("binance", "[[allow]]\npath = \"/api/v3/account\"\nfields = []");
    let error = judge.ask(&message(r#""symbol":"A""#)).unwrap_err();
    assert!(error.advice().contains("method = \"WS\""), "{}", error.advice());
    Judge::new("binance", "[[allow]]\nmethod = \"WS\"\nfields = [\"symbol\"]")
        .permits(&message(r#""symbol":"A""#));
}

#[test]
fn what_moved_money_out_passes_again() {
    let withdrawal = ask("POST", "/0/private/Withdraw", "asset=XBT&key=cold&amount=1");
    let mut watching = Judge::new("kraken", "");
    watching.allow.push(Allow::Withdrawals);
    watching.watches();
    let text = learned_by(&watching, "kraken", &[(withdrawal.clone(), TIME)]);
    let mut judge = Judge::new("kraken", &text);
    judge.refuses(&withdrawal);
    judge.allow.push(Allow::Withdrawals);
    judge.permits(&withdrawal);
    judge.denies(
        &ask("POST", "/0/private/Withdraw", "asset=XBT&key=cold&amount=2"),
        "a request may have 1",
    );
    // Where none was seen, a key that may is denied them.
    let text = learned_by(
        &watching,
        "kraken",
        &[(ask("POST", "/0/private/Balance", ""), TIME)],
    );
    assert!(text.contains("withdrawals = false"), "{text}");
}

#[test]
fn raw_bytes_pass_again_and_are_counted() {
    let line = |what: &str| {
        format!(
            r#"{{"t":"{TIME}","what":"{what}","outcome":"signed","method":"POST","path":"/0/private/Balance","uid":7}}"#
        )
    };
    let scheme = Scheme::parse(builtin("kraken").unwrap(), "kraken").unwrap();
    for with in [&["raw"][..], &["raw", "sign"]] {
        let mut seen = Seen::default();
        for what in with {
            seen.take(&Json::parse(&line(what)).unwrap());
        }
        assert!(!seen.is_empty());
        let text = seen.propose(&scheme).replacen("policy = 1\n", "", 1);
        let day = format!("day = {} }}", with.len());
        assert!(text.contains(&day), "{text}");
        let mut judge = Judge::new("kraken", &text);
        judge.allow.push(Allow::Raw);
        judge.caller.uid = 7;
        judge.ask_raw(b"anything").unwrap();
        judge.permits(&ask("POST", "/0/private/Balance", ""));
        judge.caller.uid = 8;
        judge.ask_raw(b"anything").unwrap_err();
    }
}

/// Over the binary.
#[test]
fn a_key_of_no_exchange_is_watched_as_well() {
    let Some(place) = Place::with_token() else { return };
    place.import_raw("raw", RAW_SECRET);
    place.ok(&["policy", "learn", "raw", "--begin"]);
    place.refused(&["policy", "learn", "raw"], "", 1, "nothing was signed");
    place.ok(&["hmac", "raw"]);
    let text = place.ok(&["policy", "learn", "raw"]);
    let done = place.run(&["policy", "set", "raw"], &text);
    assert_eq!(done.code, 0, "{text} {done:?}");
    let counted = place.run(&["hmac", "raw"], "");
    assert!(
        counted.code == 0 || counted.stderr.contains("rate"),
        "{counted:?}"
    );
}
