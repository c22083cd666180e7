//! Seals: each counts in its own place alone.

use std::fs;

use hsmsign::audit::{Files, Log};

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
