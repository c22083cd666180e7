//! A token that will not come back, with keys on it.

use std::fs;

use crate::{
    bench::{KRAKEN_SECRET, Place},
    state::{names, objects, refused},
};

const IMPORT: [&str; 5] = ["import", "--exchange", "kraken", "--api-key", "a"];

fn object_id(place: &Place, copy: usize) -> String {
    let shown = place.json(&["show", "kraken", "--json"]);
    let id = &shown["current"]["copies"][copy]["objects"]["secret"]["id"];
    id.as_str().unwrap().to_owned()
}

fn journal(place: &Place) -> usize {
    fs::read_dir(place.home().join("journal")).map_or(0, Iterator::count)
}

#[test]
fn a_key_on_a_lost_token_is_forgotten_and_what_stays_is_told() {
    let Some(place) = Place::with_kraken() else { return };
    let id = object_id(&place, 0);
    let away = place.path().join("away");
    fs::rename(place.token_folder(), &away).unwrap();
    let done = place.run(&["remove", "kraken"], "");
    refused(&done, 4, "hsmsign remove kraken --forget");
    assert_eq!(names(&place), ["kraken"], "nothing was changed");
    let done = place.run(&["remove", "kraken", "--forget"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("removed kraken\n"), "{done:?}");
    assert!(
        done.stdout.contains(&id) && done.stdout.contains("on token softhsm (serial "),
        "{done:?}"
    );
    assert!(done.stdout.contains("revoke the API key"), "{done:?}");
    assert_eq!((names(&place).len(), journal(&place)), (0, 0));
    refused(&place.run(&["remove", "kraken", "--forget"], ""), 5, "kraken");
    // It turns up after all: the name is free, and the old object is where it was said to be.
    fs::rename(&away, place.token_folder()).unwrap();
    place.import(&IMPORT[1..], KRAKEN_SECRET);
    if let Some(objects) = objects(&place) {
        assert_eq!(objects, ["hsmsign:kraken", "hsmsign:kraken"]);
    }
    place.ok(&["test", "kraken"]);
}

#[test]
fn copies_on_tokens_that_are_there_are_deleted() {
    let Some(place) = Place::with_token() else { return };
    place.ok(&["init", "--softhsm", "--token", "spare"]);
    let both = ["--token", "softhsm", "--token", "spare"];
    place.import(&[&IMPORT[1..], &both].concat(), KRAKEN_SECRET);
    let config = place.home().join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let (first, second) = whole.split_once("[token.spare]").unwrap();
    let lost = second.replace("serial = \"", "serial = \"0");
    fs::write(&config, format!("{first}[token.spare]{lost}")).unwrap();
    let (here, there) = (object_id(&place, 0), object_id(&place, 1));
    let done = place.run(&["remove", "kraken", "--forget"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.contains(&there) && !done.stdout.contains(&here),
        "{done:?}"
    );
    assert_eq!((names(&place).len(), journal(&place)), (0, 0));
    if let Some(objects) = objects(&place) {
        assert_eq!(objects, Vec::<String>::new());
    }
}

#[test]
fn another_token_under_the_name_is_left_alone() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["init", "--softhsm", "--token", "spare"]);
    let config = place.home().join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let (first, spare) = whole.split_once("[token.spare]").unwrap();
    let head = first.split_once("[token.softhsm]").unwrap().0;
    fs::write(&config, format!("{head}[token.softhsm]{spare}")).unwrap();
    let done = place.run(&["remove", "kraken", "--forget"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("is another one by now"), "{done:?}");
    fs::write(&config, whole).unwrap();
    if let Some(objects) = objects(&place) {
        assert_eq!(objects, ["hsmsign:kraken"]);
    }
}

#[test]
fn a_token_that_is_there_loses_the_key_as_ever() {
    let Some(place) = Place::with_kraken() else { return };
    let done = place.run(&["remove", "kraken", "--forget"], "");
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "removed kraken\n"),
        "{done:?}"
    );
    if let Some(objects) = objects(&place) {
        assert_eq!(objects, Vec::<String>::new());
    }
}

#[test]
fn what_only_the_journal_knows_is_forgotten_too() {
    let Some(place) = Place::with_kraken() else { return };
    let entry = r#"{"version":1,"key":"ghost","objects":[["gone","00112233445566778899aabbccddeeff"]]}"#;
    let folder = place.home().join("journal");
    fs::write(folder.join("00112233445566778899aabbccddeeff.json"), entry).unwrap();
    crate::state::chmod(&folder.join("00112233445566778899aabbccddeeff.json"), 0o600);
    assert!(
        place
            .ok(&["doctor"])
            .contains("a change of the key ghost was cut off")
    );
    refused(&place.run(&["remove", "ghost"], ""), 5, "ghost");
    let done = place.run(&["remove", "ghost", "--forget"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("on token gone it stays"), "{done:?}");
    assert_eq!(journal(&place), 0);
    assert!(!place.ok(&["doctor"]).contains("ghost"));
}
