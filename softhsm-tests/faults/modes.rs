//! Files and folders that let others in, or that are another user's.

use std::fs;

use crate::{
    bench::Place,
    state::{chmod, refused, root},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn every_loose_mode_is_refused_with_its_chmod() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&BALANCE);
    let files = [
        ("config.toml", 0o640),
        ("keys/kraken.json", 0o604),
        ("nonces/kraken", 0o660),
        ("softhsm/softhsm.pin", 0o644),
        ("softhsm/softhsm2.conf", 0o622),
    ];
    let folders = [
        ("", 0o711),
        ("keys", 0o750),
        ("nonces", 0o705),
        ("softhsm", 0o711),
        ("softhsm/tokens", 0o770),
    ];
    for (name, mode, tight) in files
        .map(|(name, mode)| (name, mode, 0o600))
        .into_iter()
        .chain(folders.map(|(name, mode)| (name, mode, 0o700)))
    {
        let path = place.home().join(name);
        chmod(&path, mode);
        let done = place.run(&BALANCE, "");
        let pin = name.ends_with(".pin");
        refused(&done, if pin { 4 } else { 5 }, &format!("has mode {mode:03o}"));
        let wanted = format!("chmod {tight:o} {}", path.display());
        assert!(
            done.stderr.contains(wanted.trim_end_matches('/')),
            "{wanted}: {done:?}"
        );
        chmod(&path, tight);
        place.ok(&BALANCE);
    }
    // The remedy is a command that works.
    chmod(&place.home(), 0o755);
    let done = place.run(&["list"], "");
    let remedy = done.stderr.lines().nth(1).unwrap().trim().to_owned();
    assert!(
        std::process::Command::new("sh")
            .args(["-c", &remedy])
            .status()
            .unwrap()
            .success()
    );
    place.ok(&["list"]);
}

/// Whoever can write where the owner's rules and scheme files lie can put others into their place. What a policy said before
/// holds.
#[test]
fn loose_folders_of_policies_and_schemes_are_refused() {
    let Some(place) = Place::with_kraken() else { return };
    fs::write(place.home().join("policy.toml"), "policy = 1\n").unwrap();
    chmod(&place.home().join("policy.toml"), 0o600);
    let policy = "policy = 1\n[[allow]]\npath = [\"/0/private/*\"]\n";
    place.set_policy("kraken", policy);
    let schemes = place.home().join("schemes");
    fs::create_dir(&schemes).unwrap();
    let own =
        include_str!("../../src/exchange/schemes/kraken.toml").replacen("id = \"kraken\"", "id = \"own\"", 1);
    fs::write(schemes.join("own.toml"), own).unwrap();
    chmod(&schemes.join("own.toml"), 0o600);
    chmod(&schemes, 0o700);
    let show = ["exchanges", "show", "own"];
    place.ok(&BALANCE);
    place.ok(&show);
    for (name, args, code) in [
        ("policy/accepted", &BALANCE[..], 5),
        (
            "policy",
            &["policy", "check", "kraken", "POST", "/0/private/Balance"],
            0,
        ),
        ("schemes", &show, 5),
    ] {
        let path = place.home().join(name);
        chmod(&path, 0o777);
        let done = place.run(args, policy);
        let said = format!("{} has mode 777, which lets others in", path.display());
        assert!(done.code == code && done.stderr.contains(&said), "{done:?}");
        chmod(&path, 0o700);
    }
    place.ok(&BALANCE);
}

#[test]
fn nobody_is_told_to_close_a_folder_that_is_for_everybody() {
    let place = Place::new();
    let shared = place.path().join("tmp");
    fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o1777);
    let at = |home: &std::path::Path, socket: &std::path::Path, args: &[&str]| {
        let mut command = place.command(args);
        command.env("HSMSIGN_HOME", home).env("HSMSIGN_SOCKET", socket);
        let done = command.output().unwrap();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let nowhere = place.path().join("no.sock");
    for home in [&shared, std::path::Path::new("/")] {
        let (code, told) = at(home, &nowhere, &["token"]);
        assert_eq!(code, Some(5), "{told}");
        assert!(
            told.contains("for everybody") && told.contains("set HSMSIGN_HOME"),
            "{told}"
        );
        assert!(!told.contains("chmod") && !told.contains("chown"), "{told}");
    }
    let (code, told) = at(&place.home(), &shared.join("agent.sock"), &["agent"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(
        told.contains("for everybody") && !told.contains("chmod"),
        "{told}"
    );
    // One's own, closed to others, is as good as any.
    chmod(&shared, 0o1700);
    let (code, told) = at(&shared, &nowhere, &["token"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !root() {
        eprintln!("SKIPPED: giving files to another user needs root");
        return;
    }
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&BALANCE);
    for name in ["keys/kraken.json", "config.toml", "nonces/kraken", ""] {
        let path = place.home().join(name);
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let done = place.run(&BALANCE, "");
        refused(&done, 5, "belongs to uid 65534");
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    place.ok(&BALANCE);
}

#[test]
fn what_hsmsign_makes_is_private_whatever_the_umask() {
    let place = Place::new();
    let made = std::process::Command::new("sh")
        .args([
            "-c",
            "umask 000; exec \"$0\" init --softhsm",
            env!("CARGO_BIN_EXE_hsmsign"),
        ])
        .env("HSMSIGN_HOME", place.home())
        .output()
        .unwrap();
    if String::from_utf8_lossy(&made.stderr).contains("not on this machine") {
        eprintln!("SKIPPED: SoftHSM is not installed");
        return;
    }
    assert!(made.status.success(), "{made:?}");
    place.import(
        &["--exchange", "kraken", "--api-key", "a"],
        crate::bench::KRAKEN_SECRET,
    );
    place.ok(&BALANCE);
    place.ok(&["backup", "backup.json"]);
    let mut folders = vec![place.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let Some(place) = Place::with_kraken() else { return };
    for name in ["config.toml", "keys/kraken.json", "softhsm/softhsm.pin"] {
        let path = place.home().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let code = if name.ends_with(".pin") { 4 } else { 5 };
        refused(&place.run(&BALANCE, ""), code, "not a plain file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        chmod(&path, 0o600);
    }
    place.ok(&BALANCE);
}
