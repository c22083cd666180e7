//! The agent: over its real socket, with real workers and a real SoftHSM token.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod clients;
mod clock;
mod confined;
mod faults;
mod faulty;
mod kills;
mod life;
mod lines;
mod manager;
mod metrics;
mod people;
mod pins;
mod road;
mod running;
mod settings;
mod tokens;
mod workers;
