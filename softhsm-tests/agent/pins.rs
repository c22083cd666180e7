//! Wrong PINs, counted where they count: at the module.

use crate::{
    bench::{KRAKEN_SECRET, Place, RAW_SECRET},
    faulty::{self, Faulty},
    running::{BALANCE, Running},
};

/// Every command that opens a token.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["sign", "kraken", "POST", "/0/private/Balance"], ""),
    (
        &["sign", "--json"],
        "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n",
    ),
    (&["hmac", "raw"], "message"),
    (&["websocket", "bitfinex"], ""),
    (&["send", "kraken", "POST", "/0/private/Balance", "--dry-run"], ""),
    (&["test", "kraken"], ""),
    (&["test", "kraken", "--attack"], ""),
    (&["token", "show", "softhsm"], ""),
    (&["token", "test", "softhsm"], ""),
    (&["token", "sync"], ""),
    (&["doctor"], ""),
    (
        &["import", "-e", "kraken", "-k", "new", "--api-key", "n"],
        KRAKEN_SECRET,
    ),
    (
        &["import", "--json"],
        "{\"exchange\":\"kraken\",\"key\":\"one\",\"api_key\":\"n\",\"secret\":\"c2VjcmV0\"}\n{\"exchange\":\"kraken\",\"key\":\"two\",\"api_key\":\"n\",\"secret\":\"c2VjcmV0\"}\n",
    ),
    (&["generate", "-e", "binance", "--algorithm", "ed25519"], ""),
    (&["rotate", "kraken", "--api-key", "n"], KRAKEN_SECRET),
    (&["remove", "kraken"], ""),
];

/// A place with keys on a token behind the module that counts, and a wrong PIN in its file.
fn with_a_wrong_pin() -> Option<(Place, Faulty)> {
    let place = Place::with_kraken()?;
    place.import_raw("raw", RAW_SECRET);
    place.import(&["-e", "bitfinex", "--api-key", "b"], "secret");
    let faulty = Faulty::before(&place, "softhsm")?;
    std::fs::write(place.home().join("softhsm/softhsm.pin"), "not the PIN at all").unwrap();
    Some((place, faulty))
}

#[test]
fn no_command_gives_a_wrong_pin_more_than_once() {
    let Some((place, faulty)) = with_a_wrong_pin() else {
        return;
    };
    for (command, input) in COMMANDS {
        // As if nothing had been refused yet.
        place.ok(&["token", "retry-pin", "softhsm"]);
        let before = faulty.calls("C_Login");
        let done = place.run(command, input);
        assert_ne!(done.code, 0, "{command:?}: {done:?}");
        assert_eq!(faulty.calls("C_Login") - before, 1, "{command:?}: {done:?}");
        // And who comes after it does not give it again.
        for (command, input) in &COMMANDS[..3] {
            place.run(command, input);
        }
        assert_eq!(faulty.calls("C_Login") - before, 1, "after {command:?}");
    }
}

#[test]
fn an_agent_and_commands_give_a_wrong_pin_once_together() {
    let Some((place, faulty)) = with_a_wrong_pin() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for _ in 0..3 {
        assert_eq!(connection.ask(BALANCE)["error"]["code"], "wrong-pin");
        for (command, input) in COMMANDS {
            place.run(command, input);
        }
        place.run(&["unlock"], "");
        place.run(&["agent", "reload"], "");
    }
    assert_eq!(faulty.calls("C_Login"), 1);
    // Who says that it is right after all has it given once more.
    place.ok(&["token", "retry-pin", "softhsm"]);
    place.refused(&["unlock"], "", 4, "refused the PIN");
    for _ in 0..3 {
        assert_eq!(connection.ask(BALANCE)["error"]["code"], "wrong-pin");
        place.run(&["unlock"], "");
    }
    assert_eq!(faulty.calls("C_Login"), 2);
}

#[test]
fn of_two_tokens_the_one_with_the_right_pin_signs_and_the_other_is_not_asked_again() {
    let Some(place) = faulty::two() else { return };
    let Some(first) = Faulty::before(&place, "softhsm") else {
        return;
    };
    std::fs::write(place.home().join("softhsm/softhsm.pin"), "not the PIN at all").unwrap();
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for _ in 0..50 {
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["ok"], true, "{answer}");
    }
    assert_eq!(first.calls("C_Login"), 1);
    assert_eq!(agent.token("softhsm")["state"], "failing");
}
