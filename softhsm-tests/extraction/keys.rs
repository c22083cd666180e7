//! The verdict is found once, and remembered.

use std::{fs, thread::sleep, time::Duration};

use crate::{
    bench::{KRAKEN_SECRET, Place, finish},
    isolation, softhsm,
    user::User,
};

const SECRET: &str = "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6";

/// Runs a test with a SoftHSM token that is set up.
fn with_softhsm(test: &str, body: impl FnOnce(&User)) {
    isolation::alone(test, softhsm::environment, |folder| {
        if let Some(bench) = softhsm::Bench::new(folder) {
            let user = User::of(folder, &bench.settings, crate::pin(&bench));
            user.ok(&user.init(&[]));
            body(&user);
        }
    });
}

/// A module is tried at its first import if it was not before, once for a whole stream of keys, and not again.
#[test]
fn a_module_is_tried_once() {
    with_softhsm("keys::a_module_is_tried_once", |user| {
        let trust = user.path("trust.json");
        let first = fs::read(&trust).unwrap();
        fs::remove_file(&trust).unwrap();
        let lines: String = (0..3)
            .map(|n| format!("{{\"exchange\":\"generic\",\"algorithm\":\"hmac-sha256\",\"key\":\"k{n}\",\"secret\":\"{SECRET}\"}}\n"))
            .collect();
        let done = user.run(&["import", "--json"], &lines);
        assert_eq!(done.code, 0, "{done:?}");
        let again = fs::read(&trust).unwrap();
        assert_eq!(again.len(), first.len());
        let written = fs::metadata(&trust).unwrap().modified().unwrap();
        user.import("hmac-sha512", &[]);
        assert_eq!(fs::metadata(&trust).unwrap().modified().unwrap(), written);
        // Another revision of the module's file would be another module.
        let text = String::from_utf8(again)
            .unwrap()
            .replace("libsofthsm2.so ", "libsofthsm2.so 1");
        fs::write(&trust, &text).unwrap();
        user.import("hmac-sha384", &[]);
        assert_eq!(user.file("trust.json").matches("\"leaks\"").count(), 2);
    });
}

/// Signing asks nothing of what is remembered.
#[test]
fn signing_does_not_read_the_verdict() {
    with_softhsm("keys::signing_does_not_read_the_verdict", |user| {
        user.import("hmac-sha256", &["--allow", "raw"]);
        fs::write(user.path("trust.json"), "{").unwrap();
        let done = user.run(&["hmac", "hmac-sha256"], "message");
        assert_eq!(done.code, 0, "{done:?}");
        let done = user.run(&["import", "--exchange", "kraken", "--api-key", "a"], SECRET);
        assert!(
            done.code != 0 && done.stderr.contains("trust.json is damaged"),
            "{done:?}"
        );
    });
}

/// A secret or PIN that can be guessed is pointed out, and imported all the same.
#[test]
fn what_can_be_guessed_is_pointed_out() {
    with_softhsm("keys::what_can_be_guessed_is_pointed_out", |user| {
        let import = |key: &str, secret: &str| {
            let args = [
                "import",
                "--exchange",
                "generic",
                "--algorithm",
                "hmac-sha256",
                "--key",
                key,
            ];
            let done = user.run(&args, &format!("{secret}\n"));
            assert_eq!(done.code, 0, "{done:?}");
            assert!(!done.stderr.contains(secret) && !done.stdout.contains(secret));
            done.stderr
        };
        let said = import("short", "hunter2x");
        assert!(
            said.contains("can be guessed") && said.contains("has 8 bytes"),
            "{said}"
        );
        assert!(
            said.contains("one signed request") && said.contains("C_DigestKey"),
            "why: {said}"
        );
        assert!(said.contains("the PIN of token t has 9 characters"), "{said}");
        let said = import("chosen", "the-other-secret-of-the-trader");
        assert!(said.contains("reads like words"), "{said}");
        let said = import("random", SECRET);
        assert!(!said.contains("can be guessed"), "{said}");
    });
}

/// A short PIN is pointed out when its token is set up, with why; one that is not short is not.
#[test]
fn a_short_pin_is_pointed_out_when_its_token_is_set_up() {
    isolation::alone(
        "keys::a_short_pin_is_pointed_out_when_its_token_is_set_up",
        softhsm::environment,
        |folder| {
            let Some(bench) = softhsm::Bench::new(folder) else {
                return;
            };
            let user = User::of(folder, &bench.settings, crate::pin(&bench));
            let done = user.run(&user.init(&[]), "");
            assert_eq!(done.code, 0, "{done:?}");
            assert!(
                done.stderr.contains("the PIN of token t has 9 characters")
                    && done.stderr.contains("can try all PINs"),
                "{done:?}"
            );
            assert!(!done.stderr.contains(&crate::pin(&bench)), "{done:?}");
        },
    );
    let place = Place::new();
    let done = place.run(&["init", "--softhsm"], "");
    assert!(
        !done.stderr.contains("the PIN of token"),
        "its PIN is made: {done:?}"
    );
}

/// What a trial that was killed leaves on the token goes with the next one, and keys stay whole.
#[test]
fn a_killed_trial_leaves_nothing_for_long() {
    let Some(place) = Place::with_kraken() else { return };
    let objects = || {
        let token = fs::read_dir(place.token_folder())
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.file_type().unwrap().is_dir())
            .unwrap();
        let files = fs::read_dir(token.path()).unwrap();
        let objects =
            files.filter(|file| file.as_ref().unwrap().path().extension() == Some("object".as_ref()));
        objects.count()
    };
    let before = objects();
    for round in 0..12 {
        let mut child = place.start(&["token", "test"]);
        sleep(Duration::from_millis(20 + 17 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The last worker finds nobody listening, and ends.
    sleep(Duration::from_millis(500));
    place.ok(&["token", "test"]);
    assert_eq!(objects(), before);
    place.ok(&["test", "kraken"]);
}

/// Every MAC key of a pair is tried, and of the pair before the last rotation too; a passphrase is no key.
#[test]
fn every_mac_key_of_a_pair_is_tried() {
    let Some(place) = Place::with_kraken() else { return };
    let done = place.run(&["rotate", "kraken"], &format!("{KRAKEN_SECRET}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let tried = place.json(&["test", "kraken", "--attack", "--json"]);
    let tokens = tried["tokens"].as_array().unwrap();
    let seen: Vec<_> = tokens
        .iter()
        .map(|tried| {
            (
                tried["object"].as_str().unwrap(),
                tried["previous"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("secret", false), ("secret", true)]);
    let done = place.run(
        &["import", "--exchange", "coinbaseexchange", "--api-key", "a"],
        &format!("{KRAKEN_SECRET}\npassphrase\n"),
    );
    assert_eq!(done.code, 0, "{done:?}");
    let tried = place.json(&["test", "coinbaseexchange", "--attack", "--json"]);
    assert_eq!(tried["tokens"].as_array().unwrap().len(), 1);
}

/// Imports that meet an untried module at the same time try it once between them, and all get through.
#[test]
fn imports_at_once_try_a_module_once() {
    with_softhsm("keys::imports_at_once_try_a_module_once", |user| {
        fs::remove_file(user.path("trust.json")).unwrap();
        let started: Vec<_> = (0..8)
            .map(|n| {
                let args = [
                    "import",
                    "--exchange",
                    "generic",
                    "--algorithm",
                    "hmac-sha256",
                    "--key",
                ];
                user.command(&[&args[..], &[&format!("k{n}")]].concat())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in started {
            let done = finish(child, format!("{SECRET}\n").as_bytes());
            assert_eq!(done.code, 0, "{done:?}");
        }
        assert_eq!(user.file("trust.json").matches("\"leaks\"").count(), 1);
        assert_eq!(
            user.objects()
                .iter()
                .filter(|line| line.contains("KeyInfo"))
                .count(),
            8
        );
    });
}
