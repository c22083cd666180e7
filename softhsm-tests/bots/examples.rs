//! The examples of other languages, each run beside an agent.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Agent, bench::Place, have, place};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command with the program on its path; answers what it printed.
fn told(place: &Place, mut command: Command) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_hsmsign")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let done = command
        .env("HSMSIGN_HOME", place.home())
        .env("HSMSIGN_SOCKET", place.home().join("agent.sock"))
        .env("HOME", place.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// What an example printed carries the signature of the nonce that it printed.
fn is_signed(place: &Place, told: &str) {
    let find = |mark: &str, end: &[char]| -> String {
        let rest = told
            .split_once(mark)
            .unwrap_or_else(|| panic!("{mark}: {told}"))
            .1;
        rest.split(end).next().unwrap().to_owned()
    };
    let nonce = find("nonce=", &['"', '\n']);
    let again = place.json(&[
        "sign",
        "kraken",
        "POST",
        "/0/private/Balance",
        "--data",
        &format!("nonce={nonce}"),
    ]);
    assert!(
        told.contains(again["headers"]["API-Sign"].as_str().unwrap()),
        "{told}"
    );
    assert!(
        told.contains("https://api.kraken.com/0/private/Balance"),
        "{told}"
    );
}

#[test]
fn every_example_has_a_request_signed_and_is_short() {
    let Some(place) = place() else { return };
    let _agent = Agent::start(&place);
    let example = |name: &str| root().join("examples").join(name);
    let mut runs: Vec<(PathBuf, Vec<PathBuf>)> = vec![("python3".into(), vec![example("python/balance.py")])];
    runs.push(("bash".into(), vec![example("bash/balance.sh")]));
    if have("node") {
        runs.push(("node".into(), vec![example("node/balance.mjs")]));
    }
    if have("go") {
        runs.push(("go".into(), vec!["run".into(), example("go/balance.go")]));
    }
    let built = place.path().join("balance");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let done = Command::new(rustc)
        .args(["--edition", "2024", "-D", "warnings", "-o"])
        .args([&built, &example("rust/balance.rs")])
        .status()
        .unwrap();
    assert!(done.success());
    runs.push((built, Vec::new()));
    for (program, arguments) in runs {
        let mut command = Command::new(&program);
        command.args(arguments).arg("kraken");
        if program == Path::new("bash") {
            command.arg("--print");
        }
        is_signed(&place, &told(&place, command));
    }
    for file in [
        "bash/balance.sh",
        "python/balance.py",
        "node/balance.mjs",
        "go/balance.go",
        "rust/balance.rs",
    ] {
        let lines = std::fs::read_to_string(example(file)).unwrap().lines().count();
        assert!(lines < 40, "{file} has {lines} lines");
    }
}
