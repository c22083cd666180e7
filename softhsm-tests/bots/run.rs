//! `hsmsign run`: the command's own signals, exit code and environment, and the agent for its time.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::{Pid, Signal, kill_process};

use crate::{agent_ends, place, run_python, script, started};

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
