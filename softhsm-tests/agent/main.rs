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
