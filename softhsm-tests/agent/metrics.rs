//! Metrics for Prometheus, as its own parser reads them.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    bench::Place,
    manager::free_port,
    running::{BALANCE, Running, kill, until},
};

fn set(place: &Place, metrics: &str) {
    let config = place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[agent]\nmetrics = \"{metrics}\"\n")).unwrap();
}

/// Connects, once the port is listened at: that of the clients is a moment before.
fn reach(port: u16) -> TcpStream {
    let mut stream = None;
    until("the port is listened at", || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    stream.unwrap()
}

fn exchange(mut stream: impl std::io::Read + std::io::Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"));
    (head.to_owned(), body.to_owned())
}

/// The samples of a page: name and labels as they stand, and the value.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let rows = page.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let (name, value) = row.rsplit_once(' ').unwrap_or_else(|| panic!("{row}"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{row}")))
    })
    .collect()
}

/// What Prometheus' own parser for Python makes of a page: `name{labels} value` a line; none where it is not installed.
fn parsed(page: &str) -> Option<String> {
    let script = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type in ('counter', 'gauge', 'histogram'), family
    for sample in family.samples:
        print(family.type, sample.name, sorted(sample.labels.items()), sample.value)
";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(page.as_bytes()).ok();
    let done = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    if told.contains("No module named") {
        return None;
    }
    assert!(done.status.success(), "{told}\n{page}");
    Some(String::from_utf8(done.stdout).unwrap())
}

#[test]
fn what_happened_is_counted_and_prometheus_own_parser_reads_it() {
    let Some(place) = Place::with_kraken() else { return };
    let port = free_port();
    set(&place, &format!("127.0.0.1:{port}"));
    let agent = Running::start(&place);
    let page = || {
        let stream = reach(port);
        let (head, page) = exchange(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", page.len())),
            "{head}"
        );
        page
    };
    let before = samples(&page());
    assert_eq!(before["hsmsign_signatures_total"], 0.0);
    assert_eq!(
        before["hsmsign_refusals_total{code=\"denied\"}"], 0.0,
        "it is there from the start"
    );

    let mut connection = agent.connect();
    for _ in 0..5 {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    for line in [
        r#"{"key":"kraken","method":"POST","path":"/0/private/Withdraw"}"#,
        r#"{"key":"nobody","method":"GET","path":"/"}"#,
        r#"{"hmac":{"key":"kraken","message_base64":"YQ=="}}"#,
        "{",
    ] {
        assert_eq!(connection.ask(line)["ok"], false);
    }
    kill(agent.worker(), Signal::KILL);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
    // The answer comes before the loop goes round to count it.
    let text = page();
    let after = samples(&text);
    let signed = connection.ask(r#"{"op":"status"}"#)["signed"].as_f64().unwrap();
    for (name, wanted) in [
        ("hsmsign_signatures_total", signed),
        ("hsmsign_denials_total", 2.0),
        ("hsmsign_refusals_total{code=\"denied\"}", 2.0),
        ("hsmsign_refusals_total{code=\"unknown-key\"}", 1.0),
        ("hsmsign_refusals_total{code=\"bad-input\"}", 1.0),
        ("hsmsign_connections", 1.0),
        ("hsmsign_requests_in_flight", 0.0),
        ("hsmsign_token_open{token=\"softhsm\"}", 1.0),
        ("hsmsign_token_locked{token=\"softhsm\"}", 0.0),
        ("hsmsign_worker_restarts_total{token=\"softhsm\"}", 1.0),
        // Each worker logs in once.
        ("hsmsign_pin_tries_total{token=\"softhsm\"}", 2.0),
        ("hsmsign_pin_refused_total{token=\"softhsm\"}", 0.0),
        ("hsmsign_token_latency_seconds_count{token=\"softhsm\"}", signed),
        (
            "hsmsign_token_latency_seconds_bucket{token=\"softhsm\",le=\"+Inf\"}",
            signed,
        ),
    ] {
        assert_eq!(after[name], wanted, "{name}\n{text}");
    }
    assert!(after["hsmsign_token_latency_seconds_sum{token=\"softhsm\"}"] > 0.0);
    let buckets: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("hsmsign_token_latency_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .collect();
    assert!(buckets.len() > 10 && buckets.is_sorted(), "{buckets:?}");

    match parsed(&text) {
        Some(read) => {
            for row in [
                format!("counter hsmsign_signatures_total [] {signed:.1}"),
                "counter hsmsign_refusals_total [('code', 'denied')] 2.0".to_owned(),
                format!("histogram hsmsign_token_latency_seconds_count [('token', 'softhsm')] {signed:.1}"),
                "gauge hsmsign_token_open [('token', 'softhsm')] 1.0".to_owned(),
            ] {
                assert!(read.lines().any(|line| line == row), "{row}: {read}");
            }
            assert_eq!(read.lines().count(), after.len());
        }
        None => eprintln!("SKIPPED: Prometheus' parser is not installed (Debian: python3-prometheus-client)"),
    }
}

#[test]
fn a_refused_pin_and_a_locked_token_are_seen() {
    let Some(place) = Place::with_kraken() else { return };
    let socket = place.path().join("elsewhere/metrics.sock");
    set(&place, socket.to_str().unwrap());
    let config = place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let source = text.lines().find(|line| line.starts_with("pin-source")).unwrap();
    std::fs::write(&config, text.replace(source, "pin-source = \"terminal\"")).unwrap();
    let agent = Running::start(&place);
    let page = || {
        let stream = UnixStream::connect(&socket).unwrap();
        samples(&exchange(stream, "GET /metrics HTTP/1.0\n\n").1)
    };
    let mut connection = agent.connect();
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(b"wrong pin\n").unwrap();
    drop(write);
    let fd = std::os::fd::AsFd::as_fd(&read);
    hsmsign::agent::wire::send_all(connection.stream(), b"{\"op\":\"unlock\",\"pin\":true}\n", &[fd])
        .unwrap();
    assert_eq!(connection.answer()["error"]["code"], "wrong-pin");
    let seen = page();
    assert_eq!(seen["hsmsign_pin_tries_total{token=\"softhsm\"}"], 1.0);
    assert_eq!(seen["hsmsign_pin_refused_total{token=\"softhsm\"}"], 1.0);
    assert_eq!(seen["hsmsign_token_open{token=\"softhsm\"}"], 0.0);
    place.ok(&["lock"]);
    assert_eq!(page()["hsmsign_token_locked{token=\"softhsm\"}"], 1.0);
    place.ok(&["agent", "stop"]);
    until("it takes its sockets away", || {
        !socket.exists() && !agent.socket().exists()
    });
}

#[test]
fn readers_that_misbehave_delay_nobody() {
    let Some(place) = Place::with_kraken() else { return };
    let port = free_port();
    set(&place, &format!("127.0.0.1:{port}"));
    let agent = Running::start(&place);
    let connect = || reach(port);
    let _silent: Vec<_> = (0..50).map(|_| connect()).collect();
    let mut half = connect();
    half.write_all(b"GET /metr").unwrap();
    // One that asks on and on, and one that asks for too much.
    let (head, body) = exchange(
        connect(),
        &format!("GET /metrics HTTP/1.1\r\n{}", "X: y\r\n".repeat(2000)),
    );
    assert!(head.starts_with("HTTP/1.1 431"), "{head}: {body}");
    let mut connection = agent.connect();
    for _ in 0..20 {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    let (_, page) = exchange(connect(), "GET /metrics HTTP/1.1\r\n\r\n");
    assert_eq!(samples(&page)["hsmsign_signatures_total"], 20.0);
    let (head, _) = exchange(connect(), "GET / HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    // It is no second way in.
    let (head, body) = exchange(connect(), &format!("{BALANCE}\r\n\r\n"));
    assert!(
        head.starts_with("HTTP/1.1 400") && !body.contains("API-Sign"),
        "{head}: {body}"
    );
    half.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert!(
        matches!(half.read(&mut [0; 16]), Ok(0) | Err(_)),
        "it is not waited for longer"
    );
}

#[test]
fn they_are_off_by_default_and_never_served_to_other_machines() {
    let Some(place) = Place::with_kraken() else { return };
    let config = place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    for (metrics, words) in [
        ("0.0.0.0:9464", "not of the loopback"),
        ("192.0.2.1:9464", "not of the loopback"),
        ("[::]:9464", "not of the loopback"),
        ("localhost:9464", "no place for metrics"),
        ("9464", "no place for metrics"),
        ("metrics.sock", "no place for metrics"),
    ] {
        std::fs::write(&config, format!("{text}\n[agent]\nmetrics = \"{metrics}\"\n")).unwrap();
        place.refused(&["agent"], "", 5, words);
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    std::fs::write(&config, format!("{text}\n[agent]\nmetrics = \"{address}\"\n")).unwrap();
    place.refused(&["agent"], "", 1, "cannot be served");
    std::fs::write(&config, text).unwrap();
    let agent = Running::start(&place);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", agent.pid()));
    let Ok(fds) = fds else {
        eprintln!("SKIPPED: only root sees the descriptors of a hardened process");
        return;
    };
    let inodes: Vec<_> = fds
        .flatten()
        .filter_map(|fd| {
            std::fs::read_link(fd.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")
                .map(str::to_owned)
        })
        .collect();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for row in table.lines().skip(1) {
            let inode = format!("{}]", row.split_whitespace().nth(9).unwrap());
            assert!(!inodes.contains(&inode), "{row}");
        }
    }
    assert!(!inodes.is_empty());
}

#[test]
fn who_is_turned_away_for_want_of_descriptors_is_counted_too() {
    let Some(place) = Place::with_kraken() else { return };
    let socket = place.home().join("metrics.sock");
    set(&place, socket.to_str().unwrap());
    let agent = Running::of(&place, crate::clients::limited(&place, 60));
    let mut kept = Vec::new();
    let turned_away = (0..40)
        .filter(|_| {
            let mut connection = agent.connect();
            connection.try_send(b"{\"op\":\"ping\"}\n");
            let refused = connection.answer()["ok"] == false;
            kept.push(connection);
            refused
        })
        .count();
    assert!((1..40).contains(&turned_away), "{turned_away}");
    kept.truncate(1);
    until("the others are gone", || {
        kept[0].ask(r#"{"op":"status"}"#)["connections"] == 1
    });
    let (_, page) = exchange(
        UnixStream::connect(&socket).unwrap(),
        "GET /metrics HTTP/1.1\r\n\r\n",
    );
    let counted = samples(&page)["hsmsign_connections_refused_total"];
    assert!(
        (counted - turned_away as f64).abs() < 0.5,
        "{counted}, {turned_away}"
    );
}
