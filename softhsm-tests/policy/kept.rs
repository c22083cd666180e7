//! Policies in backups, and what `doctor` says of rules and log.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::bench::Place;

const POLICY: &str = "policy = 1\n[[allow]]\npath = \"/0/private/Balance\"\n";
const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];
const ORDER: [&str; 4] = ["sign", "kraken", "POST", "/0/private/AddOrder"];

#[test]
fn a_restored_key_is_never_without_its_policy_and_what_was_denied_stays_so() {
    let Some(place) = Place::with_kraken() else { return };
    place.set_policy("kraken", POLICY);
    place.set_policy("--all", "policy = 1\nrate = { day = 9 }\n");
    place.ok(&["policy", "deny-all", "kraken"]);
    place.ok(&["backup", "kept.json"]);
    let wipe = || {
        for gone in ["keys", "policy", "policy.toml"] {
            let path = place.home().join(gone);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    };
    wipe();
    place.refused(&BALANCE, "", 5, "there is no key named kraken");
    let told = place.ok(&["restore", "kept.json"]);
    assert!(told.contains("policies 2"), "{told}");
    place.refused(&BALANCE, "", 3, "everything is denied to the key kraken");
    place.ok(&["policy", "deny-all", "kraken", "--undo"]);
    place.ok(&BALANCE);
    place.refused(&ORDER, "", 3, "no rule fits");
    let shown = place.ok(&["policy", "show", "kraken"]);
    assert!(shown.contains("day = 9"), "{shown}");
    let log = place.ok(&["audit", "show", "--json", "--what", "policy", "--key", "kraken"]);
    assert!(log.contains("policy/kraken.toml was restored"), "{log}");
    // A record in a backup can be edited, and what is put back by it is told.
    fs::remove_dir_all(place.home().join("keys")).unwrap();
    let kept = fs::read_to_string(place.path().join("kept.json")).unwrap();
    let (before, with) = ("\"name\": \"kraken\",", "\"allow\": [\"withdrawals\"],");
    let edited = kept.replacen(before, &format!("{before} {with}"), 1);
    fs::write(place.path().join("edited.json"), edited).unwrap();
    place.ok(&["restore", "edited.json"]);
    place.ok(&["policy", "deny-all", "kraken", "--undo"]);
    let told: Vec<_> = place.log(&["--what", "import", "--key", "kraken"]);
    let told: Vec<_> = told.iter().map(|line| line["detail"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "kraken",
            "restored: kraken",
            "restored: kraken, allowed withdrawals"
        ]
    );
    // One that differs is not overwritten, and nothing else is put back then.
    fs::remove_dir_all(place.home().join("keys")).unwrap();
    place.set_policy("--all", "policy = 1\n");
    place.refused(
        &["restore", "kept.json"],
        "",
        5,
        "policy.toml is here already, and differs",
    );
    assert!(!place.home().join("keys/kraken.json").exists());
    // A file that is gone or broken while an earlier form holds: that one is kept.
    place.ok(&["policy", "remove", "--all"]);
    place.ok(&["restore", "kept.json"]);
    fs::write(place.home().join("policy/kraken.toml"), "policy = 1\n[[allow]").unwrap();
    fs::remove_file(place.home().join("policy.toml")).unwrap();
    place.ok(&["backup", "again.json"]);
    let again = fs::read_to_string(place.path().join("again.json")).unwrap();
    assert!(
        again.contains("/0/private/Balance") && again.contains("day = 9"),
        "{again}"
    );
    // What is no policy is refused before anything is written.
    let bad = again.replace("policy/kraken.toml", "policy/../../x.toml");
    fs::write(place.path().join("bad.json"), bad).unwrap();
    wipe();
    place.refused(&["restore", "bad.json"], "", 5, "the backup");
    assert!(!place.home().join("keys/kraken.json").exists());
}

#[test]
fn doctor_says_what_is_wrong_with_rules_and_log() {
    let Some(place) = Place::with_kraken() else { return };
    let doctor = || place.run(&["doctor"], "").stdout;
    let says = |words: &str| {
        let told = doctor();
        assert!(told.contains(words), "{words}: {told}");
    };
    says("key kraken has no policy");
    says("the audit log can be written, and its 2 lines are as they were written");
    says("the audit log has no seal yet");
    place.ok(&["audit", "seal"]);
    says("its last seal is 1:");
    place.set_policy("kraken", POLICY);
    says("policy/kraken.toml is in force");
    says("can write the policies: they protect against nothing that does");
    assert!(!doctor().contains("has no policy"));
    let file = place.home().join("policy/kraken.toml");
    let uid = rustix::process::geteuid().as_raw();
    for (text, words) in [
        (
            "policy = 1\n[[allow]",
            "the policy before holds, since policy/kraken.toml: line 2",
        ),
        (
            "policy = 1\n[[allow]]\npath = \"/a\"\n[[deny]]\npath = \"*\"",
            "policy/kraken.toml: allow 1: it can never match",
        ),
        (
            "policy = 1\nexpires = 2020-01-01",
            "policy/kraken.toml: expires: 2020-01-01 is over",
        ),
        (
            &format!("policy = 1\n[[client]]\nuid = {uid}"),
            "the rules bind it to nothing",
        ),
    ] {
        fs::write(&file, text).unwrap();
        says(words);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    fs::write(&file, POLICY).unwrap();
    says("chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    place.ok(&["lock", "--all"]);
    says("everything is denied to every key");
    place.ok(&["unlock", "--all"]);
    place.ok(&["policy", "deny-all", "kraken"]);
    says("everything is denied to the key kraken");
    // The log: changed, gone, and in the way.
    let log = place.home().join("audit/000000000001.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, whole.replacen("kraken", "krakem", 1)).unwrap();
    says("the audit log was changed: line 2");
    fs::remove_dir_all(place.home().join("audit")).unwrap();
    says("the audit log was changed: line 1: the log ends with seal 0, and seal 1");
    assert_eq!(place.run(&["doctor"], "").code, 1);
}
