//! The process in which a module is tried: it stands still with the command that started it, or is left alone by it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{
    KRAKEN_SECRET, Place, finish,
    people::{OWNER, People},
};

/// A first import once it has started the process that tries the module; and that process.
#[allow(clippy::zombie_processes)] // A failed assertion leaves it to the end of the tests.
fn first_import(place: &Place) -> (Child, Pid) {
    let _there_is_none_behind_one_that_was_killed = fs::remove_file(place.home().join("trust.json"));
    let mut command = place.command(&["import", "--exchange", "kraken", "--api-key", "a"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut import = piped.stderr(Stdio::piped()).spawn().unwrap();
    import
        .stdin
        .as_mut()
        .unwrap()
        .write_all(format!("{KRAKEN_SECRET}\n").as_bytes())
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", import.id());
    let arguments = |process: &str| fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "it tries nothing");
        let children = fs::read_to_string(&children).unwrap();
        if let Some(child) = children.split_whitespace().next()
            && arguments(child).ends_with(b"attack-worker\0")
        {
            return (import, Pid::from_raw(child.parse().unwrap()).unwrap());
        }
    }
}

/// The files of the token that each change of its objects writes, with what they hold.
fn changes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let tokens = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = tokens
        .filter(|path| path.is_dir())
        .map(|path| path.join("generation"));
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_command_that_stood_still_with_what_it_tries_goes_on() {
    let Some(place) = Place::with_token() else { return };
    let (import, trying) = first_import(&place);
    let both = |signal| {
        for process in [Pid::from_child(&import), trying] {
            kill_process(process, signal).unwrap();
        }
    };
    both(Signal::STOP);
    // Longer than an attack may take.
    sleep(Duration::from_secs(32));
    both(Signal::CONT);
    let done = finish(import, b"");
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn what_tries_a_module_does_nothing_where_the_command_ended_before_it_began() {
    let Some(place) = Place::with_token() else { return };
    // Most of them are met when they are bound to the command already.
    for _ in 0..8 {
        let (mut import, trying) = first_import(&place);
        kill_process(trying, Signal::STOP).unwrap();
        // It is told meanwhile what to do.
        sleep(Duration::from_millis(100));
        import.kill().unwrap();
        import.wait().unwrap();
        let before = changes(&place.token_folder());
        let _it_may_have_ended_with_the_command = kill_process(trying, Signal::CONT);
        let stat = format!("/proc/{}/stat", trying.as_raw_nonzero());
        let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let begun = Instant::now();
        while lives() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            sleep(Duration::from_millis(5));
        }
        assert!(before == changes(&place.token_folder()), "it changed the token");
    }
}

#[test]
fn where_there_is_no_process_or_thread_to_be_had_a_trial_ends_with_an_error() {
    let Some(people) = People::new() else { return };
    let program = people.path("hsmsign").display().to_string();
    let mut refused = 0;
    for most in 1..200 {
        let done = people.shell(
            OWNER,
            &format!("exec prlimit --nproc={most} {program} test kraken --attack"),
        );
        if done.code == 0 {
            break;
        }
        assert_eq!(done.code, 1, "{most}: {done:?}");
        assert!(
            done.stderr.contains("the extraction suite cannot be"),
            "{most}: {done:?}"
        );
        refused += 1;
    }
    assert!((1..199).contains(&refused), "{refused}");
}
