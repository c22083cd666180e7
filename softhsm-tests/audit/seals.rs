//! Seals: each counts in its own place alone.

use std::{fs, thread, time::Duration};

use hsmsign::audit::{self, Files, Log};

use crate::{
    bench::Place,
    written::{Written, entry, first, rechained, verified},
};

#[test]
fn a_seal_that_was_copied_counts_nowhere() {
    let Some(place) = Place::with_kraken() else { return };
    for _ in 0..3 {
        place.sign_balances(2);
    }
    let path = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(rechained(&lines), text);
    let is_seal = |at: &usize| lines[*at].contains("\"what\":\"seal\"");
    let seals: Vec<usize> = (0..lines.len()).filter(is_seal).collect();
    assert_eq!((seals.len(), seals[2]), (3, lines.len() - 1));
    for (number, &seal) in seals.iter().enumerate() {
        for at in 1..=lines.len() {
            let mut forged = lines.clone();
            forged.insert(at, lines[seal]);
            fs::write(&path, rechained(&forged)).unwrap();
            let found = verified(&place);
            assert_eq!(
                found["ok"],
                false,
                "seal {} behind line {at}: {found}",
                number + 1
            );
            // Behind all others nothing else tells of it.
            if at == lines.len() {
                let words = [
                    "is seal 1 where 4 is due",
                    "is seal 2 where 4 is due",
                    "it was copied here",
                ];
                let (line, what) = first(&found);
                assert!(what.contains(words[number]), "{found}");
                assert_eq!(
                    (line, found["seals"].as_u64()),
                    (at as u64 + 1, Some(3)),
                    "{found}"
                );
            }
        }
    }
    // Also behind lines that no seal covers, which it would seem to cover.
    let mut forged = lines.clone();
    forged.extend([lines[3], lines[seals[2]]]);
    fs::write(&path, rechained(&forged)).unwrap();
    place.refused(
        &["audit", "verify"],
        "",
        1,
        "seal 3 is up to line 10 and stands behind that in line 11: it was copied here",
    );
    let found = verified(&place);
    assert_eq!(
        (found["unsealed"].as_u64(), found["seals"].as_u64()),
        (Some(3), Some(3)),
        "{found}"
    );
    fs::write(&path, &text).unwrap();
    place.ok(&["audit", "verify"]);
}

#[test]
fn a_seal_is_also_over_what_other_processes_wrote_since() {
    let written = Written::new();
    let home = written.home();
    let (one, other) = (
        Log::over(&home, Files::new(&home)),
        Log::over(&home, Files::new(&home)),
    );
    let write = |log: &Log| {
        log.record(entry("/0/private/Balance"));
        log.flush().unwrap();
    };
    let sealed = |log: &Log, due| {
        log.sealed(due, "token", &[7; 32]);
        log.flush().unwrap();
    };
    write(&one);
    for _ in 0..3 {
        write(&other);
    }
    sealed(&other, other.seal_all().unwrap().unwrap());
    // It knows of its own line alone, the second, and there are six.
    sealed(&one, one.seal_due(true).unwrap());
    let found = written.verified();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.seals, 2);
    assert_eq!(found.last.unwrap().1, 6);
}

#[test]
fn a_seal_holds_however_many_lines_were_written_while_the_token_made_it() {
    let written = Written::new();
    let home = written.home();
    let write = |log: &Log, count: usize| {
        (0..count).for_each(|_| log.record(entry("/0/private/Balance")));
        log.flush().unwrap();
    };
    // In files of which each holds some hundred lines.
    let (one, other) = (
        Log::over(&home, Files::new(&home).of_size(100_000)),
        Log::over(&home, Files::new(&home).of_size(100_000)),
    );
    write(&one, 700);
    let due = one.seal_all().unwrap().unwrap();
    for _ in 0..30 {
        write(&other, 800);
    }
    one.sealed(due, "token", &[7; 32]);
    one.flush().unwrap();
    let found = written.verified();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    let files = written.files();
    assert!(files.len() > 30, "{}", files.len());
    // Each file begins with a line more, and how many there are by then is as the lines came together.
    let far = found.last.unwrap().1;
    assert!((701..800).contains(&far), "{far}");
    assert_eq!((found.seals, found.unsealed), (1, found.lines - far));
    // What it is about is compared all the same.
    let first = fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<&str> = first.lines().collect();
    let (_, hash) = lines[300].rsplit_once(",\"h\":").unwrap();
    let text = fs::read_to_string(files.last().unwrap()).unwrap();
    let (head, rest) = text.split_once("\"head\":\"").unwrap();
    let forged = format!("{head}\"head\":{}{}", &hash[..65], &rest[64..]);
    fs::write(files.last().unwrap(), forged).unwrap();
    let found = written.verified().findings;
    let words = "seal 1 is about another line than this";
    assert!(
        found
            .iter()
            .any(|found| found.number == far && found.what.contains(words)),
        "{found:?}"
    );
}

#[test]
fn of_several_tokens_one_is_named_to_seal() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["init", "--softhsm", "--token", "two"]);
    place.refused(&["audit", "seal"], "", 5, "name one with --token");
    for token in ["two", "softhsm"] {
        place.ok(&["audit", "seal", "--token", token]);
    }
    let found = verified(&place);
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(found["sealed_by"], serde_json::json!(["softhsm", "two"]));
    assert_eq!(found["kept_by"], serde_json::json!({"softhsm": 2, "two": 1}));
}

#[test]
fn who_asks_for_a_seal_waits_for_the_one_that_is_made() {
    let written = Written::with(3, 1 << 20);
    let log = || Log::over(&written.home(), Files::new(&written.home()));
    let (one, other) = (log(), log());
    let due = one.seal_all().unwrap().unwrap();
    thread::scope(|scope| {
        let next = scope.spawn(|| other.seal_all().unwrap().is_some());
        thread::sleep(Duration::from_millis(200));
        one.sealed(due, "token", &[7; 32]);
        one.flush().unwrap();
        assert!(next.join().unwrap(), "there is a log");
    });
    assert!(written.verified().findings.is_empty());
}

#[test]
fn a_log_that_is_written_and_sealed_while_it_is_gone_through_is_as_it_was_written() {
    let written = Written::with(200, 3000);
    let home = written.home();
    let verified = || (0..150).find_map(|_| audit::verify(&home, None, &[]).unwrap().findings.pop());
    let wrong = thread::scope(|scope| {
        let verifier = scope.spawn(verified);
        let log = Log::over(&home, Files::new(&home).of_size(3000));
        while !verifier.is_finished() {
            for _ in 0..5 {
                log.record(entry("/0/private/Balance"));
            }
            log.flush().unwrap();
            log.sealed(log.seal_all().unwrap().unwrap(), "token", &[7; 32]);
            log.flush().unwrap();
        }
        verifier.join().unwrap()
    });
    assert!(wrong.is_none(), "{wrong:?}");
}

#[test]
fn what_was_changed_is_told_though_a_token_that_sealed_cannot_be_asked() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let path = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // A seal of a token that nobody ever had, over the last line.
    let (last, (_, hash)) = (lines.len(), lines.last().unwrap().rsplit_once(",\"h\":").unwrap());
    let seal = format!(
        "{{\"n\":0,\"t\":\"2026-11-23T10:00:00.000000Z\",\"what\":\"seal\",\"seal\":2,\"upto\":{last},\"head\":\"{}\",\"mac\":\"{}\",\"token\":\"nobodys\",\"h\":\"\"}}",
        &hash[1..65],
        "ab".repeat(32)
    );
    let with = |lines: &[&str]| rechained(lines.iter().copied().chain([seal.as_str()]));
    fs::write(&path, with(&lines)).unwrap();
    let place_of_it = format!("the seals from line {} on were not looked at", last + 1);
    place.refused(&["audit", "verify"], "", 4, &place_of_it);
    let found = verified(&place);
    assert_eq!(
        (
            &found["ok"],
            &found["not_asked"][0]["token"],
            &found["seals"],
            &found["unsealed"]
        ),
        (&false.into(), &"nobodys".into(), &1.into(), &2.into()),
        "{found}"
    );
    // A line that was edited as well, and then the token that made the first seal gone.
    let edited = with(&lines).replacen("\"method\":\"POST\"", "\"method\":\"GET\"", 1);
    fs::write(&path, edited).unwrap();
    let told = "the audit log was changed: line 3";
    let found = place.run(&["audit", "verify"], "");
    assert!(found.code == 1 && found.stderr.contains(told), "{found:?}");
    fs::rename(place.token_folder(), place.home().join("away")).unwrap();
    let found = place.run(&["audit", "verify"], "");
    assert!(found.code == 1 && found.stderr.contains(told), "{found:?}");
    let found = verified(&place);
    assert_eq!(
        (first(&found).0, found["not_asked"].as_array().unwrap().len()),
        (3, 2),
        "{found}"
    );
}
