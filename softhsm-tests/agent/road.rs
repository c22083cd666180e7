//! Requests: as the command line signs them, so does the agent.

use base64ct::Encoding as _;
use serde_json::json;

use crate::{
    bench::{KRAKEN_BODY, KRAKEN_SIGN, Place, RAW_SECRET},
    running::{BALANCE, Running, nonce},
};

#[test]
fn krakens_documented_example_is_signed() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let answer = agent.connect().ask(
        &json!({"key": "kraken", "method": "POST", "path": "/0/private/AddOrder", "body": KRAKEN_BODY, "id": [1.0, "x"]})
            .to_string(),
    );
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(answer["id"], json!([1.0, "x"]));
}

#[test]
fn the_command_line_uses_it_and_answers_the_same() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    place.import(&["-e", "bitfinex", "--api-key", "b"], "secret");
    let fixed = [
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--data",
        KRAKEN_BODY,
    ];
    let commands: Vec<(Vec<&str>, &str)> = vec![
        (fixed.to_vec(), ""),
        ([&fixed[..], &["--output", "headers"]].concat(), ""),
        ([&fixed[..], &["--output", "curl"]].concat(), ""),
        ([&fixed[..], &["--explain"]].concat(), ""),
        ([&fixed[..], &["--explain", "--output", "headers"]].concat(), ""),
        (["sign", "kraken", "POST", "/0/private/Withdraw"].to_vec(), ""),
        (["sign", "nobody", "GET", "/"].to_vec(), ""),
        (["sign", "raw", "GET", "/"].to_vec(), ""),
        (["hmac", "raw"].to_vec(), "a message"),
        (["hmac", "kraken"].to_vec(), "a message"),
        (
            ["websocket", "bitfinex", "--nonce", "1700000000000000"].to_vec(),
            "",
        ),
        (
            ["sign", "--json"].to_vec(),
            "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/AddOrder\",\"body\":\"nonce=1616492376594\",\"id\":1}\n\n{\"bad\":1}\n{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\",\"nonce\":\"1700000000000001\"}",
        ),
        // What the socket takes beside requests, a line from elsewhere may not ask for.
        (
            ["sign", "--json"].to_vec(),
            "{\"op\":\"stop\"}\n{\"id\":1,\"op\":\"lock\"}\n{\"hmac\":{\"key\":\"raw\",\"message_base64\":\"eA==\"}}\n{\"op\":\"explain\",\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}",
        ),
    ];
    let run = || -> Vec<_> {
        let one = |(args, input): &(Vec<&str>, &str)| format!("{args:?}: {:?}", place.run(args, input));
        commands.iter().map(one).collect()
    };
    let without = run();
    let agent = Running::start(&place);
    let with = run();
    assert_eq!(with, without);
    let signed = agent.status()["signed"].as_u64().unwrap();
    assert!(signed >= 6, "it was the agent that signed: {signed}");
}

#[test]
fn a_connection_that_said_so_takes_requests_alone() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(r#"{"op":"ping"}"#)["ok"], true);
    assert_eq!(
        connection.ask(r#"{"op":"requests","id":7}"#),
        json!({"ok": true, "id": 7})
    );
    for line in [r#"{"op":"ping"}"#, r#"{"op":"requests"}"#, r#"{"op":"stop"}"#] {
        let answer = connection.ask(line);
        assert_eq!(
            answer["error"]["message"], "a request has no field \"op\"",
            "{line}"
        );
    }
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    assert_eq!(agent.connect().ask(r#"{"op":"ping"}"#)["ok"], true);
}

#[test]
fn nonces_increase_over_agent_and_command_line_and_agent_again() {
    let Some(place) = Place::with_kraken() else { return };
    let sign = || nonce(&place.json(&["sign", "kraken", "POST", "/0/private/Balance"]));
    let first = sign();
    let agent = Running::start(&place);
    let second = nonce(&agent.connect().ask(BALANCE));
    let third = sign();
    drop(agent);
    let fourth = sign();
    assert!(
        first < second && second < third && third < fourth,
        "{first} {second} {third} {fourth}"
    );
}

#[test]
fn many_clients_share_one_sequence() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = agent.connect();
                    let given: Vec<_> = (0..40).map(|_| nonce(&connection.ask(BALANCE))).collect();
                    assert!(given.is_sorted(), "each client's increase");
                    given
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (32 * 40, 32 * 40));
}

#[test]
fn lines_in_flight_are_answered_in_their_order() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let count = 3000;
    let mut stream = connection.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for id in 0..count {
            let line = match id % 3 {
                0 => format!(r#"{{"key":"kraken","method":"POST","path":"/0/private/Balance","id":{id}}}"#),
                1 => format!(r#"{{"op":"ping","id":{id}}}"#),
                _ => format!(r#"{{"key":"none","method":"GET","path":"/","id":{id}}}"#),
            };
            std::io::Write::write_all(&mut stream, format!("{line}\n").as_bytes()).unwrap();
        }
    });
    for id in 0..count {
        let answer = connection.answer();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["ok"], id % 3 != 2, "{answer}");
    }
    writer.join().unwrap();
}

#[test]
fn what_was_signed_is_explained_by_the_agent_without_the_passphrase() {
    let Some(place) = Place::with_kraken() else { return };
    let secret = "F7C2C2D42FF94A5C9D5E3A3A9E8D4A11\nwords-of-the-phrase";
    place.import(&["--exchange", "okx", "--api-key", "example"], secret);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let line = |op: &str, key: &str| {
        format!(
            r#"{{{op}"id":1,"key":"{key}","method":"POST","path":"/0/private/Balance","body":"nonce=1616492376594"}}"#
        )
    };
    let explained = connection.ask(&line(r#""op":"explain","#, "kraken"));
    let plain = connection.ask(&line("", "kraken"));
    let mut without = explained.clone();
    let messages = without.as_object_mut().unwrap().remove("messages").unwrap();
    assert_eq!(without, plain);
    assert_eq!(messages[0]["with"], "secret");
    let message = base64ct::Base64::decode_vec(messages[0]["message_base64"].as_str().unwrap()).unwrap();
    assert!(message.starts_with(b"/0/private/Balance"), "{message:?}");
    // Before and behind the first use, for which the passphrase comes from the token.
    for _ in 0..2 {
        let done = place.run(
            &["sign", "okx", "GET", "/api/v5/account/balance", "--explain"],
            "",
        );
        assert!(
            done.code == 0 && done.stderr.contains("GET/api/v5/account/balance"),
            "{done:?}"
        );
        assert!(!done.stderr.contains("words-of-the-phrase"), "{done:?}");
    }
    let denied = connection.ask(&line(r#""op":"explain","#, "kraken").replace("Balance", "Withdraw"));
    assert_eq!(denied["error"]["code"], "denied", "{denied}");
    place.ok(&["lock"]);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance", "--explain"],
        "",
        4,
        "is locked",
    );
}

#[test]
fn passphrases_come_from_the_token_and_raw_macs_want_their_consent() {
    let Some(place) = Place::with_token() else { return };
    let secret = "c2VjcmV0IGZvciB0ZXN0cyBvZiB0aGUgYWdlbnQ=";
    place.import(
        &["-e", "coinbaseexchange", "--api-key", "k"],
        &format!("{secret}\nmy passphrase"),
    );
    place.import(&["-e", "kraken", "--api-key", "k", "--allow", "raw"], secret);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    // Several at once, before the passphrase is there.
    let line = |id: u32| {
        format!(
            "{{\"key\":\"coinbaseexchange\",\"method\":\"GET\",\"path\":\"/accounts\",\"timestamp\":\"1700000000\",\"id\":{id}}}\n"
        )
    };
    connection.send((0..5).map(line).collect::<String>().as_bytes());
    let here = place.run(
        &[
            "sign",
            "coinbaseexchange",
            "GET",
            "/accounts",
            "--timestamp",
            "1700000000",
        ],
        "",
    );
    for id in 0..5 {
        let answer = connection.answer();
        assert_eq!(answer["id"], id, "{answer}");
        assert!(
            answer["headers"].to_string().contains("my passphrase"),
            "{answer}"
        );
        let by_command: serde_json::Value = serde_json::from_str(&here.stdout).unwrap();
        assert_eq!(answer["headers"], by_command["headers"]);
    }
    let mac =
        |key: &str, rest: &str| format!(r#"{{"hmac":{{"key":"{key}","message_base64":"YQ=="{rest}}}}}"#);
    assert_eq!(connection.ask(&mac("kraken", ""))["ok"], true);
    assert_eq!(
        connection.ask(&mac("kraken", r#","algorithm":"hmac-sha512""#))["ok"],
        true
    );
    assert_eq!(
        connection.ask(&mac("kraken", r#","algorithm":"hmac-sha256""#))["error"]["code"],
        "bad-input"
    );
    assert_eq!(
        connection.ask(&mac("coinbaseexchange", ""))["error"]["code"],
        "denied"
    );
}
