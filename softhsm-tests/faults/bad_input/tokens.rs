//! Modules and tokens that are none, keys that are gone, PIN files without a PIN.

use std::{fs, path::PathBuf};

use crate::{
    bad_input::BALANCE,
    bench::{KRAKEN_SECRET, Place, compile},
    state::{files, refused},
};

#[test]
fn a_key_that_another_program_deleted_is_missed_and_can_be_removed() {
    let Some(place) = Place::with_kraken() else { return };
    place.import(
        &["--exchange", "kraken", "--key", "other", "--api-key", "b"],
        KRAKEN_SECRET,
    );
    let id = |name: &str| {
        let shown = place.json(&["show", name, "--json"]);
        shown["current"]["copies"][0]["objects"]["secret"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    let value = |name: &str| {
        let line = config.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let pin = fs::read_to_string(place.home().join("softhsm/softhsm.pin")).unwrap();
    let deleted = std::process::Command::new("pkcs11-tool")
        .args([
            "--module",
            &value("module"),
            "--token-label",
            &value("label"),
            "--login",
            "--pin",
            pin.trim(),
        ])
        .args(["--delete-object", "--type", "secrkey", "--id", &id("kraken")])
        .env("SOFTHSM2_CONF", place.home().join("softhsm/softhsm2.conf"))
        .output();
    let Ok(deleted) = deleted else {
        eprintln!("SKIPPED: pkcs11-tool is not installed (Debian: opensc)");
        return;
    };
    assert!(deleted.status.success(), "{deleted:?}");
    for args in [&BALANCE[..], &["test", "kraken"]] {
        let done = place.run(args, "");
        assert!(
            done.stderr.contains("hsmsign remove KEY, and import it again"),
            "{done:?}"
        );
        refused(&done, 4, "has no object with the id");
    }
    assert_eq!(place.run(&["doctor"], "").code, 1);
    place.ok(&["remove", "kraken"]);
    assert_eq!(place.json(&["list", "--json"]).as_array().unwrap().len(), 1);
    place.ok(&["test", "other"]);
    assert_eq!(place.run(&["doctor"], "").code, 0);
}

#[test]
fn modules_and_tokens_that_are_none() {
    let Some(place) = Place::with_token() else { return };
    let module = hsmsign::token::softhsm_module().unwrap().display().to_string();
    let before = files(&place.home());
    let text = place.path().join("text.so");
    fs::write(&text, "not a library").unwrap();
    let folder = place.path().display().to_string();
    for (args, words) in [
        (
            vec!["--pkcs11", "/nowhere.so"],
            "no PKCS#11 module at /nowhere.so",
        ),
        (vec!["--pkcs11", &folder], "directory"),
        (vec!["--pkcs11", text.to_str().unwrap()], "not a library"),
        (
            vec!["--pkcs11", "/lib/x86_64-linux-gnu/libm.so.6"],
            "not a PKCS#11 module",
        ),
        (vec!["--pkcs11", &module, "--label", "nobody's"], "nobody's"),
    ] {
        if args[1].starts_with("/lib/") && !fs::exists(args[1]).unwrap() {
            continue;
        }
        let done = place.run(&[&["init"], &args[..]].concat(), "");
        refused(&done, 4, words);
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    for (args, words) in [
        (["--pin-source", "1234"], "a PIN itself is never one"),
        (["--pin-source", "file:"], "pin-source"),
        (["--token", "A b"], "cannot be a token's name"),
        (["--token", "softhsm"], "set up already"),
    ] {
        let args = [&["init", "--pkcs11", &module], &args[..]].concat();
        let done = place.run(&args, "");
        refused(&done, 5, words);
        assert!(!done.stderr.contains("1234"), "{done:?}");
        assert_eq!(files(&place.home()), before, "{args:?} changed something");
    }
    refused(
        &Place::new().run(&["import", "--exchange", "kraken"], "x\n"),
        4,
        "no token is set up",
    );
}

/// A module of this name behind which SoftHSM is, and that shows so much of it; none where it cannot be made.
pub fn narrow(place: &mut Place, name: &str, shows: &str) -> Option<PathBuf> {
    let module = compile::library(place.path(), name, "traps/c/narrow.c")?;
    let behind = hsmsign::token::softhsm_module().unwrap().display().to_string();
    place.set(("NARROW_MODULE".into(), behind));
    place.set(("NARROW_AS".into(), shows.into()));
    Some(module)
}

#[test]
fn a_token_that_computes_nothing_is_not_set_up() {
    let Some(mut place) = Place::with_token() else {
        return;
    };
    let Some(module) = narrow(&mut place, "narrow", "none") else {
        return;
    };
    let softhsm = place.home().join("softhsm");
    let conf = softhsm.join("softhsm2.conf").display().to_string();
    place.set(("SOFTHSM2_CONF".into(), conf));
    let pin = format!("file:{}", softhsm.join("softhsm.pin").display());
    let config = fs::read(place.home().join("config.toml")).unwrap();
    let args = [
        "init",
        "--pkcs11",
        module.to_str().unwrap(),
        "--pin-source",
        &pin,
        "--token",
        "empty",
    ];
    refused(&place.run(&args, ""), 5, "names none of the algorithms");
    assert_eq!(fs::read(place.home().join("config.toml")).unwrap(), config);
}

#[test]
fn a_pin_file_without_a_pin_spends_no_try() {
    let Some(place) = Place::with_kraken() else { return };
    let pin = place.home().join("softhsm").join("softhsm.pin");
    let kept = fs::read(&pin).unwrap();
    for nothing in ["", "\n", "\r\n"] {
        fs::write(&pin, nothing).unwrap();
        let done = place.run(&BALANCE, "");
        refused(&done, 4, "PIN");
        assert!(!done.stderr.contains("refused"), "{done:?}");
    }
    fs::write(&pin, [&b"\xef\xbb\xbf"[..], &kept].concat()).unwrap();
    let done = place.run(&BALANCE, "");
    refused(&done, 4, "byte order mark");
    assert!(!done.stderr.contains("refused"), "{done:?}");
    // Nothing was refused, so nothing has to be forgiven.
    fs::write(&pin, kept).unwrap();
    place.ok(&BALANCE);
}
