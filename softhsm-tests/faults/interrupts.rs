//! SIGKILL and SIGINT while hsmsign signs, sets up a token or imports many keys: no nonce comes twice, and what was done
//! stays whole.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    bench::{KRAKEN_SECRET, Place},
    state::{Random, expected_objects, names, nonce, objects, rounds},
};

/// Starts a command, feeds it, and kills it after so many microseconds. Answers whether it had ended by itself.
fn kill_after(place: &Place, args: &[&str], input: &str, micros: u64, signal: Signal) -> bool {
    let mut command = place.command(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    sleep(Duration::from_micros(micros));
    let pid = Pid::from_child(&child);
    let _ = kill_process(pid, signal);
    child.wait().unwrap().success()
}

/// How long the command takes when nobody kills it.
fn duration(place: &Place, args: &[&str], input: &str) -> u64 {
    let begun = Instant::now();
    let done = place.run(args, input);
    assert_eq!(done.code, 0, "{args:?}: {done:?}");
    u64::try_from(begun.elapsed().as_micros()).unwrap()
}

fn anchored() -> Option<Place> {
    let place = Place::with_token()?;
    place.import(
        &["--exchange", "kraken", "--key", "anchor", "--api-key", "a"],
        KRAKEN_SECRET,
    );
    Some(place)
}

#[test]
fn nonces_never_repeat_over_killed_signatures() {
    let Some(place) = anchored() else { return };
    let line = r#"{"key":"anchor","method":"POST","path":"/0/private/Balance"}"#;
    let input = format!("{line}\n").repeat(400);
    let mut random = Random::new(3);
    let mut given = HashSet::new();
    let mut last = 0;
    for round in 0..rounds(25) {
        let output = place.path().join("out");
        let mut command = place.command(&["sign", "--json"]);
        command
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&output).unwrap())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.clone();
        let feeder = std::thread::spawn(move || {
            for line in input.lines() {
                if writeln!(stdin, "{line}").is_err() {
                    break;
                }
            }
        });
        let begun = Instant::now();
        while fs::metadata(&output).unwrap().len() == 0 && begun.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(random.below(60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        feeder.join().unwrap();
        let text = fs::read_to_string(&output).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let nonce = nonce(&serde_json::from_str(line).unwrap());
            assert!(
                nonce > last && given.insert(nonce),
                "round {round}: {nonce} after {last}"
            );
            last = nonce;
        }
    }
    assert!(given.len() > 20, "{} signatures were made", given.len());
    eprintln!("{} nonces over the kills", given.len());
}

#[test]
fn the_first_nonce_of_a_key_is_whole_over_kills() {
    let Some(place) = anchored() else { return };
    let sign = ["sign", "anchor", "POST", "/0/private/Balance"];
    let took = duration(&place, &sign, "");
    let mut random = Random::new(4);
    for _ in 0..rounds(25) {
        let _ = fs::remove_file(place.home().join("nonces/anchor"));
        kill_after(&place, &sign, "", random.below(took), Signal::KILL);
        let names: Vec<_> = fs::read_dir(place.home().join("nonces"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(names.iter().all(|name| name == "anchor"), "{names:?}");
        place.ok(&sign);
    }
}

#[test]
fn setting_up_a_token_survives_kills() {
    let mut random = Random::new(5);
    let mut took = None;
    for round in 0..rounds(8) {
        let place = Place::new();
        let took = *took.get_or_insert_with(|| {
            let place = Place::new();
            let begun = Instant::now();
            let done = place.run(&["init", "--softhsm"], "");
            assert!(
                done.code == 0 || done.stderr.contains("not on this machine"),
                "{done:?}"
            );
            u64::try_from(begun.elapsed().as_micros()).unwrap()
        });
        let after = random.below(took);
        kill_after(&place, &["init", "--softhsm"], "", after, Signal::KILL);
        let again = place.run(&["init", "--softhsm"], "");
        if again.stderr.contains("not on this machine") {
            eprintln!("SKIPPED: SoftHSM is not installed");
            return;
        }
        assert!(
            again.code == 0 || again.stderr.contains("set up already"),
            "round {round}, killed after {after} µs: {again:?}"
        );
        place.import(&["--exchange", "kraken", "--api-key", "a"], KRAKEN_SECRET);
        place.ok(&["test", "kraken"]);
    }
}

#[test]
fn an_interrupted_import_of_many_leaves_whole_keys_only() {
    let Some(place) = anchored() else { return };
    let lines: String = (0..400)
        .map(|number| {
            format!("{{\"exchange\":\"kraken\",\"key\":\"k{number}\",\"api_key\":\"a\",\"secret\":\"{KRAKEN_SECRET}\"}}\n")
        })
        .collect();
    let mut command = place.command(&["import", "--json"]);
    let quiet = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    while names(&place).len() < 5 {
        assert!(child.try_wait().unwrap().is_none(), "it imports");
        sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success(), "it was interrupted");
    let kept = names(&place).len();
    assert!((5..400).contains(&kept), "{kept} keys were imported");
    let requests: String = names(&place)
        .iter()
        .map(|name| {
            format!(
                "{}\n",
                json!({"key": name, "method": "POST", "path": "/0/private/Balance"})
            )
        })
        .collect();
    let done = place.run(&["sign", "--json"], &requests);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).unwrap()["ok"] == true)
    );
    if let Some(objects) = objects(&place) {
        assert_eq!(objects, expected_objects(&place));
    }
    eprintln!("{kept} keys are whole");
}
