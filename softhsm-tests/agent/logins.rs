//! Logins are ended with the process that has them: a device keeps those that are not, and has room for few.

use std::time::{Duration, Instant};

use crate::{
    faulty,
    running::{BALANCE, Running, until},
};

const SIGN: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn each_login_is_ended_with_its_process() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let lines = format!("{BALANCE}\n{BALANCE}\n");
    let commands: [(&[&str], &str, i32); 6] = [
        (&SIGN, "", 0),
        (&["sign", "--json"], &lines, 0),
        (&["test", "kraken"], "", 0),
        (&["generate", "-e", "kraken", "--algorithm", "ed25519"], "", 5),
        (&["doctor"], "", 0),
        (&["import", "-e", "binance", "--api-key", "k"], "too short\n", 5),
    ];
    for (args, input, code) in commands {
        let done = place.run(args, input);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        let calls = (faulty.calls("C_Login"), faulty.calls("C_Logout"));
        assert_eq!(calls.0, calls.1, "{args:?}");
        assert!(calls.0 > 0, "{args:?}");
    }
    // One whose token does not sign, too.
    faulty.fail("C_Sign answer 5");
    let done = place.run(&SIGN, "");
    assert_ne!(done.code, 0, "{done:?}");
    assert_eq!(faulty.calls("C_Login"), faulty.calls("C_Logout"));
    faulty.heal();
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    assert_eq!(faulty.calls("C_Login"), faulty.calls("C_Logout") + 1);
    place.ok(&["agent", "stop"]);
    until("its worker logs out", || {
        faulty.calls("C_Login") == faulty.calls("C_Logout")
    });
}

#[test]
fn what_a_token_does_when_it_is_logged_out_of_changes_no_result() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    for fault in ["crash", "hang", "answer 48", "slow 1000"] {
        faulty.fail(&format!("C_Logout {fault} 0"));
        let begun = Instant::now();
        let done = place.run(&SIGN, "");
        assert_eq!(done.code, 0, "{fault}: {done:?}");
        assert!(done.stdout.starts_with("{\"ok\":true"), "{fault}: {done:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{fault}");
        let refused = place.run(&["sign", "kraken", "POST", "/0/private/Withdraw"], "");
        assert_eq!(refused.code, 3, "{fault}: {refused:?}");
    }
}
