//! Clients that behave badly: they dribble, do not read, leave in the middle, take every descriptor, hand over some.

use std::{
    io::{Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hsmsign::agent::wire::send_all;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::{
    bench::{Place, random::Random},
    running::{BALANCE, Connection, Running, nonce, until},
};

/// How many descriptors a process has open; of the agent, only root may look.
fn open_files(pid: i32) -> Option<usize> {
    Some(targets(pid)?.len())
}

/// What the descriptors of a process are.
pub fn targets(pid: i32) -> Option<Vec<String>> {
    let looked = std::fs::read_dir(format!("/proc/{pid}/fd"));
    if looked.is_err() {
        eprintln!("SKIPPED: the descriptors of a hardened process are for root to see");
    }
    let files = looked.ok()?.flatten();
    let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    Some(targets.map(|target| target.display().to_string()).collect())
}

/// Waits for the log's file, which is opened for the first line and after its answer.
fn until_the_log_is_open(pid: i32) {
    until("the log is open", || {
        targets(pid).is_none_or(|targets| targets.iter().any(|target| target.contains("/audit/")))
    });
}

#[test]
fn a_line_that_comes_byte_by_byte_is_a_line() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut slow: Vec<_> = (0..50).map(|_| agent.connect()).collect();
    let mut quick = agent.connect();
    for byte in format!("{BALANCE}\n").bytes() {
        for connection in &mut slow {
            connection.send(&[byte]);
        }
        let begun = Instant::now();
        assert_eq!(quick.ask(BALANCE)["ok"], true);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    let mut given: Vec<_> = slow
        .iter_mut()
        .map(|connection| nonce(&connection.answer()))
        .collect();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 50);
}

#[test]
fn whoever_sends_no_more_gets_the_answers_that_are_due() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    for lines in [1, 64, 500] {
        let mut connection = agent.connect();
        connection.send(format!("{BALANCE}\n").repeat(lines).as_bytes());
        connection.end();
        for line in 0..lines {
            assert_eq!(connection.answer()["ok"], true, "{line} of {lines}");
        }
        assert_eq!(connection.read(), None);
    }
    until("they are gone", || agent.status()["connections"] == 1);
}

#[test]
fn whoever_leaves_at_any_moment_leaves_nothing_behind() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut random = Random::new(0x6c65_6176);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    until_the_log_is_open(agent.pid());
    let before = open_files(agent.pid());
    let (mut seen, mut rounds) = (0, 0);
    while rounds < 300 || seen == 0 {
        rounds += 1;
        let mut connection = agent.connect();
        let sent = format!("{BALANCE}\n").repeat(1 + usize::try_from(random.below(80)).unwrap());
        let cut = usize::try_from(random.below(sent.len() as u64)).unwrap();
        connection.try_send(&sent.as_bytes()[..cut]);
        let mut room = vec![0; usize::try_from(random.below(3000)).unwrap()];
        connection.stream().set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_micros(random.below(8000)));
        seen += connection.stream().read(&mut room).unwrap_or(0);
    }
    until("all are gone", || {
        let status = agent.status();
        status["connections"] == 1 && status["in_flight"] == 0
    });
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    until("their descriptors are closed", || {
        open_files(agent.pid()) <= before
    });
}

#[test]
fn answers_for_whoever_does_not_read_are_bounded() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut deaf: Vec<_> = (0..12).map(|_| agent.connect()).collect();
    let flood = format!("{BALANCE}\n").repeat(200);
    for connection in &mut deaf {
        connection.stream().set_nonblocking(true).unwrap();
    }
    let begun = Instant::now();
    let mut hears = agent.connect();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(4) {
        for connection in &mut deaf {
            let _ = connection.stream().write(flood.as_bytes());
        }
        let asked = Instant::now();
        assert_eq!(hears.ask(BALANCE)["ok"], true);
        longest = longest.max(asked.elapsed());
    }
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    let kib = resident(&agent);
    assert!(kib < 80 << 10, "{kib} KiB for 12 clients");
}

/// The memory of an agent's front that is in use, in KiB.
fn resident(agent: &Running<'_>) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap()
}

#[test]
fn answers_for_many_that_do_not_read_are_bounded_together() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    // Shorter than the lines that are refused where there is no room.
    let line = format!("{{\"op\":\"ping\",\"id\":\"{}\"}}\n", "a".repeat(16_000));
    let flood = line.repeat(64);
    let mut deaf: Vec<_> = (0..450).map(|_| (agent.connect(), 0)).collect();
    for (connection, _) in &mut deaf {
        connection.stream().set_nonblocking(true).unwrap();
    }
    // Until it takes no more.
    let mut taken = Instant::now();
    while taken.elapsed() < Duration::from_secs(1) {
        for (connection, sent) in &mut deaf {
            if let Ok(more @ 1..) = connection.stream().write(&flood.as_bytes()[*sent..]) {
                *sent += more;
                taken = Instant::now();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let kib = resident(&agent);
    assert!(kib < 320 << 10, "{kib} KiB for 450 clients");
    // Whoever takes answers goes on, one line after the other.
    let mut hears = agent.connect();
    hears.send(format!("{BALANCE}\n").repeat(200).as_bytes());
    for _ in 0..200 {
        assert_eq!(hears.answer()["ok"], true);
    }
    // And so do those who take theirs in the end.
    let (connection, sent) = &mut deaf[7];
    connection.stream().set_nonblocking(false).unwrap();
    for number in 0..*sent / line.len() {
        assert_eq!(connection.answer()["ok"], true, "{number}");
    }
    drop(deaf);
    until("they are gone", || agent.status()["connections"] == 2);
    hears.send(format!("{BALANCE}\n").repeat(200).as_bytes());
    for _ in 0..200 {
        assert_eq!(hears.answer()["ok"], true);
    }
    drop(hears);
    until("the memory is given back", || resident(&agent) < 40 << 10);
}

#[test]
fn unfinished_lines_of_some_cost_the_others_nothing() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let chunk = vec![b'x'; 1 << 20];
    let mut hoarders: Vec<_> = (0..7).map(|_| agent.connect()).collect();
    let mut other = agent.connect();
    for _ in 0..15 {
        for connection in &mut hoarders {
            connection.send(&chunk);
        }
        assert_eq!(other.ask(BALANCE)["ok"], true);
    }
    // In two parts, with a pause: for a moment this one holds an unfinished line too.
    for _ in 0..5 {
        other.send(&BALANCE.as_bytes()[..30]);
        std::thread::sleep(Duration::from_millis(5));
        other.send(&BALANCE.as_bytes()[30..]);
        other.send(b"\n");
        assert_eq!(other.answer()["ok"], true);
    }
    let mut refused = 0;
    for connection in &mut hoarders {
        connection.send(b"\n");
        let answer = connection.answer();
        refused += usize::from(answer["error"]["code"] == "too-large");
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    assert!(
        (3..7).contains(&refused),
        "{refused} of 7 lines of 15 MiB were given up"
    );
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    until_the_log_is_open(agent.pid());
    let Some(before) = open_files(agent.pid()) else {
        return;
    };
    let (pipe, _writer) = std::io::pipe().unwrap();
    let four = [pipe.as_fd(); 4];
    // With whole lines, with many lines, with single bytes of a line that does not end.
    let mut connection = agent.connect();
    for _ in 0..200 {
        send_all(connection.stream(), format!("{BALANCE}\n").as_bytes(), &four).unwrap();
        assert_eq!(connection.answer()["ok"], true);
    }
    until("those of whole lines are closed", || {
        open_files(agent.pid()).unwrap() <= before + 1
    });
    let mut many: Vec<_> = (0..100).map(|_| agent.connect()).collect();
    for _ in 0..20 {
        for connection in &mut many {
            send_all(connection.stream(), b"x", &four).unwrap();
        }
    }
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let now = open_files(agent.pid()).unwrap();
    assert!(now <= before + 101 + 64 + 8, "{now} after {before}");
    for connection in &mut many {
        connection.send(b"\n");
        assert_eq!(connection.answer()["error"]["code"], "bad-input");
    }
    until("none is left", || {
        open_files(agent.pid()).unwrap() <= before + 101
    });
    // One that came with an earlier line is not taken for the PIN of a later one.
    send_all(connection.stream(), b"{\"op\":\"ping\"}\n", &[pipe.as_fd()]).unwrap();
    assert_eq!(connection.answer()["ok"], true);
    let answer = connection.ask(r#"{"op":"unlock","pin":true}"#);
    assert_eq!(answer["error"]["code"], "bad-input", "{answer}");
}

#[test]
fn a_handed_over_connection_that_lingers_delays_nobody() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut out = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _nobody_reads = listener.accept().unwrap();
    rustix::net::sockopt::set_socket_linger(&out, Some(Duration::from_secs(20))).unwrap();
    out.set_nonblocking(true).unwrap();
    while out.write(&[0; 1 << 16]).is_ok() {}
    let mut connection = agent.connect();
    let line = format!("{BALANCE}\n");
    send_all(connection.stream(), line.as_bytes(), &[out.as_fd()]).unwrap();
    // From here on the agent alone has it; closed as it is, its last data would be waited for.
    rustix::net::sockopt::set_socket_linger(&out, Some(Duration::from_secs(20))).unwrap();
    drop(out);
    let begun = Instant::now();
    assert_eq!(connection.answer()["ok"], true);
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn the_client_that_takes_the_last_descriptor_is_served() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    until_the_log_is_open(agent.pid());
    until("there is a launcher for later", || agent.launchers().len() == 2);
    let Ok(files) = std::fs::read_dir(format!("/proc/{}/fd", agent.pid())) else {
        eprintln!("SKIPPED: the descriptors of a hardened process are for root to see");
        return;
    };
    let taken: Vec<u64> = files
        .map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let free = (0..).find(|number| !taken.contains(number)).unwrap();
    let limit = Rlimit {
        current: Some(free + 1),
        maximum: Some(free + 1),
    };
    prlimit(Pid::from_raw(agent.pid()), Resource::Nofile, limit).unwrap();
    let ping = "{\"op\":\"ping\"}\n";
    let asked = || {
        let mut connection = agent.connect();
        connection.try_send(ping.as_bytes());
        let answer = connection.answer();
        (connection, answer)
    };
    // The one before may still be about to be closed, and leave a descriptor more.
    let mut served = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        let (connection, answer) = asked();
        if answer["ok"] == true {
            assert!(served.len() < 8, "{answer}");
            served.push(connection);
        } else {
            assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
            refused += 1;
            for connection in &mut served {
                assert_eq!(connection.ask(ping.trim_end())["ok"], true);
            }
        }
    }
    assert!(!served.is_empty());
}

/// An agent that may have so many files open.
pub fn limited(place: &Place, files: u32) -> Command {
    let inner = place.command(&["agent"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n $0; exec \"$@\"", &files.to_string()])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.current_dir(place.path());
    command
}

#[test]
fn without_descriptors_new_clients_are_told_and_old_ones_are_served() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::of(&place, limited(&place, 80));
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let mut connection = Connection::over(UnixStream::connect(agent.socket()).unwrap());
        connection.try_send(b"{\"op\":\"ping\"}\n");
        let answer = connection.answer();
        if answer["ok"] == true {
            kept.push(connection);
        } else {
            refused += 1;
            assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
            assert!(
                answer["error"]["fix"].as_str().unwrap().contains("ulimit"),
                "{answer}"
            );
        }
    }
    assert!(
        kept.len() >= 20 && refused >= 100,
        "{} kept, {refused} refused",
        kept.len()
    );
    for connection in &mut kept {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    // Its worker can still be started again.
    let worker = {
        let answer = kept[0].ask(r#"{"op":"status"}"#);
        i32::try_from(answer["tokens"][0]["worker_pid"].as_i64().unwrap()).unwrap()
    };
    crate::running::kill(worker, rustix::process::Signal::KILL);
    until("it signs again", || kept[0].ask(BALANCE)["ok"] == true);
    kept.truncate(5);
    until("there is room again", || {
        let mut connection = Connection::to(&agent.socket());
        // One that is turned away may be gone before it has asked.
        connection.try_send(format!("{BALANCE}\n").as_bytes());
        connection.answer()["ok"] == true
    });
}

#[test]
fn connections_that_come_and_go_without_end_delay_nobody() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let (socket, mut connection) = (agent.socket(), agent.connect());
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let (done, begun) = (AtomicBool::new(false), Instant::now());
    let long = Duration::from_secs(20);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) && begun.elapsed() < long {
                    drop(UnixStream::connect(&socket));
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(connection.ask(BALANCE)["ok"], true);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(begun.elapsed() < long, "{:?}", begun.elapsed());
    until("all are gone", || agent.status()["connections"] == 2);
}

#[test]
fn with_few_descriptors_clients_leave_some_for_a_worker_that_is_started_again() {
    let Some(place) = Place::with_kraken() else { return };
    for files in [31, 40, 48] {
        let agent = Running::of(&place, limited(&place, files));
        let mut first = agent.connect();
        assert_eq!(first.ask(BALANCE)["ok"], true);
        let mut others = Vec::new();
        let refused = loop {
            let mut other = agent.connect();
            other.try_send(b"{\"op\":\"ping\"}\n");
            let answer = other.answer();
            if answer["ok"] == false {
                break answer;
            }
            others.push(other);
        };
        assert_eq!(refused["error"]["code"], "token-busy", "{refused}");
        // Who is refused at the door hears why.
        place.refused(&["agent", "stop"], "", 4, "as many connections as the system");
        let status = first.ask("{\"op\":\"status\"}");
        let worker = status["tokens"][0]["worker_pid"].as_i64().unwrap();
        crate::running::kill(worker.try_into().unwrap(), Signal::KILL);
        until("it signs again", || first.ask(BALANCE)["ok"] == true);
        let status = first.ask("{\"op\":\"status\"}");
        assert_eq!(
            status["tokens"][0]["restarts"],
            1,
            "{files}, {}: {status}",
            others.len()
        );
    }
}
