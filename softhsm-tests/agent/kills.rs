//! SIGKILL for each of the agent's processes, at any moment. HSMSIGN_TEST_ROUNDS=1000 for as many.

use std::{os::unix::net::UnixStream, time::Duration};

use rustix::process::Signal;

use crate::{
    bench::{
        Place,
        random::{Random, rounds},
    },
    running::{BALANCE, Connection, Running, kill_if_there, nonce, until},
};

/// Asks until the agent is gone; what it gave.
fn ask_on(agent: &Running<'_>) -> Vec<u64> {
    let mut given = Vec::new();
    let Ok(stream) = UnixStream::connect(agent.socket()) else {
        return given;
    };
    let mut connection = Connection::over(stream);
    while connection.try_send(format!("{BALANCE}\n").as_bytes()) {
        let Some(line) = connection.read().filter(|line| line.ends_with('\n')) else {
            break;
        };
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        if answer["ok"] == true {
            given.push(nonce(&answer));
        } else {
            assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
        }
    }
    given
}

#[test]
fn whichever_process_is_killed_under_load_no_nonce_comes_twice_and_none_stays() {
    let Some(place) = Place::with_kraken() else { return };
    let mut random = Random::new(0x6b69_6c6c);
    let mut all: Vec<u64> = Vec::new();
    let mut killed = [0; 3];
    for round in 0..rounds(30) {
        let mut agent = Running::start(&place);
        let victim = usize::try_from(random.below(3)).unwrap();
        let given: Vec<u64> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_on(&agent))).collect();
            // From before the worker is there until it signs.
            std::thread::sleep(Duration::from_micros(random.below(60_000)));
            // Front, launcher, worker: each is started by the one before.
            let mut processes = agent.processes();
            processes.sort_unstable();
            if let Some(&process) = processes.get(victim) {
                killed[victim] += usize::from(kill_if_there(process, Signal::KILL));
            }
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            kill_if_there(agent.pid(), Signal::KILL);
            clients
                .into_iter()
                .flat_map(|client| client.join().unwrap())
                .collect()
        });
        until("none of its processes is left", || agent.processes().is_empty());
        agent.wait();
        if let (Some(last), Some(first)) = (all.iter().max(), given.iter().min()) {
            assert!(first > last, "round {round}: {first} after {last}");
        }
        all.extend(given);
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "none twice");
    assert!(killed.iter().all(|&times| times > 0), "{killed:?}");
    let agent = Running::start(&place);
    until("the next one signs", || {
        agent.connect().ask(BALANCE)["ok"] == true
    });
}

#[test]
fn killed_while_it_starts_it_leaves_nothing_that_hinders_the_next() {
    let Some(place) = Place::with_kraken() else { return };
    let mut random = Random::new(0x7374_6172);
    for _ in 0..rounds(40) {
        let mut agent = Running::begin(&place);
        std::thread::sleep(Duration::from_micros(random.below(40_000)));
        let processes = agent.processes();
        if let Some(&process) =
            processes.get(usize::try_from(random.below(3)).unwrap() % processes.len().max(1))
        {
            kill_if_there(process, Signal::KILL);
        }
        kill_if_there(agent.pid(), Signal::KILL);
        agent.wait();
        until("none of its processes is left", || agent.processes().is_empty());
    }
    let agent = Running::start(&place);
    until("the next one signs", || {
        agent.connect().ask(BALANCE)["ok"] == true
    });
}

#[test]
fn without_its_launcher_it_ends_and_says_so() {
    let Some(place) = Place::with_kraken() else { return };
    let mut agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    connection.send(format!("{BALANCE}\n").repeat(50).as_bytes());
    let launcher = agent.launcher();
    kill_if_there(launcher, Signal::KILL);
    let mut answers = 0;
    while let Some(line) = connection.read() {
        assert!(
            line.contains("\"ok\":true") || line.contains("token-busy"),
            "{line}"
        );
        answers += 1;
    }
    assert!(answers > 0);
    assert_eq!(agent.wait(), 1, "{}", agent.log());
    assert!(
        agent
            .log()
            .contains("the process that starts the workers has ended"),
        "{}",
        agent.log()
    );
    until("none of its processes is left", || agent.processes().is_empty());
    let agent = Running::start(&place);
    until("the next one signs", || {
        agent.connect().ask(BALANCE)["ok"] == true
    });
}

#[test]
fn a_launcher_that_stands_still_keeps_nobody_from_signing() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let launcher = agent.launcher();
    kill_if_there(launcher, Signal::STOP);
    // Its worker goes on, for those who are connected and for those who come.
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    for _ in 0..3 {
        assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    }
    // Another worker cannot be had; that is told, and the agent goes on.
    kill_if_there(agent.worker(), Signal::KILL);
    until("that is told", || {
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
        answer.to_string().contains("starts the workers does not answer")
            && answer.to_string().contains("it was not signed")
    });
    assert_eq!(connection.ask(r#"{"op":"ping"}"#)["ok"], true);
    kill_if_there(launcher, Signal::CONT);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    // What was asked for in vain meanwhile was ended.
    until("one worker is left", || agent.processes().len() == 3);
    place.ok(&["agent", "stop"]);
}
