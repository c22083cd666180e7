//! The switch that denies everything, and what else of an agent's keys is for its user, asked for by others.

use std::fs;

use crate::bench::people::{BOT, OWNER, People, STRANGER};

const SIGN: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

/// Whoever pulls the switch is not told that it holds where it does not.
#[test]
fn the_switch_is_pulled_through_the_agent_by_its_admins_and_undone_by_its_owner() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let switches = [&["lock", "--all"][..], &["policy", "deny-all", "kraken"]];
    for switch in switches {
        let done = people.run(BOT, switch, "");
        assert!(done.code == 3 && done.stdout.is_empty(), "{switch:?}: {done:?}");
        assert!(done.stderr.contains("admins"), "{switch:?}: {done:?}");
    }
    assert_eq!(people.run(BOT, &SIGN, "").code, 0);
    let config = people.path("owner/hsmsign/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[agent]\nadmins = [{BOT}]\n")).unwrap();
    assert_eq!(people.run(OWNER, &["agent", "reload"], "").code, 0);
    let undo = [
        &["unlock", "--all"][..],
        &["policy", "deny-all", "kraken", "--undo"],
    ];
    for (switch, undo) in switches.into_iter().zip(undo) {
        let done = people.run(BOT, switch, "");
        assert!(
            done.code == 0 && done.stdout.contains("denied everything")
                || done.stdout.contains("is denied to"),
            "{switch:?}: {done:?}"
        );
        let denied = people.run(BOT, &SIGN, "");
        assert!(
            denied.code == 3 && denied.stderr.contains("hsmsign"),
            "{denied:?}"
        );
        let done = people.run(BOT, undo, "");
        assert!(
            done.code == 3 && done.stderr.contains(&format!("runs as uid {OWNER}")),
            "{undo:?}: {done:?}"
        );
        assert_eq!(people.run(BOT, &SIGN, "").code, 3);
        let done = people.run(OWNER, undo, "");
        assert_eq!(done.code, 0, "{undo:?}: {done:?}");
        assert_eq!(people.run(BOT, &SIGN, "").code, 0);
    }
    let nobody = people.run(BOT, &["policy", "deny-all", "nobody"], "");
    assert_eq!(nobody.code, 5, "{nobody:?}");
    let shown = people.run(OWNER, &["audit", "show", "--json", "--what", "lock"], "");
    let by_the_bot = format!("\"uid\":{BOT},");
    assert_eq!(shown.stdout.matches(&by_the_bot).count(), 2, "{shown:?}");
    // Who is not let in is not told that all is locked either.
    let done = people.run(STRANGER, &["lock", "--all"], "");
    assert!(done.code == 4 && done.stdout.is_empty(), "{done:?}");
}

#[test]
fn whose_policy_and_log_an_agents_key_has_is_said() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let runs_as = format!("runs as uid {OWNER}");
    for arguments in [
        &["policy", "show", "kraken"][..],
        &["policy", "set", "kraken"],
        &["policy", "learn", "kraken", "--begin"],
    ] {
        let done = people.run(BOT, arguments, "policy = 1\n");
        assert!(
            done.code == 3 && done.stderr.contains(&runs_as),
            "{arguments:?}: {done:?}"
        );
    }
    for arguments in [&["audit", "show"][..], &["audit", "verify"], &["audit", "report"]] {
        let done = people.run(BOT, arguments, "");
        assert!(
            done.code == 0 && done.stderr.contains(&runs_as),
            "{arguments:?}: {done:?}"
        );
    }
    let own = people.run(OWNER, &["audit", "show"], "");
    assert!(own.code == 0 && own.stderr.is_empty(), "{own:?}");
}
