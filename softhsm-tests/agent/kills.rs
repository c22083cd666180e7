//! SIGKILL for each of the agent's processes, at any moment. HSMSIGN_TEST_ROUNDS=1000 for as many.

use std::{
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    bench::{
        Place,
        random::{Random, rounds},
    },
    running::{BALANCE, Connection, Running, is_alive, kill, kill_if_there, nonce, until},
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
    let mut killed = [0; 4];
    for round in 0..rounds(30) {
        let mut agent = Running::start(&place);
        let victim = usize::try_from(random.below(4)).unwrap();
        let given: Vec<u64> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_on(&agent))).collect();
            // From before the worker is there until it signs.
            std::thread::sleep(Duration::from_micros(random.below(60_000)));
            // The front, the launcher, its worker and the launcher that is there for when it ends.
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
fn a_launcher_that_is_killed_under_load_is_followed_by_the_next() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    until("it signs", || agent.connect().ask(BALANCE)["ok"] == true);
    let over = AtomicBool::new(false);
    let mut given: Vec<u64> = std::thread::scope(|scope| {
        let client = || {
            let mut connection = agent.connect();
            let mut given = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let answer = connection.ask(BALANCE);
                if answer["ok"] == true {
                    given.push(nonce(&answer));
                } else {
                    assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            given
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        for _ in 0..rounds(6) {
            until("there are two launchers and a worker", || {
                agent.processes().len() == 4
                    && agent.launchers().len() == 2
                    && agent.launcher_of_worker().is_some()
            });
            let (launcher, worker) = (agent.launcher(), agent.worker());
            let next = agent.launchers().into_iter().find(|&other| other != launcher);
            kill(launcher, Signal::KILL);
            until("its worker ends with it", || !is_alive(worker));
            until("the next one starts workers", || {
                next.is_some() && agent.launcher_of_worker() == next
            });
        }
        // The one that is there for later is replaced, too.
        until("there are two launchers, and it signs", || {
            agent.launchers().len() == 2 && agent.connect().ask(BALANCE)["ok"] == true
        });
        let (launcher, worker) = (agent.launcher(), agent.worker());
        let next = agent.launchers().into_iter().find(|&other| other != launcher);
        kill(next.unwrap(), Signal::KILL);
        until("there is another", || {
            let launchers = agent.launchers();
            launchers.len() == 2 && !launchers.contains(&next.unwrap())
        });
        assert_eq!(
            (agent.launcher(), agent.worker()),
            (launcher, worker),
            "nothing else happened"
        );
        over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count, "none twice");
    assert!(
        agent.log().contains("another one takes its place"),
        "{}",
        agent.log()
    );
    place.ok(&["agent", "stop"]);
    until("none of its processes is left", || agent.processes().is_empty());
}

#[test]
fn without_any_launcher_it_ends_and_says_so() {
    let Some(place) = Place::with_kraken() else { return };
    let mut agent = Running::start(&place);
    let mut connection = agent.connect();
    until("it signs", || connection.ask(BALANCE)["ok"] == true);
    until("there are two launchers", || agent.launchers().len() == 2);
    let launchers = agent.launchers();
    // Held first, so that the one does not replace the other.
    for &launcher in &launchers {
        kill(launcher, Signal::STOP);
    }
    connection.send(format!("{BALANCE}\n").repeat(50).as_bytes());
    for &launcher in &launchers {
        kill(launcher, Signal::KILL);
    }
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
    let unlocked = connection.ask(r#"{"op":"unlock"}"#);
    assert!(
        unlocked["error"]["fix"].to_string().contains("kill -CONT"),
        "{unlocked}"
    );
    kill_if_there(launcher, Signal::CONT);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    // What was asked for in vain meanwhile was ended.
    until("one worker is left, and one launcher for later", || {
        agent.processes().len() == 4
    });
    place.ok(&["agent", "stop"]);
}
