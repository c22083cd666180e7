//! Bots that were not changed, started by `hsmsign run`; and the Python package.

#![allow(clippy::unwrap_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod connections;
mod examples;
mod exchange;
mod freqtrade;
mod hook;
mod hummingbot;
mod libraries;
mod memory;
mod node;
mod package;
mod refusals;
mod run;
mod shares;
mod versions;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bench::{Done, KRAKEN_SECRET, Place, RAW_SECRET};

/// A place with Kraken's example key, and the generic key `raw` for SHA-256.
pub fn place() -> Option<Place> {
    let place = Place::with_kraken()?;
    place.import_raw("raw", RAW_SECRET);
    Some(place)
}

/// Writes a script and answers its path.
pub fn script(place: &Place, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs a Python script under `hsmsign run`.
pub fn run_python(place: &Place, text: &str, args: &[&str]) -> Done {
    let script = script(place, "bot.py", text);
    place.run(&[&["run", "--", "python3", &script], args].concat(), "")
}

/// Runs a bot with the libraries, with the placeholders of these keys as its arguments.
pub fn run_with(place: &Place, python: &Path, text: &str, keys: &[&str]) -> Done {
    let bot = script(place, "bot.py", text);
    let stand_ins: Vec<String> = keys.iter().map(|key| stand_in(place, key)).collect();
    let mut args = vec!["run", "--", python.to_str().unwrap(), &bot];
    args.extend(stand_ins.iter().map(String::as_str));
    place.run(&args, "")
}

/// The interpreter with the libraries of bots; none, with a line on stderr, where they are not installed.
pub fn libraries() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/bots");
    if folder.join("installed").exists() {
        return Some(folder.join("bin/python"));
    }
    eprintln!("SKIPPED: the libraries of bots are not installed (scripts/test.sh installs them)");
    None
}

/// The folder of modules with ccxt for Node; none, with a line on stderr, where it or Node is not installed.
pub fn ccxt_for_node() -> Option<PathBuf> {
    let modules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/bots-js/node_modules");
    if have("node") && modules.join("ccxt").exists() {
        return Some(modules);
    }
    eprintln!("SKIPPED: ccxt for Node is not installed (scripts/test.sh installs it)");
    None
}

/// The folder with freqtrade and hummingbot; none, with a line on stderr, where they are not installed.
pub fn programs() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/programs");
    if folder.join("installed").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: freqtrade and hummingbot are not installed (scripts/test.sh installs them)");
    None
}

/// Whether a program is there; where not, a line on stderr says what is left out.
pub fn have(program: &str) -> bool {
    let there = Command::new(program)
        .arg(if program == "go" { "version" } else { "--version" })
        .output()
        .is_ok();
    if !there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    there
}

/// What stands for a key.
pub fn stand_in(place: &Place, key: &str) -> String {
    place.ok(&["placeholder", key]).trim().to_owned()
}

/// Starts a command and reads the first line that it prints.
pub fn started(mut command: Command) -> (Child, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line)
}

/// An agent in the background, ended with the value.
pub struct Agent<'p>(&'p Place);

impl<'p> Agent<'p> {
    /// Starts one.
    pub fn start(place: &'p Place) -> Self {
        place.ok(&["agent", "start"]);
        Self(place)
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        self.0.run(&["agent", "stop"], "");
    }
}

/// Whether no agent answers any more, within a minute.
pub fn agent_ends(place: &Place) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        if place.run(&["agent", "status"], "").code == 4 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The secret of the example, as the tests that look for it want it.
pub const fn kraken_secret() -> &'static str {
    KRAKEN_SECRET
}
