//! Keys that are rotated or removed in the very moment of a request: between the reading of their record and the token's answer.

use serde_json::Value;

use crate::{
    bench::{KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN, Place, finish},
    faulty::{self, Faulty},
    running::{BALANCE, Running, until},
};

const ORDER: [&str; 6] = [
    "sign",
    "kraken",
    "POST",
    "/0/private/AddOrder",
    "--data",
    KRAKEN_BODY,
];

/// A rotation whose new pair is in force and may be undone.
fn rotated() -> Option<(Place, Faulty)> {
    let (place, faulty) = faulty::one()?;
    place.import_new_secret();
    Some((place, faulty))
}

impl Place {
    fn import_new_secret(&self) {
        let other = KRAKEN_SECRET.replace("kQH5", "kQH6");
        let done = self.run(&["rotate", "kraken", "--api-key", "new"], &format!("{other}\n"));
        assert_eq!(done.code, 0, "{done:?}");
    }
}

/// Starts a command, has this happen when it looks for its key on the token, and answers what came of it.
fn while_held(
    place: &Place,
    faulty: &Faulty,
    args: &[&str],
    input: &str,
    meanwhile: &[&str],
) -> (i32, String) {
    let held = faulty.hold("C_FindObjects");
    let child = place.start(args);
    until("it looks for its key", || faulty.has_failed());
    place.ok(meanwhile);
    drop(held);
    let done = finish(child, input.as_bytes());
    (done.code, done.stdout + &done.stderr)
}

#[test]
fn what_is_signed_while_a_rotation_is_undone_is_signed_with_the_pair_that_is_back() {
    let Some((place, faulty)) = rotated() else { return };
    let undo = ["rotate", "kraken", "--undo"];
    let explained = [&ORDER[..], &["--explain"]].concat();
    for args in [&ORDER[..], &explained] {
        let (code, told) = while_held(&place, &faulty, args, "", &undo);
        assert_eq!(code, 0, "{told}");
        assert!(
            told.contains(KRAKEN_SIGN) && told.contains(r#""API-Key":"example""#),
            "{told}"
        );
        assert_eq!(
            told.matches("signed with").count(),
            usize::from(args.len() > ORDER.len()),
            "{told}"
        );
        place.import_new_secret();
    }
}

#[test]
fn a_line_that_is_signed_while_a_rotation_is_undone_is_signed_with_the_pair_that_is_back() {
    let Some((place, faulty)) = rotated() else { return };
    let line = format!(
        r#"{{"id":7,"key":"kraken","method":"POST","path":"/0/private/AddOrder","body":"{KRAKEN_BODY}"}}"#
    );
    let held = faulty.hold("C_FindObjects");
    let mut child = place.start(&["sign", "--json"]);
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), format!("{line}\n").as_bytes()).unwrap();
    until("it looks for its key", || faulty.has_failed());
    place.ok(&["rotate", "kraken", "--undo"]);
    drop(held);
    let done = finish(child, b"");
    assert_eq!(done.code, 0, "{done:?}");
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN, "{answer}");
    assert_eq!(answer["headers"]["API-Key"], "example", "{answer}");
    assert_eq!(answer["id"], 7);
}

#[test]
fn what_begins_anew_is_counted_once() {
    let Some((place, faulty)) = rotated() else { return };
    let line =
        format!(r#"{{"key":"kraken","method":"POST","path":"/0/private/AddOrder","body":"{KRAKEN_BODY}"}}"#);
    let undo = ["rotate", "kraken", "--undo"];
    let by_stream = || {
        let held = faulty.hold("C_FindObjects");
        let mut child = place.start(&["sign", "--json"]);
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), format!("{line}\n").as_bytes()).unwrap();
        until("it looks for its key", || faulty.has_failed());
        place.ok(&undo);
        drop(held);
        finish(child, b"").stdout
    };
    let by_agent = || {
        let agent = Running::start(&place);
        let mut connection = agent.connect();
        let held = faulty.hold("C_FindObjects");
        connection.send(format!("{line}\n").as_bytes());
        until("it looks for its key", || faulty.has_failed());
        place.ok(&undo);
        drop(held);
        connection.answer().to_string()
    };
    let by_command = || while_held(&place, &faulty, &ORDER, "", &undo).1;
    // Each time there is room for one order more.
    let ways: [(&str, &dyn Fn() -> String); 3] =
        [("1.25", &by_command), ("2.5", &by_stream), ("3.75", &by_agent)];
    for (day, way) in ways {
        let cap = format!("policy = 1\n[[cap]]\nfield = \"volume\"\nday = \"{day}\"\n");
        place.set_policy("kraken", &cap);
        let told = way();
        assert!(told.contains(KRAKEN_SIGN), "{told}");
        place.refused(&ORDER, "", 3, &format!("{day} of {day} in a day are used up"));
        place.import_new_secret();
    }
}

#[test]
fn what_is_asked_for_while_the_key_is_removed_hears_that_there_is_no_such_key() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let (code, told) = while_held(&place, &faulty, &ORDER, "", &["remove", "kraken"]);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("there is no key named kraken"), "{told}");
}

#[test]
fn an_agents_request_in_the_moment_of_an_undo_begins_anew_and_one_of_a_removal_is_told() {
    let Some((place, faulty)) = rotated() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let line = format!(
        r#"{{"id":7,"key":"kraken","method":"POST","path":"/0/private/AddOrder","body":"{KRAKEN_BODY}"}}"#
    );
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{line}\n{BALANCE}\n").as_bytes());
    until("it looks for its key", || faulty.has_failed());
    place.ok(&["rotate", "kraken", "--undo"]);
    drop(held);
    let answer = connection.answer();
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN, "{answer}");
    assert_eq!(answer["headers"]["API-Key"], "example", "{answer}");
    assert_eq!(answer["id"], 7);
    let answer = connection.answer();
    assert_eq!(answer["headers"]["API-Key"], "example", "{answer}");

    place.import_new_secret();
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{line}\n").as_bytes());
    until("it looks for its key", || faulty.has_failed());
    place.ok(&["remove", "kraken"]);
    drop(held);
    let answer = connection.answer();
    assert_eq!(answer["error"]["code"], "unknown-key", "{answer}");
    assert_eq!(answer["id"], 7);
}

#[test]
fn a_key_that_is_not_on_its_token_costs_the_tokens_other_keys_nothing() {
    let Some(place) = Place::with_kraken() else { return };
    place.import(&["-e", "kraken", "-k", "gone", "--api-key", "g"], KRAKEN_SECRET);
    // As if another program had deleted it.
    let shown = place.json(&["show", "gone", "--json"]);
    let id = shown["current"]["copies"][0]["objects"]["secret"]["id"]
        .as_str()
        .unwrap();
    let record = place.home().join("keys/gone.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace(id, &"ab".repeat(16))).unwrap();

    let agent = Running::start(&place);
    let (mut one, mut other) = (agent.connect(), agent.connect());
    let gone = BALANCE.replace("\"kraken\"", "\"gone\"");
    for _ in 0..50 {
        let missed = one.ask(&gone);
        assert_eq!(missed["error"]["code"], "token-missing", "{missed}");
        let signed = other.ask(BALANCE);
        assert_eq!(signed["ok"], true, "{signed}");
        let token = agent.token("softhsm");
        assert!(token["state"] == "open" && token["error"].is_null(), "{token}");
    }
}

#[test]
fn a_passphrase_that_comes_while_its_key_is_rotated_is_not_the_new_pairs() {
    let Some(place) = Place::with_token() else { return };
    let Some(faulty) = Faulty::before(&place, "softhsm") else {
        return;
    };
    let secret = |phrase: &str| format!("c2VjcmV0IGZvciB0ZXN0cyBvZiB0aGUgYWdlbnQ=\n{phrase}");
    place.import(&["-e", "coinbaseexchange", "--api-key", "k"], &secret("first"));
    let agent = Running::start(&place);
    let line = r#"{"key":"coinbaseexchange","method":"GET","path":"/accounts"}"#;
    let rotate = |phrase: &str| {
        let done = place.run(
            &["rotate", "coinbaseexchange", "--api-key", "new"],
            &secret(phrase),
        );
        assert_eq!(done.code, 0, "{done:?}");
    };
    let phrase_of = |answer: Value| {
        answer["headers"]["CB-ACCESS-PASSPHRASE"]
            .as_str()
            .map(str::to_owned)
    };

    let mut connection = agent.connect();
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{line}\n").as_bytes());
    until("it looks for the passphrase", || faulty.has_failed());
    rotate("second");
    drop(held);
    assert_eq!(phrase_of(connection.answer()).as_deref(), Some("second"));
    assert_eq!(phrase_of(connection.ask(line)).as_deref(), Some("second"));
    place.ok(&["rotate", "coinbaseexchange", "--commit"]);

    // It comes when nobody waits for it any more.
    place.ok(&["set", "coinbaseexchange", "--api-key", "newer"]);
    place.ok(&["lock"]);
    place.ok(&["unlock"]);
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{line}\n").as_bytes());
    until("it looks for the passphrase", || faulty.has_failed());
    drop(connection);
    until("it left", || agent.status()["connections"] == 1);
    drop(held);
    until("the token answered", || agent.token("softhsm")["waiting"] == 0);
    rotate("third");
    assert_eq!(phrase_of(agent.connect().ask(line)).as_deref(), Some("third"));
}
