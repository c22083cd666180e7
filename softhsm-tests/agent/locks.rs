//! What the log has of tokens that are locked and unlocked.

use std::time::Duration;

use serde_json::Value;

use crate::{
    bench::Place,
    faulty,
    running::{BALANCE, Running, until},
};

/// The lines of a kind, as soon as there are so many.
fn lines(place: &Place, what: &str, count: usize) -> Vec<Value> {
    until("they are written", || place.log(&["--what", what]).len() >= count);
    place.log(&["--what", what])
}

#[test]
fn an_unlock_that_was_refused_is_no_unlock_in_the_log() {
    let Some(place) = Place::with_kraken() else { return };
    let pin = place.home().join("softhsm/softhsm.pin");
    let right = std::fs::read(&pin).unwrap();
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    place.ok(&["lock"]);
    let status = place.ok(&["agent", "status"]);
    assert!(
        status.ends_with("    unlock it: hsmsign unlock softhsm\n"),
        "what to do: {status}"
    );
    std::fs::write(&pin, "not the PIN at all").unwrap();
    place.refused(&["unlock"], "", 4, "refused the PIN");
    let missing = connection.ask(r#"{"op":"unlock","token":"nothing"}"#);
    assert_eq!(missing["error"]["code"], "token-missing", "{missing}");
    std::fs::write(&pin, right).unwrap();
    place.ok(&["unlock"]);
    let told: Vec<_> = lines(&place, "unlock", 3)
        .iter()
        .map(|line| ["outcome", "code", "detail"].map(|name| line[name].as_str().unwrap_or("").to_owned()))
        .collect();
    assert_eq!(
        told,
        [
            ["failed", "wrong-pin", "token softhsm"],
            ["failed", "token-missing", "token nothing"],
            ["done", "", "token softhsm"],
        ]
    );
}

#[test]
fn a_lock_after_idle_time_is_a_line_of_the_agents_own() {
    let Some(place) = Place::with_kraken() else { return };
    faulty::set(&place, "lock-after", 1);
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    // Who looks at it meanwhile keeps it open as little as who looks at the log.
    until("nobody asked for a signature for long", || {
        agent.token("softhsm")["state"] == "locked"
    });
    // It is locked once, however long nobody asks.
    std::thread::sleep(Duration::from_millis(2500));
    let locks = lines(&place, "lock", 1);
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!(locks[0]["detail"], "every token, after 1 s without a request");
    assert_eq!(
        (locks[0]["pid"].as_i64(), &locks[0]["outcome"]),
        (Some(agent.pid().into()), &"done".into())
    );
}
