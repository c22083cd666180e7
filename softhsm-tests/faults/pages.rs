//! Commands that tell: their output for people and programs, with nobody reading, and their pages.

use std::{
    fs,
    io::{BufRead as _, Write as _},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::bench::{KRAKEN_SECRET, Place};

const COMMANDS: [&str; 29] = [
    "init",
    "import",
    "adopt",
    "generate",
    "list",
    "show",
    "set",
    "rotate",
    "remove",
    "test",
    "nonce",
    "sign",
    "send",
    "hmac",
    "placeholder",
    "run",
    "agent",
    "lock",
    "unlock",
    "websocket",
    "policy",
    "audit",
    "exchanges",
    "token",
    "doctor",
    "backup",
    "restore",
    "completions",
    "man",
];

#[test]
fn every_command_has_help_with_examples_and_a_page() {
    let place = Place::new();
    let all = place.ok(&["--help"]);
    assert!(all.contains("Examples:"));
    let man = Command::new("man")
        .arg("--version")
        .output()
        .is_ok_and(|done| done.status.success());
    if !man {
        eprintln!("SKIPPED: man is not installed, so that the pages were not formatted");
    }
    for command in COMMANDS {
        assert!(
            all.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is listed"
        );
        let help = place.ok(&[command, "--help"]);
        assert!(
            help.contains("Examples:") && help.contains(&format!("hsmsign {command}")),
            "{help}"
        );
        let page = place.ok(&["man", command]);
        assert!(
            page.contains(".TH") && page.contains("EXAMPLE") || page.contains("Examples"),
            "{page}"
        );
        if man {
            formats(&page, command);
        }
    }
    // The list above is whole: nothing but `help` is missing from it.
    let listed: Vec<_> = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .filter(|name| !name.is_empty())
        })
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
    if man {
        formats(&place.ok(&["man"]), "hsmsign");
    }
}

/// What `whatis` shows of each, and which version a page is of.
#[test]
fn every_page_says_what_its_command_does_and_whose_it_is() {
    let place = Place::new();
    let folder = place.path().join("pages");
    place.ok(&["man", "--all", folder.to_str().unwrap()]);
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        let name = page.split(".SH NAME\n").nth(1).unwrap().lines().next().unwrap();
        assert!(name.contains(" \\- "), "{name} says what it does");
        let foot = concat!("\"hsmsign ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(page.contains(foot), "{}: {page}", path.display());
        count += 1;
    }
    assert!(count > COMMANDS.len());
    assert_eq!(
        place.ok(&["man", "audit", "seal"]),
        fs::read_to_string(folder.join("hsmsign-audit-seal.1")).unwrap()
    );
    place.refused(
        &["man", "audit", "sael"],
        "",
        2,
        "there is no command \"audit sael\"",
    );
}

fn formats(page: &str, name: &str) {
    let mut child = Command::new("man")
        .args(["--warnings=w", "-l", "-"])
        .env("MANPAGER", "cat")
        .env("MAN_KEEP_STDERR", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{name}: {done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("NAME"), "{name}");
}

#[test]
fn completions_are_there_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.ok(&["completions", shell]).contains("websocket"), "{shell}");
    }
    let bash = place.ok(&["completions", "bash"]);
    let mut child = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bash.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(place.run(&["completions", "tcsh"], "").code, 2);
}

/// Commands that print something in a place with a key.
const TELLING: [&[&str]; 15] = [
    &["list"],
    &["list", "--json"],
    &["show", "kraken"],
    &["show", "kraken", "--json"],
    &["test", "kraken"],
    &["nonce", "kraken"],
    &["nonce", "kraken", "--json"],
    &["exchanges"],
    &["exchanges", "--json"],
    &["exchanges", "show", "kraken"],
    &["token"],
    &["token", "show", "softhsm"],
    &["doctor"],
    &["sign", "kraken", "POST", "/0/private/Balance"],
    &["send", "kraken", "POST", "/0/private/Balance", "--dry-run"],
];

#[test]
fn nobody_reading_is_no_panic_and_a_full_device_is_an_error() {
    let Some(place) = Place::with_kraken() else { return };
    let more: [&[&str]; 4] = [&["completions", "bash"], &["man"], &["--help"], &["backup", "-"]];
    for args in TELLING.iter().chain(&more) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = place
            .command(args)
            .stdin(Stdio::null())
            .stdout(writer)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(!told.contains("panicked"), "{args:?}: {told}");
        assert_eq!(done.status.code(), Some(1), "{args:?}: {done:?}");
        // Closed, open for reading alone, and without room.
        for deaf in [">&-", "1</dev/null", ">/dev/full"] {
            let done = place.run_redirected(args, deaf, "");
            assert_eq!(done.code, 1, "{args:?} {deaf}: {done:?}");
            assert!(
                done.stderr.contains("standard output cannot be written"),
                "{args:?} {deaf}: {done:?}"
            );
        }
        // Neither standard error.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = place
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(done.code(), Some(0), "{args:?}");
    }
}

#[test]
fn answers_that_nobody_gets_are_no_success_though_the_requests_were_signed() {
    let Some(place) = Place::with_kraken() else { return };
    let lines = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n".repeat(3);
    let balance = ["sign", "kraken", "POST", "/0/private/Balance"];
    for (args, input) in [(&balance[..], ""), (&["sign", "--json"], &lines[..])] {
        for agent in [false, true] {
            if agent {
                place.ok(&["agent", "start"]);
            }
            let before: u64 = place.ok(&["nonce", "kraken"]).trim().parse().unwrap();
            for deaf in [">&-", "1</dev/null", ">/dev/full"] {
                let done = place.run_redirected(args, deaf, input);
                assert_eq!(done.code, 1, "{args:?} {deaf}: {done:?}");
                assert!(done.stderr.contains("hsmsign audit show"), "{done:?}");
            }
            // Where an answer is not wanted, that is said by /dev/null.
            let done = place.run_redirected(args, ">/dev/null", input);
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            let done = place.run_redirected(args, "1<>/dev/null", input);
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            let after: u64 = place.ok(&["nonce", "kraken"]).trim().parse().unwrap();
            assert!(before < after, "{args:?}: {before} {after}");
            if agent {
                place.ok(&["agent", "stop"]);
            }
        }
    }
}

#[test]
fn what_answers_nothing_needs_no_standard_output() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["agent", "start"]);
    for args in [&["lock"][..], &["unlock"], &["agent", "stop"]] {
        let done = place.run_redirected(args, ">&-", "");
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
}

#[test]
fn pipes_that_do_not_block_are_waited_for() {
    let Some(place) = Place::with_kraken() else { return };
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    // More than a pipe takes.
    const MANY: usize = 2_000;
    let mut stream = place.command(&["sign", "--json"]);
    let (input, mut writing) = std::io::pipe().unwrap();
    let (reading, output) = std::io::pipe().unwrap();
    for end in [input.as_fd(), output.as_fd()] {
        let flags = rustix::fs::fcntl_getfl(end).unwrap();
        rustix::fs::fcntl_setfl(end, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    }
    let mut child = stream.stdin(input).stdout(output).spawn().unwrap();
    drop(stream);
    let writer = std::thread::spawn(move || {
        for _ in 0..MANY {
            writing.write_all(line.as_bytes()).unwrap();
        }
    });
    // Read only when the pipe is full.
    let full = rustix::pipe::fcntl_getpipe_size(&reading).unwrap() as u64 - 4096;
    let begun = Instant::now();
    while rustix::io::ioctl_fionread(&reading).unwrap() < full {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            child.try_wait()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let answers = std::io::BufReader::new(reading).lines();
    let answers: Vec<_> = answers.map(Result::unwrap).collect();
    writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(answers.len(), MANY);
    assert!(answers.iter().all(|answer| answer.starts_with(r#"{"ok":true"#)));
}

#[test]
fn what_is_told_to_programs_is_json_and_to_nobody_has_no_colour() {
    let Some(place) = Place::with_kraken() else { return };
    for args in TELLING {
        let done = place.run(args, "");
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        assert!(
            !done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'),
            "{args:?}: {done:?}"
        );
        // Kraken's scheme has the documented example as its own test.
        let documented = args.starts_with(&["exchanges", "show"]);
        assert!(
            documented || !done.stdout.contains(&KRAKEN_SECRET[..10]),
            "{args:?}"
        );
        if args.contains(&"--json") || args[0] == "sign" {
            serde_json::from_str::<Value>(&done.stdout)
                .unwrap_or_else(|_| panic!("{args:?}: {}", done.stdout));
        }
    }
    let doctor = place.json(&["doctor", "--json"]);
    assert_eq!(doctor["ok"], true);
    // What is wrong is told in the same form.
    std::fs::remove_file(place.home().join("softhsm/softhsm.pin")).unwrap();
    let done = place.run(&["doctor", "--json"], "");
    assert_eq!(done.code, 1);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(told["ok"], false);
    let findings = told["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|found| found["level"] == "bad" && found["fix"].is_string()),
        "{told}"
    );
}
