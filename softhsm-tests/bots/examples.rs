//! The examples of other languages, each run beside an agent; and Node.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Agent, RAW_SECRET, bench::Place, place, script, stand_in};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a program is there; where not, a line on stderr says what is left out.
fn have(program: &str) -> bool {
    let there = Command::new(program)
        .arg(if program == "go" { "version" } else { "--version" })
        .output()
        .is_ok();
    if !there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    there
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

#[test]
fn what_node_keys_with_a_placeholder_is_signed_on_the_token() {
    let Some(place) = place() else { return };
    if !have("node") {
        return;
    }
    let body = r#"
const [key, secret, denied] = process.argv.slice(2);
const same = (way) => { if (way(key) !== way(secret)) throw new Error(`not the same: ${way}`); };
same((k) => createHmac('sha256', k).update('abc').digest('hex'));
same((k) => createHmac('SHA256', Buffer.from(k)).update('a').update(Buffer.from('bc')).digest('base64'));
if (createHmac('sha256', Buffer.from(key, 'base64')).update('abc').digest('hex') !== createHmac('sha256', secret).update('abc').digest('hex')) throw new Error('decoded');
for (const [k, algorithm, code] of [[denied, 'sha512', 'denied'], [key, 'sha512', 'bad-input'], [key, 'md5', 'unsupported'], [key + '&', 'sha256', 'bad-input']]) {
    try { createHmac(algorithm, k).update('abc').digest(); } catch (error) { if (error.code === code && error.fix) continue; throw error; }
    throw new Error(`${k} was signed`);
}
console.log('same');
"#;
    let args = [
        stand_in(&place, "raw"),
        RAW_SECRET.to_owned(),
        stand_in(&place, "kraken"),
    ];
    for (name, head) in [
        ("bot.mjs", "import { createHmac } from 'node:crypto';"),
        ("bot.cjs", "const { createHmac } = require('crypto');"),
    ] {
        let bot = script(&place, name, &format!("{head}\n{body}"));
        let done = place.run(&["run", "--", "node", &bot, &args[0], &args[1], &args[2]], "");
        assert_eq!(done.stdout, "same\n", "{name}: {done:?}");
    }
}

#[test]
fn ccxt_in_node_signs_on_the_token_imported_and_required() {
    let Some(place) = place() else { return };
    let modules = root().join(".cache/bots-js/node_modules");
    if !have("node") || !modules.join("ccxt").exists() {
        eprintln!("SKIPPED: ccxt for Node is not installed (scripts/test.sh installs it)");
        return;
    }
    std::os::unix::fs::symlink(modules, place.path().join("node_modules")).unwrap();
    place.import(
        &["--exchange", "binance", "--api-key", "b", "--allow", "raw"],
        RAW_SECRET,
    );
    let body = r#"
const [key, secret] = process.argv.slice(2);
const sent = async (secret) => {
    const exchange = new ccxt.binance({ apiKey: 'b', secret });
    let seen;
    exchange.milliseconds = exchange.nonce = () => 1700000000001;
    exchange.fetch = async (...parts) => { seen = JSON.stringify(parts); return {}; };
    await exchange.privateGetAccount();
    return seen;
};
const [one, other] = [await sent(key), await sent(secret)];
if (one !== other || !one.includes('signature=')) throw new Error(`${one} ${other}`);
console.log('same');
"#;
    let key = stand_in(&place, "binance");
    for (name, head, foot) in [
        ("bot.mjs", "import ccxt from 'ccxt';", ""),
        ("bot.cjs", "const ccxt = require('ccxt'); (async () => {", "})();"),
    ] {
        let bot = script(&place, name, &format!("{head}\n{body}\n{foot}"));
        let done = place.run(&["run", "--", "node", &bot, &key, RAW_SECRET], "");
        assert_eq!(done.stdout, "same\n", "{name}: {done:?}");
    }
}
