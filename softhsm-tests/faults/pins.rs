//! PINs: a wrong one is spent once, by whatever process; each source; a prompt that shows nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::{
    bench::{Done, KRAKEN_SECRET, Place, finish},
    state::{chmod, refused},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];
const SPIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so",
    "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so",
    "/usr/lib/pkcs11/pkcs11-spy.so",
];

/// Replaces what follows `name = ` in config.toml.
fn configure(place: &Place, name: &str, value: &str) {
    let path = place.home().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            if line.starts_with(&format!("{name} =")) {
                format!("{name} = {value:?}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    fs::write(&path, lines.join("\n")).unwrap();
}

fn pin_file(place: &Place) -> std::path::PathBuf {
    place.home().join("softhsm/softhsm.pin")
}

/// A place whose token is reached through OpenSC's spy, which writes every call down.
fn spied() -> Option<(Place, impl Fn() -> usize)> {
    let place = Place::with_kraken()?;
    let Some(spy) = SPIES.iter().find(|path| fs::exists(path).unwrap_or(false)) else {
        eprintln!("SKIPPED: pkcs11-spy.so is not installed (Debian: opensc-pkcs11)");
        return None;
    };
    configure(&place, "module", spy);
    let output = place.path().join("spy");
    Some((place, move || {
        let text = fs::read_to_string(&output).unwrap_or_default();
        text.lines().filter(|line| line.ends_with(": C_Login")).count()
    }))
}

fn spy_on(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command
        .env("PKCS11SPY", hsmsign::token::softhsm_module().unwrap())
        .env("PKCS11SPY_OUTPUT", place.path().join("spy"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run_spied(place: &Place, args: &[&str]) -> Done {
    finish(spy_on(place, args).spawn().unwrap(), b"")
}

#[test]
fn a_wrong_pin_is_spent_once_by_all_processes() {
    let Some((place, logins)) = spied() else { return };
    assert_eq!(run_spied(&place, &BALANCE).code, 0);
    assert_eq!(logins(), 1);
    let right = fs::read_to_string(pin_file(&place)).unwrap();
    fs::write(pin_file(&place), "wrong-1\n").unwrap();
    // Many at once, and one after the other.
    let many: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| run_spied(&place, &BALANCE)))
            .collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for done in many {
        refused(&done, 4, "refused the PIN");
        assert!(!done.stderr.contains("wrong-1"), "{done:?}");
    }
    for args in [
        &BALANCE[..],
        &["test", "kraken"],
        &["remove", "kraken"],
        &["token", "show", "softhsm"],
    ] {
        refused(&run_spied(&place, args), 4, "token retry-pin");
    }
    assert_eq!(run_spied(&place, &["doctor"]).code, 1);
    assert_eq!(logins(), 2, "one login with the wrong PIN in all");
    // Its word, or another file, and it is used again, once.
    place.ok(&["token", "retry-pin", "softhsm"]);
    refused(&run_spied(&place, &BALANCE), 4, "refused the PIN");
    refused(&run_spied(&place, &BALANCE), 4, "refused the PIN");
    assert_eq!(logins(), 3);
    fs::write(pin_file(&place), "wrong-2\n").unwrap();
    refused(&run_spied(&place, &BALANCE), 4, "refused the PIN");
    refused(&run_spied(&place, &BALANCE), 4, "refused the PIN");
    assert_eq!(logins(), 4);
    fs::write(pin_file(&place), right).unwrap();
    assert_eq!(run_spied(&place, &BALANCE).code, 0);
    assert_eq!(logins(), 5);
}

#[test]
fn a_stream_spends_a_wrong_pin_once_too() {
    let Some((place, logins)) = spied() else { return };
    fs::write(pin_file(&place), "wrong\n").unwrap();
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let mut command = spy_on(&place, &["sign", "--json"]);
    let done = finish(command.spawn().unwrap(), [line; 20].join("\n").as_bytes());
    assert_eq!(done.code, 1);
    assert_eq!(done.stdout.matches("\"wrong-pin\"").count(), 20, "{done:?}");
    assert_eq!(logins(), 1);
}

/// Runs with file descriptor 3 open as the shell says.
fn with_descriptor(place: &Place, redirection: &str) -> Done {
    let script = format!("exec \"$0\" sign kraken POST /0/private/Balance {redirection}");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_hsmsign")])
        .env("HSMSIGN_HOME", place.home())
        .current_dir(place.path());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap(), b"")
}

#[test]
fn a_pin_comes_from_a_descriptor_and_a_refused_one_is_remembered() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "fd:3");
    assert_eq!(with_descriptor(&place, "3<home/softhsm/softhsm.pin").code, 0);
    refused(&with_descriptor(&place, "3<&-"), 4, "file descriptor 3");
    fs::write(place.path().join("wrong"), "wrong\n").unwrap();
    refused(
        &with_descriptor(&place, "3<wrong"),
        4,
        "refused the PIN from fd:3",
    );
    refused(&with_descriptor(&place, "3<wrong"), 4, "retry-pin");
    // Another file is another PIN.
    assert_eq!(with_descriptor(&place, "3<home/softhsm/softhsm.pin").code, 0);
    // One pipe cannot be told from the next: after a wrong PIN, the user's word is needed.
    let pipe = |what: &str| {
        let script = format!(
            "cat {what} | {{ exec 3<&0; exec \"$0\" sign kraken POST /0/private/Balance </dev/null; }}"
        );
        let done = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_hsmsign")])
            .env("HSMSIGN_HOME", place.home())
            .current_dir(place.path())
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(pipe("home/softhsm/softhsm.pin").0, Some(0));
    assert_eq!(pipe("wrong").0, Some(4));
    let (code, told) = pipe("home/softhsm/softhsm.pin");
    assert_eq!(code, Some(4));
    assert!(told.contains("retry-pin"), "{told}");
    place.ok(&["token", "retry-pin", "softhsm"]);
    assert_eq!(pipe("home/softhsm/softhsm.pin").0, Some(0));
}

#[test]
fn a_pin_comes_from_a_systemd_credential() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "credential:pin");
    refused(&place.run(&BALANCE, ""), 4, "systemd credential pin");
    let folder = place.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    let run = || {
        let mut command = place.command(&BALANCE);
        command.env("CREDENTIALS_DIRECTORY", &folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().unwrap(), b"")
    };
    refused(&run(), 4, "which is not there");
    fs::write(folder.join("pin"), "wrong").unwrap();
    refused(&run(), 4, "refused the PIN");
    refused(&run(), 4, "retry-pin");
    fs::copy(pin_file(&place), folder.join("pin")).unwrap();
    // As systemd makes it.
    chmod(&folder.join("pin"), 0o440);
    assert_eq!(run().code, 0);
}

/// A unit that starts again and again spends one try on a credential that is wrong, though systemd makes the file anew
/// at each start.
#[test]
fn a_refused_credential_is_not_tried_again_at_the_next_start() {
    let Some((place, logins)) = spied() else { return };
    configure(&place, "pin-source", "credential:pin");
    let credentials = place.path().join("credentials");
    let right = fs::read_to_string(pin_file(&place)).unwrap().trim().to_owned();
    let start = |pin: &str, invocation: &str| {
        let _ = fs::remove_dir_all(&credentials);
        fs::create_dir(&credentials).unwrap();
        fs::write(credentials.join("pin"), pin).unwrap();
        let mut command = spy_on(&place, &BALANCE);
        command
            .env("CREDENTIALS_DIRECTORY", &credentials)
            .env("INVOCATION_ID", invocation);
        finish(command.spawn().unwrap(), b"")
    };
    let wrong = "w".repeat(right.len());
    refused(&start(&wrong, "0"), 4, "refused the PIN from credential:pin");
    for again in ["1", "2", "3"] {
        let done = start(&wrong, again);
        refused(&done, 4, "cannot be seen whether this one is another");
        refused(&done, 4, "hsmsign token retry-pin softhsm");
        // Outside of the unit there is no credential, and nothing is forgotten.
        refused(&run_spied(&place, &BALANCE), 4, "systemd credential pin");
    }
    refused(&start(&right, "4"), 4, "cannot be seen");
    assert_eq!(logins(), 1);
    // With the user's word, and where another length shows that it was changed.
    place.ok(&["token", "retry-pin", "softhsm"]);
    assert_eq!(start(&right, "5").code, 0);
    refused(&start(&wrong, "6"), 4, "refused the PIN");
    refused(&start(&wrong, "7"), 4, "cannot be seen");
    refused(&start("shorter", "8"), 4, "refused the PIN from");
    assert_eq!(logins(), 4);
}

#[test]
fn a_token_is_named_by_a_uri() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.home().join("config.toml");
    let before = fs::read_to_string(&path).unwrap();
    let value = |name: &str| {
        let line = before.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let write = |serial: &str| {
        let uri = format!(
            "pkcs11:token={};serial={serial}?module-path={}&pin-source=file:{}&x-note=mine",
            value("label").replace(' ', "%20"),
            value("module"),
            pin_file(&place).display()
        );
        let text = format!("version = 1\n[token.softhsm]\nsofthsm = true\nuri = \"{uri}\"\n");
        fs::write(&path, text).unwrap();
    };
    write(&value("serial"));
    place.ok(&BALANCE);
    write("0000000000000000");
    refused(&place.run(&BALANCE, ""), 4, "0000000000000000");
    // Another token than the one that is meant is not shown the PIN, which it would find wrong.
    let pin = fs::read(pin_file(&place)).unwrap();
    fs::write(pin_file(&place), "not its PIN\n").unwrap();
    let maker = format!("{};manufacturer=Nobody", value("serial"));
    write(&maker);
    refused(&place.run(&BALANCE, ""), 4, "the maker \"Nobody\"");
    fs::write(pin_file(&place), pin).unwrap();
    write(&maker.replace("Nobody", "SoftHSM%20project"));
    place.ok(&BALANCE);
    fs::write(
        &path,
        "version = 1\n[token.softhsm]\nuri = \"pkcs11:token=%zz?module-path=/x.so\"\n",
    )
    .unwrap();
    refused(&place.run(&BALANCE, ""), 5, "in its part \"token\"");
}

#[test]
fn a_pin_is_asked_for_by_pinentry() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "pinentry");
    let programs = place.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let pin = fs::read_to_string(pin_file(&place)).unwrap();
    let write = |answer: &str| {
        let script = format!(
            "#!/bin/sh\necho OK ready\nwhile read line; do\n echo \"$line\" >> {0}/asked\n case \"$line\" in\n GETPIN) {answer} ;;\n OPTION*) echo 'ERR 83886254 Unknown option' ;;\n *) echo OK ;;\n esac\ndone\n",
            place.path().display()
        );
        // By another process, so that no child of a test beside this one holds it open for writing when it is started.
        fs::write(programs.join("script"), script).unwrap();
        let installed = Command::new("install")
            .args(["-m", "755", "script", "pinentry"])
            .current_dir(&programs)
            .status();
        assert!(installed.unwrap().success());
    };
    let run = || {
        let mut command = place.command(&BALANCE);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", programs.display()));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().unwrap(), b"")
    };
    let quoted: String = pin.trim().chars().map(|c| format!("%{:02X}", c as u32)).collect();
    write(&format!("echo 'D {quoted}'; echo OK"));
    let done = run();
    assert_eq!(done.code, 0, "{done:?}");
    let asked = fs::read_to_string(place.path().join("asked")).unwrap();
    assert!(asked.contains("SETDESC PIN of token softhsm"), "{asked}");
    write("echo 'ERR 83886179 Operation cancelled <Pinentry>'");
    refused(&run(), 4, "no PIN was given");
    write("echo 'D wrong'; echo OK");
    fs::remove_file(place.path().join("asked")).unwrap();
    refused(&run(), 4, "refused the PIN");
    let asked = fs::read_to_string(place.path().join("asked")).unwrap();
    assert_eq!(asked.matches("GETPIN").count(), 1, "asked once a run: {asked}");
    // One that dies, and none at all.
    write("exit 1");
    assert_eq!(run().code, 4);
    fs::remove_dir_all(&programs).unwrap();
    let mut command = place.command(&BALANCE);
    let done = command.env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(done.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&done.stderr).contains("install a pinentry"));
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_hangs() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "terminal");
    let begun = std::time::Instant::now();
    let done = Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_hsmsign")])
        .args(BALANCE)
        .env("HSMSIGN_HOME", place.home())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(
        told.contains("no terminal") && told.contains("pin-source"),
        "{told}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let mut child = Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_hsmsign"), "sign", "--json"])
        .env("HSMSIGN_HOME", place.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let answer = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&answer.stdout).contains("\"token-locked\""));
}

/// A terminal of its own for a child, seen from the other side.
struct Screen {
    master: std::fs::File,
    terminal: OwnedFd,
    shown: String,
}

impl Screen {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = rustix::fs::open(
            &name,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        Self {
            master: master.into(),
            terminal,
            shown: String::new(),
        }
    }

    fn start(&self, place: &Place, args: &[&str]) -> std::process::Child {
        self.start_program(place, env!("CARGO_BIN_EXE_hsmsign"), args)
    }

    fn start_program(&self, place: &Place, program: &str, args: &[&str]) -> std::process::Child {
        let side = || Stdio::from(self.terminal.try_clone().unwrap());
        Command::new("setsid")
            .args(["--ctty", "--wait", program])
            .args(args)
            .env("HSMSIGN_HOME", place.home())
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap()
    }

    /// Reads until the screen shows this.
    fn wait_for(&mut self, text: &str) {
        let begun = std::time::Instant::now();
        let mut bytes = [0; 4096];
        while !self.shown.contains(text) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "no {text:?} in {:?}",
                self.shown
            );
            let mut ready = [rustix::event::PollFd::new(
                &self.master,
                rustix::event::PollFlags::IN,
            )];
            let wait = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            if rustix::event::poll(&mut ready, Some(&wait)).unwrap() > 0 {
                let read = self.master.read(&mut bytes).unwrap();
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        }
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(self.terminal.as_fd())
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

#[test]
fn a_pin_typed_at_the_terminal_is_not_shown() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "terminal");
    let pin = fs::read_to_string(pin_file(&place)).unwrap();
    let mut screen = Screen::new();
    let mut child = screen.start(&place, &BALANCE);
    screen.wait_for("PIN of token softhsm");
    assert!(!screen.echoes());
    screen.type_in(&format!("junk\u{15}x\u{7f}{}\r", pin.trim()));
    screen.wait_for("API-Sign");
    assert!(child.wait().unwrap().success());
    assert!(
        !screen.shown.contains(pin.trim()) && !screen.shown.contains("junk"),
        "{}",
        screen.shown
    );
    assert!(screen.echoes(), "the terminal is as before");
    let mut screen = Screen::new();
    let mut child = screen.start(&place, &BALANCE);
    screen.wait_for("PIN of token softhsm");
    screen.type_in("another\r");
    screen.wait_for("run it again, and type the right PIN");
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn who_typed_a_wrong_pin_is_not_asked_again_for_each_key() {
    let Some(place) = Place::with_kraken() else { return };
    for key in ["one", "two"] {
        let import = ["--exchange", "coinbaseexchange", "--key", key, "--api-key", "a"];
        place.import(&import, &format!("{KRAKEN_SECRET}\npassphrase"));
    }
    configure(&place, "pin-source", "terminal");
    for (args, said, code) in [
        (&["test", "one"][..], "run it again, and type the right PIN", 4),
        (
            &["doctor"],
            "not looked at, since token softhsm does not open: the keys kraken, one, two",
            1,
        ),
    ] {
        let mut screen = Screen::new();
        let mut child = screen.start(&place, args);
        screen.wait_for("PIN of token softhsm");
        screen.type_in("another\r");
        screen.wait_for(said);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(
            screen.shown.matches("PIN of token softhsm").count(),
            1,
            "{}",
            screen.shown
        );
    }
}

#[test]
fn lines_end_where_a_person_gave_no_right_pin() {
    let Some(place) = Place::with_kraken() else { return };
    configure(&place, "pin-source", "terminal");
    let request = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let key = format!(r#"{{"exchange":"kraken","key":"k","api_key":"a","secret":"{KRAKEN_SECRET}"}}"#);
    let (input, output) = (place.path().join("input"), place.path().join("output"));
    for (command, first, line, answered) in [
        ("sign", "{}", request, 64),
        ("import", r#"{"exchange":"none","secret":"x"}"#, &key, 2),
    ] {
        for (typed, said, code) in [
            ("another\r", "run it again, and type the right PIN", 4),
            ("\u{3}", "broken off", 1),
            ("\r", "an empty PIN came from terminal", 4),
        ] {
            fs::write(&input, format!("{first}\n{}", format!("{line}\n").repeat(200))).unwrap();
            let mut screen = Screen::new();
            let script = format!(
                "exec \"$0\" {command} --json <{} >{}",
                input.display(),
                output.display()
            );
            let mut child =
                screen.start_program(&place, "sh", &["-c", &script, env!("CARGO_BIN_EXE_hsmsign")]);
            screen.wait_for("PIN of token softhsm");
            screen.type_in(typed);
            screen.wait_for("nothing was done of any behind");
            assert_eq!(child.wait().unwrap().code(), Some(code), "{command} {typed:?}");
            let shown = &screen.shown;
            assert_eq!(shown.matches("PIN of token softhsm").count(), 1, "{shown}");
            assert!(
                shown.contains(said) && shown.contains(&format!("the first {answered} lines")),
                "{shown}"
            );
            let answers = fs::read_to_string(&output).unwrap();
            assert_eq!(answers.lines().count(), answered, "{answers}");
            assert!(answers.starts_with("{\"ok\":false") && !answers.contains("\"ok\":true"));
            assert!(screen.echoes());
        }
    }
    assert_eq!(place.json(&["list", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn breaking_off_at_a_prompt_restores_the_terminal_and_does_nothing() {
    let Some(place) = Place::with_token() else { return };
    let import = ["import", "--exchange", "kraken", "--api-key", "a"];
    for key in ["\u{3}", "\u{4}"] {
        let mut screen = Screen::new();
        let mut child = screen.start(&place, &import);
        screen.wait_for("secret (not shown)");
        screen.type_in("kQH5HW");
        screen.type_in(if key == "\u{4}" { "\u{15}\u{4}" } else { key });
        screen.wait_for("broken off");
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(screen.echoes());
        assert!(!screen.shown.contains("kQH5HW"));
        assert_eq!(place.json(&["list", "--json"]), serde_json::json!([]));
    }
    let mut screen = Screen::new();
    let mut child = screen.start(&place, &["import", "--exchange", "kraken"]);
    screen.wait_for("API key");
    screen.type_in("\u{4}");
    screen.wait_for("broken off");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut screen = Screen::new();
    let mut child = screen.start(&place, &["import", "--exchange", "kraken"]);
    screen.wait_for("API key");
    screen.type_in("typed-key\r");
    screen.wait_for("secret (not shown)");
    screen.type_in(&format!("{KRAKEN_SECRET}\r"));
    screen.wait_for("imported kraken");
    assert!(child.wait().unwrap().success());
    assert!(!screen.shown.contains(&KRAKEN_SECRET[..10]));
    assert_eq!(place.json(&["show", "kraken", "--json"])["api_key"], "typed-key");
}

#[test]
fn a_signal_at_a_prompt_restores_the_terminal_and_ends_it_as_ever() {
    let Some(place) = Place::with_token() else { return };
    let import = ["import", "--exchange", "kraken", "--api-key", "a"];
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut screen = Screen::new();
        let mut child = screen.start(&place, &import);
        screen.wait_for("secret (not shown)");
        screen.type_in("kQH5HW");
        assert!(!screen.echoes());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(signal.as_raw()), "{ended:?}");
        assert!(screen.echoes(), "{signal:?}");
        assert_eq!(place.json(&["list", "--json"]), serde_json::json!([]));
    }
    // Behind a prompt signals do what they always do.
    place.import(&import[1..], KRAKEN_SECRET);
    configure(&place, "pin-source", "terminal");
    let pin = fs::read_to_string(pin_file(&place)).unwrap();
    let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
    let pipe = place.path().join("requests");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (prefix, survives) in [("", false), ("trap '' HUP; ", true)] {
        let mut screen = Screen::new();
        let script = format!("{prefix}exec \"$0\" sign --json <{}", pipe.display());
        let mut child = screen.start_program(&place, "sh", &["-c", &script, env!("CARGO_BIN_EXE_hsmsign")]);
        let mut requests = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        requests.write_all(line.as_bytes()).unwrap();
        screen.wait_for("PIN of token softhsm");
        if survives {
            // As under nohup.
            kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
        }
        screen.type_in(&format!("{}\r", pin.trim()));
        screen.wait_for("API-Sign");
        kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
        if survives {
            screen.shown.clear();
            requests.write_all(line.as_bytes()).unwrap();
            screen.wait_for("API-Sign");
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        let wanted = if survives { Signal::TERM } else { Signal::HUP };
        assert_eq!(child.wait().unwrap().signal(), Some(wanted.as_raw()));
        assert!(screen.echoes());
    }
}

#[test]
fn a_pem_block_pasted_at_the_terminal_is_read_whole_and_not_shown() {
    let Some(place) = Place::with_token() else { return };
    let pem = include_str!("../data/keys/rsa4096.pem");
    for (key, pasted) in [
        ("cr", pem.replace('\n', "\r")),
        ("crlf", pem.replace('\n', "\r\n")),
        ("one-line", pem.trim_end().replace('\n', "\\n") + "\r"),
        ("no-end", pem.trim_end().replace('\n', "\r") + "\r"),
    ] {
        let mut screen = Screen::new();
        let args = ["import", "-e", "binance", "-k", key, "--algorithm", "rsa4096"];
        let mut child = screen.start(&place, &[&args[..], &["--api-key", "a"]].concat());
        screen.wait_for("private key (not shown)");
        screen.type_in(&pasted);
        screen.wait_for(&format!("imported {key}"));
        assert!(child.wait().unwrap().success());
        for line in pem.lines() {
            assert!(!screen.shown.contains(line), "{}", screen.shown);
        }
        assert!(screen.echoes());
    }
}

#[test]
fn a_key_that_changed_while_its_new_secret_was_awaited_is_left_alone() {
    const BITFINEX: &str = "bPcpDHzxz6FXeDVTF0daL3ekFHqD9hoAWNEXbHG9yEi";
    let Some(place) = Place::with_kraken() else { return };
    let rotated_while = |secret: &str, change: &dyn Fn(), told: &str| {
        let mut screen = Screen::new();
        let mut child = screen.start(&place, &["rotate", "kraken", "--api-key", "new"]);
        screen.wait_for("secret");
        change();
        let changed = place.run(&["show", "kraken", "--json"], "");
        screen.type_in(&format!("{secret}\r"));
        screen.wait_for(told);
        assert!(!child.wait().unwrap().success());
        let after = place.run(&["show", "kraken", "--json"], "");
        assert_eq!(changed.stdout, after.stdout, "{told}");
    };
    let set = || drop(place.ok(&["set", "kraken", "--api-key", "another"]));
    rotated_while(KRAKEN_SECRET, &set, "was changed meanwhile");
    // The name goes to a key of another exchange, whose algorithm is another, too.
    let another = || {
        place.ok(&["remove", "kraken"]);
        let args = ["--exchange", "bitfinex", "--key", "kraken", "--api-key", "b"];
        place.import(&args, BITFINEX);
    };
    rotated_while(KRAKEN_SECRET, &another, "was changed meanwhile");
    assert!(place.ok(&["test", "kraken"]).contains("makes the MAC"));
    let remove = || drop(place.ok(&["remove", "kraken"]));
    rotated_while(BITFINEX, &remove, "no key named");
}
