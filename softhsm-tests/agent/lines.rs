//! Lines that are not as they should be, and clients that are not.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use crate::{
    bench::{Place, random::Random},
    running::{BALANCE, Running, until},
};

#[test]
fn each_bad_line_has_its_error_and_the_next_one_is_served() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for (line, code) in [
        ("{", "bad-input"),
        ("[]", "bad-input"),
        ("null", "bad-input"),
        ("{\"key\":\"kraken\"}", "bad-input"),
        (
            "{\"key\":\"Kraken\",\"method\":\"GET\",\"path\":\"/\"}",
            "bad-input",
        ),
        ("{\"key\":\"kraken\",\"secret\":\"x\"}", "bad-input"),
        ("{\"op\":\"ping\",\"token\":1}", "bad-input"),
        ("{\"op\":\"nothing\"}", "unsupported"),
        ("{\"hmac\":{}}", "bad-input"),
        (
            "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/WithdrawFunds\"}",
            "denied",
        ),
    ] {
        let answer = connection.ask(line);
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert!(
            answer["error"]["fix"].as_str().is_some_and(|fix| !fix.is_empty()),
            "{answer}"
        );
    }
    connection.send(b"\xff\xfe\n");
    assert_eq!(connection.answer()["error"]["code"], "bad-input");
    assert_eq!(connection.ask(BALANCE)["ok"], true);
}

#[test]
fn ten_thousand_malformed_lines_are_ten_thousand_errors() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut random = Random::new(0x6d61_6c66);
    let mut connection = agent.connect();
    let mut stream = connection.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..10_000 {
            let mut line = BALANCE.as_bytes().to_vec();
            // A quote is cut out, so that none of them is JSON; and then bytes are changed.
            line.remove(1);
            for _ in 0..random.below(8) {
                let at = usize::try_from(random.below(line.len() as u64)).unwrap();
                line[at] = u8::try_from(random.below(256)).unwrap();
            }
            line.retain(|&byte| byte != b'\n');
            line.push(b'\n');
            stream.write_all(&line).unwrap();
        }
    });
    for _ in 0..10_000 {
        let answer = connection.answer();
        assert_eq!(answer["ok"], false, "{answer}");
    }
    writer.join().unwrap();
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
}

#[test]
fn clients_that_say_nothing_delay_nobody() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let silent: Vec<_> = (0..500).map(|_| agent.connect()).collect();
    let mut half = agent.connect();
    half.send(&BALANCE.as_bytes()[..20]);
    let mut greedy = agent.connect();
    let mut stream = greedy.stream().try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    // Asks without end, and reads nothing: at some time nothing more is taken from it.
    let flood = format!("{BALANCE}\n").repeat(100);
    let mut sent = 0;
    let begun = Instant::now();
    while begun.elapsed().as_secs() < 20 {
        match stream.write(flood.as_bytes()) {
            Ok(more) => sent += more,
            Err(_) if sent > 0 => break,
            Err(_) => {}
        }
    }
    let mut connection = agent.connect();
    for _ in 0..50 {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    half.send(&BALANCE.as_bytes()[20..]);
    half.send(b"\n");
    assert_eq!(half.answer()["ok"], true);
    drop(silent);
    drop((greedy, stream));
    crate::running::until("the others are gone", || agent.status()["connections"] == 3);
}

#[test]
fn more_connections_than_it_takes_are_told_so() {
    let Some(place) = Place::with_kraken() else { return };
    let config = place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[agent]\nconnections = 3\n")).unwrap();
    let agent = Running::start(&place);
    let mut kept: Vec<_> = Vec::new();
    let refused = loop {
        let mut connection = agent.connect();
        connection.try_send(b"{\"op\":\"ping\"}\n");
        let answer = connection.answer();
        if answer["ok"] == false {
            break answer;
        }
        kept.push(connection);
        assert!(kept.len() <= 3);
    };
    assert_eq!(refused["error"]["code"], "token-busy", "{refused}");
    assert_eq!(kept[0].ask(BALANCE)["ok"], true);
}

#[test]
fn who_sends_without_end_has_one_turn_a_round_like_everybody() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut flood = agent.connect();
    let mut answers = flood.stream().try_clone().unwrap();
    let done = AtomicBool::new(false);
    let mut between = std::thread::scope(|scope| {
        scope.spawn(|| {
            let lines = b"{}\n".repeat(20_000);
            while !done.load(Ordering::Relaxed) && flood.try_send(&lines) {
                std::hint::spin_loop();
            }
            flood.end();
        });
        scope.spawn(|| std::io::copy(&mut answers, &mut std::io::sink()));
        let mut other = agent.connect();
        let mut refused = || other.ask(r#"{"op":"status"}"#)["refused"].as_u64().unwrap();
        until("the flood comes", || refused() > 10_000);
        let mut last = refused();
        let between: Vec<_> = (0..100)
            .map(|_| {
                let now = refused();
                now - std::mem::replace(&mut last, now)
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        between
    });
    between.sort_unstable();
    // A turn is 32 lines. How many turns there were before this test was scheduled again is the machine's to say, but in
    // one of ten cases it was at once.
    assert!(between[10] > 0 && between[10] <= 200, "{between:?}");
    // What is not worked on waits in the socket and not in the agent.
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = most.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kib < 64 << 10, "{most}");
}

#[test]
fn a_line_that_is_too_long_is_an_error_and_the_next_one_is_served() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..18 {
        connection.send(&chunk);
    }
    connection.send(b"\n");
    assert_eq!(connection.answer()["error"]["code"], "too-large");
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    // To the byte, however the line is cut into parts on its way.
    let of_length = |length: usize| {
        let frame = r#"{"op":"ping","id":""}"#.len();
        format!("{{\"op\":\"ping\",\"id\":\"{}\"}}\n", "y".repeat(length - frame))
    };
    let limit = 16 << 20;
    for (length, ok) in [
        (limit, true),
        (limit + 1, false),
        (limit - 1, true),
        (limit + 2, false),
    ] {
        let line = of_length(length);
        let mut sender = connection.stream().try_clone().unwrap();
        let answer = std::thread::scope(|scope| {
            scope.spawn(move || sender.write_all(line.as_bytes()).unwrap());
            connection.answer()
        });
        assert_eq!(answer["ok"], ok, "{length}");
        if !ok {
            assert_eq!(answer["error"]["code"], "too-large");
        }
    }
    let long = format!(
        "{{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/AddOrder\",\"form\":{{\"x\":\"{}\"}}}}",
        "y".repeat(2 << 20)
    );
    assert_eq!(connection.ask(&long)["ok"], true);
    connection.send(BALANCE.as_bytes());
    connection.end();
    assert_eq!(connection.answer()["ok"], true, "a last line without its end");
    assert_eq!(connection.read(), None);
}

#[test]
fn the_end_of_a_line_that_is_too_long_is_no_line_of_its_own() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..18 {
        connection.send(&chunk);
    }
    // Without a line feed, and the end of what is sent behind it.
    connection.send(BALANCE.as_bytes());
    connection.end();
    assert_eq!(connection.answer()["error"]["code"], "too-large");
    assert_eq!(connection.read(), None);
    assert_eq!(agent.status()["signed"], 0);
}
