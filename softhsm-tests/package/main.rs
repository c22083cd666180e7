//! The Debian package and its units: built, installed, run by a real systemd, and removed, in namespaces of their own over
//! a copy of this system that is thrown away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod machine;
mod units;

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use machine::{Machine, build};

const SECRET: &str =
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
const ADMIN: &[&str] = &[
    "runuser",
    "-u",
    "hsmsign",
    "--",
    "env",
    "HSMSIGN_HOME=/var/lib/hsmsign",
];
const BALANCE: &[&str] = &["hsmsign", "sign", "kraken", "POST", "/0/private/Balance"];

/// The words for a command as another user, with nothing of root's environment.
fn as_user<'w>(user: &'w str, command: &[&'w str]) -> Vec<&'w str> {
    [
        &["runuser", "-u", user, "--", "env", "-i", "PATH=/usr/bin"],
        command,
    ]
    .concat()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_package_is_installed_signs_for_the_group_alone_outlives_faults_and_is_removed() {
    let Some((_folder, package)) = build() else { return };
    let Some(machine) = Machine::boot() else { return };
    // Not in /tmp, which the booting system may still clear.
    machine.put(&package, "/opt/hsmsign.deb");
    // The triggers are those of other packages, as the index of manual pages.
    machine.ok(&["dpkg", "--no-triggers", "-i", "/opt/hsmsign.deb"], "");
    it_is_whole(&machine);
    if !machine
        .run(&[ADMIN, &["hsmsign", "init", "--softhsm"]].concat(), "")
        .done
    {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    it_signs_for_members_of_the_group(&machine);
    its_pin_comes_from_a_credential(&machine);
    it_is_confined(&machine);
    its_metrics_are_read_by_the_group(&machine);
    it_is_started_again(&machine);
    it_is_locked_before_sleep(&machine);
    it_is_removed(&machine);
}

fn it_is_whole(machine: &Machine) {
    assert!(machine.ok(&["id", "hsmsign"], "").contains("(hsmsign-bots)"));
    for (path, mode, owner) in [
        ("/run/hsmsign", "750", "hsmsign:hsmsign-bots"),
        ("/var/lib/hsmsign", "700", "hsmsign:hsmsign"),
        ("/etc/hsmsign/pins", "700", "root:root"),
        ("/usr/bin/hsmsign", "755", "root:root"),
    ] {
        let told = machine.ok(&["stat", "-c", "%a %U:%G", path], "");
        assert_eq!(told.trim(), format!("{mode} {owner}"), "{path}");
    }
    for page in [
        "hsmsign",
        "hsmsign-agent",
        "hsmsign-agent-status",
        "hsmsign-import",
    ] {
        let text = machine.ok(&["zcat", &format!("/usr/share/man/man1/{page}.1.gz")], "");
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    machine.ok(
        &["bash", "-n", "/usr/share/bash-completion/completions/hsmsign"],
        "",
    );
    for page in ["agent", "operations", "protocol"] {
        machine.ok(
            &["test", "-s", &format!("/usr/share/doc/hsmsign/docs/{page}.md")],
            "",
        );
    }
    // Nothing was started: it is for the administrator to set it up first.
    assert!(
        !machine
            .run(&["systemctl", "is-active", "hsmsign-agent.socket"], "")
            .done
    );
}

fn it_signs_for_members_of_the_group(machine: &Machine) {
    let import = [
        "hsmsign",
        "import",
        "--exchange",
        "kraken",
        "--api-key",
        "example",
    ];
    machine.ok(&[ADMIN, &import].concat(), SECRET);
    machine.ok(
        &["useradd", "--create-home", "--groups", "hsmsign-bots", "trader"],
        "",
    );
    machine.ok(&["useradd", "--create-home", "other"], "");
    // The socket alone: the first line starts the agent.
    machine.ok(&["systemctl", "enable", "--now", "hsmsign-agent.socket"], "");
    assert!(
        !machine
            .run(&["systemctl", "is-active", "hsmsign-agent.service"], "")
            .done
    );
    let signed = machine.ok(&as_user("trader", BALANCE), "");
    assert!(signed.contains("API-Sign"), "{signed}");
    machine.ok(&["systemctl", "is-active", "hsmsign-agent.service"], "");
    let process = machine.ok(
        &["systemctl", "show", "-P", "MainPID", "hsmsign-agent.service"],
        "",
    );
    assert_eq!(
        machine
            .ok(&["ps", "-o", "user=", "-p", process.trim()], "")
            .trim(),
        "hsmsign"
    );

    assert!(
        machine
            .ok(&as_user("trader", &["hsmsign", "list"]), "")
            .contains("hmac-sha512")
    );
    let doctor = machine.ok(&as_user("trader", &["hsmsign", "doctor"]), "");
    assert!(
        doctor.contains("a system agent serves /run/hsmsign/agent.sock"),
        "{doctor}"
    );
    for command in [&["hsmsign", "lock"][..], &["hsmsign", "agent", "stop"]] {
        let refused = machine.run(&as_user("trader", command), "");
        assert!(
            !refused.done && refused.told.contains("may have requests signed"),
            "{refused:?}"
        );
    }
    for file in ["config.toml", "keys/kraken.json", "softhsm"] {
        let path = format!("/var/lib/hsmsign/{file}");
        assert!(
            !machine.run(&as_user("trader", &["ls", &path]), "").done,
            "{file}"
        );
    }
    let refused = machine.run(&as_user("other", BALANCE), "");
    assert!(!refused.done && refused.told.contains("group"), "{refused:?}");
    assert!(!refused.told.contains("API-Sign"));
}

fn its_pin_comes_from_a_credential(machine: &Machine) {
    let config = machine.path("/var/lib/hsmsign/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let source = text.lines().find(|line| line.starts_with("pin-source")).unwrap();
    let file = source.split("file:").nth(1).unwrap().trim_end_matches('"');
    machine.ok(&["mv", file, "/etc/hsmsign/pins/softhsm"], "");
    machine.ok(&["chown", "root:root", "/etc/hsmsign/pins/softhsm"], "");
    std::fs::write(
        &config,
        text.replace(source, "pin-source = \"credential:pin_softhsm\""),
    )
    .unwrap();
    machine.ok(&["systemctl", "restart", "hsmsign-agent.service"], "");
    assert!(machine.ok(&as_user("trader", BALANCE), "").contains("API-Sign"));
    // As docs/agent.md has the administrator do it, in a unit that gets the PIN too.
    let as_agent = [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "-p",
        "User=hsmsign",
    ];
    let with = [
        "-p",
        "LoadCredential=pin:/etc/hsmsign/pins",
        "-E",
        "HSMSIGN_HOME=/var/lib/hsmsign",
        "hsmsign",
    ];
    let import = ["import", "--exchange", "bitfinex", "--api-key", "b"];
    machine.ok(
        &[&as_agent[..], &with, &import].concat(),
        "bPcpDHzxz6FXeDVTF0daL3ekFHqD9hoAWNEXbHG9yEi",
    );
    let login = machine.ok(&as_user("trader", &["hsmsign", "websocket", "bitfinex"]), "");
    assert!(login.contains("authSig"), "the agent follows: {login}");
}

fn it_is_confined(machine: &Machine) {
    let process = machine.ok(
        &["systemctl", "show", "-P", "MainPID", "hsmsign-agent.service"],
        "",
    );
    let status = machine.ok(&["cat", &format!("/proc/{}/status", process.trim())], "");
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let root = |path: &str| format!("/proc/{}/root{path}", process.trim());
    let homes = machine.ok(&["ls", "-A", &root("/home")], "");
    assert_eq!(homes.trim(), "", "homes are empty to it");
    let interfaces = machine.ok(&["cat", &format!("/proc/{}/net/dev", process.trim())], "");
    assert_eq!(interfaces.lines().count(), 3, "only the loopback: {interfaces}");
}

fn its_metrics_are_read_by_the_group(machine: &Machine) {
    let config = machine.path("/var/lib/hsmsign/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let more = "\n[agent]\ngroup = \"hsmsign-bots\"\nmetrics = \"/run/hsmsign/metrics.sock\"\n";
    std::fs::write(&config, text + more).unwrap();
    machine.ok(&["systemctl", "restart", "hsmsign-agent.service"], "");
    let told = machine.ok(&["stat", "-c", "%a %U:%G", "/run/hsmsign/metrics.sock"], "");
    assert_eq!(told.trim(), "660 hsmsign:hsmsign-bots");
    machine.ok(&as_user("trader", BALANCE), "");
    let mut reader = UnixStream::connect(machine.path("/run/hsmsign/metrics.sock")).unwrap();
    reader.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    reader.read_to_string(&mut page).unwrap();
    assert!(page.contains("hsmsign_signatures_total 1\n"), "{page}");
}

fn it_is_started_again(machine: &Machine) {
    let process = || {
        machine.ok(
            &["systemctl", "show", "-P", "MainPID", "hsmsign-agent.service"],
            "",
        )
    };
    machine.ok(&["systemctl", "reload", "hsmsign-agent.service"], "");
    // However often: nobody has to look after it before bots can go on.
    for _ in 0..7 {
        let first = process();
        machine.ok(&["kill", "-KILL", first.trim()], "");
        // Whoever connects meanwhile waits at the socket.
        until("it is another process", || {
            !["0", first.trim()].contains(&process().trim())
        });
    }
    assert!(machine.ok(&as_user("trader", BALANCE), "").contains("API-Sign"));

    let folder = "/run/systemd/system/hsmsign-agent.service.d";
    machine.ok(&["mkdir", "-p", folder], "");
    let short = "[Service]\nWatchdogSec=1\nLimitCORE=0\n";
    std::fs::write(machine.path(folder).join("watchdog.conf"), short).unwrap();
    machine.ok(&["systemctl", "daemon-reload"], "");
    machine.ok(&["systemctl", "restart", "hsmsign-agent.service"], "");
    let second = process();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(process(), second, "a loop that goes round is let alone");
    machine.ok(&["kill", "-STOP", second.trim()], "");
    until("one that is stuck is not", || {
        !["0", second.trim()].contains(&process().trim())
    });
    assert!(machine.ok(&as_user("trader", BALANCE), "").contains("API-Sign"));
}

fn it_is_locked_before_sleep(machine: &Machine) {
    machine.ok(&["systemctl", "enable", "hsmsign-lock.service"], "");
    machine.ok(
        &[
            "test",
            "-L",
            "/etc/systemd/system/sleep.target.wants/hsmsign-lock.service",
        ],
        "",
    );
    machine.ok(&["systemctl", "start", "hsmsign-lock.service"], "");
    let refused = machine.run(&as_user("trader", BALANCE), "");
    assert!(!refused.done && refused.told.contains("is locked"), "{refused:?}");
    let unlock = [
        ADMIN,
        &["HSMSIGN_SOCKET=/run/hsmsign/agent.sock", "hsmsign", "unlock"],
    ]
    .concat();
    machine.ok(&unlock, "");
    assert!(machine.ok(&as_user("trader", BALANCE), "").contains("API-Sign"));
}

fn it_is_removed(machine: &Machine) {
    machine.ok(&["dpkg", "--no-triggers", "-r", "hsmsign"], "");
    for path in [
        "/usr/bin/hsmsign",
        "/usr/share/man/man1/hsmsign.1.gz",
        "/usr/lib/systemd/system/hsmsign-agent.service",
        "/etc/systemd/system/sockets.target.wants/hsmsign-agent.socket",
        "/run/hsmsign/agent.sock",
    ] {
        assert!(
            !machine.run(&["test", "-e", path], "").done,
            "{path} is still there"
        );
    }
    assert!(
        !machine.run(&["pgrep", "-u", "hsmsign"], "").done,
        "no process is left"
    );
    let told = machine.ok(&["dpkg", "--no-triggers", "--purge", "hsmsign"], "");
    assert!(told.contains("stay in /var/lib/hsmsign"), "{told}");
    machine.ok(&["test", "-s", "/var/lib/hsmsign/keys/kraken.json"], "");
}

/// Nothing of this is left behind in the system that the test runs on.
#[test]
fn nothing_of_it_is_seen_outside() {
    let Some(machine) = Machine::boot() else { return };
    machine.ok(
        &[
            "sh",
            "-c",
            "echo x > /etc/hsmsign-test && mkdir /var/lib/hsmsign-test",
        ],
        "",
    );
    assert!(!Path::new("/etc/hsmsign-test").exists() && !Path::new("/var/lib/hsmsign-test").exists());
    let outside = std::fs::metadata("/").unwrap();
    let inside = std::fs::metadata(machine.path("/")).unwrap();
    assert_ne!((outside.dev(), outside.ino()), (inside.dev(), inside.ino()));
}
