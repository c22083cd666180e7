//! The examples of other languages, each run beside an agent; and curl.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Agent, RAW_SECRET,
    bench::{KRAKEN_SECRET, Place},
    exchange::Exchange,
    have, place,
};

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

#[test]
fn the_example_for_the_shell_sends_a_request_that_the_exchange_takes() {
    let Some(place) = place() else { return };
    if !have("curl") {
        return;
    }
    let exchange = Exchange::start(KRAKEN_SECRET);
    place.ok(&["set", "kraken", "--base-url", &exchange.url()]);
    let _agent = Agent::start(&place);
    let mut command = Command::new("bash");
    command
        .arg(root().join("examples/bash/balance.sh"))
        .arg("kraken")
        .env("CURL_HOME", place.path());
    let told: Value = serde_json::from_str(&told(&place, command)).unwrap();
    assert_eq!(told["result"]["ZUSD"], "10000.0", "{told}");
    let fields = exchange.signed("/0/private/Balance", String::new);
    assert!(fields["nonce"].is_string(), "{fields}");
}

/// The request that arrives, as its head and its body.
fn arrived(listener: &TcpListener) -> (String, String) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (head, mut body) = head_of(&mut stream);
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut room = [0; 4096];
    while body.len() < length {
        let read = stream.read(&mut room).unwrap();
        assert_ne!(read, 0, "the body ended early: {head}");
        body.extend_from_slice(&room[..read]);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn head_of(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut read, mut room) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return (String::from_utf8(read).unwrap(), body);
        }
        let got = stream.read(&mut room).unwrap();
        assert_ne!(got, 0, "the head ended early");
        read.extend_from_slice(&room[..got]);
    }
}

#[test]
fn curl_sends_the_bytes_that_were_signed_by_get_and_by_post() {
    let Some(place) = place() else { return };
    if !have("curl") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    place.import(
        &["--exchange", "binance", "--api-key", "b", "--base-url", &url],
        RAW_SECRET,
    );
    place.import(
        &["--exchange", "bybit", "--api-key", "b", "--base-url", &url],
        RAW_SECRET,
    );
    place.ok(&["set", "kraken", "--base-url", &url]);
    let stamp = ["--timestamp", "1700000000001"];
    // What curl, its configuration or a shell would read in another way, if it were let.
    let odd = "{\n\t\"symbol\": \"A\\\\\\\"{1,2}[3-4] ä€ \\n%41#h\"\r\n}";
    let file = "@/etc/passwd=1&nonce=1616492376595";
    for (args, input) in [
        ([&["binance", "GET", "/api/v3/account"][..], &stamp].concat(), ""),
        (
            [
                &["binance", "GET", "/api/v3/order?symbol={A,B}[1-2]&x=%22%5C"][..],
                &stamp,
            ]
            .concat(),
            "",
        ),
        (
            [
                &["binance", "DELETE", "/api/v3/order", "--query", "symbol=A B\"\\"][..],
                &stamp,
            ]
            .concat(),
            "",
        ),
        (
            [
                &[
                    "binance",
                    "POST",
                    "/api/v3/order",
                    "--form",
                    "symbol=A B",
                    "--form",
                    "note=\"'$(x)",
                ][..],
                &stamp,
            ]
            .concat(),
            "",
        ),
        (
            [&["bybit", "POST", "/v5/order/create", "--data", "@-"][..], &stamp].concat(),
            odd,
        ),
        (
            vec!["kraken", "POST", "/0/private/AddOrder", "--data", "@-"],
            file,
        ),
    ] {
        let output = |form: &str| {
            let done = place.run(&[&["sign"], &args[..], &["--output", form]].concat(), input);
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            done.stdout
        };
        let signed: Value = serde_json::from_str(&output("json")).unwrap();
        let config = output("curl");
        let (head, body) = thread::scope(|scope| {
            let server = scope.spawn(|| arrived(&listener));
            let mut curl = Command::new("curl")
                .args(["-q", "--silent", "--show-error", "--noproxy", "*", "-K", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            curl.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
            let done = curl.wait_with_output().unwrap();
            assert_eq!(
                (done.status.success(), &done.stdout[..]),
                (true, &b"ok"[..]),
                "{config}"
            );
            server.join().unwrap()
        });
        let method = signed["method"].as_str().unwrap();
        let target = signed["url"].as_str().unwrap().strip_prefix(&url).unwrap();
        assert!(
            head.starts_with(&format!("{method} {target} HTTP/1.1\r\n")),
            "{head}\n{signed}"
        );
        for (name, value) in signed["headers"].as_object().unwrap() {
            let wanted = format!("{name}: {}", value.as_str().unwrap());
            assert_eq!(
                head.lines().filter(|line| *line == wanted).count(),
                1,
                "{wanted}: {head}"
            );
        }
        assert_eq!(body, signed["body"].as_str().unwrap_or_default(), "{config}");
    }
}
