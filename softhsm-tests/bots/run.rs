//! `hsmsign run`: the command's own signals, exit code and environment, and the agent for its time.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Agent, RAW_SECRET, agent_ends, bench::remove_under_an_agent, have, place, run_python, script, stand_in,
    started,
};

#[test]
fn the_commands_exit_code_output_and_mask_are_its_own() {
    let Some(place) = place() else { return };
    let mask = "umask 027; exec \"$0\" run -- sh -c 'umask; echo out; echo err >&2; cat; exit 42'";
    let mut command = std::process::Command::new("sh");
    let done = command
        .args(["-c", mask, env!("CARGO_BIN_EXE_hsmsign")])
        .env("HSMSIGN_HOME", place.home());
    let done = crate::bench::finish(
        done.stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
        b"in\n",
    );
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (42, "0027\nout\nin\n", "err\n")
    );
    assert!(
        agent_ends(&place),
        "an agent that was started for a run ends with it"
    );
}

#[test]
fn a_signal_reaches_the_command_and_ends_it_as_it_would() {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(place) = place() else { return };
    let (mut child, line) = started(place.command(&[
        "run",
        "--",
        "sh",
        "-c",
        "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done",
    ]));
    assert_eq!(line, "ready\n");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::USR1).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let (mut child, _) = started(place.command(&["run", "--", "sh", "-c", "echo ready; exec sleep 60"]));
    kill_process(
        Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(agent_ends(&place));
}

#[test]
fn a_starter_that_waits_for_no_children_keeps_no_agent_from_being_started() {
    let Some(place) = place() else { return };
    let mut command = std::process::Command::new("env");
    let done = command
        .args(["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_hsmsign")])
        .args(["run", "--", "sh", "-c", "echo out; exit 42"])
        .env("HSMSIGN_HOME", place.home())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(42), "{done:?}");
    assert_eq!(done.stdout, b"out\n", "{done:?}");
    assert!(agent_ends(&place));
}

#[test]
fn the_agent_stays_as_long_as_one_of_several_runs() {
    let Some(place) = place() else { return };
    let (mut long, _) = started(place.command(&["run", "--", "sh", "-c", "echo ready; cat >/dev/null"]));
    place.ok(&["run", "--", "true"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        place.run(&["agent", "status"], "").code,
        0,
        "the other run needs it"
    );
    drop(long.stdin.take());
    long.wait().unwrap();
    assert!(agent_ends(&place));
    // One that the user started is the user's to end.
    place.ok(&["agent", "start"]);
    place.ok(&["run", "--", "true"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(place.run(&["agent", "status"], "").code, 0);
    place.ok(&["agent", "stop"]);
}

#[test]
fn an_interpreter_that_would_not_load_the_hook_is_refused() {
    let Some(place) = place() else { return };
    for option in ["-I", "-uE", "-S"] {
        place.refused(
            &["run", "--", "python3", option, "bot.py"],
            "",
            5,
            "keeps it from loading hsmsign's hook",
        );
    }
    let path = script(&place, "bot", "#!/usr/bin/env -S python3 -I\nprint(1)\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    place.refused(
        &["run", "--", &path],
        "",
        5,
        "the script's first line starts Python with -I",
    );
    place.refused(
        &["run", "--", "no-such-command"],
        "",
        1,
        "no-such-command cannot be run",
    );
    assert_eq!(place.run(&["run"], "").code, 2);
}

#[test]
fn the_environments_own_sitecustomize_and_path_are_kept() {
    let Some(place) = place() else { return };
    fs::create_dir(place.path().join("own")).unwrap();
    script(
        &place,
        "own/sitecustomize.py",
        "import os\nos.environ['OWN'] = 'ran'\n",
    );
    script(&place, "own/mine.py", "value = 5\n");
    let bot = script(
        &place,
        "bot.py",
        "import hmac, mine, os, sitecustomize\nprint(os.environ['OWN'], mine.value, hmac.new.__module__, sitecustomize.__file__)\n",
    );
    let mut command = place.command(&["run", "--", "python3", &bot]);
    let done = command
        .env("PYTHONPATH", place.path().join("own"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        told.starts_with("ran 5 hsmsign._hook ") && told.contains("own/sitecustomize.py"),
        "{done:?}"
    );
}

#[test]
fn a_socket_without_an_agent_behind_it_is_not_replaced_by_one() {
    let Some(place) = place() else { return };
    let mut command = place.command(&["run", "--", "true"]);
    let done = command
        .env("HSMSIGN_SOCKET", place.path().join("nobody"))
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("no agent answers"),
        "{done:?}"
    );
    assert_eq!(run_python(&place, "print('fine')", &[]).stdout, "fine\n");
}

#[test]
fn what_cannot_be_started_says_why() {
    let Some(place) = place() else { return };
    let executable = |name: &str, text: &str| {
        let path = script(&place, name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let folder = place.path().to_str().unwrap().to_owned();
    for (command, words) in [
        (
            "no-such-command".to_owned(),
            "no-such-command cannot be run: there is no such command",
        ),
        (format!("{folder}/nothing"), "there is no such command"),
        (folder.clone(), "it is a folder"),
        (
            script(&place, "plain.py", "print(1)\n"),
            "it is not executable for you",
        ),
        (
            executable("lost", "#!/no/such/python -u\n"),
            "the interpreter of its first line is not there: /no/such/python -u",
        ),
    ] {
        place.refused(&["run", "--", &command], "", 1, words);
    }
    place.refused(&["run", "--", ""], "", 5, "the command is empty");
    for (command, words) in [
        (
            &["env", "-i", "python3", "bot.py"][..],
            "has env take hsmsign's variables away (-i)",
        ),
        (
            &["env", "PYTHONPATH=lib", "python3", "bot.py"],
            "has env take hsmsign's variables away (PYTHONPATH=lib)",
        ),
        (&["sudo", "python3", "bot.py"], "the command starts with sudo"),
        (
            &["timeout", "9", "python3", "-I", "bot.py"],
            "starts Python with -I",
        ),
    ] {
        place.refused(&[&["run", "--"], command].concat(), "", 5, words);
    }
    assert!(agent_ends(&place), "none was started, or it ended");
}

#[test]
fn interpreters_have_the_hooks_however_they_are_started_and_keep_their_own_settings() {
    let Some(place) = place() else { return };
    let own = place.path().join("own folder");
    fs::create_dir(&own).unwrap();
    script(&place, "own folder/mine.py", "value = 5\n");
    let python = r#"import hmac, mine, os; print(hmac.new.__module__, mine.value, os.environ["PYTHONPATH"].count("own folder"))"#;
    let venv = place.path().join("a venv");
    let made = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .status()
        .unwrap();
    assert!(made.success());
    let shell = script(
        &place,
        "start bot.sh",
        "python3 -c \"$1\"\nexec \"$2\" -c \"$1\"\n",
    );
    let mut command = place.command(&["run", "--", "sh", &shell, python]);
    command.arg(venv.join("bin/python")).env("PYTHONPATH", &own);
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(told, "hsmsign._hook 5 1\nhsmsign._hook 5 1\n", "{done:?}");

    if !have("node") {
        return;
    }
    let text = r#"
import { createHmac } from 'node:crypto';
import { getHeapStatistics } from 'node:v8';
try { createHmac('sha512', process.argv[1]).update('a').digest(); } catch (error) { console.log(error.code); }
console.log(process.env.NODE_OPTIONS.startsWith('--max-old-space-size=97 --import='), getHeapStatistics().heap_size_limit < 200 << 20);
"#;
    let mut command = place.command(&["run", "--", "node", "--input-type=module", "-e", text]);
    let done = command
        .arg(stand_in(&place, "kraken"))
        .env("NODE_OPTIONS", "--max-old-space-size=97")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "denied\ntrue true\n",
        "{done:?}"
    );
}

#[test]
fn ctrl_c_reaches_the_command_alone_and_the_agent_ends_after_it() {
    use std::os::unix::process::CommandExt as _;
    let Some(place) = place() else { return };
    let mut command = place.command(&[
        "run",
        "--",
        "sh",
        "-c",
        "trap 'echo stopping; exit 9' INT; echo ready; while :; do sleep 0.05; done",
    ]);
    command.process_group(0);
    let (mut child, line) = started(command);
    assert_eq!(line, "ready\n");
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // As the terminal does it: to the whole group. The agent and what watches over the run are in none of the command's.
    rustix::process::kill_process_group(group, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert!(agent_ends(&place));
}

#[test]
fn runs_that_begin_at_once_share_one_agent_and_the_last_one_ends_it() {
    let Some(place) = place() else { return };
    let mut runs: Vec<_> = (0..6)
        .map(|_| {
            let mut command = place.command(&["run", "--", "sh", "-c", "echo ready; cat >/dev/null"]);
            command
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for run in &mut runs {
        let mut line = [0; 6];
        if run.stdout.as_mut().unwrap().read_exact(&mut line).is_err() {
            let mut told = String::new();
            run.stderr.as_mut().unwrap().read_to_string(&mut told).unwrap();
            panic!("it did not start its command: {told}");
        }
        assert_eq!(&line, b"ready\n");
    }
    let last = runs.pop().unwrap();
    for run in runs {
        let done = run.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{done:?}");
    }
    assert_eq!(
        place.run(&["agent", "status"], "").code,
        0,
        "the last run needs it"
    );
    let done = last.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(agent_ends(&place));
}

#[test]
fn a_user_without_folders_uses_the_agent_of_another() {
    let Some(place) = place() else { return };
    let _agent = Agent::start(&place);
    let temporary = place.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let text = "import hmac, sys; print(hmac.new(sys.argv[1].encode(), b'abc', 'sha256').hexdigest())";
    let run = |program: &str| {
        let mut command = place.command(&["run", "--", "python3", "-c", program]);
        command
            .arg(stand_in(&place, "raw"))
            .env_remove("HSMSIGN_HOME")
            .env("HSMSIGN_SOCKET", place.home().join("agent.sock"))
            .env("TMPDIR", &temporary);
        command.output().unwrap()
    };
    let plain = format!("import hmac; print(hmac.new(b'{RAW_SECRET}', b'abc', 'sha256').hexdigest())");
    let (made, wanted) = (run(text), run(&plain));
    assert!(
        made.status.success() && made.stdout == wanted.stdout && !made.stdout.is_empty(),
        "{made:?} {wanted:?}"
    );
    // Somebody else's link in the place of the folder is not followed.
    let folder = temporary.join(format!("hsmsign-{}", rustix::process::geteuid().as_raw()));
    fs::rename(&folder, place.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path().join("elsewhere"), &folder).unwrap();
    let refused = run(text);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("is a link, where hsmsign wants a folder"),
        "{refused:?}"
    );
}

/// Whether a process ends within a minute.
fn ends(pid: i32) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let status = fs::read_to_string(format!("/proc/{pid}/stat"));
        if status.is_err() || status.is_ok_and(|status| status.contains(") Z ")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// The process that stays behind a run, by its arguments.
fn watcher_of(run: u32) -> Option<i32> {
    let wanted = format!("hsmsign\0run-watcher\0{run}\0");
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        (line == wanted.as_bytes()).then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

#[test]
fn the_agent_of_a_run_ends_with_it_though_its_folders_or_its_watcher_are_gone() {
    for what in ["folders", "watcher"] {
        let Some(place) = place() else { return };
        let (mut run, _) = started(place.command(&["run", "--", "sh", "-c", "echo ready; cat >/dev/null"]));
        let agent = place.json(&["agent", "status", "--json"])["pid"]
            .as_i64()
            .unwrap();
        let agent = i32::try_from(agent).unwrap();
        if what == "folders" {
            remove_under_an_agent(&place.home());
        } else {
            let watcher = Pid::from_raw(watcher_of(run.id()).unwrap()).unwrap();
            kill_process(watcher, Signal::KILL).unwrap();
        }
        drop(run.stdin.take());
        assert_eq!(run.wait().unwrap().code(), Some(0));
        assert!(ends(agent), "{what}");
    }
}
