//! The agent: over its real socket, with real workers and a real SoftHSM token.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod faults;
mod life;
mod lines;
mod road;
mod running;
