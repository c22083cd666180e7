//! The suite on every token that this machine has. One that it has not is a line on stderr that says SKIPPED.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod card;
mod isolation;
mod kryoptic;
mod nss;
mod opencryptoki;
mod softhsm;
mod suite;
mod trouble;
mod virtual_yubikey;

/// The promises of the suite on one kind of token, each a test.
macro_rules! promises {
    ($tests:ident on $bench:ident: $($name:ident)*) => {
        mod $tests {
            use super::{isolation, $bench, suite};
            $(
                #[test]
                fn $name() {
                    let test = concat!(stringify!($tests), "::", stringify!($name));
                    isolation::hosted(test, $bench::environment, $bench::host, |folder| {
                        if let Some(bench) = $bench::Bench::new(folder) {
                            suite::$name(&bench);
                        }
                    });
                }
            )*
        }
    };
}

/// All promises hold on every kind.
macro_rules! every_promise {
    ($($tests:ident on $bench:ident)*) => {
        $(promises! { $tests on $bench:
            macs_agree_with_software
            messages_may_be_empty_or_long
            keys_are_unreadable
            ids_are_not_used_twice
            deleted_keys_are_gone
            keys_are_listed
            threads_do_not_mix
            wrong_pins_are_spent_once
            mac_keys_can_be_made
            data_comes_back
            data_changes_where_it_is_to
            sweeps_take_one_id
            other_logins_are_noticed
            opening_again_loses_nothing
            pairs_sign
            private_keys_are_taken
            private_keys_of_two_halves_are_found_out
        })*
    };
}

every_promise! {
    on_softhsm on softhsm
    on_nss on nss
    on_opencryptoki on opencryptoki
    on_kryoptic on kryoptic
    on_a_yubikey on virtual_yubikey
}

/// What is known of each token is what trying finds.
#[test]
fn probing_tries_what_is_claimed() {
    use hsmsign::{
        algorithm::{Algorithm, MacAlgorithm},
        token::{Capabilities, Identity, Token as _, pkcs11::Pkcs11Token, pkcs11::Settings, pkcs11::scan},
    };
    fn probe(settings: &Settings, pin: &str) -> (Identity, Capabilities) {
        let token = Pkcs11Token::open(settings.clone(), suite::Pin::new(pin)).unwrap();
        let before = token.list().unwrap().len();
        let can = token.probe_deeply().unwrap();
        assert_eq!(token.list().unwrap().len(), before, "probing leaves nothing");
        for mac in MacAlgorithm::ALL {
            assert!(can.algorithms.contains(&Algorithm::Mac(mac)), "{mac:?}");
        }
        assert!(!can.hardware && can.parallel);
        (token.identity().clone(), can)
    }
    isolation::alone("probing_tries_what_is_claimed", softhsm::environment, |folder| {
        use suite::Bench as _;
        if let Some(bench) = softhsm::Bench::new(folder) {
            let (identity, can) = probe(&bench.settings, bench.pin());
            assert!(can.data_objects);
            assert_eq!(can.algorithms, Algorithm::ALL);
            let found = scan(&bench.settings.module, None).unwrap();
            let ready: Vec<_> = found.iter().filter(|token| token.initialised).collect();
            assert_eq!(ready.len(), 1);
            assert!(ready[0].identity == identity && ready[0].pin_set && !ready[0].pin_locked);
            assert!(
                found.iter().any(|token| !token.initialised),
                "SoftHSM always has a free slot"
            );
        }
        if let Some(bench) = nss::Bench::new(folder) {
            let (_, can) = probe(&bench.settings, bench.pin());
            assert!(!can.data_objects);
        }
    });
}

/// What hardening takes effect is known for each token; a change in either direction is worth a look.
fn hardening_is(bench: &dyn suite::Bench, rung: u8, without: &[&str]) {
    let all = [
        "private",
        "sensitive",
        "not-extractable",
        "not-copyable",
        "not-modifiable",
        "no-derive",
        "no-wrap",
        "no-unwrap",
        "no-encrypt",
        "no-decrypt",
        "no-verify",
        "one-mechanism",
    ];
    let wanted: Vec<_> = all.into_iter().filter(|word| !without.contains(word)).collect();
    assert_eq!(suite::hardening(bench), (rung, wanted.join(" ")));
}

macro_rules! hardening {
    ($test:ident on $bench:ident: rung $rung:literal $(, without $word:literal)*) => {
        #[test]
        fn $test() {
            isolation::hosted(stringify!($test), $bench::environment, $bench::host, |folder| {
                if let Some(bench) = $bench::Bench::new(folder) {
                    hardening_is(&bench, $rung, &[$($word),*]);
                }
            });
        }
    };
}

hardening! { hardening_on_softhsm on softhsm: rung 1 }
hardening! { hardening_on_kryoptic on kryoptic: rung 1 }
hardening! { hardening_on_nss on nss: rung 2, without "not-copyable", without "one-mechanism" }
hardening! { hardening_on_opencryptoki on opencryptoki: rung 2, without "not-copyable", without "one-mechanism" }
