//! Faults of the disk at one call of the kernel in the middle of an import: strace has that call fail once.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    bench::{Done, KRAKEN_SECRET, Place, finish},
    state::{expected_objects, objects, root},
};

const STRACE: &str = "/usr/bin/strace";
const IMPORT: [&str; 7] = ["import", "-e", "kraken", "--key", "second", "--api-key", "k"];

/// Whether calls can be made to fail here.
fn traces() -> bool {
    let done = Command::new(STRACE)
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    let traces = root() && Path::new(STRACE).exists() && done.is_ok_and(|done| done.status.success());
    if !traces {
        eprintln!("SKIPPED: nothing can be traced here, or strace is not installed (Debian: strace)");
    }
    traces
}

/// An import under strace with these arguments.
fn import(place: &Place, strace: &[&str]) -> Done {
    let own = place.command(&IMPORT);
    let mut command = Command::new(STRACE);
    command.args(["-f", "-qq", "-o"]).arg(place.path().join("strace"));
    command.args(strace).arg(own.get_program()).args(own.get_args());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap(), format!("{KRAKEN_SECRET}\n").as_bytes())
}

#[test]
fn an_import_in_which_one_call_fails_is_whole_or_nothing() {
    let Some(place) = Place::with_kraken() else { return };
    if !traces() {
        return;
    }
    // SoftHSM cuts its file off before each writing: the last times are those of the object's end.
    for call in ["ftruncate", "lseek"] {
        let done = import(&place, &["-e", &format!("trace={call}")]);
        assert_eq!(done.code, 0, "{done:?}");
        place.ok(&["remove", "second"]);
        let calls = fs::read_to_string(place.path().join("strace")).unwrap();
        let calls = calls.lines().filter(|line| line.contains(call)).count();
        let mut refused = 0;
        for number in calls.saturating_sub(8)..=calls {
            let fault = format!("inject={call}:error=EIO:when={number}");
            let done = import(&place, &["-e", &fault]);
            let told = format!("{call} {number} of {calls}: {done:?}");
            // In a process of its own, which sees all that is there.
            let Some(there) = objects(&place) else { return };
            assert_eq!(there, expected_objects(&place), "{told}");
            if done.code == 0 {
                place.ok(&["test", "second"]);
            } else {
                assert_eq!(done.code, 1, "{told}");
                refused += 1;
                place.import(&IMPORT[1..], KRAKEN_SECRET);
            }
            place.ok(&["remove", "second"]);
        }
        assert!(refused > 0, "no fault of {call} meant anything");
    }
}
