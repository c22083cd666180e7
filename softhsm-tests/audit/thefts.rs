//! A log that was taken away, rolled back, spliced or begun anew, each found and placed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hsmsign::audit::{self, Files, Log};

use crate::{
    bench::Place,
    written::{Written, copy, entry, first, verified},
};

#[test]
fn each_place_of_a_forgery_is_told_with_its_line_and_file() {
    let written = Written::with(40, 3000);
    let files = written.files();
    let whole: Vec<String> = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut number = 0;
    for (path, text) in files.iter().zip(&whole) {
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            number += 1;
            let mut forged: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            forged[at] = forged[at].replacen("\"20", "\"19", 1);
            assert_ne!(forged[at], lines[at]);
            fs::write(path, forged.join("\n") + "\n").unwrap();
            let found = written.verified().findings;
            assert_eq!(found.len(), 1, "{found:?}");
            let name = path.file_name().unwrap().to_str();
            assert_eq!((found[0].number, found[0].file.as_deref()), (number, name));
        }
        fs::write(path, text).unwrap();
    }
    // What is no line at all, at the end and in between.
    let last = files.last().unwrap();
    let text = whole.last().unwrap();
    for garbage in ["\n", "{}\n", "garbage\n", "\0\0\0\0\n", "{\"n\":999}\n"] {
        fs::write(last, format!("{text}{garbage}")).unwrap();
        let found = written.verified().findings;
        assert_eq!(
            found.first().map(|found| found.number),
            Some(number + 1),
            "{garbage:?}: {found:?}"
        );
    }
    fs::write(last, text).unwrap();
    let half: PathBuf = files[1].clone();
    fs::write(&half, whole[1].replacen('\n', "\ngarbage\n", 1)).unwrap();
    assert!(!written.verified().findings.is_empty());
}

#[test]
fn files_that_changed_places_or_names_are_found() {
    let written = Written::with(60, 3000);
    let files = written.files();
    let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let finds = |what: &str| {
        let found = written.verified().findings;
        assert!(!found.is_empty(), "{what}");
    };
    for at in 1..files.len() {
        fs::write(&files[at], &whole[at - 1]).unwrap();
        fs::write(&files[at - 1], &whole[at]).unwrap();
        finds("swapped");
        fs::write(&files[at], &whole[at]).unwrap();
        fs::write(&files[at - 1], &whole[at - 1]).unwrap();
    }
    for name in ["000000000002.jsonl", "000000099999.jsonl"] {
        let other = files[1].with_file_name(name);
        fs::rename(&files[1], &other).unwrap();
        finds(name);
        fs::rename(&other, &files[1]).unwrap();
        fs::write(&other, &whole[1]).unwrap();
        finds("doubled under another name");
        fs::remove_file(&other).unwrap();
    }
    for name in ["x.jsonl", "000000000001.json", "0000000000010.jsonl"] {
        let other = files[1].with_file_name(name);
        fs::rename(&files[1], &other).unwrap();
        finds(name);
        fs::rename(&other, &files[1]).unwrap();
    }
    // Two logs spliced at a file's end: each chain holds by itself.
    let other = Written::with(60, 3000);
    for (path, theirs) in files.iter().zip(other.files()).skip(2) {
        fs::copy(theirs, path).unwrap();
    }
    finds("spliced");
    assert!(other.verified().findings.is_empty());
}

#[test]
fn a_chain_that_begins_anew_is_found_though_it_holds_by_itself() {
    let written = Written::with(10, u64::MAX);
    let first = written.files()[0].clone();
    let ours = fs::read_to_string(&first).unwrap();
    let anew = Written::new();
    let log = hsmsign::audit::Log::over(&anew.home(), hsmsign::audit::Files::new(&anew.home()));
    log.record(entry("/forged"));
    log.flush().unwrap();
    let theirs = fs::read_to_string(&anew.files()[0]).unwrap();
    // Behind ours in the same file, and as a file of its own with the number that is due.
    fs::write(&first, format!("{ours}{theirs}")).unwrap();
    assert_eq!(written.verified().findings[0].number, 12);
    fs::write(&first, &ours).unwrap();
    let next = first.with_file_name("000000000012.jsonl");
    fs::write(&next, theirs.replacen("{\"n\":1,", "{\"n\":12,", 1)).unwrap();
    let found = written.verified().findings;
    assert_eq!(found[0].number, 12, "{found:?}");
    assert!(
        found[0].what.contains("does not go on from the file before"),
        "{found:?}"
    );
}

#[test]
fn a_log_that_is_taken_away_leaves_its_seals() {
    let Some(place) = Place::with_kraken() else { return };
    let (folder, kept) = (place.home().join("audit"), place.home().join("audit.seal"));
    let (older, older_kept) = (place.path().join("older"), place.path().join("older.seal"));
    for _ in 0..3 {
        place.sign_balances(2);
        if !older.exists() {
            copy(&folder, &older);
            copy(&kept, &older_kept);
        }
    }
    let found = verified(&place);
    assert_eq!(
        (&found["ok"], &found["seals"]),
        (&true.into(), &3.into()),
        "{found}"
    );
    assert_eq!(found["sealed_by"], serde_json::json!(["softhsm"]));
    let (whole, sealed) = (place.path().join("whole"), place.path().join("whole.seal"));
    copy(&folder, &whole);
    copy(&kept, &sealed);
    let put = |from: &Path| {
        let _ = fs::remove_dir_all(&folder);
        copy(from, &folder);
        copy(&sealed, &kept);
    };
    // The folder alone.
    fs::remove_dir_all(&folder).unwrap();
    assert!(
        first(&verified(&place))
            .1
            .contains("ends with seal 0, and seal 3"),
        "{}",
        verified(&place)
    );
    // With what tells of its seals: the token still knows that it sealed.
    fs::remove_file(&kept).unwrap();
    let done = place.run(&["audit", "verify"], "");
    assert!(
        done.stderr.contains("token softhsm has a key that seals logs"),
        "{done:?}"
    );
    assert_eq!(verified(&place)["sealed_before"], serde_json::json!(["softhsm"]));
    // An older log, without its number, and a number of an older log with this one.
    put(&older);
    assert!(
        first(&verified(&place))
            .1
            .contains("it was cut, or is an older one")
    );
    put(&whole);
    fs::remove_file(&kept).unwrap();
    assert!(
        first(&verified(&place))
            .1
            .contains("audit.seal, which keeps the last seal's number, is gone")
    );
    fs::copy(&older_kept, &kept).unwrap();
    assert!(first(&verified(&place)).1.contains("they are not of one log"));
    // A number that was edited.
    let text = fs::read_to_string(&sealed).unwrap();
    for (from, to) in [("\"seal\":3", "\"seal\":4"), ("\"upto\":", "\"upto\":1")] {
        fs::write(&kept, text.replacen(from, to, 1)).unwrap();
        assert_eq!(verified(&place)["ok"], false, "{from}");
    }
    fs::write(&kept, "{}").unwrap();
    place.refused(&["audit", "verify"], "", 1, "is damaged");
    // Sealed on, the log is of two halves; moved away as the error says, a new one begins, and the old one is as it was.
    place.ok(&["audit", "seal"]);
    let (_, what) = first(&verified(&place));
    assert!(
        what.contains(" where 4 is due: audit.seal was gone, or could not be read, when it was made"),
        "{what}"
    );
    place.refused(&["audit", "verify"], "", 1, " where 4 is due");
    put(&whole);
    assert_eq!(verified(&place)["ok"], true);
    fs::write(&kept, "{}").unwrap();
    place.refused(
        &["audit", "verify"],
        "",
        1,
        "move it and the folder `audit` away together",
    );
    for name in ["audit", "audit.seal"] {
        fs::rename(place.home().join(name), place.path().join(format!("kept {name}"))).unwrap();
    }
    place.sign_balances(1);
    let found = verified(&place);
    assert_eq!(
        (&found["ok"], &found["seals"]),
        (&true.into(), &1.into()),
        "{found}"
    );
}

#[test]
fn a_log_that_is_cut_behind_its_first_seal_is_found_though_the_seals_number_is_gone_too() {
    let Some(place) = Place::with_kraken() else { return };
    for _ in 0..3 {
        place.sign_balances(2);
    }
    let path = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let first = text.find("\"what\":\"seal\"").unwrap();
    let end = first + text[first..].find('\n').unwrap() + 1;
    fs::write(&path, &text[..end]).unwrap();
    fs::remove_file(place.home().join("audit.seal")).unwrap();
    place.refused(&["audit", "verify"], "", 1, "the file audit.seal");
    // Sealed on, its numbers begin anew.
    place.sign_balances(2);
    place.refused(&["audit", "verify"], "", 1, "the audit log was changed");
}

#[test]
fn the_seals_of_another_token_do_not_hold() {
    let (Some(place), Some(other)) = (Place::with_kraken(), Place::with_kraken()) else {
        return;
    };
    place.sign_balances(2);
    other.sign_balances(2);
    // Another place has a token of the same name and a log that holds there.
    assert_eq!(verified(&other)["ok"], true);
    for name in ["audit", "audit.seal"] {
        let here = place.home().join(name);
        let _ = fs::remove_dir_all(&here).or_else(|_| fs::remove_file(&here));
        copy(&other.home().join(name), &here);
    }
    let found = verified(&place);
    let (line, what) = first(&found);
    assert!(what.contains("seal 1 was not made by token softhsm"), "{found}");
    assert_eq!(line, 5, "begin, import, two signatures, the seal: {found}");
}

/// The log and the file beside it, put aside and put back together.
struct Pair {
    folder: PathBuf,
    kept: PathBuf,
    aside: PathBuf,
}

impl Pair {
    fn of(place: &Place) -> Self {
        Self {
            folder: place.home().join("audit"),
            kept: place.home().join("audit.seal"),
            aside: place.path().to_owned(),
        }
    }

    fn take(&self, name: &str) {
        copy(&self.folder, &self.aside.join(name));
        copy(&self.kept, &self.aside.join(format!("{name}.seal")));
    }

    fn put(&self, name: &str) {
        let _ = fs::remove_dir_all(&self.folder);
        copy(&self.aside.join(name), &self.folder);
        copy(&self.aside.join(format!("{name}.seal")), &self.kept);
    }
}

#[test]
fn an_older_log_with_all_that_lies_beside_it_is_found_by_the_token() {
    let Some(place) = Place::with_kraken() else { return };
    let pair = Pair::of(&place);
    place.sign_balances(3);
    pair.take("one");
    let found = verified(&place);
    assert_eq!(found["kept_by"], serde_json::json!({"softhsm": 1}), "{found}");
    place.sign_balances(3);
    place.ok(&["audit", "seal"]);
    let found = verified(&place);
    assert_eq!(
        (&found["ok"], &found["kept_by"]["softhsm"]),
        (&true.into(), &3.into()),
        "{found}"
    );
    pair.take("three");
    pair.put("one");
    place.refused(
        &["audit", "verify"],
        "",
        1,
        "token softhsm keeps that seal 3 was made",
    );
    assert_eq!(
        verified(&place)["kept_by"]["softhsm"],
        3,
        "verifying changes nothing"
    );
    // What is behind the last seal alone cannot be told.
    pair.put("three");
    place.ok(&["audit", "verify"]);
    // Whoever lets the older one grow past it does not hide it.
    pair.put("one");
    place.refused(&["audit", "seal"], "", 1, "the log went back behind that");
    for _ in 0..4 {
        place.sign_balances(2);
    }
    let (_, what) = first(&verified(&place));
    assert!(
        what.contains("saw the log go back behind seal 3"),
        "{}",
        verified(&place)
    );
    // A log that begins anew is another, and the one that was taken away is remembered.
    fs::remove_dir_all(&pair.folder).unwrap();
    fs::remove_file(&pair.kept).unwrap();
    for sealed in [false, true] {
        if sealed {
            place.sign_balances(2);
        }
        let found = verified(&place);
        let of_it = sealed.then_some(1);
        assert_eq!(
            (&found["ok"], &found["kept_by"]["softhsm"]),
            (&true.into(), &serde_json::json!(of_it)),
            "{found}"
        );
        assert_eq!(found["other_logs"][0]["seal"], 3, "{found}");
        let done = place.run(&["audit", "verify"], "");
        assert!(
            done.stderr.contains("token softhsm keeps seal 3, up to line"),
            "{done:?}"
        );
    }
}

#[test]
fn the_files_of_a_log_are_known_to_the_token_also_where_the_first_is_elsewhere() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let home = hsmsign::home::Home::at(&place.home());
    let log = Log::over(&home, Files::new(&home).of_size(2000));
    for at in 0..20 {
        log.record(entry(&format!("/0/private/Line{at}")));
        log.flush().unwrap();
    }
    drop(log);
    place.ok(&["audit", "seal"]);
    assert_eq!(verified(&place)["kept_by"]["softhsm"], 2);
    let files = audit::list(&home).unwrap();
    assert!(files.len() > 2);
    fs::remove_file(&files[0]).unwrap();
    let found = verified(&place);
    assert_eq!(
        found["kept_by"]["softhsm"], 2,
        "each file has the name of the log: {found}"
    );
    assert!(first(&found).1.contains("are missing"), "{found}");
}

#[test]
fn an_agent_has_its_token_keep_how_far_the_log_is_sealed() {
    let Some(place) = Place::with_kraken() else { return };
    let pair = Pair::of(&place);
    place.ok(&["agent", "start"]);
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    place.ok(&sign);
    place.ok(&["agent", "stop"]);
    pair.take("one");
    assert_eq!(verified(&place)["kept_by"]["softhsm"], 1);
    place.ok(&["agent", "start"]);
    place.ok(&sign);
    place.ok(&["agent", "stop"]);
    assert_eq!(verified(&place)["kept_by"]["softhsm"], 2);
    place.ok(&["audit", "verify"]);
    pair.put("one");
    place.refused(
        &["audit", "verify"],
        "",
        1,
        "token softhsm keeps that seal 2 was made",
    );
    // The next agent says so at once, and the log cannot grow past it.
    place.ok(&["agent", "start"]);
    let begun = std::time::Instant::now();
    let told = || fs::read_to_string(place.home().join("agent.log")).unwrap_or_default();
    while !told().contains("the log went back behind that") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{}", told());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    place.ok(&sign);
    place.ok(&["agent", "stop"]);
    assert!(
        first(&verified(&place))
            .1
            .contains("saw the log go back behind seal 2")
    );
}
