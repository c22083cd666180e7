//! What is asked of the log and is not in it: nobody is to take that for nothing that was signed.

use std::fs;

use crate::bench::Place;

#[test]
fn where_nothing_is_shown_it_is_told_why() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    let told = |args: &[&str], words: &[&str]| {
        let done = place.run(&[&["audit"], args].concat(), "");
        assert_eq!(
            (done.code, done.stderr.lines().count()),
            (0, 1),
            "{args:?}: {done:?}"
        );
        for word in words {
            assert!(
                done.stderr.contains(word),
                "{args:?} should say {word:?}: {done:?}"
            );
        }
    };
    let folder = place.home().join("audit");
    let folder = folder.to_str().unwrap();
    told(
        &["show", "--key", "Kraken"],
        &["none of the 3 lines", folder, "key Kraken"],
    );
    told(
        &["show", "--json", "--path", "0/private"],
        &["path from 0/private"],
    );
    told(&["report", "--since", "2100-01-01"], &["since 2100-01-01T00"]);
    for (since, until) in [
        ("1h", "2h"),
        ("2026-02-01", "2026-01-01"),
        ("2026-02-01", "2026-02-01"),
    ] {
        let times = ["--since", since, "--until", until];
        for what in ["show", "report"] {
            place.refused(
                &[&["audit", what], &times[..]].concat(),
                "",
                5,
                "no time lies between",
            );
        }
    }
    let found = place.run(&["audit", "show", "--key", "kraken", "-n", "1"], "");
    assert!(
        found.stdout.contains("Balance") && found.stderr.is_empty(),
        "{found:?}"
    );
    fs::rename(folder, place.path().join("away")).unwrap();
    told(&["show"], &["there is no log in", folder]);
    told(&["report"], &["there is no log in", folder]);
}

/// As where the log lies on a disk that is not mounted.
#[test]
fn a_link_to_nowhere_is_no_log_without_lines() {
    let Some(place) = Place::with_kraken() else { return };
    let folder = place.home().join("audit");
    fs::rename(&folder, place.path().join("away")).unwrap();
    std::os::unix::fs::symlink(place.path().join("nowhere"), &folder).unwrap();
    for what in ["show", "report", "verify"] {
        place.refused(&["audit", what], "", 5, "is a link to");
    }
}

/// Who watches the log is told that it went away: there would be no further lines.
#[test]
fn who_follows_a_log_is_told_that_it_goes_away() {
    use std::io::BufRead as _;

    let Some(place) = Place::with_kraken() else { return };
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    place.ok(&sign);
    let (folder, away) = (place.home().join("audit"), place.path().join("away"));
    let mut child = place.start(&["audit", "show", "--follow", "-n", "1"]);
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notes = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("Balance"));
    fs::rename(&folder, &away).unwrap();
    let note = notes.next().unwrap().unwrap();
    assert!(note.contains("000000000001.jsonl is gone"), "{note}");
    // Back again it goes on where it was.
    fs::rename(&away, &folder).unwrap();
    place.ok(&sign);
    assert!(lines.next().unwrap().unwrap().contains("Balance"));
    let file = folder.join("000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let note = notes.next().unwrap().unwrap();
    assert!(
        note.contains("000000000001.jsonl is another file now, or was cut"),
        "{note}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// As on a machine without a clock of its own, which began in another year.
#[test]
fn lines_that_a_clock_which_was_set_back_hides_are_told() {
    let Some(place) = Place::with_kraken() else { return };
    let home = hsmsign::home::Home::at(&place.home());
    let log = hsmsign::audit::Log::new(&home);
    let mut earlier = crate::written::entry("/0/private/Earlier");
    earlier.at -= std::time::Duration::from_secs(7200);
    log.record(earlier);
    log.flush().unwrap();
    drop(log);
    for what in ["show", "report"] {
        let done = place.run(&["audit", what, "--since", "1h"], "");
        assert!(
            done.code == 0 && done.stderr.contains("1 lines stand behind others of that time"),
            "{done:?}"
        );
        let whole = place.run(&["audit", what], "");
        assert!(
            whole.stderr.is_empty() && whole.stdout.contains("Earlier"),
            "{whole:?}"
        );
    }
}
