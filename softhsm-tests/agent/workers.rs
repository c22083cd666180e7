//! What vendors' modules do to their workers: crash, hang, lose the device, take long, answer nonsense.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{
    bench::{KRAKEN_SECRET, Place},
    faulty::{self, Faulty, set},
    running::{BALANCE, Running, is_alive, kill, nonce, until},
};

/// A request that another token signs.
const OTHER: &str = r#"{"key":"other","method":"POST","path":"/0/private/Balance"}"#;

/// A place where the token `softhsm` fails, and another key lies on a token that does not.
fn beside() -> Option<(Place, Faulty)> {
    let place = Place::with_kraken()?;
    place.ok(&["init", "--softhsm", "--token", "second"]);
    place.import(
        &[
            "-e",
            "kraken",
            "-k",
            "other",
            "--api-key",
            "o",
            "--token",
            "second",
        ],
        KRAKEN_SECRET,
    );
    let faulty = Faulty::before(&place, "softhsm")?;
    Some((place, faulty))
}

#[test]
fn a_crash_is_told_and_the_worker_comes_back() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let first = nonce(&connection.ask(BALANCE));
    let worker = agent.worker();
    faulty.fail("C_Sign crash 0 once");
    connection.send(format!("{BALANCE}\n").repeat(5).as_bytes());
    for _ in 0..5 {
        let answer = connection.answer();
        assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(told.contains("may have been signed"), "{answer}");
    }
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    assert!(nonce(&connection.ask(BALANCE)) > first + 5);
    assert_ne!(agent.worker(), worker);
    assert!(!is_alive(worker));
    assert_eq!(agent.token("softhsm")["restarts"], 1);
}

#[test]
fn a_hang_ends_at_the_deadline_and_delays_no_other_token() {
    let Some((place, faulty)) = beside() else { return };
    set(&place, "call-timeout", 4);
    let agent = Running::start(&place);
    let (mut hung, mut other) = (agent.connect(), agent.connect());
    assert_eq!(hung.ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    faulty.fail("C_Sign hang 0 once");
    let begun = Instant::now();
    hung.send(format!("{BALANCE}\n").repeat(3).as_bytes());
    let mut longest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert_eq!(other.ask(OTHER)["ok"], true);
        longest = longest.max(asked.elapsed());
    }
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    for _ in 0..3 {
        let answer = hung.answer();
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(told.contains("no answer for 4 s"), "{answer}");
        assert!(told.contains("may have been signed"), "{answer}");
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(4) && took < Duration::from_secs(20),
        "{took:?}"
    );
    until("it signs again", || hung.ask(BALANCE)["ok"] == true);
    assert!(!is_alive(worker));
}

#[test]
fn a_device_that_is_lost_is_opened_again_by_the_same_worker() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    // The device was removed, is no longer there, has an error; the session is gone; nobody is logged in.
    let codes = [
        ("0x32", "token-missing"),
        ("0xe0", "token-missing"),
        ("0x30", "token-busy"),
        ("0xb3", "token-busy"),
        ("0x101", "token-busy"),
    ];
    for (code, wanted) in codes {
        for call in ["C_Sign", "C_SignInit"] {
            faulty.fail(&format!("{call} answer {code} once"));
            let answer = connection.ask(BALANCE);
            assert_eq!(answer["ok"], true, "{call} {code}: {answer}");
            assert!(faulty.has_failed(), "{call} {code}");
        }
        faulty.fail(&format!("C_Sign answer {code}"));
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["error"]["code"], wanted, "{code}: {answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("C_Sign answered"),
            "{answer}"
        );
        faulty.heal();
        until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    }
    assert_eq!(agent.worker(), worker, "no restart was needed");
}

#[test]
fn what_is_slow_is_waited_for_as_long_as_it_goes_on() {
    let Some((place, faulty)) = beside() else { return };
    set(&place, "call-timeout", 2);
    let agent = Running::start(&place);
    let (mut slow, mut other) = (agent.connect(), agent.connect());
    assert_eq!(slow.ask(BALANCE)["ok"], true);
    faulty.fail("C_Sign slow 400");
    let begun = Instant::now();
    slow.send(format!("{BALANCE}\n").repeat(8).as_bytes());
    let mut asked = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(other.ask(OTHER)["ok"], true);
        asked += 1;
    }
    assert!(asked > 10, "the other token signed {asked} times in two seconds");
    for _ in 0..8 {
        let answer = slow.answer();
        assert_eq!(answer["ok"], true, "{answer}");
    }
    assert!(begun.elapsed() > Duration::from_millis(3200));
    assert_eq!(agent.token("softhsm")["restarts"], 0);
}

#[test]
fn a_token_is_not_given_up_for_the_time_in_which_the_agent_stood_still() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    set(&place, "call-timeout", 2);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    faulty.fail("C_Sign slow 1000");
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("the token has it", || agent.token("softhsm")["waiting"] == 1);
    // As a container that is paused, and goes on one process after the other.
    for pid in [worker, agent.pid()] {
        kill(pid, Signal::STOP);
    }
    std::thread::sleep(Duration::from_secs(4));
    for pid in [agent.pid(), worker] {
        kill(pid, Signal::CONT);
        std::thread::sleep(Duration::from_millis(200));
    }
    let answer = connection.answer();
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(agent.token("softhsm")["restarts"], 0);
}

#[test]
fn lengths_that_cannot_be_are_errors() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for fault in ["C_Sign long", "C_Sign short"] {
        faulty.fail(fault);
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["error"]["code"], "failed", "{fault}: {answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("made a MAC of"),
            "{answer}"
        );
        faulty.heal();
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    // What is asked while a token is opened.
    for call in [
        "C_GetSlotList",
        "C_GetMechanismList",
        "C_GetAttributeValue",
        "C_FindObjects",
    ] {
        for length in ["long", "short"] {
            place.ok(&["lock"]);
            faulty.fail(&format!("{call} {length}"));
            place.run(&["unlock"], "");
            let answer = connection.ask(BALANCE);
            assert!(
                answer["ok"] == true || answer["error"]["code"].is_string(),
                "{answer}"
            );
            faulty.heal();
            place.ok(&["lock"]);
            place.ok(&["unlock"]);
            assert_eq!(connection.ask(BALANCE)["ok"], true, "{call} {length}");
        }
    }
    assert_eq!(
        agent.token("softhsm")["restarts"],
        0,
        "no worker crashed: {}",
        agent.log()
    );
}

#[test]
fn a_worker_that_dies_at_once_each_time_is_started_ever_more_seldom() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    faulty.fail("C_Initialize exit");
    let agent = Running::start(&place);
    let begun = Instant::now();
    let mut connection = agent.connect();
    while begun.elapsed() < Duration::from_secs(4) || faulty.calls("C_Initialize") < 3 {
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
    }
    // At 0, 100, 300, 700, 1500, 3100 ms.
    let started = faulty.calls("C_Initialize");
    assert!((3..=8).contains(&started), "{started}");
    assert_eq!(agent.token("softhsm")["state"], "failing");
    faulty.heal();
    until("it signs again by itself", || {
        connection.ask(BALANCE)["ok"] == true
    });
    assert_eq!(agent.token("softhsm")["state"], "open");
}

#[test]
fn a_worker_that_dies_of_each_signature_is_started_ever_more_seldom() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    faulty.fail("C_Sign crash");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) || faulty.processes("C_Initialize") < 3 {
        assert_eq!(connection.ask(BALANCE)["error"]["code"], "token-busy");
    }
    let started = faulty.processes("C_Initialize");
    assert!((3..=8).contains(&started), "{started}");
    place.ok(&["lock"]);
    faulty.heal();
    place.ok(&["unlock"]);
    assert_eq!(
        connection.ask(BALANCE)["ok"],
        true,
        "who unlocks it need not wait"
    );
}

#[test]
fn restarts_spend_no_pin_try() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let pin = place.home().join("softhsm/softhsm.pin");
    let right = std::fs::read(&pin).unwrap();
    std::fs::write(&pin, "not the PIN at all").unwrap();
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for round in 0..12 {
        let answer = connection.ask(BALANCE);
        let code = &answer["error"]["code"];
        assert!(code == "wrong-pin" || code == "token-busy", "{answer}");
        if round % 3 == 0
            && let Some(worker) = agent.token("softhsm")["worker_pid"].as_i64()
        {
            kill(i32::try_from(worker).unwrap(), Signal::KILL);
        }
        place.run(&["sign", "kraken", "POST", "/0/private/Balance"], "");
        place.run(&["unlock"], "");
    }
    drop(agent);
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["error"]["code"], "wrong-pin");
    assert_eq!(faulty.calls("C_Login"), 1, "the wrong PIN was tried once");
    std::fs::write(&pin, right).unwrap();
    until("the right one opens it", || {
        place.run(&["unlock"], "");
        agent.connect().ask(BALANCE)["ok"] == true
    });
}

#[test]
fn a_login_that_kills_its_worker_is_not_tried_without_end() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    faulty.fail("C_Login crash");
    let agent = Running::start(&place);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) || faulty.calls("C_Login") < 2 {
        assert_eq!(agent.connect().ask(BALANCE)["error"]["code"], "token-busy");
    }
    let logins = faulty.calls("C_Login");
    assert!((2..=7).contains(&logins), "{logins}");
}

#[test]
fn the_end_of_a_worker_is_noticed_though_a_process_of_its_module_holds_its_pipes_open() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    faulty.fail("C_Sign fork 0 once");
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    assert!(faulty.has_failed());
    let worker = agent.worker();
    // It has a request in hand when it ends.
    let held = faulty.hold("C_SignInit");
    let mut connection = agent.connect();
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("it signs", || faulty.has_failed());
    let begun = Instant::now();
    kill(worker, Signal::KILL);
    let answer = connection.answer();
    drop(held);
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(
        told.contains("its worker ended; it may have been signed"),
        "{answer}"
    );
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    // Far from what a token may take for an answer.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(agent.token("softhsm")["restarts"], 1);
}
