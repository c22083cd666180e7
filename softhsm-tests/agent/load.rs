//! Long lines, and many at once.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    bench::{Place, RAW_SECRET},
    running::{BALANCE, Connection, Running, kill, until},
};

/// A raw MAC of so many mebibytes.
fn long(mebibytes: usize) -> Vec<u8> {
    let message = "QUJD".repeat(mebibytes << 18);
    format!("{{\"hmac\":{{\"key\":\"raw\",\"message_base64\":\"{message}\"}}}}\n").into_bytes()
}

/// How much memory of its own a process has, in MiB.
fn memory(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() >> 10
}

#[test]
fn long_lines_leave_agent_and_worker_as_small_as_they_were() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let agent = Running::start(&place);
    let mut connections: Vec<_> = (0..8).map(|_| agent.connect()).collect();
    assert_eq!(connections[0].ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    let memory = || [agent.pid(), worker].map(memory);
    let before = memory();
    connections[0].send(&long(8));
    assert_eq!(connections[0].answer()["ok"], true);
    kill(worker, Signal::STOP);
    let body = "x".repeat(4 << 20);
    let asked = format!(
        "{{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/AddOrder\",\"body\":\"a={body}\"}}\n"
    );
    for connection in &mut connections {
        connection.send(asked.as_bytes());
    }
    until("all are read", || agent.status()["in_flight"] == 8);
    kill(worker, Signal::CONT);
    for connection in &mut connections {
        assert_eq!(connection.answer()["ok"], true);
    }
    until("both are small again", || {
        let now = memory();
        now[0] < before[0] + 4 && now[1] < before[1] + 4
    });
}

#[test]
fn what_is_held_for_a_token_that_hangs_is_bounded_and_is_signed_when_it_goes_on() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let agent = Running::start(&place);
    let asked = long(12);
    let made = agent
        .connect()
        .ask(std::str::from_utf8(&asked).unwrap().trim_end())["mac_base64"]
        .clone();
    let worker = agent.worker();
    kill(worker, Signal::STOP);
    // Each is with the agent before the next comes: what is not whole is bounded otherwise.
    let mut asking: Vec<_> = (0..16).map(|_| agent.connect()).collect();
    for connection in &mut asking {
        connection.send(&asked);
    }
    let mut short = agent.connect();
    short.send(BALANCE.as_bytes());
    short.send(b"\n");
    until("all are read", || {
        agent.status()["in_flight"].as_u64().unwrap() >= 11
    });
    let (held, most) = (agent.status()["in_flight"].as_u64().unwrap(), memory(agent.pid()));
    kill(worker, Signal::CONT);
    let mut refused = 0;
    for mut connection in asking {
        let answer = connection.answer();
        if answer["ok"] == true {
            assert_eq!(answer["mac_base64"], made);
        } else {
            assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
            refused += 1;
        }
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    assert!(held < 14 && most < 400, "{held} lines in {most} MiB");
    assert!((2..8).contains(&refused), "{refused} of 16 lines were refused");
    assert_eq!(short.answer()["ok"], true);
}

#[test]
fn of_one_client_a_long_line_is_read_when_the_one_before_it_is_answered() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    kill(worker, Signal::STOP);
    let mut connection = agent.connect();
    let mut writing = Connection::over(connection.stream().try_clone().unwrap());
    let sent = std::thread::spawn(move || writing.send(&long(4).repeat(3)));
    until("the first is read", || agent.status()["in_flight"] == 1);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(agent.status()["in_flight"], 1);
    kill(worker, Signal::CONT);
    for _ in 0..3 {
        assert_eq!(connection.answer()["ok"], true);
    }
    sent.join().unwrap();
}

#[test]
fn what_waits_for_the_log_is_small_however_long_the_lines_were() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    connection.send(&long(1));
    assert_eq!(connection.answer()["ok"], true);
    until("the log is there", || {
        place.home().join("audit/000000000001.jsonl").exists()
    });
    let before = memory(agent.pid());
    // Another process stands still with the log.
    let lock = std::fs::File::open(place.home().join("audit/.lock")).unwrap();
    lock.lock().unwrap();
    let mut asking: Vec<_> = (0..16).map(|_| agent.connect()).collect();
    for asking in &mut asking {
        asking.send(&long(1));
    }
    for asking in &mut asking {
        // On a slow machine it has been standing still for longer than is waited for, by then.
        let answer = asking.answer();
        let told = answer["error"].to_string();
        let late = ["has not been written for a second", "locked by another process"]
            .iter()
            .any(|why| told.contains(why));
        assert!(answer["ok"] == true || late, "{answer}");
    }
    until("no more is held", || memory(agent.pid()) < before + 6);
    lock.unlock().unwrap();
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
}

/// Lines that are sent for as long as their answers are taken.
fn pour(connection: &mut Connection, line: &[u8]) {
    let mut stream = connection.stream().try_clone().unwrap();
    let lines = line.repeat(64);
    std::thread::spawn(move || while stream.write_all(&lines).is_ok() {});
}

#[test]
fn what_went_out_is_not_held_for_a_client_that_is_always_behind() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    let before = memory(agent.pid());
    let mut connection = agent.connect();
    pour(&mut connection, b"{\"op\":\"status\"}\n");
    let (mut taken, mut room) = (0, vec![0; 20_000]);
    while taken < 24 << 20 {
        std::thread::sleep(Duration::from_millis(2));
        taken += connection.stream().read(&mut room).unwrap();
    }
    let now = memory(agent.pid());
    assert!(now < before + 8, "{before} MiB, then {now}");
}

#[test]
fn what_a_worker_took_is_not_held_while_more_is_asked_of_it_than_it_can_do() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let agent = Running::start(&place);
    let message = "QUJD".repeat(1000);
    let line = format!("{{\"hmac\":{{\"key\":\"raw\",\"message_base64\":\"{message}\"}}}}\n");
    assert_eq!(agent.connect().ask(line.trim_end())["ok"], true);
    let before = memory(agent.pid());
    let mut asking: Vec<_> = (0..8).map(|_| agent.connect()).collect();
    for connection in &mut asking {
        pour(connection, line.as_bytes());
    }
    for _ in 0..1000 {
        for connection in &mut asking {
            assert_eq!(connection.answer()["ok"], true);
        }
    }
    let now = memory(agent.pid());
    assert!(now < before + 12, "{before} MiB, then {now}");
}
