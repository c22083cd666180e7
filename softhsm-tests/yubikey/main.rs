//! YubiKeys: virtual ones on the real PC/SC stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../card/mod.rs"]
mod card;
mod faults;
mod holder;
mod imports;
mod others;
mod road;
mod user;
