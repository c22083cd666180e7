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
    under(place, strace, &IMPORT)
}

/// A command under strace with these arguments; an import is told the secret.
fn under(place: &Place, strace: &[&str], args: &[&str]) -> Done {
    let own = place.command(args);
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

/// As on FAT, which has one name a file, and no files without one.
#[test]
fn where_files_have_one_name_each_keys_are_used_as_elsewhere() {
    let Some(place) = Place::with_kraken() else { return };
    if !traces() {
        return;
    }
    let fat = ["-e", "inject=link,linkat:error=EPERM"];
    let ok = |args: &[&str]| {
        let done = under(&place, &fat, args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    };
    fs::remove_dir_all(place.home().join("audit")).unwrap();
    fs::remove_file(place.home().join("audit.seal")).unwrap();
    ok(&[&IMPORT[..], &["--policy", "trade"]].concat());
    let nonce = || {
        let signed = ok(&["sign", "second", "POST", "/0/private/Balance"]);
        let nonce = signed.split("nonce=").nth(1).unwrap();
        nonce.split('"').next().unwrap().parse::<u64>().unwrap()
    };
    let first = nonce();
    assert!(nonce() > first);
    let told = ok(&["audit", "verify", "--no-token"]);
    assert!(told.contains("lines as they were written"), "{told}");
    // What another process made first stays.
    let path = place.home().join("policy/second.toml");
    fs::write(&path, "policy = 1\n").unwrap();
    place.ok(&["remove", "second"]);
    let done = under(&place, &fat, &[&IMPORT[..], &["--policy", "trade"]].concat());
    assert_eq!(done.code, 5, "{done:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "policy = 1\n");
    let left: Vec<_> = walk(&place.home())
        .into_iter()
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The names of the files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path),
                false => vec![path.display().to_string()],
            }
        })
        .collect()
}
