//! What goes wrong, through the real binary and a real token: bad input, kills, full disks, many at once, other users.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod bad_input;
mod elsewhere;
mod full_disk;
mod hardening;
mod interrupts;
mod kills;
mod lost;
mod modes;
mod moments;
mod pages;
mod pins;
mod pulled;
mod state;
mod streams;
mod syscalls;
mod together;
mod tried;
