//! Where the agent is: a socket that is taken away, a runtime folder that is none, a variable that names something else.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bench::{Done, Place, Stream, finish, remove_under_an_agent},
    faulty,
    running::{BALANCE, Running, kill, until},
};

fn run(mut command: Command) -> Done {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap(), b"")
}

/// A command of a user with a home and this runtime folder.
fn with_runtime_folder(place: &Place, args: &[&str], folder: &Path) -> Command {
    let mut command = place.command(args);
    command
        .env_remove("HSMSIGN_HOME")
        .env("HOME", place.path())
        .env("XDG_RUNTIME_DIR", folder);
    command
}

#[test]
fn an_agent_whose_socket_was_taken_away_is_named_ended_and_started_anew() {
    let Some(place) = Place::with_kraken() else { return };
    let socket = place.home().join("agent.sock");
    for _ in 0..2 {
        place.ok(&["agent", "start"]);
        fs::remove_file(&socket).unwrap();
        let again = place.run(&["agent", "start"], "");
        assert_eq!(again.code, 4, "{again:?}");
        for word in [
            "another agent serves these folders (pid ",
            "is gone",
            "hsmsign agent stop",
        ] {
            assert!(again.stderr.contains(word), "{word}: {again:?}");
        }
        // What it says helps.
        place.ok(&["agent", "stop"]);
        place.ok(&["agent", "start"]);
        place.ok(&["agent", "status"]);
        place.ok(&["agent", "stop"]);
        let nobody = place.run(&["agent", "stop"], "");
        assert_eq!(nobody.code, 4, "{nobody:?}");
    }
}

#[test]
fn an_agent_that_cannot_be_reached_is_not_ended_where_another_is_meant() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    fs::remove_file(agent.socket()).unwrap();
    let mut stop = place.command(&["agent", "stop"]);
    stop.env("HSMSIGN_SOCKET", place.path().join("other.sock"));
    let done = run(stop);
    assert_eq!(done.code, 4, "{done:?}");
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    // And one that is said to be there is not told from its own folders.
    let mut status = place.command(&["agent", "status"]);
    status.env("HSMSIGN_SOCKET", place.home().join("config.toml"));
    let done = run(status);
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains("is no socket"), "{done:?}");
}

#[test]
fn a_number_that_another_process_has_now_is_not_ended() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    fs::remove_file(agent.socket()).unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let noted = place.home().join("agent.lock");
    let text = format!(r#"{{"pid":{},"socket":"/nowhere"}}"#, bystander.id());
    fs::write(&noted, text).unwrap();
    let done = place.run(&["agent", "stop"], "");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(bystander.try_wait().unwrap().is_none());
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    // Nor is what an older one, or somebody else, left there.
    fs::write(&noted, "?").unwrap();
    let done = place.run(&["agent", "stop"], "");
    assert_eq!(done.code, 4, "{done:?}");
}

#[test]
fn a_runtime_folder_that_cannot_be_used_is_told_with_what_to_set() {
    let place = Place::new();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let done = run(with_runtime_folder(&place, &["agent", "start"], &file));
    assert_eq!(done.code, 4, "{done:?}");
    for word in [
        "cannot be made",
        "XDG_RUNTIME_DIR",
        "HSMSIGN_SOCKET",
        "agent.log has more",
    ] {
        assert!(done.stderr.contains(word), "{word}: {done:?}");
    }
    let done = run(with_runtime_folder(&place, &["run", "--", "true"], &file));
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains("XDG_RUNTIME_DIR"), "{done:?}");
}

#[test]
fn an_agent_whose_socket_has_a_name_that_is_no_text_answers_all_the_same() {
    let Some(place) = Place::with_kraken() else { return };
    let socket = place.path().join(OsStr::from_bytes(b"agent\xff.sock"));
    let at = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("HSMSIGN_SOCKET", &socket);
        run(command)
    };
    for args in [
        &["agent", "start"][..],
        &["agent", "status"],
        &["sign", "kraken", "POST", "/0/private/Balance"],
        &["agent", "stop"],
    ] {
        let done = at(args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
}

#[test]
fn an_agent_that_stands_still_is_told_and_nobody_waits_for_it_without_end() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let commands: [&[&str]; 3] = [
        &["agent", "status"],
        &["agent", "stop"],
        &["sign", "kraken", "POST", "/0/private/Balance"],
    ];
    kill(agent.pid(), Signal::STOP);
    let children = commands.map(|args| place.start(args));
    let done = children.map(|child| finish(child, b""));
    kill(agent.pid(), Signal::CONT);
    for (args, done) in commands.iter().zip(done) {
        assert_eq!(done.code, 4, "{args:?}: {done:?}");
        for word in ["stands still", &format!("kill -9 {}", agent.pid())] {
            assert!(done.stderr.contains(word), "{args:?}: {done:?}");
        }
    }
    until("it signs again", || agent.connect().ask(BALANCE)["ok"] == true);
}

#[test]
fn a_stream_tells_of_an_agent_that_stands_still_while_it_owes_something() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let [line, end, nothing] = [(); 3].map(|()| {
        let mut child = place.start(&["sign", "--json"]);
        let mut stream = Stream::of(&mut child);
        assert!(stream.answer(BALANCE).starts_with("{\"ok\":true"));
        (child, stream)
    });
    kill(agent.pid(), Signal::STOP);
    let (line, mut owed) = line;
    owed.send(BALANCE);
    let (end, ended) = end;
    let _ended = ended.end();
    let told = [("a line", line), ("its end", end)].map(|(owes, mut child)| {
        // Half a minute by what it does, and a machine that has much to do.
        let until = Instant::now() + Duration::from_secs(90);
        while child.try_wait().unwrap().is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        (owes, child.wait_with_output().unwrap())
    });
    kill(agent.pid(), Signal::CONT);
    for (owes, done) in told {
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(4), "{owes}: {stderr}");
        let kill = format!("kill -9 {}", agent.pid());
        for word in ["stands still", &kill, "may have been signed"] {
            assert!(stderr.contains(word), "{owes}: {word}: {stderr}");
        }
    }
    // Who asked for nothing waited for nothing.
    let (child, mut stream) = nothing;
    assert!(stream.answer(BALANCE).starts_with("{\"ok\":true"));
    drop(stream);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}

#[test]
fn a_token_that_takes_its_time_is_waited_for_longer_than_the_agent_would_be() {
    let Some((place, faulty)) = faulty::one() else {
        return;
    };
    let agent = Running::start(&place);
    // Longer than it takes to ask whether the agent is alive.
    faulty.fail("C_Sign slow 20000 once");
    let done = place.run(&["sign", "kraken", "POST", "/0/private/Balance"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(agent.token("softhsm")["restarts"], 0);
}

#[test]
fn a_relative_runtime_folder_is_none() {
    let place = Place::new();
    fs::create_dir_all(place.path().join("run/hsmsign")).unwrap();
    let listener = UnixListener::bind(place.path().join("run/hsmsign/agent.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    // There is nobody who would answer: this must not ask.
    let _whatever_the_system_has = run(with_runtime_folder(&place, &["list"], Path::new("run")));
    assert!(listener.accept().is_err());
}

#[test]
fn what_is_no_token_is_not_locked_and_that_is_told() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let done = place.run(&["lock", "sofhsm"], "");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains(r#"no token "sofhsm""#), "{done:?}");
    let answer = agent.connect().ask(r#"{"op":"lock","token":"sofhsm","id":3}"#);
    assert_eq!(answer["error"]["code"], "token-missing", "{answer}");
    assert_eq!(answer["id"], 3);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    place.ok(&["lock", "softhsm"]);
    assert_eq!(agent.connect().ask(BALANCE)["error"]["code"], "token-locked");
}

#[test]
fn an_agent_whose_folders_were_replaced_says_so_and_what_to_do() {
    let Some(place) = Place::with_kraken() else { return };
    let home = place.home();
    let aside = home.with_extension("aside");
    for what in ["copied", "empty", "taken away"] {
        let agent = Running::start(&place);
        let mut connection = agent.connect();
        assert_eq!(connection.ask(BALANCE)["ok"], true);
        fs::rename(&home, &aside).unwrap();
        match what {
            "copied" => {
                let done = Command::new("cp")
                    .arg("-a")
                    .args([&aside, &home])
                    .status()
                    .unwrap();
                assert!(done.success());
            }
            "empty" => hsmsign::home::Home::at(&home).create().unwrap(),
            _ => {}
        }
        let verb = if what == "taken away" {
            what
        } else {
            "was replaced"
        };
        let kill = format!("kill {}", agent.pid());
        // What it has read of the key holds for a moment.
        until("it says so", || {
            let answer = connection.ask(BALANCE);
            let told = answer["error"].to_string();
            if answer["ok"] == true {
                return false;
            }
            for word in ["the agent's folder", verb, &kill, "hsmsign agent start"] {
                assert!(told.contains(word), "{what}: {answer}");
            }
            true
        });
        for op in [r#"{"op":"keys"}"#, r#"{"op":"reload"}"#] {
            let answer = connection.ask(op);
            assert!(answer["error"].to_string().contains(verb), "{what}: {answer}");
        }
        until("the log has it", || agent.log().contains(verb));
        if home.exists() {
            remove_under_an_agent(&home);
        }
        fs::rename(&aside, &home).unwrap();
        until("it was put back", || connection.ask(BALANCE)["ok"] == true);
    }
}
