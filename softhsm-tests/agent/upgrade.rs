//! A program that is replaced under an agent that runs.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;

use crate::{
    bench::Place,
    running::{BALANCE, Running, kill, until},
};

/// Puts the program at a path, in the way of package managers: beside it first.
fn put(program: &Path) {
    let beside = program.with_extension("new");
    fs::copy(env!("CARGO_BIN_EXE_hsmsign"), &beside).unwrap();
    fs::rename(beside, program).unwrap();
}

#[test]
fn an_agent_whose_program_is_replaced_goes_on_and_says_so() {
    let Some(place) = Place::with_kraken() else { return };
    let program = place.path().join("installed");
    put(&program);
    let mut command = Command::new(&program);
    command.arg("agent").env("HSMSIGN_HOME", place.home());
    let mut agent = Running::of(&place, command);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    assert_eq!(agent.status()["replaced"], false);
    assert!(!place.ok(&["agent", "status"]).contains("replaced"));

    put(&program);
    assert_eq!(agent.status()["replaced"], true);
    assert!(
        place
            .ok(&["agent", "status"])
            .contains("its program was replaced")
    );
    assert!(
        place
            .run(&["doctor"], "")
            .stdout
            .contains("was replaced since it started")
    );
    // What it starts is what it is itself, and not what lies there now.
    kill(agent.worker(), Signal::KILL);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    // For a moment the worker that ends with its launcher may still sign.
    let worker = agent.worker();
    kill(agent.launcher(), Signal::KILL);
    until("it signs by what the next one started", || {
        let now = agent.token("softhsm")["worker_pid"].as_i64();
        now.is_some_and(|now| now != i64::from(worker)) && connection.ask(BALANCE)["ok"] == true
    });
    fs::remove_file(&program).unwrap();
    kill(agent.worker(), Signal::KILL);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    place.ok(&["agent", "stop"]);
    assert_eq!(agent.wait(), 0);
}
