//! An agent in a container of its own, asked from outside: the kernel has no number for who asks.

use std::process::{Command, Stdio};

use crate::{
    bench::Place,
    running::{BALANCE, Running, nonce},
};

/// A command that runs another as the first process of a namespace; none, with a line on stderr, where that is not allowed.
fn apart(place: &Place, args: &[&str]) -> Option<Command> {
    let mut options = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !rustix::process::geteuid().is_root() {
        options.extend(["--user", "--map-root-user"]);
    }
    let tried = Command::new("unshare")
        .args(&options)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there are no namespaces to be had here");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(options)
        .arg(env!("CARGO_BIN_EXE_hsmsign"))
        .args(args)
        .env("HSMSIGN_HOME", place.home());
    Some(command)
}

#[test]
fn an_agent_in_a_container_of_its_own_serves_who_is_outside() {
    let Some(place) = Place::with_kraken() else { return };
    let Some(command) = apart(&place, &["agent"]) else {
        return;
    };
    let agent = Running::of(&place, command);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    assert_eq!(connection.ask(r#"{"op":"ping"}"#)["pid"], 1);
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    place.ok(&["lock"]);
    assert_eq!(connection.ask(BALANCE)["error"]["code"], "token-locked");
    place.ok(&["unlock"]);
    // A rule goes by the user, who is root in there. The program is not known, and one that names it denies.
    for (rule, allowed) in [("uid = 0", true), ("executable = \"/bin/bot\"", false)] {
        let policy = place.path().join("policy.toml");
        std::fs::write(
            &policy,
            format!("policy = 1\n[[allow]]\npath = \"*\"\n[[client]]\n{rule}\n"),
        )
        .unwrap();
        place.ok(&["policy", "set", "kraken", "--file", policy.to_str().unwrap()]);
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["ok"], allowed, "{rule}: {answer}");
    }
    place.ok(&["agent", "stop"]);
    place.ok(&["audit", "verify"]);
    let lines = place.log(&["--what", "sign"]);
    assert!(
        lines.len() >= 4 && lines.iter().all(|line| line["pid"] == 0),
        "{lines:?}"
    );
}

/// An agent that has this uid in a user namespace, where nobody else has one; none where that is not allowed.
fn as_user<'p>(place: &'p Place, uid: &str) -> Option<Running<'p>> {
    let options = [
        "--user",
        &format!("--map-user={uid}"),
        &format!("--map-group={uid}"),
    ];
    let tried = Command::new("unshare")
        .args(options)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there are no user namespaces to be had here");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(options)
        .args([env!("CARGO_BIN_EXE_hsmsign"), "agent"])
        .env("HSMSIGN_HOME", place.home());
    Some(Running::of(place, command))
}

/// The kernel tells the number of `nobody` of each user who has none in the namespace.
#[test]
fn an_agent_that_is_nobody_in_its_namespace_takes_no_stranger_for_itself() {
    let Some(place) = Place::with_kraken() else { return };
    {
        let Some(agent) = as_user(&place, "65534") else {
            return;
        };
        let mut connection = agent.connect();
        assert_eq!(connection.ask(BALANCE)["ok"], true);
        for op in ["lock", "reload", "stop"] {
            let answer = connection.ask(&format!("{{\"op\":\"{op}\"}}"));
            assert_eq!(answer["error"]["code"], "denied", "{op}: {answer}");
            let fix = answer["error"]["fix"].as_str().unwrap();
            assert!(fix.contains("whoever has no uid there"), "{fix}");
        }
    }
    // One that has a number of its own is still its owner's.
    let Some(agent) = as_user(&place, "4242") else {
        return;
    };
    let answer = agent.connect().ask("{\"op\":\"lock\"}");
    assert_eq!(answer["ok"], true, "{answer}");
}

/// A command of a shell, in a mount namespace without this folder; none, with a line on stderr, where that is not allowed.
fn without(folder: &str, place: &Place, script: &str) -> Option<Command> {
    let hide = format!("mount -t tmpfs none {folder} || exit 90; ");
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &format!("{hide}{script}")]);
        command.env("HSMSIGN", env!("CARGO_BIN_EXE_hsmsign"));
        command.env("HSMSIGN_HOME", place.home());
        command
    };
    if !shell("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|done| done.success())
    {
        eprintln!("SKIPPED: no folder can be hidden here (needs root)");
        return None;
    }
    Some(shell(script))
}

#[test]
fn nonces_of_an_agent_that_cannot_see_the_boot_id_follow_the_clock() {
    let Some(place) = Place::with_kraken() else { return };
    let Some(command) = without("/proc/sys", &place, "exec \"$HSMSIGN\" agent") else {
        return;
    };
    let agent = Running::of(&place, command);
    let mut connection = agent.connect();
    let mut ask = || nonce(&connection.ask(BALANCE));
    let first = ask();
    for _ in 0..4 {
        // It gives others their turn.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let minute = 60_000_000;
        let next = ask();
        assert!(next > first && next < first + minute, "{next} after {first}");
    }
    for (folder, words) in [("/proc/sys", "boot_id"), ("/proc", "/proc is not there")] {
        let mut doctor = without(folder, &place, "\"$HSMSIGN\" doctor").unwrap();
        let told = String::from_utf8_lossy(&doctor.output().unwrap().stdout).into_owned();
        assert!(told.contains(words), "{told}");
    }
}
