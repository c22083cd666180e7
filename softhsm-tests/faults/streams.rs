//! A kept-open `sign --json` while its token goes away and its key is changed; long imports; clocks.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout},
    time::{Duration, Instant},
};

use hsmsign::{home::Home, nonce::Nonces};
use serde_json::{Value, json};

use crate::{
    bench::{KRAKEN_SECRET, Place},
    state::{Random, chmod, nonce, refused, rounds},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

/// `sign --json` with its pipes held open.
struct Stream {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Stream {
    fn new(place: &Place) -> Self {
        let mut child = place.start(&["sign", "--json"]);
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer: {line:?}"))
    }

    fn balance(&mut self) -> Value {
        self.ask(&json!({"key": "kraken", "method": "POST", "path": "/0/private/Balance"}))
    }

    fn end(mut self) -> i32 {
        drop(self.input.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn a_token_folder_that_goes_away_is_missed_and_found_again() {
    let Some(place) = Place::with_kraken() else { return };
    let (here, away) = (place.token_folder(), place.path().join("away"));
    place.ok(&BALANCE);
    fs::rename(&here, &away).unwrap();
    for args in [&BALANCE[..], &["test", "kraken"], &["remove", "kraken"]] {
        refused(&place.run(args, ""), 4, "");
    }
    refused(
        &place.run(&["import", "--exchange", "kraken", "--key", "n"], KRAKEN_SECRET),
        4,
        "",
    );
    assert!(!here.exists(), "its place stays free");
    fs::rename(&away, &here).unwrap();
    place.ok(&BALANCE);
    // The whole of SoftHSM's folder.
    let (here, away) = (place.home().join("softhsm"), place.path().join("away"));
    fs::rename(&here, &away).unwrap();
    refused(&place.run(&BALANCE, ""), 4, "");
    assert!(!here.exists(), "its place stays free");
    fs::rename(&away, &here).unwrap();
    place.ok(&BALANCE);
    // What was being removed is still whole.
    place.ok(&["test", "kraken"]);
    place.ok(&["remove", "kraken"]);
}

#[test]
fn a_kept_open_stream_misses_its_token_and_goes_on_with_it() {
    let Some(place) = Place::with_kraken() else { return };
    let (here, away) = (place.token_folder(), place.path().join("away"));
    let mut stream = Stream::new(&place);
    let mut last = nonce(&stream.balance());
    for round in 0..3 {
        fs::rename(&here, &away).unwrap();
        for _ in 0..2 {
            let answer = stream.balance();
            assert_eq!(
                answer["error"]["code"], "token-missing",
                "round {round}: {answer}"
            );
            assert!(answer["error"]["fix"].is_string());
        }
        fs::rename(&away, &here).unwrap();
        for turn in 0..3 {
            let answer = stream.balance();
            assert_eq!(answer["ok"], true, "round {round}, turn {turn}: {answer}");
            let next = nonce(&answer);
            assert!(next > last);
            last = next;
        }
    }
    // Away and back while nobody looked.
    fs::rename(&here, &away).unwrap();
    fs::rename(&away, &here).unwrap();
    let answer = stream.balance();
    assert_eq!(answer["ok"], true, "away and back unseen: {answer}");
    assert!(nonce(&answer) > last);
    assert_eq!(stream.end(), 1, "some lines were not done");
}

#[test]
fn a_stream_follows_what_other_processes_do_to_its_key() {
    let Some(place) = Place::with_kraken() else { return };
    let mut stream = Stream::new(&place);
    let first = stream.balance();
    assert_eq!(first["headers"]["API-Key"], "example");
    place.ok(&["set", "kraken", "--api-key", "second"]);
    assert_eq!(stream.balance()["headers"]["API-Key"], "second");
    let request = json!({"key": "kraken", "method": "POST", "path": "/0/private/AddOrder", "body": crate::bench::KRAKEN_BODY});
    assert_eq!(
        stream.ask(&request)["headers"]["API-Sign"],
        crate::bench::KRAKEN_SIGN
    );
    let other = KRAKEN_SECRET.replacen("kQH5", "AAAA", 1);
    let done = place.run(&["rotate", "kraken", "--api-key", "third"], &format!("{other}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let rotated = stream.ask(&request);
    assert_eq!(rotated["headers"]["API-Key"], "third");
    assert_ne!(rotated["headers"]["API-Sign"], crate::bench::KRAKEN_SIGN);
    place.ok(&["rotate", "kraken", "--undo"]);
    let undone = stream.ask(&request);
    assert_eq!(undone["headers"]["API-Key"], "second");
    assert_eq!(undone["headers"]["API-Sign"], crate::bench::KRAKEN_SIGN);
    place.ok(&["remove", "kraken"]);
    assert_eq!(stream.balance()["error"]["code"], "unknown-key");
    place.import(&["--exchange", "kraken", "--api-key", "fourth"], KRAKEN_SECRET);
    let again = stream.balance();
    assert_eq!(again["headers"]["API-Key"], "fourth", "{again}");
    assert!(nonce(&again) > nonce(&first), "a name's nonces go on");
    // A record that others may read is refused from then on, not only at the next start.
    let record = place.home().join("keys/kraken.json");
    chmod(&record, 0o644);
    assert_eq!(stream.balance()["error"]["code"], "bad-input");
    chmod(&record, 0o600);
    assert_eq!(stream.balance()["ok"], true);
    stream.end();
}

#[test]
fn a_stream_goes_on_while_others_are_killed_at_their_login() {
    let Some(place) = Place::with_kraken() else { return };
    let mut stream = Stream::new(&place);
    let mut last = nonce(&stream.balance());
    let mut random = Random::new(6);
    for round in 0..rounds(40) {
        let mut other = place.start(&BALANCE);
        std::thread::sleep(Duration::from_micros(3_000 + random.below(9_000)));
        other.kill().unwrap();
        other.wait().unwrap();
        let answer = stream.balance();
        assert_eq!(answer["ok"], true, "round {round}: {answer}");
        assert!(nonce(&answer) > last);
        last = nonce(&answer);
    }
    place.ok(&["test", "kraken"]);
    assert_eq!(stream.end(), 0);
}

#[test]
fn a_stream_and_one_shots_share_one_sequence() {
    let Some(place) = Place::with_kraken() else { return };
    let mut stream = Stream::new(&place);
    let mut last = 0;
    for _ in 0..5 {
        for answer in [stream.balance(), place.json(&BALANCE)] {
            assert!(nonce(&answer) > last);
            last = nonce(&answer);
        }
    }
    // The nonce's file taken away: the sequence begins at the clock, which is later.
    fs::remove_file(place.home().join("nonces/kraken")).unwrap();
    assert!(nonce(&stream.balance()) > last);
    assert_eq!(stream.end(), 0);
}

#[test]
fn a_reader_that_leaves_ends_the_stream_quietly() {
    let Some(place) = Place::with_kraken() else { return };
    let mut child = place.start(&["sign", "--json"]);
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let begun = Instant::now();
    while writeln!(input, "{line}").is_ok() && begun.elapsed() < Duration::from_secs(10) {}
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn many_lines_are_imported_each_with_its_answer() {
    let Some(place) = Place::with_token() else { return };
    // SoftHSM looks at every object's file again with each search, so that thousands take it minutes; its own
    // affair, so that only the answers are at stake here. HSMSIGN_TEST_LINES raises the number.
    let lines = std::env::var("HSMSIGN_TEST_LINES").ok();
    let count: usize = lines.and_then(|text| text.parse().ok()).unwrap_or(300);
    let bad = |number: usize| number % 100 == 99;
    let lines: Vec<_> = (0..count)
        .map(|number| {
            // The exchange and API key come from the flags where the line does not say them.
            let secret = if bad(number) { "not base64" } else { KRAKEN_SECRET };
            let mut line = json!({"key": format!("k{number}"), "secret": secret});
            if number % 2 == 0 {
                line["api_key"] = json!(format!("own-{number}"));
            }
            line.to_string()
        })
        .collect();
    let begun = Instant::now();
    let done = place.run(
        &["import", "--json", "--exchange", "kraken", "--api-key", "flag"],
        &lines.join("\n"),
    );
    let took = begun.elapsed();
    assert_eq!(done.code, 1, "some lines are bad");
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), count);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer["key"], format!("k{number}"), "{answer}");
        assert_eq!(answer["ok"], !bad(number), "{answer}");
    }
    assert!(!done.stdout.contains("not base64\""));
    let api_key = |name: &str| place.json(&["show", name, "--json"])["api_key"].clone();
    assert_eq!(api_key("k0"), "own-0");
    assert_eq!(api_key("k1"), "flag");
    assert_eq!(
        place.json(&["list", "--json"]).as_array().unwrap().len(),
        count - count / 100
    );
    place.ok(&["test", "k98"]);
    eprintln!("{count} lines in {took:?}");
}

#[test]
fn nonces_increase_though_the_clock_goes_back() {
    let Some(place) = Place::with_kraken() else { return };
    let before = nonce(&place.json(&BALANCE));
    // As if the clock had been an hour ahead, and was then put right.
    let ahead = hsmsign::nonce::now() + Duration::from_secs(3600);
    let nonces = Nonces::new(&Home::at(&place.home()));
    let key = "kraken".parse().unwrap();
    let clock = u64::try_from(ahead.as_micros()).unwrap();
    let given = nonces.next(&key, clock, 1_000_000).unwrap();
    drop(nonces);
    assert!(given > before);
    let mut last = given;
    for _ in 0..3 {
        let next = nonce(&place.json(&BALANCE));
        assert_eq!(
            next,
            last + 1,
            "one more than the last, since the clock is behind"
        );
        last = next;
    }
    // One that is brought is signed as it is, and raises the sequence.
    let brought = last + 1_000_000;
    let data = format!("nonce={brought}");
    let answer = place.json(&[&BALANCE[..], &["--data", &data]].concat());
    assert_eq!(answer["body"], data);
    assert_eq!(nonce(&place.json(&BALANCE)), brought + 1);
    // A lower one too, and lowers nothing.
    let answer = place.json(&[&BALANCE[..], &["--data", "nonce=5"]].concat());
    assert_eq!(answer["body"], "nonce=5");
    assert_eq!(nonce(&place.json(&BALANCE)), brought + 2);
    // More than a day ahead would kill the key.
    let far = u64::try_from(hsmsign::nonce::now().as_micros()).unwrap() + 90_000_000_000;
    for args in [
        [&BALANCE[..], &["--data", &format!("nonce={far}")]].concat(),
        [&BALANCE[..], &["--nonce", &far.to_string()]].concat(),
        vec!["nonce", "kraken", "--set-above", &far.to_string()],
    ] {
        refused(&place.run(&args, ""), 5, "more than a day ahead");
    }
    assert_eq!(nonce(&place.json(&BALANCE)), brought + 3);
}
