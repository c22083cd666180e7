//! An agent of one user that signs for others: bots of a group, strangers, and a bot that has nothing but the socket.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    bench::{
        KRAKEN_SECRET,
        people::{BOT, OWNER, People, STRANGER},
    },
    running::{BALANCE, until},
};

const SIGN: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn a_member_of_the_group_has_requests_signed_and_sees_its_keys() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let done = people.run(BOT, &SIGN, "");
    assert!(done.code == 0 && done.stdout.contains("API-Sign"), "{done:?}");

    let done = people.run(BOT, &["list"], "");
    assert!(done.code == 0 && done.stdout.contains("hmac-sha512"), "{done:?}");
    assert!(done.stderr.contains(&format!("runs as uid {OWNER}")), "{done:?}");
    let listed: Value = serde_json::from_str(&people.run(BOT, &["list", "--json"], "").stdout).unwrap();
    assert_eq!(listed[0]["key"], "kraken");
    assert_eq!(listed[0]["api_key"], "example");

    let done = people.run(BOT, &["show", "kraken"], "");
    assert!(
        done.code == 0 && done.stdout.contains("withdrawals and raw MACs are refused"),
        "{done:?}"
    );
    assert!(done.stderr.contains("a software token"), "{done:?}");
    let shown: Value =
        serde_json::from_str(&people.run(BOT, &["show", "kraken", "--json"], "").stdout).unwrap();
    assert_eq!(shown["exchange"], "kraken");
    let done = people.run(BOT, &["show", "nobody"], "");
    assert_eq!(done.code, 5, "{done:?}");

    let done = people.run(BOT, &[&SIGN[..], &["--explain"]].concat(), "");
    assert!(done.code == 0 && done.stdout.contains("API-Sign"), "{done:?}");
    assert!(done.stderr.contains("text /0/private/Balance"), "{done:?}");
    let mut check = ["policy", "check", "kraken", "POST", "/0/private/Balance"];
    let done = people.run(BOT, &check, "");
    assert!(done.code == 0 && done.stdout.starts_with("allowed: "), "{done:?}");
    check[4] = "/0/private/Withdraw";
    let done = people.run(BOT, &check, "");
    assert!(
        done.code == 3 && done.stderr.contains("moves money out"),
        "{done:?}"
    );
    let done = people.run(BOT, &[&check[..], &["--json"]].concat(), "");
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &told["allowed"], &told["code"]),
        (3, &false.into(), &"denied".into()),
        "{told}"
    );
    assert_eq!(told["rule"], "withdrawals", "{told}");
    check[2] = "nobody";
    assert_eq!(people.run(BOT, &check, "").code, 5);

    let done = people.run(BOT, &["agent", "status"], "");
    assert!(
        done.code == 0 && done.stdout.contains("token softhsm: open"),
        "{done:?}"
    );
    // Not in the line of its folder, whose name is made up by chance.
    let mut of_tokens = done.stdout.lines().filter(|line| line.contains("token "));
    assert!(of_tokens.all(|line| !line.contains("pin")), "{done:?}");
}

#[test]
fn who_is_not_in_the_group_is_told_so() {
    let Some(people) = People::with_agent() else {
        return;
    };
    for arguments in [
        &SIGN[..],
        &["agent", "status"],
        &["lock"],
        &["show", "kraken"],
        &["nonce", "kraken"],
        &["policy", "show", "kraken"],
        &["policy", "check", "kraken", "GET", "/"],
        &["policy", "deny-all", "kraken"],
    ] {
        let done = people.run(STRANGER, arguments, "");
        assert!(
            done.code == 4 && done.stderr.contains("does not let this user in"),
            "{done:?}"
        );
        assert!(done.stderr.contains("usermod"), "{done:?}");
    }
    let done = people.run(STRANGER, &["list"], "");
    assert!(
        done.code == 0 && done.stderr.contains("does not let this user in"),
        "{done:?}"
    );
    let done = people.run(STRANGER, &["doctor"], "");
    assert!(
        done.code == 1 && done.stdout.contains("does not let this user in"),
        "{done:?}"
    );
}

#[test]
fn a_bot_neither_reads_the_agents_files_nor_its_memory_nor_ends_it() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let home = people.path("owner/hsmsign");
    for line in [
        format!("ls {}", home.display()),
        format!("cat {}/config.toml", home.display()),
        format!("cat {}/keys/kraken.json", home.display()),
        format!("find {}/softhsm -type f | xargs cat", home.display()),
        format!("head -c 1 /proc/{}/mem", people.pid()),
        format!("head -c 1 /proc/{}/environ", people.pid()),
        format!("ls /proc/{}/fd", people.pid()),
        format!("kill -KILL {}", people.pid()),
        format!("rm {}", people.socket().display()),
        format!("touch {}/x", people.path("run").display()),
    ] {
        let done = people.shell(BOT, &line);
        assert!(
            done.stderr.contains("ermission denied") || done.stderr.contains("not permitted"),
            "{line}: {done:?}"
        );
    }
    assert_eq!(people.run(BOT, &SIGN, "").code, 0);
}

#[test]
fn a_bot_that_takes_all_connections_keeps_the_owner_from_nothing() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let config = people.path("owner/hsmsign/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[agent]\nconnections = 16\n")).unwrap();
    assert_eq!(people.run(OWNER, &["agent", "reload"], "").code, 0);
    let hoard = format!(
        "exec python3 -c 'import socket, sys
all = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for each in all: each.connect(\"{}\")
print(\"here\", flush=True)
sys.stdin.read()'",
        people.socket().display()
    );
    let mut command = people.command(BOT, "sh".as_ref(), &["-c", &hoard]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bot = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(bot.stdout.as_mut().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "here\n");
    let done = people.run(BOT, &SIGN, "");
    assert!(
        done.code == 4 && done.stderr.contains("as many as it takes"),
        "{done:?}"
    );
    for arguments in [&["agent", "status"][..], &["lock"], &["agent", "stop"]] {
        let done = people.run(OWNER, arguments, "");
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
    }
    drop(bot.stdin.take());
    bot.wait().unwrap();
}

#[test]
fn who_may_only_sign_is_denied_the_rest_until_the_owner_makes_them_an_admin() {
    let Some(people) = People::with_agent() else {
        return;
    };
    for arguments in [
        &["lock"][..],
        &["unlock"],
        &["agent", "reload"],
        &["agent", "stop"],
    ] {
        let done = people.run(BOT, arguments, "");
        assert!(
            done.code == 3 && done.stderr.contains("admins"),
            "{arguments:?}: {done:?}"
        );
    }
    let config = people.path("owner/hsmsign/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[agent]\nadmins = [{BOT}]\n")).unwrap();
    assert_eq!(people.run(OWNER, &["agent", "reload"], "").code, 0);
    assert_eq!(people.run(BOT, &["lock"], "").code, 0);
    assert_eq!(people.run(BOT, &SIGN, "").code, 4);
    assert_eq!(people.run(BOT, &["unlock"], "").code, 0);
    assert_eq!(people.run(BOT, &SIGN, "").code, 0);
}

#[test]
fn what_strangers_are_denied_is_not_kept_for_a_log_that_cannot_be_written() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let denied = || assert_eq!(people.run(BOT, &["lock"], "").code, 3);
    let lines = || {
        let shown = people.run(OWNER, &["audit", "show", "--json", "--what", "op"], "");
        assert_eq!(shown.code, 0, "{shown:?}");
        shown.stdout.lines().count()
    };
    denied();
    until("the log has it", || lines() == 1);
    let (log, away) = (people.path("owner/hsmsign/audit"), people.path("owner/away"));
    fs::rename(&log, &away).unwrap();
    fs::write(&log, "").unwrap();
    // One is handed over, and cannot be written.
    denied();
    until("nothing is signed", || people.run(BOT, &SIGN, "").code == 1);
    (0..5).for_each(|_| denied());
    fs::remove_file(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    until("it signs again", || people.run(BOT, &SIGN, "").code == 0);
    denied();
    until("the log has what waited, and the last", || lines() == 3);
}

#[test]
fn who_may_change_keys_does_so_through_the_agent() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let import = [
        "import",
        "--exchange",
        "kraken",
        "--key",
        "second",
        "--api-key",
        "new",
    ];
    let denied = people.run(BOT, &import, KRAKEN_SECRET);
    assert_eq!(denied.code, 3, "{denied:?}");
    assert!(denied.stderr.contains("change its keys"), "{denied:?}");
    let config = people.path("owner/hsmsign/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[agent]\nadmins = [{BOT}]\n")).unwrap();
    assert_eq!(people.run(OWNER, &["agent", "reload"], "").code, 0);

    let done = people.run(BOT, &import, KRAKEN_SECRET);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("imported second"), "{done:?}");
    // The log has who asked, and not who did it; and who was not let.
    for (what, outcome) in [("import", "done"), ("op", "denied")] {
        let show = ["audit", "show", "--json", "--what", what, "--outcome", outcome];
        let mut shown = String::new();
        // The agent writes a line some milliseconds after its answer.
        crate::running::until("the line is written", || {
            shown = people.run(OWNER, &show, "").stdout;
            !shown.is_empty()
        });
        let last: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&last["uid"], &last["gid"]),
            (&BOT.into(), &BOT.into()),
            "{shown}"
        );
        assert_ne!(last["pid"], people.pid());
    }
    assert!(
        fs::read_dir(people.path("bot")).unwrap().next().is_none(),
        "nothing of it is the bot's"
    );
    let misplaced = people.run(BOT, &["import", "--exchange", "kraken", KRAKEN_SECRET], "");
    assert_eq!(
        misplaced.code, 2,
        "it is refused here and goes nowhere: {misplaced:?}"
    );
    assert!(!misplaced.stderr.contains(KRAKEN_SECRET), "{misplaced:?}");
    let again = people.run(BOT, &import, KRAKEN_SECRET);
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.stderr.contains("already"), "{again:?}");
    let bad = people.run(
        BOT,
        &["import", "--exchange", "kraken", "--key", "third"],
        "not base64!",
    );
    assert_eq!(bad.code, 5, "{bad:?}");
    let lines = "{\"exchange\":\"bitfinex\",\"key\":\"third\",\"api_key\":\"k\",\"secret\":\"s3cret\"}\n{}\n";
    let many = people.run(BOT, &["import", "--json"], lines);
    assert_eq!(many.code, 1, "{many:?}");
    assert!(many.stdout.starts_with("{\"ok\":true"), "{many:?}");

    let sign = ["sign", "second", "POST", "/0/private/Balance"];
    let signed = people.run(BOT, &sign, "");
    assert!(signed.stdout.contains("\"API-Key\":\"new\""), "{signed:?}");
    assert_eq!(
        people.run(BOT, &["set", "second", "--api-key", "newer"], "").code,
        0
    );
    assert!(people.run(BOT, &sign, "").stdout.contains("newer"));
    assert_eq!(
        people
            .run(BOT, &["rotate", "second", "--api-key", "next"], KRAKEN_SECRET)
            .code,
        0
    );
    assert_eq!(people.run(BOT, &["rotate", "second", "--commit"], "").code, 0);
    assert_eq!(people.run(BOT, &["test", "second"], "").code, 0);
    assert_eq!(people.run(BOT, &["remove", "second"], "").code, 0);
    assert_eq!(people.run(BOT, &sign, "").code, 5);
    let log = fs::read_to_string(people.path("log")).unwrap();
    assert!(!log.contains("s3cret") && !log.contains(KRAKEN_SECRET), "{log}");
}

#[test]
fn who_breaks_off_leaves_no_command_behind() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let config = people.path("owner/hsmsign/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[agent]\nadmins = [{BOT}]\n")).unwrap();
    assert_eq!(people.run(OWNER, &["agent", "reload"], "").code, 0);
    let import = [
        "import",
        "--exchange",
        "kraken",
        "--key",
        "second",
        "--api-key",
        "new",
    ];
    let mut child = people
        .command(BOT, &people.path("hsmsign"), &import)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let waits = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let own = fs::canonicalize(people.path("hsmsign")).unwrap();
        all.filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == own))
            .filter(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line.split(|&byte| byte == 0)
                    .any(|argument| argument == b"import")
            })
            .count()
    };
    crate::running::until("the agent's command waits for the secret", || waits() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    crate::running::until("it is ended", || waits() == 0);
    assert_eq!(people.run(BOT, &SIGN, "").code, 0);
}

#[test]
fn doctor_says_which_set_up_is_in_force_and_what_the_weaker_one_leaves_open() {
    let Some(people) = People::with_agent() else {
        return;
    };
    assert_eq!(people.run(BOT, &SIGN, "").code, 0, "its token is open then");
    let done = people.run(BOT, &["doctor"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout
            .contains(&format!("as uid {OWNER}: what runs as you can")),
        "{done:?}"
    );
    assert!(
        done.stdout.contains("ok    token softhsm of the agent is open"),
        "{done:?}"
    );
    assert!(
        !done.stdout.contains("no token is set up"),
        "the agent has one: {done:?}"
    );
    let done = people.run(OWNER, &["doctor"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("an agent of your own"), "{done:?}");
    assert!(done.stdout.contains("replace the program"), "{done:?}");

    let Some(alone) = People::new() else { return };
    let done = alone.run(OWNER, &["doctor"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("no agent runs"), "{done:?}");
    assert!(done.stdout.contains("without hsmsign's rules"), "{done:?}");
}

/// Speaks to the agent with nothing but the system's calls.
const BOT_IN_C: &str = r#"
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path, words[1], sizeof at.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at)) return 2;
    if (write(fd, words[2], strlen(words[2])) < 0 || write(fd, "\n", 1) != 1) return 3;
    char byte;
    while (read(fd, &byte, 1) == 1)
        if (write(1, &byte, 1) != 1 || byte == '\n') return 0;
    return 4;
}
"#;

#[test]
fn the_command_line_needs_the_socket_and_no_folder() {
    let Some(people) = People::with_agent() else {
        return;
    };
    // No home, and none that may be looked into.
    for arguments in [
        &["list"][..],
        &["show", "kraken"],
        &["agent", "status"],
        &["policy", "check", "kraken", "POST", "/0/private/Balance"],
        &["sign", "kraken", "POST", "/0/private/Balance", "--explain"],
        &["send", "kraken", "POST", "/0/private/Balance", "--dry-run"],
        &["doctor"],
    ] {
        let mut command = people.command(BOT, &people.path("hsmsign"), arguments);
        let done = command.env_remove("HOME").current_dir("/").output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }
    let policy = ["policy", "check", "kraken", "POST", "/0/private/Withdraw"];
    let mut command = people.command(BOT, &people.path("hsmsign"), &policy);
    let done = command.env_remove("HOME").output().unwrap();
    assert_eq!(done.status.code(), Some(3), "{done:?}");
}

#[test]
fn a_bot_in_a_container_that_has_only_the_socket_signs() {
    let Some(people) = People::with_agent() else {
        return;
    };
    let (source, program) = (people.path("bot.c"), people.path("bot.static"));
    fs::write(&source, BOT_IN_C).unwrap();
    let built = Command::new("cc")
        .arg("-static")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .output();
    if !built.as_ref().is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: no C compiler makes a static program here: {built:?}");
        return;
    }
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let container = people.path("bot/container");
    // Namespaces of its own for users, mounts, network and processes; a root with two files.
    let enter = format!(
        "mkdir {root} && exec unshare --user --map-root-user --mount --net --pid --fork sh -ec '
            mount -t tmpfs container {root}
            cp {program} {root}/bot
            : > {root}/agent.sock
            mount --bind {socket} {root}/agent.sock
            exec env -i /usr/sbin/chroot {root} /bot /agent.sock '\\''{BALANCE}'\\'''",
        root = container.display(),
        program = program.display(),
        socket = people.socket().display(),
    );
    let done = people.shell(BOT, &enter);
    if done.stderr.contains("unshare failed") {
        eprintln!(
            "SKIPPED: an ordinary user makes no namespaces here: {}",
            done.stderr
        );
        return;
    }
    let answer: Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!(answer["ok"], true, "{answer}");
    // The kernel tells who it is outside, and not what it calls itself inside.
    let lock = enter
        .replace(BALANCE, r#"{"op":"lock"}"#)
        .replace("mkdir", "mkdir -p");
    let done = people.shell(BOT, &lock);
    assert!(
        done.stdout
            .contains(&format!("uid {BOT} may have requests signed")),
        "{done:?}"
    );
}
