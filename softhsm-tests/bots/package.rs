//! The package `hsmsign` for Python, without the hook.

use std::{path::Path, process::Command};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    Agent, RAW_SECRET,
    bench::{KRAKEN_BODY, KRAKEN_SIGN, Place},
    libraries, place, script, stand_in,
};

/// Runs a script with the package on its path; answers what it printed.
pub fn told(place: &Place, python: &str, text: &str, args: &[&str]) -> String {
    let path = script(place, "client.py", text);
    let done = Command::new(python)
        .arg(path)
        .args(args)
        .env(
            "PYTHONPATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python/src"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HSMSIGN_HOME", place.home())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn whole_requests_and_macs_are_signed_in_threads_and_in_asyncio() {
    let Some(place) = place() else { return };
    place.import(
        &["--exchange", "binance", "--key", "urls", "--api-key", "b"],
        RAW_SECRET,
    );
    // On the command line too it is a path, for what stands in its query.
    let path = "/api/v3/account?note=https://example.com/";
    let signed = place.json(&["sign", "urls", "GET", path]);
    let url = signed["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://api.binance.com/api/v3/account?")
            && url.contains("&note=https://example.com/&"),
        "{url}"
    );
    let _agent = Agent::start(&place);
    let text = r#"
import asyncio, hmac, sys
from hsmsign import AsyncSigner, BadInput, KeyNotFound, PolicyDenied, Signer
body, sign, secret = sys.argv[1:]
kraken = Signer("kraken")
signed = kraken.sign("POST", "/0/private/AddOrder", body=body)
assert signed.headers["API-Sign"] == sign and signed.text == body, signed
assert signed.url == "https://api.kraken.com/0/private/AddOrder"
assert kraken.sign("POST", "https://api.kraken.com/0/private/Balance").text.startswith("nonce=")
assert b"%20" in kraken.sign("POST", "/0/private/AddOrder", params={"note": "a b"}).body
with_url = Signer("urls").sign("GET", "/api/v3/account?note=https://example.com/")
assert "//api.binance.com/api/v3/account?" in with_url.url and "&note=https://example.com/&" in with_url.url, with_url
for kind, call in (
    (PolicyDenied, lambda: kraken.sign("POST", "/0/private/Withdraw", params={"asset": "XBT"})),
    (PolicyDenied, lambda: kraken.hmac("abc")),
    (KeyNotFound, lambda: Signer("nobody").sign("GET", "/")),
    (BadInput, lambda: Signer("raw").hmac(b"abc", "sha512")),
):
    try:
        call()
        raise SystemExit(f"{kind} was expected")
    except kind as error:
        assert error.fix, error
mac = hmac.digest(secret.encode(), b"abc", "sha256")
assert Signer("raw").hmac(b"abc") == Signer("raw").hmac("abc", "sha256") == mac

async def run():
    async with AsyncSigner("kraken") as signer, AsyncSigner("raw") as raw:
        signed = await signer.sign("POST", "/0/private/AddOrder", body=body)
        assert signed.headers["API-Sign"] == sign
        macs = await asyncio.gather(*(raw.hmac(str(n)) for n in range(50)))
        assert macs == [hmac.digest(secret.encode(), str(n).encode(), "sha256") for n in range(50)]
        task = asyncio.ensure_future(raw.hmac("never"))
        await asyncio.sleep(0)
        task.cancel()
        assert await raw.hmac("abc") == mac, "a cancelled request's answer is nobody else's"
asyncio.run(run())
asyncio.run(run())
print("signed")
"#;
    assert_eq!(
        told(&place, "python3", text, &[KRAKEN_BODY, KRAKEN_SIGN, RAW_SECRET]),
        "signed\n"
    );
}

#[test]
fn every_supported_python_reads_the_package() {
    let Some(_place) = place() else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python");
    // The grammar of 3.9, whichever version reads it here.
    let text = "import ast, pathlib, sys\nfor path in pathlib.Path(sys.argv[1]).rglob('*.py'):\n    ast.parse(path.read_text(), feature_version=(3, 9))\n    if 'src' in path.parts: assert 'match ' not in path.read_text().split('\\n'), path\nprint('read')\n";
    let done = Command::new("python3")
        .args(["-c", text, folder])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "read\n", "{done:?}");
}

/// A port on which nobody listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The HTTP libraries that there are `auth=` objects for.
const HTTP: [&str; 4] = ["requests", "httpx", "httpx-async", "aiohttp"];

/// What arrives at a server when a library sends with an `auth=` object of this key.
fn arrived(place: &Place, python: &Path, port: u16, library: &str, key: &str) -> Vec<serde_json::Value> {
    let text = include_str!("../../clients/python/tests/auth.py");
    let args = [&port.to_string(), library, key];
    serde_json::from_str(&told(place, python.to_str().unwrap(), text, &args)).unwrap()
}

#[test]
fn auth_objects_have_http_libraries_send_what_was_signed() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let port = free_port();
    place.ok(&["set", "kraken", "--base-url", &format!("http://127.0.0.1:{port}")]);
    let _agent = Agent::start(&place);
    for library in HTTP {
        let arrived = arrived(&place, &python, port, library, "kraken");
        assert_eq!(arrived.len(), 2, "{library}: {arrived:?}");
        for request in &arrived {
            // What arrived is signed again with its own nonce: the signature must be that of these bytes.
            let body = request["body"].as_str().unwrap();
            assert!(body.contains("nonce="), "{library}: {request}");
            let path = request["path"].as_str().unwrap();
            let again = place.json(&["sign", "kraken", "POST", path, "--data", body]);
            let sign = |from: &serde_json::Value| from["headers"]["API-Sign"].clone();
            assert_eq!(sign(&again), sign(request), "{library}");
            assert_eq!(request["headers"]["API-Key"], "example", "{library}");
        }
        assert!(
            arrived[0]["body"].as_str().unwrap().contains("pair=XBTUSD"),
            "{library}: {arrived:?}"
        );
    }
}

#[test]
fn auth_objects_put_a_signature_into_url_and_body_where_the_exchange_wants_it() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let port = free_port();
    place.import(&["--exchange", "binance", "--api-key", "b"], RAW_SECRET);
    place.ok(&[
        "set",
        "binance",
        "--base-url",
        &format!("http://127.0.0.1:{port}"),
    ]);
    let _agent = Agent::start(&place);
    for library in HTTP {
        let arrived = arrived(&place, &python, port, library, "binance");
        assert_eq!(arrived.len(), 3, "{library}: {arrived:?}");
        for request in &arrived {
            assert_eq!(request["headers"]["X-MBX-APIKEY"], "b", "{library}");
            let (_, query) = request["path"]
                .as_str()
                .unwrap()
                .split_once('?')
                .unwrap_or_default();
            let whole = format!("{query}{}", request["body"].as_str().unwrap());
            let (message, signature) = whole.rsplit_once("&signature=").unwrap();
            assert!(message.contains("timestamp="), "{library}: {request}");
            let mut mac = Hmac::<Sha256>::new_from_slice(RAW_SECRET.as_bytes()).unwrap();
            mac.update(message.as_bytes());
            assert_eq!(
                base16ct::lower::encode_string(&mac.finalize().into_bytes()),
                signature,
                "{library}: {request}"
            );
        }
        let asked: Vec<_> = arrived
            .iter()
            .map(|request| request["path"].to_string())
            .collect();
        assert!(
            asked[1].contains("omitZeroBalances=true&") && asked[2].contains("orderId=1&"),
            "{asked:?}"
        );
    }
}

#[test]
fn the_wheel_installs_into_an_empty_environment_with_its_types() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let run = |program: &Path, args: &[&str]| -> String {
        let done = Command::new(program)
            .args(args)
            .current_dir(place.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{args:?}: {told}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        told
    };
    // Building writes beside what is built.
    let source = place.path().join("source");
    copy(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python")),
        &source,
    );
    let bin = python.parent().unwrap();
    let quiet = [
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--no-index",
    ];
    run(
        &bin.join("pip"),
        &[
            &["wheel"],
            &quiet[..],
            &["--no-build-isolation", "--wheel-dir", "wheels", "./source"],
        ]
        .concat(),
    );
    let names: Vec<_> = std::fs::read_dir(place.path().join("wheels")).unwrap().collect();
    let wheel = names[0].as_ref().unwrap().path();
    assert!(
        names.len() == 1 && wheel.to_str().unwrap().ends_with("-py3-none-any.whl"),
        "{wheel:?}"
    );
    run(&python, &["-m", "venv", "--without-pip", "empty"]);
    let fresh = place.path().join("empty/bin/python");
    run(
        &bin.join("pip"),
        &[
            &["--python", "empty/bin/python", "install"],
            &quiet[..],
            &[wheel.to_str().unwrap()],
        ]
        .concat(),
    );
    let shown = run(
        &fresh,
        &[
            "-c",
            "import hsmsign, importlib.metadata as m; print(hsmsign.placeholder('main'), m.requires('hsmsign'))",
        ],
    );
    assert_eq!(shown, "aHNtc2lnbjptYWluAAAAAAAAAAAAAAAA None\n");
    // Its types are seen from outside: this is right, and the other is not.
    let program = "from hsmsign import Signer, counts, placeholder\nkey: str = placeholder('a')\nmac: bytes = Signer('a').hmac(b'')\nraw: int = counts()['a']['raw']\n";
    let right = script(&place, "right.py", program);
    let wrong = script(
        &place,
        "wrong.py",
        "from hsmsign import placeholder\nkey: int = placeholder('a')\n",
    );
    let mypy = |file: &str| {
        let args = ["--strict", "--python-executable", fresh.to_str().unwrap(), file];
        Command::new(bin.join("mypy"))
            .args(args)
            .current_dir(place.path())
            .output()
            .unwrap()
    };
    let done = mypy(&right);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let told = String::from_utf8_lossy(&mypy(&wrong).stdout).into_owned();
    assert!(
        told.contains("wrong.py:2: error: Incompatible types in assignment"),
        "{told}"
    );
}

/// Copies a folder, without what Python leaves in one.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        if name == "__pycache__" || name == "build" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn each_python_that_is_here_signs_with_it() {
    let Some(place) = place() else { return };
    let text = r#"
import hmac, sys
import hsmsign
key, secret = sys.argv[1].encode(), sys.argv[2].encode()
assert hmac.new(key, b"abc", "sha256").digest() == hmac.digest(secret, b"abc", "sha256") == hmac.digest(key, b"abc", "sha256")
assert hsmsign.Signer("kraken").sign("POST", "/0/private/Balance").headers["API-Sign"]
assert hsmsign.counts() == {"raw": {"whole": 0, "raw": 2}, "kraken": {"whole": 1, "raw": 0}}, hsmsign.counts()
print("signed")
"#;
    let bot = script(&place, "bot.py", text);
    let key = stand_in(&place, "raw");
    for python in [
        "python3.9",
        "python3.10",
        "python3.11",
        "python3.12",
        "python3.13",
    ] {
        let there = Command::new(python).arg("--version").output();
        if !there.is_ok_and(|done| done.status.success()) {
            eprintln!("SKIPPED: {python} is not installed");
            continue;
        }
        let done = place.run(&["run", "--", python, &bot, &key, RAW_SECRET], "");
        assert_eq!(done.stdout, "signed\n", "{python}: {done:?}");
    }
}
