//! Other programs on the same card: it is not our own reading of the protocol alone.

use std::{path::PathBuf, process::Command};

use crate::{
    bench::Place,
    card::{Desk, Profile},
};

/// Yubico's own program, which scripts/test.sh installs.
fn ykman() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/ykman/bin/ykman"));
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: ykman is not there; scripts/test.sh installs it");
    None
}

/// Runs it on a reader, and answers what it printed.
fn run(desk: &Desk, place: &Place, reader: &str, args: &[&str]) -> String {
    let mut command = Command::new(ykman().unwrap());
    command
        .args(["-r", reader])
        .args(args)
        .env_clear()
        .env("HOME", place.path())
        .env("LC_ALL", "C.UTF-8");
    let done = desk.at(&mut command).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(done.stdout), text(done.stderr));
    assert!(done.status.success(), "{args:?}: {out}{err}");
    out
}

#[test]
fn ykman_finds_a_yubikey_in_the_virtual_card() {
    let place = Place::new();
    let Some(desk) = Desk::with(place.path(), vec![Profile::default()]) else {
        return;
    };
    if ykman().is_none() {
        return;
    }
    let told = run(&desk, &place, "Virtual PCD 00 00", &["oath", "info"]);
    assert!(told.contains("5.7.4"), "{told}");
    run(
        &desk,
        &place,
        "Virtual PCD 00 00",
        &[
            "oath",
            "accounts",
            "add",
            "-a",
            "SHA512",
            "abc",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        ],
    );
    let told = run(&desk, &place, "Virtual PCD 00 00", &["oath", "accounts", "code"]);
    assert!(told.contains("abc"), "{told}");
    println!("{told}");
}
