//! Which runs have a share in the agent, where the first is held up while it starts one.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Agent, agent_ends, bench::Place, place, started};

/// A run that is stopped while it waits for the agent that it has started and that answers by now.
fn held_up(place: &Place) -> Child {
    let mut command = place.command(&["run", "--", "sh", "-c", "cat >/dev/null"]);
    let run = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let log = place.home().join("agent.log");
    let end = Instant::now() + Duration::from_secs(60);
    // Its child has begun to start the agent.
    while !log.exists() {
        assert!(Instant::now() < end, "it starts no agent");
        std::thread::sleep(Duration::from_micros(200));
    }
    signal(&run, Signal::STOP);
    while place.run(&["agent", "status"], "").code != 0 {
        assert!(Instant::now() < end, "the agent does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    run
}

fn signal(run: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_run_has_a_share_in_an_agent_that_another_is_just_starting() {
    let Some(place) = place() else { return };
    let mut first = held_up(&place);
    let (mut second, line) = started(place.command(&["run", "--", "sh", "-c", "echo ready; cat >/dev/null"]));
    assert_eq!(line, "ready\n");
    signal(&first, Signal::CONT);
    drop(first.stdin.take());
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        assert_eq!(
            place.run(&["agent", "status"], "").code,
            0,
            "the second run needs it"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(second.stdin.take());
    assert_eq!(second.wait().unwrap().code(), Some(0));
    assert!(agent_ends(&place));
}

#[test]
fn a_run_that_is_broken_off_while_it_starts_the_agent_leaves_none_behind() {
    let Some(place) = place() else { return };
    let mut run = held_up(&place);
    signal(&run, Signal::KILL);
    run.wait().unwrap();
    assert!(agent_ends(&place));
}

#[test]
fn an_agent_that_somebody_started_stays_after_a_run_though_one_of_runs_had_its_number() {
    let Some(place) = place() else { return };
    place.ok(&["run", "--", "true"]);
    assert!(agent_ends(&place));
    let note = place.home().join("run.lock");
    // As an agent of runs that was killed leaves it: of a number that is anybody's.
    std::fs::write(&note, "4194303").unwrap();
    let _agent = Agent::start(&place);
    assert_eq!(std::fs::read_to_string(note).unwrap(), "");
    place.ok(&["run", "--", "true"]);
    place.ok(&["agent", "status"]);
}
