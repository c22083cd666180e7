//! What real modules do to a program that is not on its guard, each on the tokens that do it: first to a bare program,
//! so that it is seen to be so, then to hsmsign, which must be safe from it.
//!
//! | What a module does | On | Where |
//! |---|---|---|
//! | C_DigestKey gives the effective key of an over-long one away | all | `values.rs` |
//! | a key type is for one hash | SoftHSM, and a module as narrow as a YubiHSM's | `ladder.rs` |
//! | a second object with the same CKA_ID takes the first one's place | NSS | `ids.rs` |
//! | processes that log in at the same time fail | SoftHSM, opencryptoki | `processes.rs` |
//! | a killed creation leaves half an object | SoftHSM | `processes.rs` |
//! | a token that went away and came back looks empty | SoftHSM | `away.rs` |
//! | an operation that was begun and not ended spoils its session | all | `sessions.rs` |
//! | C_SignFinal crashes | opencryptoki | `calls.rs` |
//! | the time in the token's info is none | opencryptoki | `calls.rs` |
//! | a value that is kept is no error of its own | all | `values.rs` |
//! | attributes say what is not so | opencryptoki, NSS | `values.rs` |
//! | uses that nobody asked for are allowed, and the length of a value is refused | SoftHSM | `values.rs` |
//! | whoever is logged in may give any PIN | all but opencryptoki | `sessions.rs` |
//! | the login ends with the last session | all | `sessions.rs` |
//! | C_Initialize wants more than the standard's arguments | NSS | `calls.rs` |
//! | a second C_Initialize is refused, and C_Finalize ends it for all | all | `sessions.rs` |
//! | wrong PINs lock the token | opencryptoki, kryoptic | `pins.rs` |
//! | finding a key costs more the more there are | SoftHSM | `calls.rs` |
//! | a template is refused for one attribute that is not known | NSS, opencryptoki | `ladder.rs` |
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod away;
#[path = "../bare/mod.rs"]
mod bare;
#[path = "../bench/mod.rs"]
mod bench;
mod calls;
mod ids;
#[path = "../isolation.rs"]
mod isolation;
#[path = "../kryoptic.rs"]
mod kryoptic;
mod ladder;
mod narrow;
#[path = "../nss.rs"]
mod nss;
#[path = "../opencryptoki.rs"]
mod opencryptoki;
mod pins;
mod processes;
mod sessions;
#[path = "../softhsm.rs"]
mod softhsm;
#[path = "../suite/mod.rs"]
mod suite;
mod trials;
#[path = "../extraction/user.rs"]
mod user;
mod values;

use std::{path::Path, process::Command};

use hsmsign::token::pkcs11::Settings;

/// One trap on one token.
pub struct Case<'a> {
    test: &'static str,
    folder: &'a Path,
    settings: &'a Settings,
    bench: &'a dyn suite::Bench,
}

impl Case<'_> {
    /// A bare program that is logged in.
    fn enter(&self) -> bare::Inside {
        bare::Inside::enter(self.settings, self.bench.pin()).expect("a bare program logs in")
    }

    /// This test once more, as another process of the same token.
    fn helper(&self, role: &str) -> Command {
        isolation::helper(self.test, role)
    }

    /// A user of the binary.
    fn user(&self) -> user::User {
        user::User::of(self.folder, self.settings, self.bench.pin().to_owned())
    }
}

/// Traps on one kind of token, each a test in a process of its own.
macro_rules! on {
    ($tests:ident, $bench:ident: $($file:ident::$test:ident)*) => {
        mod $tests {
            use super::{Case, $bench, isolation};
            $(
                #[test]
                fn $test() {
                    let test = concat!(stringify!($tests), "::", stringify!($test));
                    isolation::hosted(test, $bench::environment, $bench::host, |folder| {
                        if let Some(bench) = $bench::Bench::new(folder) {
                            let settings = &bench.settings;
                            super::$file::$test(&Case { test, folder, settings, bench: &bench });
                        }
                    });
                }
            )*
        }
    };
}

on! { on_softhsm, softhsm:
    values::an_over_long_key_comes_out_of_its_digest
    values::what_is_kept_is_told_from_what_is_not
    values::uses_that_nobody_asked_for_are_allowed
    processes::logins_at_the_same_time_fail
    processes::a_killed_creation_leaves_half_an_object
    away::a_token_that_came_back_looks_empty
    sessions::an_operation_that_was_not_ended_spoils_its_session
    sessions::a_refused_signature_leaves_no_session_spoilt
    sessions::any_pin_will_do_while_logged_in
    sessions::the_login_ends_with_the_last_session
    sessions::a_module_that_is_up_already_is_left_up
    calls::a_key_is_found_once
    ladder::a_key_type_is_for_one_hash
    ladder::a_module_that_takes_little_gets_little
    trials::a_trial_that_is_killed_leaves_no_key_where_ids_are_cut
    trials::a_trial_takes_no_key_of_a_users_for_its_own
    trials::a_removal_that_is_finished_later_takes_nothing_of_others
}

on! { on_nss, nss:
    values::an_over_long_key_comes_out_of_its_digest
    values::what_is_kept_is_told_from_what_is_not
    values::attributes_say_what_is_not_so
    ids::a_second_object_takes_the_place_of_the_first
    sessions::an_operation_that_was_not_ended_spoils_its_session
    sessions::any_pin_will_do_while_logged_in
    sessions::the_login_ends_with_the_last_session
    sessions::a_module_that_is_up_already_is_left_up
    calls::the_standards_arguments_are_refused
    ladder::one_unknown_attribute_costs_the_whole_template
}

on! { on_kryoptic, kryoptic:
    values::an_over_long_key_comes_out_of_its_digest
    values::what_is_kept_is_told_from_what_is_not
    sessions::an_operation_that_was_not_ended_spoils_its_session
    sessions::any_pin_will_do_while_logged_in
    sessions::the_login_ends_with_the_last_session
    sessions::a_module_that_is_up_already_is_left_up
    pins::wrong_ones_lock_the_token
    pins::the_last_try_is_left_to_a_person
}

on! { on_opencryptoki, opencryptoki:
    values::an_over_long_key_comes_out_of_its_digest
    values::what_is_kept_is_told_from_what_is_not
    values::attributes_say_what_is_not_so
    processes::logins_at_the_same_time_fail
    sessions::an_operation_that_was_not_ended_spoils_its_session
    sessions::the_login_ends_with_the_last_session
    sessions::a_module_that_is_up_already_is_left_up
    calls::a_signature_in_parts_crashes
    calls::the_time_is_none
    pins::wrong_ones_lock_the_token
    pins::the_last_try_is_left_to_a_person
    ladder::one_unknown_attribute_costs_the_whole_template
}
