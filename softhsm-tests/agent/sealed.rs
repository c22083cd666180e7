//! The seals that an agent has made.

use crate::{
    faulty,
    running::{BALANCE, Running, until},
};

#[test]
fn a_token_that_made_no_seal_a_moment_ago_is_asked_for_the_last_one() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    faulty.fail("C_SignInit answer 5");
    // With those that are refused, a seal is due.
    connection.send(format!("{BALANCE}\n").repeat(1000).as_bytes());
    for _ in 0..1000 {
        assert_eq!(connection.answer()["ok"], false);
    }
    let before = faulty.calls("C_SignInit");
    until("a seal was tried", || faulty.calls("C_SignInit") > before);
    faulty.heal();
    until("it is well", || agent.token("softhsm")["state"] == "open");
    place.ok(&["agent", "stop"]);
    let told = place.ok(&["audit", "verify"]);
    assert!(told.contains("1 seals of token softhsm hold"), "{told}");
}
