//! The log: what stands in it, every way of forging it, and what a kill or a full disk leaves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod faults;
mod forgeries;
mod lines;
mod page;
mod thefts;
mod written;
