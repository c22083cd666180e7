//! What `audit verify` says, where what it goes by was taken away: it tells all that can be known still, and accuses nobody of
//! what it does not know.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    bench::Place,
    written::{first, rechained, verified},
};

const VERIFY: [&str; 2] = ["audit", "verify"];

/// The files in which SoftHSM keeps the objects of a place's token.
fn objects(place: &Place) -> BTreeSet<PathBuf> {
    let in_it = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let mut tokens = in_it(&place.token_folder());
    tokens.retain(|path| path.is_dir());
    let mut files = in_it(&tokens[0]);
    files.retain(|path| path.extension().is_some_and(|end| end == "object"));
    files.into_iter().collect()
}

#[test]
fn a_key_that_seals_no_more_is_no_change_of_the_log() {
    let Some(place) = Place::with_kraken() else { return };
    let before = objects(&place);
    place.sign_balances(2);
    let made: Vec<PathBuf> = objects(&place).difference(&before).cloned().collect();
    assert_eq!(made.len(), 2, "the key, and what the token keeps: {made:?}");
    let away = place.path().join("away");
    let without: Vec<_> = made
        .iter()
        .map(|object| {
            fs::rename(object, &away).unwrap();
            let (done, found) = (place.run(&VERIFY, ""), verified(&place));
            fs::rename(&away, object).unwrap();
            (done, found)
        })
        .collect();
    let keyless = without
        .iter()
        .find(|(done, _)| done.stderr.contains("has no key that seals"));
    let (done, found) = keyless.unwrap_or_else(|| panic!("{without:?}"));
    assert!(
        done.code == 1
            && done
                .stderr
                .contains("the 5 lines hold together, but the seals from line 5 on")
            && done.stderr.contains("token softhsm keeps seal 1 of this log"),
        "{done:?}"
    );
    assert_eq!(
        (&found["ok"], &found["findings"], &found["kept_by"]["softhsm"]),
        (&false.into(), &serde_json::json!([]), &1.into()),
        "{found}"
    );
    // Without the key, a log that was cut is found by what the token keeps.
    let key = without.iter().position(|one| one.1 == *found).unwrap();
    fs::remove_file(&made[key]).unwrap();
    fs::write(place.home().join("audit.seal"), EMPTY).unwrap();
    let file = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    fs::write(&file, rechained(&lines[..2])).unwrap();
    let (_, what) = first(&verified(&place));
    assert!(
        what.contains("token softhsm keeps that seal 1 was made"),
        "{what}"
    );
}

/// What `audit.seal` says of a log without seals.
const EMPTY: &str = "{\"seal\":0,\"upto\":0,\"head\":\"\",\"token\":\"\",\"mac\":\"\"}";

#[test]
fn what_is_spoilt_beside_the_log_hides_nothing_of_its_lines() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let (seal, config) = (place.home().join("audit.seal"), place.home().join("config.toml"));
    fs::write(&seal, "{}").unwrap();
    place.refused(&VERIFY, "", 1, "the 5 lines hold together, but ");
    place.refused(&VERIFY, "", 1, "audit.seal is damaged");
    let found = verified(&place);
    assert_eq!(
        (&found["ok"], &found["seals"]),
        (&false.into(), &1.into()),
        "{found}"
    );
    let file = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("signed", "failed", 1)).unwrap();
    let done = place.run(&VERIFY, "");
    assert!(
        done.code == 1 && done.stderr.contains("was changed: line 3") && done.stderr.contains("is damaged"),
        "{done:?}"
    );
    // Whoever looks at the lines alone needs no settings.
    fs::write(&config, "no settings").unwrap();
    place.refused(&VERIFY, "", 5, "config.toml");
    place.refused(&["audit", "verify", "--no-token"], "", 1, "was changed: line 3");
}

#[test]
fn a_log_that_was_changed_hides_no_other_and_all_of_it_is_counted() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(60);
    for name in ["audit", "audit.seal"] {
        fs::rename(place.home().join(name), place.path().join(name)).unwrap();
    }
    let done = place.run(&VERIFY, "");
    assert!(
        done.code == 0 && done.stdout.contains("there is no log in") && !done.stdout.contains("as they were"),
        "{done:?}"
    );
    // Another that was put in its place.
    place.sign_balances(60);
    let file = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let edited = text.replace("\"method\":\"POST\"", "\"method\":\"GET\"");
    fs::write(&file, edited).unwrap();
    let done = place.run(&VERIFY, "");
    assert!(
        done.code == 1
            && done.stderr.contains("and 59 more")
            && done
                .stderr
                .contains("token softhsm keeps seal 1, up to line 62, of another log"),
        "{done:?}"
    );
}

#[test]
fn what_stands_in_front_of_a_change_is_proved_by_its_seals() {
    let Some(place) = Place::with_kraken() else { return };
    for _ in 0..3 {
        place.sign_balances(2);
    }
    assert_eq!(verified(&place)["proved_to_line"], 10);
    let file = place.home().join("audit/000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let proved = |lines: &[String], words: &str| {
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        let done = place.run(&VERIFY, "");
        let told = done.stderr.lines().next().unwrap_or_default().to_owned();
        assert!(done.code == 1 && told.ends_with(words), "{words}: {told}");
    };
    let edited = |at: usize| {
        let mut lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines[at - 1] = lines[at - 1].replacen("POST", "GET", 1);
        lines
    };
    // The seals stand in lines 5, 8 and 11.
    proved(&edited(10), "; up to line 7 it is as seal 2 has it");
    proved(&edited(6), "; up to line 4 it is as seal 1 has it");
    proved(&edited(4), "was written behind");
    // Written anew behind the first seal, the chain holds, and the seals do not.
    let anew = rechained(edited(6));
    let anew: Vec<_> = anew.lines().map(str::to_owned).collect();
    proved(&anew, "; up to line 4 it is as seal 1 has it");
    // Without the token nothing is proved.
    let done = place.run(&["audit", "verify", "--no-token"], "");
    assert!(
        done.code == 1 && !done.stderr.contains("up to line 4 it is"),
        "{done:?}"
    );
}
