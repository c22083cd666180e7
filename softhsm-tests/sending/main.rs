//! Requests sent over real TLS to a server on loopback that checks each signature by itself, and goes wrong on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;
#[allow(dead_code)]
#[path = "../agent/running.rs"]
mod running;

mod answers;
mod by_agent;
mod bytes;
mod certificates;
mod clock;
mod faults;
mod hosts;
mod judges;
mod retries;
mod server;
mod signals;
mod terminal;
mod trust;

use std::process::{Command, Stdio};

use bench::{Done, KRAKEN_SECRET, Place, finish};
use judges::BINANCE_SECRET;
use serde_json::Value;
use server::Server;

const BALANCE: [&str; 3] = ["kraken", "POST", "/0/private/Balance"];
const ORDER: [&str; 5] = ["kraken", "POST", "/0/private/AddOrder", "--param", "pair=XBTUSD"];

/// A place whose Kraken key has the server as its base-url; none where SoftHSM is not installed.
fn kraken_at(server: &Server) -> Option<Place> {
    key_at(server, "kraken", KRAKEN_SECRET)
}

/// The same for Binance.
fn binance_at(server: &Server) -> Option<Place> {
    key_at(server, "binance", BINANCE_SECRET)
}

fn key_at(server: &Server, exchange: &str, secret: &str) -> Option<Place> {
    let place = Place::with_token()?;
    let url = server.url();
    place.import(
        &["--exchange", exchange, "--api-key", "example", "--base-url", &url],
        secret,
    );
    Some(place)
}

/// An exchange of the test's own: it signs method, target and body, and takes bodies with DELETE.
const SHOP: &str = r#"
id = "shop"
name = "Shop"
hosts = ["HOST"]
key = { algorithm = "hmac-sha256", secret = "ascii", encoding = "hex" }
clock = { unit = "ms" }
params = { GET = "query", default = "json" }
signature = { message = "{timestamp}{method}{target}{body}" }
headers = { X-Shop-Sign = "{signature}", X-Shop-Time = "{timestamp}" }
withdrawal.paths = ["/withdraw*"]
"#;

/// A place with a key of the shop at this host; `more` stands at the end of its file.
fn shop_at(host: &str, more: &str) -> Option<Place> {
    let place = Place::with_token()?;
    let folder = place.home().join("schemes");
    std::fs::create_dir_all(&folder).unwrap();
    let text = SHOP.replace("HOST", host);
    std::fs::write(folder.join("shop.toml"), format!("{text}{more}")).unwrap();
    for entry in [&folder, &folder.join("shop.toml")] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if entry.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(entry, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    place.import(
        &["--exchange", "shop", "--api-key", "example"],
        judges::SHOP_SECRET,
    );
    Some(place)
}

/// The command with the server's authority trusted.
fn command(place: &Place, server: &Server, args: &[&str]) -> Command {
    let mut command = place.command(&[&["send"], args].concat());
    command
        .env("SSL_CERT_FILE", server.authority(place.path()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn send(place: &Place, server: &Server, args: &[&str]) -> Done {
    finish(command(place, server, args).spawn().unwrap(), b"")
}

/// Sends with `--json`, and answers the exit code and the object.
#[track_caller]
fn send_json(place: &Place, server: &Server, args: &[&str]) -> (i32, Value) {
    let done = send(place, server, &[args, &["--json"]].concat());
    let value = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.code, value)
}

/// Checks every signature that the server got, and that no nonce came twice or out of order.
#[track_caller]
fn judge_kraken(server: &Server) -> usize {
    let nonces: Vec<u64> = server.received().iter().map(judges::kraken).collect();
    assert!(nonces.is_sorted_by(|one, next| one < next), "{nonces:?}");
    nonces.len()
}
