//! Limits that are counted: over processes, kills, and clocks; and hours, expiry, clients.

use std::{path::Path, sync::Arc, time::Duration};

use hsmsign::{error::Code, policy::Mode};

use crate::{
    bench::{Place, finish},
    judge::{Judge, NOW},
};

const ORDER: &str =
    r#"{"method":"POST","path":"/0/private/AddOrder","form":{"pair":"XBTUSD","volume":"0.4"}}"#;
const BALANCE: &str = r#"{"method":"POST","path":"/0/private/Balance"}"#;

#[test]
fn a_days_cap_counts_what_was_asked_for_and_no_more() {
    let judge = Judge::new("kraken", "[[cap]]\nfield = \"volume\"\nday = \"1\"");
    let day = Duration::from_secs(86_400);
    for (at, permitted) in [
        (NOW, true),
        (NOW + Duration::from_secs(3600), true),
        (NOW + Duration::from_secs(7200), false),
        // Set back, and ahead within the day.
        (NOW - day, false),
        (NOW - 30 * day, false),
        (NOW + Duration::from_secs(80_000), false),
        // Over: as much as began then is free again.
        (NOW + day + Duration::from_secs(4000), true),
    ] {
        assert_eq!(judge.ask_at(ORDER, at, Mode::Sign).is_ok(), permitted, "{at:?}");
    }
    let less = ORDER.replace("0.4", "0.2");
    let at = NOW + day + Duration::from_secs(4000);
    judge.ask_at(&less, at, Mode::Sign).unwrap();
    let error = judge.ask_at(&less, at, Mode::Sign).unwrap_err();
    assert_eq!(error.code(), Code::Denied);
    for words in [
        "cap 1 (volume).day of policy/k.toml",
        "1 of 1 in a day are used up",
        "wants 0.2",
    ] {
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn caps_by_symbol_count_apart_and_leave_no_symbol_out() {
    let judge = Judge::new(
        "kraken",
        "[[cap]]\nfield = \"volume\"\nsymbol = [\"XBTUSD\", \"XXBTZUSD\"]\nday = \"0.5\"\n\
         [[cap]]\nfield = \"volume\"\nsymbol = \"ETHUSD\"\nday = \"0.5\"",
    );
    let order = |pair: &str| ORDER.replace("XBTUSD", pair);
    judge.ask_at(&order("XBTUSD"), NOW, Mode::Sign).unwrap();
    judge.ask_at(&order("ETHUSD"), NOW, Mode::Sign).unwrap();
    judge.denies(&order("XXBTZUSD"), "cap 1");
    judge.denies(&order("ethusd"), "cap 2");
    judge.denies(&order("DOGEUSD"), "no cap is for volume");
}

#[test]
fn caps_that_count_alike_count_a_request_once() {
    let twice = "[[cap]]\nfield = \"volume\"\nrequest = \"0.4\"\nday = \"2\"\n[[cap]]\nfield = \"volume\"\nday = \"1\"";
    let judge = Judge::new("kraken", twice);
    judge.ask_at(ORDER, NOW, Mode::Sign).unwrap();
    judge.ask_at(ORDER, NOW, Mode::Sign).unwrap();
    judge.denies(
        ORDER,
        "cap 2 (volume).day of policy/k.toml: 0.8 of 1 in a day are used up",
    );
    judge
        .ask_at(&ORDER.replace("0.4", "0.2"), NOW, Mode::Sign)
        .unwrap();
    judge.denies(&ORDER.replace("0.4", "0.01"), "1 of 1 in a day");
}

#[test]
fn rates_count_every_request_that_is_permitted() {
    let judge = Judge::new("kraken", "rate = { second = 2, minute = 5, day = 8 }");
    let mut permitted = Vec::new();
    for step in 0..200_u64 {
        let at = NOW + Duration::from_millis(step * 400);
        if judge.ask_at(BALANCE, at, Mode::Sign).is_ok() {
            permitted.push(step * 400);
        }
    }
    assert_eq!(permitted.len(), 8, "{permitted:?}");
    for window in [1_000, 60_000] {
        let most = if window == 1_000 { 2 } else { 5 };
        for first in &permitted {
            let inside = permitted
                .iter()
                .filter(|at| (*first..first + window).contains(at))
                .count();
            assert!(inside <= most, "{inside} in {window} ms: {permitted:?}");
        }
    }
    let zero = Judge::new("kraken", "rate = { day = 0 }");
    zero.denies(BALANCE, "0 of 0 in a day");
}

#[test]
fn hours_and_expiry_hold() {
    for (policy, permitted) in [
        ("hours = [\"mon 14:00-15:00\"]", true),
        ("hours = [\"mon-fri 08:00-14:13\"]", false),
        ("hours = [\"tue-sun 00:00-24:00\"]", false),
        ("hours = [\"sun 22:00-01:00\", \"14:00-15:00\"]", true),
        ("expires = 2026-09-21T14:13:20Z", false),
        ("expires = 2026-09-21T14:13:21Z", true),
        ("expires = 2026-09-21T16:13:20+02:00", false),
        ("expires = 2026-09-22", true),
        ("deny-all = true", false),
        ("", true),
    ] {
        let judge = Judge::new("kraken", policy);
        assert_eq!(judge.ask(BALANCE).is_ok(), permitted, "{policy}");
    }
}

#[test]
fn clients_are_known_by_what_the_kernel_says_of_them() {
    let own = std::env::current_exe().unwrap();
    let own = own.display();
    for (client, permitted) in [
        ("uid = 1234".to_owned(), true),
        ("uid = 1235".to_owned(), false),
        ("gid = 77".to_owned(), true),
        ("uid = 1234\ngid = 78".to_owned(), false),
        ("unit = \"bot.service\"".to_owned(), true),
        ("unit = \"bot\"".to_owned(), false),
        ("cgroup = \"/system.slice\"".to_owned(), true),
        ("cgroup = \"/system.slice/bot\"".to_owned(), false),
        (format!("executable = \"{own}\""), true),
        ("executable = \"/usr/bin/true\"".to_owned(), false),
        ("uid = \"root\"".to_owned(), false),
    ] {
        let mut judge = Judge::new("kraken", &format!("[[client]]\n{client}"));
        judge.caller.uid = 1234;
        judge.caller.gid = 77;
        judge.caller.executable = std::env::current_exe().ok().map(Arc::from);
        judge.caller.cgroup = Some("/system.slice/bot.service".into());
        assert_eq!(judge.ask(BALANCE).is_ok(), permitted, "{client}");
    }
    // A user names the units of their own manager as they like, and a service the groups within its own.
    let own = rustix::process::getuid().as_raw();
    let of_user = |uid: u32| format!("/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/bot.service");
    for (client, cgroup, permitted) in [
        ("", of_user(own), true),
        ("", of_user(1234), false),
        ("uid = 1234\n", of_user(1234), true),
        ("uid = 1234\n", of_user(1235), false),
        ("", "/system.slice/other.service/bot.service".to_owned(), false),
        ("", "/system.slice/bot.service/worker".to_owned(), true),
    ] {
        let mut judge = Judge::new("kraken", &format!("[[client]]\n{client}unit = \"bot.service\""));
        judge.caller.uid = 1234;
        judge.caller.cgroup = Some(cgroup.as_str().into());
        assert_eq!(judge.ask(BALANCE).is_ok(), permitted, "{client}{cgroup}");
    }
    let mut unknown = Judge::new("kraken", "[[client]]\nexecutable = \"/usr/bin/bot\"");
    unknown.caller.executable = None;
    unknown.denies(BALANCE, "is none of them");
    unknown.caller.executable = Some(Path::new("/usr/bin/bot (deleted)").into());
    unknown.denies(BALANCE, "/usr/bin/bot (deleted)");
}

#[test]
fn the_owner_can_ask_what_holds_for_a_client() {
    let Some(place) = Place::with_kraken() else { return };
    let policy = "policy = 1\n[[client]]\nuid = 4242\nunit = \"bot.service\"\n[[client]]\nexecutable = \"/usr/bin/bot\"\n";
    place.set_policy("kraken", policy);
    let check = |client: &[&str]| {
        let request = ["policy", "check", "kraken", "POST", "/0/private/Balance"];
        place.run(&[&request, client].concat(), "")
    };
    for (client, code) in [
        (&[][..], 3),
        (&["--uid", "4242"], 3),
        (&["--uid", "4242", "--unit", "other.service"], 3),
        (&["--uid", "4242", "--unit", "bot.service"], 0),
        (
            &["--uid", "4242", "--cgroup", "/system.slice/bot.service/worker"],
            0,
        ),
        (&["--unit", "bot.service", "--uid", "4243", "--gid", "4242"], 3),
        (&["--executable", "/usr/bin/bot"], 0),
        (&["--uid", "root", "--executable", "/usr/bin/bot"], 0),
        (&["--executable", "/usr/bin/other"], 3),
        (&["--uid", "no-such-user-here"], 5),
        (&["--uid", "4242", "--unit", "bot"], 5),
        (
            &["--unit", "bot.service", "--cgroup", "/system.slice/bot.service"],
            2,
        ),
    ] {
        let told = check(client);
        assert_eq!(told.code, code, "{client:?}: {told:?}");
        if code == 3 {
            assert!(told.stderr.contains("client of "), "{client:?}: {told:?}");
        }
    }
    let told = check(&["--uid", "4242", "--executable", "/usr/bin/other"]);
    assert!(
        told.stderr.contains("uid 4242") && told.stderr.contains("/usr/bin/other"),
        "{told:?}"
    );
    // Asking is no being.
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        3,
        "client of ",
    );
}

#[test]
fn one_shot_processes_killed_ones_and_streams_share_one_count() {
    let Some(place) = Place::with_kraken() else { return };
    let policy = "policy = 1\n[[cap]]\nfield = \"volume\"\nday = \"1\"\n";
    place.set_policy("kraken", policy);
    let order = [
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        "pair=XBTUSD",
        "--form",
        "volume=0.1",
    ];
    place.ok(&order);
    // Killed at any moment, a process has counted its order or not begun to sign it.
    let mut signed = 1;
    for pause in 0..8 {
        let mut child = place.start(&order);
        std::thread::sleep(Duration::from_millis(pause * 5));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        signed += usize::from(!output.stdout.is_empty());
    }
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","form":{"pair":"XBTUSD","volume":"0.1"}}"#;
    let done = finish(
        place.start(&["sign", "--json"]),
        format!("{line}\n").repeat(20).as_bytes(),
    );
    signed += done
        .stdout
        .lines()
        .filter(|line| line.contains("\"ok\":true"))
        .count();
    assert!(done.stdout.contains("are used up"), "{done:?}");
    assert!(signed <= 10, "{signed} orders of 0.1");
    place.refused(&order, "", 3, "cap 1 (volume).day");
}
