//! Reading the configuration again, where tokens went, or changed while they had something in hand.

use std::{fs, path::PathBuf};

use crate::{
    bench::{KRAKEN_SECRET, Place},
    faulty::{self, Faulty, change},
    running::{BALANCE, Running, until},
};

/// Moves the PIN of a token to another file, and says so in the configuration.
fn move_pin(place: &Place, token: &str) {
    change(place, |config| {
        let source = &mut config["token"][token]["pin-source"];
        let old = PathBuf::from(source.as_str().unwrap().strip_prefix("file:").unwrap());
        let new = old.with_extension("moved");
        fs::rename(&old, &new).unwrap();
        *source = format!("file:{}", new.display()).into();
    });
}

#[test]
fn a_token_that_is_set_up_beside_a_running_agent_is_its_own_after_a_reload() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let done = place.run(&["init", "--softhsm", "--token", "new"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("hsmsign agent reload"), "{done:?}");
    let next = "next: hsmsign import --exchange EXCHANGE --token new";
    assert!(
        done.stdout.contains(next),
        "with two tokens one is named: {done:?}"
    );
    let import = [
        "import",
        "--exchange",
        "kraken",
        "--api-key",
        "k",
        "--key",
        "other",
        "--token",
        "new",
    ];
    assert_eq!(place.run(&import, &format!("{KRAKEN_SECRET}\n")).code, 0);
    let sign = ["sign", "other", "POST", "/0/private/Balance"];
    place.refused(
        &sign,
        "",
        4,
        "the agent knows no token named \"new\"\n  have it read config.toml again: hsmsign agent reload",
    );
    place.ok(&["agent", "reload"]);
    place.ok(&sign);
    drop(agent);
}

#[test]
fn a_configuration_that_is_gone_or_empty_is_not_taken() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let (config, aside) = (place.home().join("config.toml"), place.home().join("aside"));
    fs::rename(&config, &aside).unwrap();
    place.refused(&["agent", "reload"], "", 1, "config.toml is gone or empty");
    fs::rename(&aside, &config).unwrap();
    // As a write leaves it that found the disk full.
    let text = fs::read(&config).unwrap();
    fs::write(&config, "\n").unwrap();
    place.refused(&["agent", "reload"], "", 1, "config.toml is gone or empty");
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    fs::write(&config, text).unwrap();
    place.ok(&["agent", "reload"]);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
}

#[test]
fn a_token_that_is_taken_out_of_the_configuration_is_the_agents_no_more() {
    let Some(place) = faulty::two() else { return };
    let agent = Running::start(&place);
    let config = place.home().join("config.toml");
    let text = fs::read(&config).unwrap();
    until("both are open", || {
        ["softhsm", "second"]
            .iter()
            .all(|name| agent.token(name)["state"] == "open")
    });
    change(&place, |config| {
        config["token"].as_table_mut().unwrap().remove("second");
    });
    place.ok(&["agent", "reload"]);
    let tokens = agent.status()["tokens"].as_array().unwrap().clone();
    assert!(tokens.len() == 1 && tokens[0]["token"] == "softhsm", "{tokens:?}");
    place.refused(&["unlock", "second"], "", 4, "no token \"second\"");
    // Without a name it is the only one.
    assert_eq!(agent.connect().ask(r#"{"op":"unlock"}"#)["ok"], true);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    fs::write(&config, text).unwrap();
    place.ok(&["agent", "reload"]);
    until("it is back", || agent.token("second")["state"] == "open");
}

#[test]
fn what_a_token_has_in_hand_goes_to_another_by_the_new_configuration() {
    let Some(place) = faulty::two() else { return };
    let Some(faulty) = Faulty::before(&place, "softhsm") else {
        return;
    };
    let agent = Running::start(&place);
    until("the other is open", || agent.token("second")["state"] == "open");
    let mut connection = agent.connect();
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("it looks for its key", || faulty.has_failed());
    move_pin(&place, "softhsm");
    // By the old configuration there is no PIN.
    move_pin(&place, "second");
    place.ok(&["agent", "reload"]);
    let answer = connection.answer();
    assert_eq!(answer["ok"], true, "{answer}");
    let second = agent.token("second");
    assert!(second["state"] == "open" && second["error"].is_null(), "{second}");
    drop(held);
}

#[test]
fn what_goes_from_one_changed_token_to_another_stays_there() {
    let Some(place) = faulty::two() else { return };
    let Some(faulty) = Faulty::before(&place, "second") else {
        return;
    };
    change(&place, |config| {
        let agent = toml::Table::from_iter([("parallel".to_owned(), true.into())]);
        config.insert("agent".into(), agent.into());
    });
    let agent = Running::start(&place);
    until("the other is open", || agent.token("softhsm")["state"] == "open");
    let mut connection = agent.connect();
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("it looks for its key", || faulty.has_failed());
    // The other has its turn, so that it has none when all is done.
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    move_pin(&place, "second");
    move_pin(&place, "softhsm");
    place.ok(&["agent", "reload"]);
    let answer = connection.answer();
    assert_eq!(answer["ok"], true, "{answer}");
    drop(held);
    // Nothing else is asked of it.
    until("both are open", || {
        ["softhsm", "second"]
            .iter()
            .all(|name| agent.token(name)["state"] == "open")
    });
}

#[test]
fn what_a_changed_token_had_in_hand_may_have_been_signed() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let held = faulty.hold("C_FindObjects");
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("it looks for its key", || faulty.has_failed());
    move_pin(&place, "softhsm");
    place.ok(&["agent", "reload"]);
    let answer = connection.answer();
    assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("set up anew; it may have been signed"),
        "{message}"
    );
    drop(held);
    until("it signs again", || agent.connect().ask(BALANCE)["ok"] == true);
}
