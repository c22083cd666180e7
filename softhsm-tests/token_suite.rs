//! The suite on SoftHSM.

mod isolation;
mod softhsm;
mod suite;
mod trouble;

macro_rules! promises {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            isolation::alone(stringify!($name), softhsm::environment, |folder| {
                if let Some(bench) = softhsm::Bench::new(folder) {
                    suite::$name(&bench);
                }
            });
        }
    )*};
}

promises! {
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
    sweeps_take_one_id
    other_logins_are_noticed
    opening_again_loses_nothing
    pairs_sign
}
