//! The package `hsmsign` for Python, without the hook.

use std::process::Command;

use crate::{
    RAW_SECRET,
    bench::{KRAKEN_BODY, KRAKEN_SIGN, Place},
    libraries, place, script,
};

/// Runs a script with the package on its path, beside an agent.
fn with_agent(place: &Place, python: &str, text: &str, args: &[&str]) -> String {
    place.ok(&["agent", "start"]);
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
    place.ok(&["agent", "stop"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn whole_requests_and_macs_are_signed_in_threads_and_in_asyncio() {
    let Some(place) = place() else { return };
    let text = r#"
import asyncio, hmac, sys
from hsmsign import AsyncSigner, HsmsignError, KeyNotFound, PolicyDenied, Signer
body, sign, secret = sys.argv[1:]
kraken = Signer("kraken")
signed = kraken.sign("POST", "/0/private/AddOrder", body=body)
assert signed.headers["API-Sign"] == sign and signed.text == body, signed
assert signed.url == "https://api.kraken.com/0/private/AddOrder"
assert kraken.sign("POST", "https://api.kraken.com/0/private/Balance").text.startswith("nonce=")
assert b"%20" in kraken.sign("POST", "/0/private/AddOrder", params={"note": "a b"}).body
for kind, call in (
    (PolicyDenied, lambda: kraken.sign("POST", "/0/private/Withdraw", params={"asset": "XBT"})),
    (PolicyDenied, lambda: kraken.hmac("abc")),
    (KeyNotFound, lambda: Signer("nobody").sign("GET", "/")),
    (HsmsignError, lambda: Signer("raw").hmac(b"abc", "sha512")),
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
        with_agent(&place, "python3", text, &[KRAKEN_BODY, KRAKEN_SIGN, RAW_SECRET]),
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

#[test]
fn auth_objects_have_http_libraries_send_what_was_signed() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    place.ok(&["set", "kraken", "--base-url", &format!("http://127.0.0.1:{port}")]);
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/clients/python/tests/auth.py"
    ))
    .unwrap();
    for library in ["requests", "httpx", "httpx-async", "aiohttp"] {
        let told = with_agent(
            &place,
            python.to_str().unwrap(),
            &text,
            &[&port.to_string(), library, "kraken"],
        );
        let arrived: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(arrived.as_array().unwrap().len(), 2, "{library}: {told}");
        for request in arrived.as_array().unwrap() {
            // What arrived is signed again with its own nonce: the signature must be that of these bytes.
            let body = request["body"].as_str().unwrap();
            assert!(body.contains("nonce="), "{library}: {told}");
            let path = request["path"].as_str().unwrap();
            let again = place.json(&["sign", "kraken", "POST", path, "--data", body]);
            assert_eq!(
                again["headers"]["API-Sign"], request["headers"]["API-Sign"],
                "{library}: {told}"
            );
            assert_eq!(request["headers"]["API-Key"], "example", "{library}");
        }
        assert!(
            arrived[0]["body"].as_str().unwrap().contains("pair=XBTUSD"),
            "{library}: {told}"
        );
    }
}
