//! Many processes at once: on one token, with imports beside them, and over two folders.

use std::{collections::HashSet, fs, process::Stdio, thread::scope};

use crate::{
    bench::{Done, KRAKEN_SECRET, Place, finish},
    state::{names, nonce, rounds},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];
const MANY: usize = 32;

/// Starts all before waiting for any.
fn at_once(commands: Vec<(&Place, Vec<&str>, String)>) -> Vec<Done> {
    let running: Vec<_> = commands
        .into_iter()
        .map(|(place, args, input)| (place.start(&args), input))
        .collect();
    scope(|scope| {
        let waiting: Vec<_> = running
            .into_iter()
            .map(|(child, input)| scope.spawn(move || finish(child, input.as_bytes())))
            .collect();
        waiting.into_iter().map(|wait| wait.join().unwrap()).collect()
    })
}

#[track_caller]
fn nonces(done: &[Done], seen: &mut HashSet<u64>) {
    for done in done {
        assert_eq!(done.code, 0, "{done:?}");
        if done.stdout.starts_with('{') {
            let nonce = nonce(&serde_json::from_str(&done.stdout).unwrap());
            assert!(seen.insert(nonce), "nonce {nonce} came twice");
        }
    }
}

#[test]
fn many_signatures_at_once_none_fails_and_no_nonce_repeats() {
    let Some(place) = Place::with_kraken() else { return };
    let mut seen = HashSet::new();
    for _ in 0..rounds(20) {
        let all = (0..MANY)
            .map(|_| (&place, BALANCE.to_vec(), String::new()))
            .collect();
        nonces(&at_once(all), &mut seen);
    }
    assert_eq!(seen.len(), MANY * rounds(20));
}

#[test]
fn signatures_and_imports_at_once() {
    let Some(place) = Place::with_kraken() else { return };
    let mut seen = HashSet::new();
    let keys: Vec<String> = (0..8).map(|number| format!("k{number}")).collect();
    for _ in 0..rounds(2) {
        let mut all: Vec<_> = (0..MANY)
            .map(|_| (&place, BALANCE.to_vec(), String::new()))
            .collect();
        for (at, key) in keys.iter().enumerate() {
            let args = vec![
                "import",
                "--exchange",
                "kraken",
                "--api-key",
                "a",
                "--key",
                key.as_str(),
            ];
            all.insert(at * 4, (&place, args, format!("{KRAKEN_SECRET}\n")));
        }
        nonces(&at_once(all), &mut seen);
        for key in &keys {
            place.ok(&["test", key]);
        }
        let gone = keys
            .iter()
            .map(|key| (&place, vec!["remove", key.as_str()], String::new()));
        nonces(&at_once(gone.collect()), &mut seen);
        assert_eq!(names(&place), ["kraken"]);
    }
}

#[test]
fn one_name_is_imported_once_however_many_try() {
    let Some(place) = Place::with_token() else { return };
    let import = vec!["import", "--exchange", "kraken", "--api-key", "a"];
    let all = (0..8)
        .map(|_| (&place, import.clone(), format!("{KRAKEN_SECRET}\n")))
        .collect();
    let done = at_once(all);
    assert_eq!(done.iter().filter(|done| done.code == 0).count(), 1, "{done:?}");
    assert!(
        done.iter()
            .all(|done| done.code == 0 || done.stderr.contains("already")),
        "{done:?}"
    );
    place.ok(&["test", "kraken"]);
    if let Some(objects) = crate::state::objects(&place) {
        assert_eq!(objects, ["hsmsign:kraken"]);
    }
}

#[test]
fn two_folders_that_share_a_token_take_turns() {
    let Some(owner) = Place::with_kraken() else { return };
    let other = Place::new();
    let config = fs::read_to_string(owner.home().join("config.toml")).unwrap();
    let value = |name: &str| {
        let line = config.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let conf = owner.home().join("softhsm/softhsm2.conf");
    let pin = format!("file:{}", owner.home().join("softhsm/softhsm.pin").display());
    let mut init = other.command(&["init", "--pkcs11", &value("module"), "--serial", &value("serial")]);
    init.args(["--pin-source", &pin, "--token", "shared"])
        .env("SOFTHSM2_CONF", &conf);
    init.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let done = init.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    // From here on config.toml says where SoftHSM's configuration is.
    other.import(&["--exchange", "kraken", "--api-key", "b"], KRAKEN_SECRET);
    let (mut ours, mut theirs) = (HashSet::new(), HashSet::new());
    for _ in 0..rounds(3) {
        let all = (0..MANY)
            .map(|number| {
                let place = if number % 2 == 0 { &owner } else { &other };
                (place, BALANCE.to_vec(), String::new())
            })
            .collect();
        let (even, odd): (Vec<_>, Vec<_>) = at_once(all)
            .into_iter()
            .enumerate()
            .partition(|(number, _)| number % 2 == 0);
        nonces(
            &even.into_iter().map(|(_, done)| done).collect::<Vec<_>>(),
            &mut ours,
        );
        nonces(
            &odd.into_iter().map(|(_, done)| done).collect::<Vec<_>>(),
            &mut theirs,
        );
    }
    // Neither sees or sweeps the other's key.
    owner.ok(&["test", "kraken"]);
    other.ok(&["test", "kraken"]);
    other.ok(&["remove", "kraken"]);
    owner.ok(&["test", "kraken"]);
}

#[test]
fn two_set_ups_at_once_keep_each_others_token() {
    let Some(place) = Place::with_token() else { return };
    let names = ["one", "two", "three", "four"];
    let all = names
        .iter()
        .map(|name| (&place, vec!["init", "--softhsm", "--token", name], String::new()))
        .collect();
    for done in at_once(all) {
        assert_eq!(done.code, 0, "{done:?}");
    }
    let listed = place.ok(&["token", "list"]);
    for name in names {
        assert!(listed.contains(name), "{name} is lost: {listed}");
        place.import(
            &[
                "--exchange",
                "kraken",
                "--key",
                name,
                "--token",
                name,
                "--api-key",
                "a",
            ],
            KRAKEN_SECRET,
        );
    }
}
