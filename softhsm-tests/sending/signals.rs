//! Broken off: the process ends at once, and says what is known.

use std::{os::unix::process::ExitStatusExt as _, process::Child, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    BALANCE, ORDER, command, kraken_at,
    server::{Act, Server, with_header},
};

/// Waits for something that will happen.
fn until(happened: impl Fn() -> bool) {
    while !happened() {
        thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: Child, signal: Signal) -> (Option<i32>, String, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let done = child.wait_with_output().unwrap();
    (
        done.status.signal(),
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    )
}

#[test]
fn a_request_on_its_way_may_have_been_sent() {
    let server = Server::new(vec![Act::Stall(Vec::new())]);
    let Some(place) = kraken_at(&server) else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let seen = server.received().len();
        let child = command(&place, &server, &ORDER).spawn().unwrap();
        until(|| server.received().len() > seen);
        let (ended, _, stderr) = end(child, signal);
        assert_eq!(ended, Some(signal.as_raw()), "{stderr}");
        assert!(stderr.contains("the request may have been sent"), "{stderr}");
    }
    let seen = server.received().len();
    let child = command(&place, &server, &[&ORDER[..], &["--json"]].concat())
        .spawn()
        .unwrap();
    until(|| server.received().len() > seen);
    let (_, stdout, _) = end(child, Signal::INT);
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&told["ok"], &told["sent"]),
        (&false.into(), &"maybe".into()),
        "{told}"
    );
}

#[test]
fn before_it_is_written_nothing_was_sent() {
    let server = Server::new(vec![Act::Mute]);
    let Some(place) = kraken_at(&server) else { return };
    let child = command(&place, &server, &ORDER).spawn().unwrap();
    until(|| server.connections() == 1);
    let (ended, _, stderr) = end(child, Signal::INT);
    assert_eq!(ended, Some(Signal::INT.as_raw()));
    assert!(stderr.contains("nothing was sent"), "{stderr}");
}

#[test]
fn a_wait_is_broken_off_too() {
    let server = Server::new(vec![with_header(429, "Retry-After", "59")]);
    let Some(place) = kraken_at(&server) else { return };
    let mut child = command(&place, &server, &BALANCE).spawn().unwrap();
    // It waits as soon as it says so.
    let mut said = [0; 4];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    let (ended, _, stderr) = end(child, Signal::INT);
    assert_eq!(ended, Some(Signal::INT.as_raw()));
    assert!(stderr.contains("sent and answered"), "{stderr}");
    assert_eq!(server.received().len(), 1);
}
