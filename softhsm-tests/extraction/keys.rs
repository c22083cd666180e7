//! The verdict is found once, and remembered.

use std::fs;

use crate::{isolation, softhsm, user::User};

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
        assert!(said.contains("the PIN of token t has 9 characters"), "{said}");
        let said = import("chosen", "the-other-secret-of-the-trader");
        assert!(said.contains("reads like words"), "{said}");
        let said = import("random", SECRET);
        assert!(!said.contains("can be guessed"), "{said}");
    });
}
