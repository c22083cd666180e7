//! On the way to a YubiKey, and behind an agent that has one: where a secret, an access code and a PIN are.

use std::{
    fs,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::{KRAKEN_SECRET, Place},
    card::{Card, Desk, Profile},
    forms::{Forms, Hash},
    held::{Held, compile},
    import::nothing,
    keys::{Key, alphanumeric},
    private_keys::{ED25519, der, numbers},
    running::{Running, until},
    scan::{Scan, Search, mappings},
};

const PUT: u8 = 0x01;
const VALIDATE: u8 = 0xa3;
const CALCULATE: u8 = 0xa2;
const VERIFY: u8 = 0x20;
const AUTHENTICATE: u8 = 0x87;
const IMPORT: u8 = 0xfe;
const GENERATE: u8 = 0x47;

/// A user with a virtual YubiKey, whose hsmsign has no sealed memory, so that all of it can be seen.
struct User {
    place: Place,
    desk: Desk,
    plain: PathBuf,
}

impl User {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: looking into the memory of a hardened process needs root");
            return None;
        }
        let mut place = Place::new();
        let desk = Desk::with(place.path(), vec![Profile::default()])?;
        place.set(desk.environment());
        place.ok(&["init", "--yubikey"]);
        let plain = compile(place.path(), "plain.c", &[]);
        Some(Self { place, desk, plain })
    }

    fn card(&self) -> &Card {
        self.desk.card(0)
    }

    fn command(&self, args: &[&str]) -> Command {
        let own = self.place.command(args);
        let mut command = Command::new(&self.plain);
        command.arg(own.get_program()).args(own.get_args()).env_clear();
        for (name, value) in own.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.current_dir(self.place.path());
        command
    }

    fn hold(&self, args: &[&str]) -> Held {
        Held::start(self.command(args), self.place.path().join("stops"))
    }

    /// Writes it into a file, and adds a line that names that as the source of it.
    fn source(&self, field: &str, text: &[u8]) -> PathBuf {
        let file = self.place.path().join(field);
        let mut options = fs::OpenOptions::new();
        let mut open = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)
            .unwrap();
        std::io::Write::write_all(&mut open, text).unwrap();
        let config = self.place.home().join("config.toml");
        let lines = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{lines}{field} = \"file:{}\"\n", file.display())).unwrap();
        file
    }

    fn without_sources(&self) {
        let config = self.place.home().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let kept: Vec<_> = text.lines().filter(|line| !line.contains("pin-source")).collect();
        fs::write(&config, format!("{}\n", kept.join("\n"))).unwrap();
    }

    fn set_code(&self, code: &str) {
        let done = self
            .place
            .run(&["token", "code", "yubikey"], &format!("{code}\n"));
        assert_eq!(done.code, 0, "{done:?}");
    }
}

/// An access code, the key that it stands for, and what an HMAC makes of either.
fn forms_of_code(code: &[u8], id: &[u8]) -> Forms {
    let key = derived(code, id);
    let mut all = Forms::of(code, &key, Hash::Sha256);
    // Hash::Sha256 has SHA-1's block, whose pads are the same.
    all.0.retain(|form| !form.name.contains("hash state"));
    let of_text = Forms::of(code, code, Hash::Sha256);
    all.0.extend(
        of_text
            .0
            .into_iter()
            .filter(|form| !form.name.contains("hash state")),
    );
    all
}

/// PBKDF2 with HMAC-SHA1, 1000 rounds, 16 bytes, by the card's own HMAC.
fn derived(code: &[u8], id: &[u8]) -> Vec<u8> {
    let hmac = |message: &[u8]| crate::card::oath::mac(1, code, message).unwrap();
    let mut last = hmac(&[id, &[0, 0, 0, 1]].concat());
    let mut sum = last.clone();
    for _ in 1..1000 {
        last = hmac(&last);
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum.truncate(16);
    sum
}

/// That each copy is in locked memory, left out of core dumps and of processes that are forked; and that there is one.
#[track_caller]
fn locked_alone(pid: u32, scan: &Scan, when: &str) {
    assert!(!scan.finds.is_empty(), "{when}: nothing was found");
    let mappings = mappings(pid);
    for find in &scan.finds {
        let inside = |begin: u64, end: u64| (begin..end).contains(&find.at);
        let mapping = mappings.iter().find(|mapping| inside(mapping.begin, mapping.end));
        let mapping = mapping.expect("it is in a mapping");
        for flag in ["lo", "dd", "dc"] {
            assert!(mapping.flags.contains(flag), "{when}: {find:?} is in {mapping:?}");
        }
    }
}

#[test]
fn of_a_secret_on_its_way_to_a_card_all_copies_are_locked_and_none_is_left() {
    let Some(user) = User::new() else {
        return;
    };
    for key in [Key::kraken(), Key::binance(), Key::long(), Key::hex()] {
        let (search, name) = (Search::new(&key.forms), key.name);
        user.card().hold_at(PUT);
        let mut held = user.hold(&key.import_args());
        held.feed(key.line().as_bytes());
        held.feed_end();
        user.card().wait_until_held();
        locked_alone(held.pid(), &held.scan(&search), &format!("{name}, at PUT"));
        user.card().hold_at(CALCULATE);
        user.card().wait_until_held();
        locked_alone(held.pid(), &held.scan(&search), &format!("{name}, being proved"));
        user.card().go_on();
        held.answering();
        nothing(&held.scan(&search), &format!("{name}, stored"));
        let done = held.end();
        assert_eq!(done.code, 0, "{done:?}");
        let mut finds = Vec::new();
        assert!(
            search.folder(&user.place.home(), &mut finds) > 3 && finds.is_empty(),
            "{finds:#?}"
        );

        user.card().hold_at(CALCULATE);
        let held = user.hold(&["test", name]);
        user.card().wait_until_held();
        nothing(&held.scan(&search), &format!("{name}, signing"));
        user.card().go_on();
        assert_eq!(held.end().code, 0);
    }
}

/// The arguments of a command that brings a key pair for Binance onto the card.
const fn at_binance(command: &str) -> [&str; 7] {
    [
        command,
        "--exchange",
        "binance",
        "--algorithm",
        "ed25519",
        "--api-key",
        "a",
    ]
}

#[test]
fn of_a_private_key_on_its_way_to_a_card_all_copies_are_locked_and_none_is_left() {
    let Some(user) = User::new() else {
        return;
    };
    user.source("piv-pin-source", b"123456");
    let der = der(ED25519);
    let forms = Forms::of_numbers(ED25519, &der, &numbers(&der));
    let search = Search::new(&forms);
    user.card().hold_at(IMPORT);
    let args = at_binance("import");
    let mut held = user.hold(&args);
    held.feed(ED25519.as_bytes());
    held.feed_end();
    user.card().wait_until_held();
    locked_alone(held.pid(), &held.scan(&search), "at IMPORT");
    user.card().go_on();
    held.answering();
    nothing(&held.scan(&search), "stored");
    let done = held.end();
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn an_access_code_and_a_pin_are_locked_while_they_are_given() {
    let Some(user) = User::new() else {
        return;
    };
    user.place
        .import(&["--exchange", "kraken", "--api-key", "a"], KRAKEN_SECRET);
    let code = String::from_utf8(alphanumeric(20)).unwrap();
    let forms = forms_of_code(code.as_bytes(), &user.card().inside().oath.id);
    let codes = Search::new(&forms);
    user.card().hold_at(0x03);
    let mut held = user.hold(&["token", "code", "yubikey"]);
    held.feed(format!("{code}\n").as_bytes());
    held.feed_end();
    user.card().wait_until_held();
    locked_alone(held.pid(), &held.scan(&codes), "at SET CODE");
    user.card().go_on();
    held.answering();
    let done = held.end();
    assert_eq!(done.code, 0, "{done:?}");

    user.source("pin-source", code.as_bytes());
    let pin: String = "4815923670".chars().take(8).collect();
    user.card().inside().piv.pin = pin.clone().into_bytes();
    user.source("piv-pin-source", pin.as_bytes());
    let manager = alphanumeric(24);
    user.card().inside().piv.protect(&manager);
    let (pin_forms, manager_forms) = (Forms::of_text(pin.as_bytes()), Forms::of_text(&manager));
    let (pins, managers) = (Search::new(&pin_forms), Search::new(&manager_forms));

    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    user.card().hold_at(VALIDATE);
    let mut held = user.hold(&sign);
    user.card().wait_until_held();
    locked_alone(held.pid(), &held.scan(&codes), "at VALIDATE");
    user.card().go_on();
    held.answering();
    // The key of the code, not the code, is kept for the next signature of the process.
    let scan = held.scan(&codes);
    locked_alone(held.pid(), &scan, "signed");
    assert!(
        scan.finds.iter().all(|find| find.form.starts_with("decoded")),
        "{:#?}",
        scan.finds
    );
    assert_eq!(held.end().code, 0);

    user.card().hold_at(VERIFY);
    let args = at_binance("generate");
    let mut held = user.hold(&args);
    user.card().wait_until_held();
    user.card().hold_at(GENERATE);
    user.card().wait_until_held();
    nothing(&held.scan(&managers), "at GENERATE, the management key");
    user.card().go_on();
    held.answering();
    nothing(&held.scan(&managers), "made, the management key");
    nothing(&held.scan(&pins), "made, the PIN");
    let done = held.end();
    assert_eq!(done.code, 0, "{done:?}");
    user.card().hold_at(AUTHENTICATE);
    let mut held = user.hold(&["sign", "binance", "GET", "/api/v3/account"]);
    user.card().wait_until_held();
    let scan = held.scan(&pins);
    if !scan.finds.is_empty() {
        locked_alone(held.pid(), &scan, "at the signature");
    }
    user.card().go_on();
    held.answering();
    nothing(&held.scan(&pins), "signed");
    assert_eq!(held.end().code, 0);
}

/// What a person gives the agent, only the worker keeps, in locked memory; `lock` leaves none of it.
#[test]
fn what_a_person_gave_is_in_the_locked_memory_of_the_worker_alone() {
    let Some(user) = User::new() else {
        return;
    };
    let key = Key::kraken();
    user.place.import(&key.import_args()[1..], &key.text);
    user.source("piv-pin-source", b"123456");
    let args = at_binance("generate");
    let done = user.place.run(&args, "");
    assert_eq!(done.code, 0, "{done:?}");
    user.without_sources();
    let code = String::from_utf8(alphanumeric(20)).unwrap();
    user.set_code(&code);
    let pin = "48159236".to_owned();
    user.card().inside().piv.pin = pin.clone().into_bytes();
    let code_forms = forms_of_code(code.as_bytes(), &user.card().inside().oath.id);
    let pin_forms = Forms::of_text(pin.as_bytes());
    let (codes, pins, secrets) = (
        Search::new(&code_forms),
        Search::new(&pin_forms),
        Search::new(&key.forms),
    );
    let agent = Running::of(&user.place, user.command(&["agent"]));
    unlock(&agent, "access-code", &code);
    unlock(&agent, "piv-pin", &pin);
    let mut bot = agent.connect();
    for line in [
        r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#,
        r#"{"key":"binance","method":"GET","path":"/api/v3/account"}"#,
    ] {
        let answer = bot.ask(line);
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let worker = u32::try_from(agent.token("yubikey")["worker_pid"].as_i64().unwrap()).unwrap();
    locked_alone(worker, &codes.process(worker), "the code");
    locked_alone(worker, &pins.process(worker), "the PIN");
    for process in agent.processes() {
        let process = u32::try_from(process).unwrap();
        nothing(&secrets.process(process), "the secret");
        if process != worker {
            nothing(&codes.process(process), "the code in another process");
            nothing(&pins.process(process), "the PIN in another process");
        }
    }
    user.place.ok(&["lock"]);
    until("the worker is gone", || {
        !Path::new(&format!("/proc/{worker}")).exists()
    });
    for process in agent.processes() {
        let process = u32::try_from(process).unwrap();
        nothing(&codes.process(process), "the code, locked");
        nothing(&pins.process(process), "the PIN, locked");
    }
}

fn unlock(agent: &Running, what: &str, text: &str) {
    let mut person = agent.connect();
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write, format!("{text}\n").as_bytes()).unwrap();
    drop(write);
    let line = format!("{{\"op\":\"unlock\",\"token\":\"yubikey\",\"pin\":true,\"what\":\"{what}\"}}\n");
    hsmsign::agent::wire::send_all(person.stream(), line.as_bytes(), &[read.as_fd()]).unwrap();
    let answer = person.answer();
    assert_eq!(answer["ok"], true, "{answer}");
}
