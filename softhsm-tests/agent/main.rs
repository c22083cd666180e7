//! The agent: over its real socket, with real workers and a real SoftHSM token.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod clients;
mod clock;
mod confined;
mod container;
mod disk;
mod faults;
mod faulty;
mod kills;
mod life;
mod lines;
mod load;
mod locks;
mod logins;
mod manager;
mod metrics;
mod people;
mod pins;
mod places;
mod reloads;
mod road;
mod rotated;
mod running;
mod sealed;
mod served;
mod settings;
mod switch;
mod tokens;
mod unheard;
mod upgrade;
mod workers;

/// Imports the generic key `raw`, which may make raw MACs.
fn import_raw(place: &bench::Place) {
    let args = [
        "-e",
        "generic",
        "-k",
        "raw",
        "--algorithm",
        "hmac-sha256",
        "--encoding",
        "hex",
        "--allow",
        "raw",
    ];
    place.import(&args, "00112233445566778899aabbccddeeff");
}
