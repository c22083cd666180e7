//! Kills, full disks, writers at the same time.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Command,
    time::{Duration, Instant},
};

use hsmsign::audit::{Files, Log};

use rustix::process::Signal;

use crate::{
    bench::{Place, Stream},
    running::kill,
    written::{Written, entry},
};

fn rounds(default: usize) -> usize {
    std::env::var("HSMSIGN_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn writers_at_the_same_time_write_one_chain() {
    let Some(place) = Place::with_kraken() else { return };
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..5).for_each(|_| drop(place.ok(&sign))));
            scope.spawn(|| assert_eq!(place.run(&["sign", "--json"], &line.repeat(50)).code, 0));
        }
    });
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(found["ok"], true, "{found}");
    let signed = place.ok(&["audit", "show", "--what", "sign"]).lines().count();
    assert_eq!(signed, 3 * 5 + 3 * 50);
}

/// What was answered more than 50 ms before a kill is in the log, and the chain holds.
#[test]
fn a_kill_loses_at_most_the_last_50_ms() {
    const BOUND: Duration = Duration::from_millis(50);
    let Some(place) = Place::with_kraken() else { return };
    let mut answered_in_all = 0;
    let mut lost_in_all = 0;
    let mut before = 0;
    for round in 0..rounds(60) {
        let mut child = place.start(&["sign", "--json"]);
        let mut stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut times = Vec::new();
            for line in BufReader::new(stdout).lines() {
                if line.is_ok_and(|line| line.contains("\"ok\":true")) {
                    times.push(Instant::now());
                }
            }
            times
        });
        let feeder = std::thread::spawn(move || {
            let line = b"{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
            for _ in 0..400 {
                if stdin.write_all(line).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        // How long this machine lets a thread wait that has something to do: that is not the log's.
        let over = std::sync::atomic::AtomicBool::new(false);
        let stood_still = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let begun = Instant::now();
                    std::thread::sleep(Duration::from_millis(2));
                    longest = longest.max(begun.elapsed());
                }
                longest
            });
            std::thread::sleep(Duration::from_millis(20 + (round as u64 * 7919) % 130));
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            watch.join().unwrap()
        });
        let killed = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        feeder.join().unwrap();
        let times = reader.join().unwrap();
        let owed = times
            .iter()
            .filter(|at| **at + BOUND + 2 * stood_still < killed)
            .count();
        if round % 20 == 0 {
            let found = place.json(&["audit", "verify", "--no-token", "--json"]);
            assert_eq!(found["ok"], true, "round {round}: {found}");
        }
        let text = fs::read_to_string(place.home().join("audit/000000000001.jsonl")).unwrap();
        let logged = text.matches("\"outcome\":\"signed\"").count();
        let new = logged - before;
        assert!(
            new >= owed,
            "round {round}: {new} lines of {owed} answers that are older than the bound"
        );
        before = logged;
        answered_in_all += times.len();
        lost_in_all += times.len().saturating_sub(new);
    }
    assert!(answered_in_all > rounds(60), "{answered_in_all} answers");
    assert_eq!(
        place.json(&["audit", "verify", "--no-token", "--json"])["ok"],
        true
    );
    eprintln!("{answered_in_all} answers, {lost_in_all} lines lost, all of the last 50 ms");
}

/// A process that was stopped while it wrote keeps the log locked: what is signed meanwhile waits, and a kill would take it.
#[test]
fn where_lines_wait_for_a_second_nothing_more_is_signed() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}";
    let mut child = place.start(&["sign", "--json"]);
    let mut stream = Stream::of(&mut child);
    let mut signed = 0;
    let mut ask = || {
        std::thread::sleep(Duration::from_millis(10));
        let answer = stream.answer(line);
        signed += usize::from(answer.contains("\"ok\":true"));
        answer
    };
    assert!(ask().contains("\"ok\":true"));
    for _ in 0..2 {
        let lock = fs::File::open(place.home().join("audit/.lock")).unwrap();
        lock.lock().unwrap();
        let begun = Instant::now();
        let refused = loop {
            let answer = ask();
            if !answer.contains("\"ok\":true") {
                break answer;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{answer}");
        };
        assert!(refused.contains("has not been written for a second"), "{refused}");
        assert!(begun.elapsed() > Duration::from_millis(900));
        drop(lock);
        let begun = Instant::now();
        while !ask().contains("\"ok\":true") {
            assert!(begun.elapsed() < Duration::from_secs(5), "it goes on by itself");
        }
    }
    drop(stream.end());
    child.wait().unwrap();
    let log = place.log(&["--outcome", "signed"]);
    assert_eq!(log.len(), signed, "and no line is lost");
}

/// Its own lines waited no longer than it stood still itself.
#[test]
fn a_stream_that_was_stopped_goes_on_without_a_refusal() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}";
    let mut child = place.start(&["sign", "--json"]);
    let pid = i32::try_from(child.id()).unwrap();
    let mut stream = Stream::of(&mut child);
    for round in 0..4 {
        let answer = stream.answer(line);
        assert!(answer.contains("\"ok\":true"), "{answer}");
        // While lines are gathered.
        std::thread::sleep(Duration::from_millis(3 * round));
        kill(pid, Signal::STOP);
        std::thread::sleep(Duration::from_millis(1200));
        for _ in 0..20 {
            stream.send(line);
        }
        kill(pid, Signal::CONT);
        for _ in 0..20 {
            let answer = stream.read();
            assert!(answer.contains("\"ok\":true"), "round {round}: {answer}");
        }
    }
    drop(stream.end());
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_a_killed_writer_left_of_a_line_is_passed_over() {
    let written = Written::with(3, u64::MAX);
    let path = written.files()[0].clone();
    let whole = fs::read(&path).unwrap();
    for torn in [&b"{\"n\":5,\"t\":\"20"[..], b"{", b"\0\0\0\0"] {
        fs::write(&path, [&whole[..], torn].concat()).unwrap();
        assert_eq!(written.verified().torn, torn.len() as u64);
        let log = Log::over(&written.home(), Files::new(&written.home()));
        log.record(entry("/behind"));
        log.flush().unwrap();
        let found = written.verified();
        assert!(
            found.findings.is_empty() && found.torn == 0,
            "{:?}",
            found.findings
        );
        assert_eq!(found.lines, 5);
    }
}

#[test]
fn a_log_that_was_cut_while_it_is_written_is_missed() {
    let written = Written::new();
    let log = Log::over(&written.home(), Files::new(&written.home()));
    for _ in 0..10 {
        log.record(entry("/a"));
    }
    log.flush().unwrap();
    let path = written.files()[0].clone();
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(5).collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    log.record(entry("/b"));
    log.flush().unwrap();
    let found = written.verified();
    assert!(
        found.findings[0].what.contains("lines 6 to 11 are missing"),
        "{:?}",
        found.findings
    );
}

#[test]
fn where_the_log_cannot_be_written_nothing_is_signed() {
    let Some(place) = Place::with_kraken() else { return };
    // As root, only a file system that is full or read-only refuses; a limit of the process does as well.
    let sign = |limit: &str| {
        Command::new("sh")
            .args([
                "-c",
                &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" sign kraken POST /0/private/Balance"),
                env!("CARGO_BIN_EXE_hsmsign"),
            ])
            .env("HSMSIGN_HOME", place.home())
            .output()
            .unwrap()
    };
    assert!(sign("unlimited").status.success());
    // Files may grow to 4 KiB: the log is filled up to there, the rest is smaller.
    while fs::metadata(place.home().join("audit/000000000001.jsonl"))
        .unwrap()
        .len()
        < 3900
    {
        place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    }
    let size = fs::metadata(place.home().join("audit/000000000001.jsonl"))
        .unwrap()
        .len();
    let blocks = size / 512;
    let done = sign(&blocks.to_string());
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.stdout.is_empty(), "no signature is given out: {done:?}");
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.contains("cannot be written, so nothing is signed"), "{told}");
    assert_eq!(
        place.json(&["audit", "verify", "--json"])["ok"],
        true,
        "and no half a line is left"
    );
    assert!(sign("unlimited").status.success());
}

#[test]
fn a_stream_gives_no_first_signature_out_where_the_log_cannot_be_written() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    // A file where the folder was.
    let (folder, aside) = (place.home().join("audit"), place.path().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    for lines in [1, 200] {
        let done = place.run(&["sign", "--json"], &line.repeat(lines));
        assert_eq!(done.code, 1, "{done:?}");
        assert_eq!(
            done.stdout.matches("audit is not a folder\"").count(),
            lines,
            "{done:?}"
        );
        assert!(!done.stdout.contains("API-Sign"), "{done:?}");
    }
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let done = place.run(&["sign", "--json"], line);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_log_that_is_written_when_flushed_loses_nothing_where_that_fails() {
    let written = Written::with(1, u64::MAX);
    let log = Log::over(&written.home(), Files::new(&written.home()));
    log.write_when_flushed();
    log.record(entry("/a"));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(written.verified().lines, 2, "nothing is written by itself");
    // A file where the folder was: nothing can be written.
    let (folder, aside) = (written.home().state("audit"), written.home().state("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    assert!(log.flush().is_err());
    log.record(entry("/b"));
    assert!(log.flush().is_err());
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    log.flush().unwrap();
    log.flush().unwrap();
    assert_eq!(written.verified().lines, 4);
    log.record(entry("/c"));
    drop(log);
    let found = written.verified();
    assert_eq!(found.lines, 5);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}
