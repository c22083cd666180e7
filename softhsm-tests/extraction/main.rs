//! The binary on every token that this machine has: what the extraction suite finds, that a token which gives keys away
//! is refused, the road of a key, and what goes wrong on it. One that cannot be had is a line on stderr that says SKIPPED.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;
mod expected;
mod faults;
#[path = "../isolation.rs"]
mod isolation;
mod keys;
#[path = "../kryoptic.rs"]
mod kryoptic;
#[path = "../nss.rs"]
mod nss;
#[path = "../opencryptoki.rs"]
mod opencryptoki;
mod pairs;
mod road;
#[path = "../softhsm.rs"]
mod softhsm;
#[path = "../suite/mod.rs"]
mod suite;
mod user;
mod workers;

use serde_json::Value;
use user::User;

/// Tests of one kind of token.
macro_rules! on {
    ($tests:ident, $bench:ident, $name:literal: $($test:ident)*) => {
        mod $tests {
            use super::{isolation, user::User, $bench};
            $(
                #[test]
                fn $test() {
                    let test = concat!(stringify!($tests), "::", stringify!($test));
                    isolation::hosted(test, $bench::environment, $bench::host, |folder| {
                        if let Some(bench) = $bench::Bench::new(folder) {
                            super::$test(&User::of(folder, &bench.settings, super::pin(&bench)), $name);
                        }
                    });
                }
            )*
        }
    };
}

/// Those that every kind gets, and more for some.
macro_rules! on_every {
    ($($tests:ident, $bench:ident, $name:literal: $($more:ident)*;)*) => {
        $(on! { $tests, $bench, $name:
            every_attack_has_the_verdict_that_is_known
            every_attack_on_a_private_key_has_the_verdict_that_is_known
            a_key_is_left_as_it_was
            a_key_goes_the_whole_road
            a_stream_is_signed_whole
            a_killed_change_is_whole_or_nothing
            a_wrong_pin_is_spent_once
            many_processes_sign_at_once
            $($more)*
        })*
    };
}

on_every! {
    on_softhsm, softhsm, "SoftHSM":
        a_login_that_was_cut_off_loses_no_token;
    on_kryoptic, kryoptic, "kryoptic":
        a_token_that_leaks_is_refused_unless_that_is_accepted;
    on_nss, nss, "NSS":
        a_token_that_leaks_is_refused_unless_that_is_accepted;
    on_opencryptoki, opencryptoki, "opencryptoki":
        a_login_that_was_cut_off_loses_no_token
        lists_that_were_cut_off_lose_no_key
        a_token_that_leaks_is_refused_unless_that_is_accepted;
}

fn pin(bench: &dyn suite::Bench) -> String {
    bench.pin().to_owned()
}

fn verdicts(tried: &Value) -> Vec<(String, String)> {
    tried["tokens"][0]["attacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| {
            let text = |field: &str| tried[field].as_str().unwrap().to_owned();
            assert!(!text("what").is_empty());
            (text("attack"), text("verdict"))
        })
        .collect()
}

/// `token test` and `test --attack` say of every attack what is known of the token; exit code 1 where it leaks.
fn every_attack_has_the_verdict_that_is_known(user: &User, token: &str) {
    let known = expected::of(token);
    let pairs = expected::of_pairs(token, "p256").unwrap_or_default();
    let all = [&known[..], &pairs].concat();
    let code = i32::from(expected::leaks(&all));
    user.ok(&user.init(&["--accept-leaky-token"]));
    let done = user.run(&["token", "test", "t", "--json"], "");
    let tried: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(verdicts(&tried), all, "{tried:#}");
    assert_eq!(
        (done.code, tried["ok"].as_bool()),
        (code, Some(code == 0)),
        "{done:?}"
    );
    let code = i32::from(expected::leaks(&known));
    // A key of each hash, since a key as long as the hash's block is worked off at once.
    for algorithm in ["hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        user.import(algorithm, &[]);
        let done = user.run(&["test", algorithm, "--attack", "--json"], "");
        let tried: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(verdicts(&tried), known, "{algorithm}: {tried:#}");
        assert_eq!(done.code, code, "{done:?}");
        let on: Vec<_> = tried["tokens"][0]["attacks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tried| (tried["attack"].as_str().unwrap(), tried["on"].as_str().unwrap()))
            .collect();
        assert!(on.contains(&("wrap-aes", "key")) && on.contains(&("copy", "sacrificial")));
    }
}

/// The same of private keys, stored on the token and made there, in each kind that it has.
fn every_attack_on_a_private_key_has_the_verdict_that_is_known(user: &User, token: &str) {
    user.ok(&user.init(&["--accept-leaky-token"]));
    let mut tried = 0;
    for (algorithm, exchange, pem) in pairs::KEYS {
        let Some(known) = expected::of_pairs(token, algorithm) else {
            continue;
        };
        for (key, made) in [
            ("stored", pairs::import(user, exchange, algorithm, pem)),
            ("made", pairs::generate(user, algorithm)),
        ] {
            if !made {
                continue;
            }
            let done = user.run(&["test", key, "--attack", "--json"], "");
            let report: Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(verdicts(&report), known, "{key} {algorithm}: {report:#}");
            assert_eq!(done.code, i32::from(expected::leaks(&known)), "{done:?}");
            user.ok(&["test", key]);
            user.ok(&["remove", key, "--yes"]);
            tried += 1;
        }
    }
    assert_eq!(tried, pairs::on(token), "kinds of keys");
}

/// After every attack the key makes the same MAC, has the same attributes, and is as alone on its token as before.
fn a_key_is_left_as_it_was(user: &User, _: &str) {
    user.ok(&user.init(&["--accept-leaky-token"]));
    user.import("hmac-sha256", &["--allow", "raw"]);
    let seen = || {
        (
            user.objects(),
            user.run(&["hmac", "hmac-sha256"], "message").stdout,
        )
    };
    let before = seen();
    assert!(!before.0.is_empty() && before.1.len() > 60, "{before:?}");
    for _ in 0..2 {
        user.run(&["test", "hmac-sha256", "--attack"], "");
        user.run(&["token", "test"], "");
    }
    assert_eq!(seen(), before);
    user.ok(&["test", "hmac-sha256"]);
}

/// init and import refuse a token that gives keys away; one who takes it all the same is told again and again.
fn a_token_that_leaks_is_refused_unless_that_is_accepted(user: &User, _: &str) {
    let done = user.run(&user.init(&[]), "");
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains("gives its keys away") && done.stderr.contains("--accept-leaky-token"));
    assert!(!user.config().contains("[token."), "nothing is set up");
    let trust = user.file("trust.json");
    assert!(
        trust.contains("\"version\": 1") && trust.contains("\"leaks\": [\n"),
        "{trust}"
    );

    user.ok(&user.init(&["--accept-leaky-token"]));
    assert!(user.config().contains("accept-leaky-token = true"));
    let done = user.import("hmac-sha256", &[]);
    assert!(done.stderr.contains("read a secret back out of it"), "{done:?}");

    // Set up by hand, or before the module was known to leak.
    user.write_config(&user.config().replace("accept-leaky-token = true\n", ""));
    let import = [
        "import",
        "--exchange",
        "generic",
        "--algorithm",
        "hmac-sha512",
        "--key",
        "k",
    ];
    let done = user.run(&import, "a secret that is not short at all\n");
    let secret = "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6";
    assert_eq!(done.code, 5, "{done:?}");
    let done = user.run(&import, &format!("{secret}\n"));
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains("gives its keys away"), "{done:?}");
    let line = format!(
        "{{\"exchange\":\"generic\",\"algorithm\":\"hmac-sha256\",\"key\":\"j\",\"secret\":\"{secret}\"}}\n"
    );
    let done = user.run(&["import", "--json"], &line);
    assert!(done.stdout.contains("\"unsupported\""), "{done:?}");
    let done = user.run(
        &[&import[..], &["--accept-leaky-token"]].concat(),
        &format!("{secret}\n"),
    );
    assert_eq!(done.code, 0, "{done:?}");

    let said = |args: &[&str]| {
        let done = user.run(args, "");
        format!("{}{}", done.stdout, done.stderr)
    };
    for args in [
        &["list"][..],
        &["show", "k"],
        &["doctor"],
        &["token", "show", "t"],
    ] {
        let said = said(args);
        assert!(said.contains("read a secret back out of it"), "{args:?}: {said}");
    }
    for args in [
        &["list", "--json"][..],
        &["show", "k", "--json"],
        &["token", "show", "t", "--json"],
    ] {
        let said = said(args);
        assert!(said.contains("\"leaks\":[\""), "{args:?}: {said}");
    }
    // What was accepted once holds for the key's next secret.
    let done = user.run(&["rotate", "k"], &format!("{secret}x\n"));
    assert_eq!(done.code, 0, "{done:?}");
}

/// A token that may leak is a token like any other.
fn a_key_goes_the_whole_road(user: &User, _: &str) {
    road::whole(user);
}

/// So is one in a stream of requests.
fn a_stream_is_signed_whole(user: &User, _: &str) {
    road::stream(user);
}

/// Killed at any moment, a change of keys is finished or undone at the next start.
fn a_killed_change_is_whole_or_nothing(user: &User, token: &str) {
    faults::killed(user, || {
        if token == "opencryptoki" {
            opencryptoki::revive();
        }
    });
}

/// A module that rewrites its token at every login, and was killed meanwhile, is given back what it had.
fn a_login_that_was_cut_off_loses_no_token(user: &User, token: &str) {
    faults::cut_login(user, token);
}

/// Nor is a key lost where the module's lists are older than its keys or were cut off.
fn lists_that_were_cut_off_lose_no_key(user: &User, _: &str) {
    faults::cut_lists(user);
}

/// By whatever process, however many there are.
fn a_wrong_pin_is_spent_once(user: &User, _: &str) {
    faults::wrong_pin(user);
}

/// Processes take turns at opening the token.
fn many_processes_sign_at_once(user: &User, _: &str) {
    faults::many(user);
}

/// The page for users has the same table.
#[test]
fn the_table_of_the_page_is_what_the_suite_finds() {
    isolation::alone(
        "the_table_of_the_page_is_what_the_suite_finds",
        softhsm::environment,
        |folder| {
            let Some(bench) = softhsm::Bench::new(folder) else {
                return;
            };
            let user = User::of(folder, &bench.settings, pin(&bench));
            user.ok(&user.init(&[]));
            let tried: Value = serde_json::from_str(&user.ok(&["token", "test", "--json"])).unwrap();
            expected::check_page(&|attack| {
                let all = tried["tokens"][0]["attacks"].as_array().unwrap();
                let tried = all.iter().find(|tried| tried["attack"] == attack).unwrap();
                tried["does"].as_str().unwrap().to_owned()
            });
        },
    );
}
