//! The log: what stands in it, every way of forging it, and what a kill or a full disk leaves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../agent/running.rs"]
#[allow(dead_code)]
mod running;

mod asked;
mod faults;
mod forgeries;
mod lines;
mod odd;
mod page;
mod seals;
mod syscalls;
mod thefts;
mod told;
mod under_way;
mod written;
