//! Files that are damaged, misplaced, newer than the program or somebody else's.

use std::fs;

use crate::{
    bad_input::BALANCE,
    bench::Place,
    state::{files, refused},
};

#[test]
fn a_backup_takes_the_place_of_an_earlier_one_and_of_no_other_file() {
    let Some(place) = Place::with_kraken() else { return };
    let file = place.path().join("file");
    // As one that was encrypted, which is no text.
    for other in [&b"notes\n"[..], b"\xff\xfe\x00age", b""] {
        fs::write(&file, other).unwrap();
        refused(
            &place.run(&["backup", file.to_str().unwrap()], ""),
            5,
            "no backup of hsmsign",
        );
        assert_eq!(fs::read(&file).unwrap(), other);
    }
    fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        place.ok(&["backup", file.to_str().unwrap()]);
        assert!(fs::read_to_string(&file).unwrap().contains("kraken"));
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_left_alone() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&BALANCE);
    place.ok(&["backup", "b.json"]);
    let home = place.home();
    let cases = [
        (home.join("config.toml"), "version = 1", "version = 2"),
        (
            home.join("config.toml"),
            "version = 1",
            "version=2 # by a newer one",
        ),
        (
            home.join("config.toml"),
            "version = 1",
            "\"version\" = 4294967297",
        ),
        (home.join("keys/kraken.json"), "\"version\": 1", "\"version\": 2"),
        (
            home.join("keys/kraken.json"),
            "\"version\": 1",
            "\"version\": 2, \"new\": true",
        ),
    ];
    for (file, old, new) in cases {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(old));
        fs::write(&file, text.replacen(old, new, 1)).unwrap();
        let before = files(&home);
        for args in [
            &BALANCE[..],
            &["remove", "kraken"],
            &["set", "kraken", "--api-key", "x"],
        ] {
            let done = place.run(args, "");
            if file.ends_with("config.toml") && args[0] == "set" {
                continue;
            }
            refused(&done, 1, "version");
            assert!(done.stderr.contains("newer hsmsign"), "{done:?}");
            assert_eq!(files(&home), before, "{args:?}");
        }
        fs::write(&file, text).unwrap();
    }
    // The nonce file: its version stands at the front of each slot.
    let file = home.join("nonces/kraken");
    let bytes = fs::read(&file).unwrap();
    let mut newer = bytes.clone();
    newer[0] = b'2';
    newer[bytes.len() / 2] = b'2';
    fs::write(&file, &newer).unwrap();
    refused(&place.run(&BALANCE, ""), 1, "newer hsmsign");
    assert_eq!(fs::read(&file).unwrap(), newer);
    fs::write(&file, b"").unwrap();
    refused(&place.run(&BALANCE, ""), 1, "damaged");
    fs::write(&file, &bytes).unwrap();
    let backup = fs::read_to_string(place.path().join("b.json")).unwrap();
    let newer = backup.replacen("\"version\": 1", "\"version\": 2", 1);
    refused(&place.run(&["restore", "-"], &newer), 5, "version 2");
    place.ok(&BALANCE);
}

#[test]
fn damaged_and_misplaced_files_are_named() {
    let Some(place) = Place::with_kraken() else { return };
    let home = place.home();
    let config = fs::read(home.join("config.toml")).unwrap();
    fs::write(
        home.join("config.toml"),
        [b"nonsense = 1\n".as_slice(), &config].concat(),
    )
    .unwrap();
    let done = place.run(&BALANCE, "");
    refused(&done, 5, "nonsense");
    fs::write(home.join("config.toml"), b"[token").unwrap();
    refused(&place.run(&BALANCE, ""), 5, "config.toml");
    fs::write(home.join("config.toml"), &config).unwrap();
    // A record under another key's name would let `remove` delete that key's secret.
    fs::copy(home.join("keys/kraken.json"), home.join("keys/copy.json")).unwrap();
    let before = files(&home);
    for args in [
        &["remove", "copy"][..],
        &["sign", "copy", "POST", "/0/private/Balance"],
    ] {
        refused(&place.run(args, ""), 1, "the record of the key kraken");
    }
    assert_eq!(files(&home), before);
    fs::remove_file(home.join("keys/copy.json")).unwrap();
    fs::write(home.join("keys/kraken.json"), b"{}").unwrap();
    refused(&place.run(&BALANCE, ""), 1, "not a key's record");
}
