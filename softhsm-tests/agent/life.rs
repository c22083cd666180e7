//! Starting, ending, locking, unlocking, reloading.

use std::os::unix::fs::PermissionsExt as _;

use rustix::{
    fs::{FlockOperation, flock},
    io::{FdFlags, fcntl_setfd},
    process::Signal,
};

use crate::{
    bench::{KRAKEN_SECRET, Place, random::rounds},
    clients::targets,
    faulty::one,
    running::{BALANCE, Connection, Running, is_alive, kill, until},
};

#[test]
fn it_starts_in_the_background_and_stops() {
    let Some(place) = Place::with_kraken() else { return };
    place.refused(&["agent", "status"], "", 4, "no agent is running");
    place.ok(&["agent", "start"]);
    let done = place.run(&["agent", "start"], "");
    assert!(done.code == 0 && done.stderr.contains("already"), "{done:?}");
    let status = place.json(&["agent", "status", "--json"]);
    let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    let worker = i32::try_from(status["tokens"][0]["worker_pid"].as_i64().unwrap()).unwrap();
    assert!(is_alive(pid) && is_alive(worker));
    assert!(place.ok(&["agent", "status"]).contains("token softhsm: open"));
    place.ok(&["agent", "stop"]);
    assert!(!is_alive(pid) && !is_alive(worker), "stop waits for its end");
    assert!(!place.home().join("agent.sock").exists());
    place.refused(&["agent", "stop"], "", 4, "no agent is running");
}

#[test]
fn it_keeps_nothing_open_that_its_starter_has_open() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.path().join("lock");
    for detached in [true, false] {
        let file = std::fs::File::create(&path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        // As a shell's `exec 9>lock`.
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let running = if detached {
            place.ok(&["agent", "start"]);
            None
        } else {
            Some(Running::start(&place))
        };
        place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
        drop(file);
        // In the foreground the agent itself is the starter's child, and its workers are nobody's.
        let holders = pids_with(&path);
        assert_eq!(holders.len(), usize::from(!detached), "{holders:?}");
        drop(running);
        if detached {
            place.ok(&["agent", "stop"]);
        }
    }
}

#[test]
fn signals_that_its_starter_blocked_reach_it() {
    let Some(place) = Place::with_kraken() else { return };
    let mut command = std::process::Command::new("env");
    command
        .args(["--block-signal", env!("CARGO_BIN_EXE_hsmsign"), "agent"])
        .env("HSMSIGN_HOME", place.home());
    let mut agent = Running::of(&place, command);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait(), 0);
}

/// The processes that have a file open.
fn pids_with(path: &std::path::Path) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let has = |process: &std::fs::DirEntry| {
        let open = std::fs::read_dir(process.path().join("fd"));
        open.is_ok_and(|mut open| {
            open.any(|fd| std::fs::read_link(fd.unwrap().path()).is_ok_and(|to| to == path))
        })
    };
    let told = |process: std::fs::DirEntry| std::fs::read_to_string(process.path().join("cmdline")).ok();
    all.filter(has).filter_map(told).collect()
}

#[test]
fn a_start_behind_a_stop_always_finds_the_place_free() {
    let Some(place) = Place::with_kraken() else { return };
    for _ in 0..rounds(6) {
        let done = place.run(&["agent", "start"], "");
        assert!(
            done.code == 0 && done.stderr.contains("the agent runs"),
            "{done:?}"
        );
        place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
        // Others are at work, some with a line on its way.
        let mut others: Vec<_> = (0..5)
            .map(|_| Connection::to(&place.home().join("agent.sock")))
            .collect();
        for other in &mut others {
            other.send(format!("{BALANCE}\n").repeat(20).as_bytes());
        }
        place.ok(&["agent", "stop"]);
        assert!(!place.home().join("agent.sock").exists());
        place.refused(&["agent", "stop"], "", 4, "no agent is running");
    }
}

#[test]
fn a_stop_waits_for_an_agent_whose_token_hangs() {
    let Some((place, faulty)) = one() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    faulty.fail("C_Sign hang 0 once");
    connection.send(format!("{BALANCE}\n").as_bytes());
    until("the token has it", || agent.token("softhsm")["waiting"] == 1);
    let (pid, worker) = (agent.pid(), agent.worker());
    place.ok(&["agent", "stop"]);
    assert!(!is_alive(pid) && !is_alive(worker));
    assert!(!agent.socket().exists());
}

/// A path of this many bytes for a socket, in a folder that is there.
fn socket_of_length(place: &Place, length: usize) -> String {
    let folder = place.path().join("run");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let folder = format!("{}/", folder.display());
    format!("{folder}{}", "s".repeat(length - folder.len()))
}

#[test]
fn a_path_that_no_socket_can_have_is_told_as_that_and_the_longest_serves() {
    let Some(mut place) = Place::with_kraken() else {
        return;
    };
    let longest = socket_of_length(&place, 107);
    let longer = format!("{longest}s");
    for args in [
        &["agent", "--socket", &longer][..],
        &["agent", "start", "--socket", &longer],
    ] {
        place.refused(args, "", 5, "of 108 bytes, and that of a socket has at most 107");
    }
    place.set(("HSMSIGN_SOCKET".into(), longer));
    for args in [
        &["agent", "start"][..],
        &["agent", "status"],
        &["sign", "kraken", "POST", "/0/private/Balance"],
    ] {
        place.refused(args, "", 5, "set HSMSIGN_SOCKET to a shorter one");
    }
    place.set(("HSMSIGN_SOCKET".into(), longest));
    place.ok(&["agent", "start"]);
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    place.ok(&["agent", "stop"]);
}

#[test]
fn paths_with_blanks_and_relative_ones_mean_the_same_to_agent_and_commands() {
    let Some(place) = Place::with_kraken() else { return };
    std::os::unix::fs::symlink(place.path(), place.path().join("a folder")).unwrap();
    for (home, socket) in [
        ("a folder/home", "a folder/home/an agent.sock"),
        ("./a folder/home", ""),
    ] {
        let run = |args: &[&str]| {
            let mut command = place.command(args);
            command.env("HSMSIGN_HOME", home).env("HSMSIGN_SOCKET", socket);
            let done = command.output().unwrap();
            assert!(done.status.success(), "{args:?}: {done:?}");
        };
        run(&["agent", "start"]);
        run(&["agent", "status"]);
        run(&["sign", "kraken", "POST", "/0/private/Balance"]);
        run(&["agent", "stop"]);
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_what_is_no_socket_is_left_alone() {
    let Some(place) = Place::with_kraken() else { return };
    let socket = place.home().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    place.ok(&["agent", "start"]);
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    place.ok(&["agent", "stop"]);
    std::fs::write(&socket, "a note").unwrap();
    place.refused(&["agent"], "", 5, "is there, and is no socket");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "a note");
}

#[test]
fn two_agents_on_one_folder_are_refused() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let other = place.path().join("other.sock");
    let args = ["agent", "--socket", other.to_str().unwrap()];
    place.refused(&args, "", 1, "another agent serves these folders");
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    drop(agent);
    // Killed, it leaves its socket and nothing that keeps the next one from starting.
    let again = Running::start(&place);
    assert_eq!(again.connect().ask(BALANCE)["ok"], true);
}

#[test]
fn what_it_has_in_hand_at_a_signal_is_answered() {
    let Some(place) = Place::with_kraken() else { return };
    let mut agent = Running::start(&place);
    let mut connection = agent.connect();
    let lines = format!("{BALANCE}\n").repeat(60);
    connection.send(lines.as_bytes());
    assert_eq!(connection.answer()["ok"], true);
    agent.signal(Signal::TERM);
    let mut answers = 1;
    while let Some(line) = connection.read() {
        assert!(line.starts_with("{\"ok\":true"), "{line}");
        assert!(line.ends_with('\n'));
        answers += 1;
    }
    assert!(answers > 1, "{answers}");
    assert_eq!(agent.wait(), 0, "{}", agent.log());
    assert!(!agent.socket().exists());
}

#[test]
fn a_locked_token_signs_nothing_until_it_is_unlocked() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    let worker = agent.worker();
    place.ok(&["lock"]);
    until("the process that knew the PIN is gone", || !is_alive(worker));
    let refused = connection.ask(BALANCE);
    assert_eq!(refused["error"]["code"], "token-locked", "{refused}");
    assert!(
        refused["error"]["fix"]
            .as_str()
            .unwrap()
            .contains("hsmsign unlock")
    );
    let done = place.run(&["sign", "kraken", "POST", "/0/private/Balance"], "");
    assert_eq!(done.code, 4, "the command line goes no way around it: {done:?}");
    place.ok(&["unlock"]);
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    place.refused(&["unlock", "nothing"], "", 4, "no token");
}

#[test]
fn a_pin_goes_to_the_worker_alone_and_a_wrong_one_is_not_kept() {
    let Some(place) = Place::with_kraken() else { return };
    let pin = std::fs::read(pin_file(&place)).unwrap();
    set_source(&place, "terminal");
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let refused = connection.ask(BALANCE);
    assert_eq!(refused["error"]["code"], "token-locked", "{refused}");
    let unlock = |pin: &[u8]| {
        let mut connection = agent.connect();
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, pin).unwrap();
        drop(write);
        send_with(&mut connection, b"{\"op\":\"unlock\",\"pin\":true}\n", &read);
        connection.answer()
    };
    let wrong = unlock(b"wrong pin\n");
    assert_eq!(wrong["error"]["code"], "wrong-pin", "{wrong}");
    let refused = connection.ask(BALANCE);
    assert_eq!(
        refused["error"]["code"], "token-locked",
        "it is not tried again: {refused}"
    );
    assert_eq!(unlock(&pin)["ok"], true);
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    // One that never ends keeps the worker for some seconds, and the PIN that it has.
    let worker = agent.worker();
    for begun in [&b""[..], b"12"] {
        let mut asking = agent.connect();
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, begun).unwrap();
        send_with(&mut asking, b"{\"op\":\"unlock\",\"pin\":true}\n", &read);
        let late = asking.answer();
        assert_eq!(late["error"]["code"], "bad-input", "{late}");
        assert!(late.to_string().contains("did not come within"), "{late}");
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    assert_eq!(agent.worker(), worker);
    let without = connection.ask(r#"{"op":"unlock","pin":true}"#);
    assert_eq!(without["error"]["code"], "bad-input", "{without}");
    let in_a_line = connection.ask(r#"{"op":"unlock","pin":"1234"}"#);
    assert_eq!(in_a_line["error"]["code"], "bad-input");
    assert!(!in_a_line.to_string().contains("1234"));
    // A worker that died has lost the PIN, and says so.
    kill(agent.worker(), Signal::KILL);
    until("the PIN is asked for again", || {
        connection.ask(BALANCE)["error"]["code"] == "token-locked"
    });
}

#[test]
fn a_changed_configuration_is_taken_whole_or_not_at_all() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let config = place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[nonsense]\n")).unwrap();
    place.refused(&["agent", "reload"], "", 5, "nonsense");
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    std::fs::write(&config, text.replace("[token.softhsm]", "[token.renamed]")).unwrap();
    place.ok(&["agent", "reload"]);
    let refused = agent.connect().ask(BALANCE);
    assert_eq!(refused["error"]["code"], "token-missing", "{refused}");
    std::fs::write(&config, text).unwrap();
    agent.signal(Signal::HUP);
    until("it signs again", || agent.connect().ask(BALANCE)["ok"] == true);
}

#[test]
fn keys_that_come_change_and_go_are_followed() {
    let Some(place) = Place::with_token() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["error"]["code"], "unknown-key");
    place.import(&["-e", "kraken", "--api-key", "one"], KRAKEN_SECRET);
    assert_eq!(connection.ask(BALANCE)["headers"]["API-Key"], "one");
    place.ok(&["set", "kraken", "--api-key", "two"]);
    assert_eq!(connection.ask(BALANCE)["headers"]["API-Key"], "two");
    assert_eq!(connection.ask(r#"{"op":"keys"}"#)["keys"][0]["api_key"], "two");
    place.ok(&["remove", "kraken"]);
    assert_eq!(connection.ask(BALANCE)["error"]["code"], "unknown-key");
}

/// The development token's file with its PIN.
fn pin_file(place: &Place) -> std::path::PathBuf {
    let text = std::fs::read_to_string(place.home().join("config.toml")).unwrap();
    let source = text
        .lines()
        .find_map(|line| line.strip_prefix("pin-source = \"file:"))
        .unwrap();
    source.trim_end_matches('"').into()
}

fn set_source(place: &Place, source: &str) {
    let path = place.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let with: String = text
        .lines()
        .map(|line| match line.starts_with("pin-source") {
            true => format!("pin-source = \"{source}\"\n"),
            false => format!("{line}\n"),
        })
        .collect();
    std::fs::write(path, with).unwrap();
}

fn send_with(connection: &mut Connection, line: &[u8], fd: &impl std::os::fd::AsFd) {
    hsmsign::agent::wire::send_all(connection.stream(), line, &[fd.as_fd()]).unwrap();
}

#[test]
fn what_is_switched_off_holds_for_the_next_line_also_behind_a_reload() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut bot = agent.connect();
    let check = r#"{"op":"check","key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let watches =
        || targets(agent.pid()).map(|all| all.iter().filter(|file| file.contains("inotify")).count());
    // It listens before it watches, and answers behind that.
    assert_eq!(bot.ask(check)["allowed"], true);
    let before = watches();
    for _ in 0..2 {
        assert_eq!(bot.ask(BALANCE)["ok"], true);
        assert_eq!(bot.ask(check)["allowed"], true);
        place.ok(&["policy", "deny-all", "kraken"]);
        assert_eq!(bot.ask(check)["allowed"], false);
        assert_eq!(bot.ask(BALANCE)["error"]["code"], "denied");
        place.ok(&["policy", "deny-all", "kraken", "--undo"]);
        assert_eq!(bot.ask(check)["allowed"], true);
        place.ok(&["agent", "reload"]);
    }
    assert_eq!(watches(), before, "it is still told of changes");
}

#[test]
fn a_policy_that_is_taken_out_of_force_holds_no_longer_in_the_agent() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut bot = agent.connect();
    let file = place.path().join("policy.toml");
    std::fs::write(&file, "policy = 1\n[[deny]]\npath = \"/0/private/Balance\"\n").unwrap();
    for _ in 0..2 {
        assert_eq!(bot.ask(BALANCE)["ok"], true);
        place.ok(&["policy", "set", "kraken", "--file", file.to_str().unwrap()]);
        assert_eq!(bot.ask(BALANCE)["error"]["code"], "denied");
        // An editor's absence of it is none.
        let own = place.home().join("policy/kraken.toml");
        std::fs::rename(&own, place.path().join("aside")).unwrap();
        assert_eq!(bot.ask(BALANCE)["error"]["code"], "denied");
        std::fs::rename(place.path().join("aside"), &own).unwrap();
        assert_eq!(bot.ask(BALANCE)["error"]["code"], "denied");
        place.ok(&["policy", "remove", "kraken"]);
    }
    assert_eq!(bot.ask(BALANCE)["ok"], true);
}

#[test]
fn an_unlock_that_a_lock_overtakes_says_that_nothing_was_opened() {
    let Some((place, faulty)) = crate::faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    until("it is open", || agent.token("softhsm")["state"] == "open");
    place.ok(&["lock"]);
    let held = faulty.hold("C_Login");
    let mut connection = agent.connect();
    connection.send(b"{\"op\":\"unlock\"}\n");
    until("it logs in", || faulty.has_failed());
    place.ok(&["lock"]);
    let answer = connection.answer();
    assert_eq!(
        answer["error"]["message"], "token softhsm was not opened: it was locked",
        "{answer}"
    );
    drop(held);
}
