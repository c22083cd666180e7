//! What goes wrong behind the agent, and in it.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;

use crate::{
    bench::{
        Place,
        random::{Random, rounds},
    },
    running::{BALANCE, Connection, Running, kill, nonce, until},
};

#[test]
fn a_worker_that_is_killed_is_started_again_and_what_it_had_is_answered() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut random = Random::new(0x776f_726b);
    let mut given = Vec::new();
    let mut lost = 0;
    for _ in 0..rounds(10) {
        until("it signs", || agent.connect().ask(BALANCE)["ok"] == true);
        let worker = agent.worker();
        let mut connection = agent.connect();
        connection.send(format!("{BALANCE}\n").repeat(60).as_bytes());
        let killed_after = random.below(30);
        for answered in 0..60 {
            if answered == killed_after {
                kill(worker, Signal::KILL);
            }
            let answer = connection.answer();
            if answer["ok"] == true {
                given.push(nonce(&answer));
            } else {
                lost += 1;
                assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
            }
        }
    }
    assert!(given.is_sorted_by(|a, b| a < b), "no nonce twice");
    assert!(!given.is_empty(), "{lost}");
    assert!(agent.status()["tokens"][0]["restarts"].as_u64().unwrap() > 0);
}

#[test]
fn killed_at_any_moment_under_load_it_gives_no_nonce_twice() {
    let Some(place) = Place::with_kraken() else { return };
    let mut random = Random::new(0x6167_656e);
    let mut all = Vec::new();
    for round in 0..rounds(10) {
        let agent = Running::start(&place);
        let answered = AtomicU64::new(0);
        let given: Vec<u64> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut given = Vec::new();
                        let Ok(stream) = std::os::unix::net::UnixStream::connect(agent.socket()) else {
                            return given;
                        };
                        let mut connection = Connection::over(stream);
                        while connection.try_send(format!("{BALANCE}\n").as_bytes()) {
                            let Some(line) = connection.read().filter(|line| line.ends_with('\n')) else {
                                break;
                            };
                            let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
                            assert_eq!(answer["ok"], true, "{answer}");
                            given.push(nonce(&answer));
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        given
                    })
                })
                .collect();
            let killed_after = random.below(200);
            until("so many answers came", || {
                answered.load(Ordering::Relaxed) >= killed_after
            });
            agent.signal(Signal::KILL);
            clients
                .into_iter()
                .flat_map(|client| client.join().unwrap())
                .collect()
        });
        if let (Some(last), Some(first)) = (all.iter().max(), given.iter().min()) {
            assert!(first > last, "round {round}: {first} after {last}");
        }
        all.extend(given);
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(count > rounds(10), "{count}");
}

#[test]
fn a_token_folder_that_goes_away_under_load_is_missed_and_found_again() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let away = place.path().join("away");
    for _ in 0..3 {
        std::fs::rename(place.token_folder(), &away).unwrap();
        let mut codes = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let answer = connection.ask(BALANCE);
            if answer["ok"] == false {
                codes.insert(answer["error"]["code"].as_str().unwrap().to_owned());
            }
        }
        std::fs::rename(&away, place.token_folder()).unwrap();
        until("it signs again", || connection.ask(BALANCE)["ok"] == true);
        assert!(
            codes
                .iter()
                .all(|code| code == "token-missing" || code == "token-busy"),
            "{codes:?}"
        );
    }
}

#[test]
fn files_that_may_not_grow_end_no_agent_and_have_nothing_signed() {
    let Some(place) = Place::with_kraken() else { return };
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -f 64; exec \"$0\" agent",
            env!("CARGO_BIN_EXE_hsmsign"),
        ])
        .env("HSMSIGN_HOME", place.home());
    let mut agent = Running::of(&place, command);
    let mut connection = agent.connect();
    until("the log is as large as it may be", || {
        let answer = connection.ask(BALANCE);
        let full = answer["ok"] == false;
        assert!(
            !full
                || answer
                    .to_string()
                    .contains("cannot be written, so nothing is signed"),
            "{answer}"
        );
        full
    });
    assert_eq!(connection.ask(r#"{"op":"ping"}"#)["ok"], true);
    assert_eq!(connection.ask(BALANCE)["ok"], false);
    place.run(&["agent", "stop"], "");
    agent.wait();
    // With room again it goes on, and what was written is whole.
    let agent = Running::start(&place);
    until("it signs", || agent.connect().ask(BALANCE)["ok"] == true);
    place.ok(&["agent", "stop"]);
    place.ok(&["audit", "verify"]);
}

#[test]
fn what_cannot_be_said_on_standard_error_ends_no_process() {
    let Some(place) = Place::with_kraken() else { return };
    // A full disk behind it; and nobody who reads.
    for redirected in ["2>/dev/full", "2> >(exit 0)"] {
        let line = format!("exec \"$0\" agent {redirected}");
        let mut command = std::process::Command::new("bash");
        command
            .args(["-c", &line, env!("CARGO_BIN_EXE_hsmsign")])
            .env("HSMSIGN_HOME", place.home());
        let mut agent = Running::of(&place, command);
        let mut connection = agent.connect();
        assert_eq!(connection.ask(BALANCE)["ok"], true, "{redirected}");
        for pid in [agent.worker(), agent.launcher()] {
            kill(pid, Signal::KILL);
            until("it signs again", || connection.ask(BALANCE)["ok"] == true);
        }
        assert_eq!(connection.ask(r#"{"op":"ping"}"#)["pid"], agent.pid());
        place.run(&["agent", "stop"], "");
        assert_eq!(agent.wait(), 0, "{redirected}");
    }
}
