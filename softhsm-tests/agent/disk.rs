//! A disk that takes its time: strace holds each fdatasync of the agent in the kernel for some seconds.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    bench::Place,
    running::{BALANCE, Connection, Running, nonce, until},
};

/// How long a write to the disk takes.
const SLOW: Duration = Duration::from_secs(5);
/// Kraken's nonces count microseconds.
const SECOND: u64 = 1_000_000;

struct SlowDisk(Child);

impl SlowDisk {
    /// None, with a line on stderr, where nobody can slow it down.
    fn of(agent: &Running<'_>, place: &Place) -> Option<Self> {
        if !Path::new("/usr/bin/strace").exists() {
            eprintln!("SKIPPED: strace is not installed, so that no slow disk was tried");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root traces an agent, so that no slow disk was tried");
            return None;
        }
        let inject = format!("inject=fdatasync:delay_enter={}", SLOW.as_micros());
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=fdatasync", "-e", &inject, "-o"])
            .arg(place.path().join("strace"))
            .args(["-p", &agent.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let traced = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
            tasks.flatten().all(|task| {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                !status.contains("TracerPid:\t0")
            })
        };
        let begun = Instant::now();
        while !traced() {
            if let Some(status) = strace.try_wait().unwrap() {
                eprintln!("SKIPPED: strace ended with {status}, so that no slow disk was tried");
                return None;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "strace does not attach"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self(strace))
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bring(connection: &mut Connection, nonce: u64) {
    let line = format!(r#"{{"key":"kraken","method":"POST","path":"/0/private/Balance","nonce":"{nonce}"}}"#);
    let answer = connection.ask(&line);
    assert_eq!(answer["ok"], true, "{answer}");
}

#[test]
fn no_request_waits_for_the_disk_while_a_reservation_of_nonces_holds() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    // Reserved for a minute from here.
    let mut last = nonce(&connection.ask(BALANCE));
    let Some(_slow) = SlowDisk::of(&agent, &place) else {
        return;
    };
    let file = || fs::read_to_string(place.home().join("nonces/kraken")).unwrap();
    let mut took = Vec::new();
    let waited_for_nothing = (0..4).any(|_| {
        // Two thirds of a reservation on: beyond what was reserved at first, from the second time on.
        for _ in 0..2 {
            let begun = Instant::now();
            last += 40 * SECOND;
            bring(&mut connection, last);
            for _ in 0..20 {
                let given = nonce(&connection.ask(BALANCE));
                assert!(given > last, "{given} after {last}");
                last = given;
            }
            took.push(begun.elapsed());
            // Each a block further, so that both slots say what the disk has.
            until("the disk has the next reservation", || {
                last += SECOND / 5;
                bring(&mut connection, last);
                std::thread::sleep(Duration::from_millis(50));
                !file().contains(" p ")
            });
        }
        took.iter().rev().take(2).all(|&took| took < SLOW)
    });
    assert!(waited_for_nothing, "{took:?}");
    let traced = fs::read_to_string(place.path().join("strace")).unwrap();
    assert!(traced.contains("DELAYED"), "{traced}");
    // Where all of it is used up, the disk is waited for: without that, a power cut would repeat nonces.
    let begun = Instant::now();
    bring(&mut connection, last + 500 * SECOND);
    assert!(begun.elapsed() >= SLOW, "{:?}", begun.elapsed());
}
