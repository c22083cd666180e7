//! YubiKeys: virtual ones on the real PC/SC stack.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../card/mod.rs"]
mod card;
mod others;
mod road;
