//! What policies permit and deny: tries to get by them, limits that are counted, files that are broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../agent/running.rs"]
#[allow(dead_code)]
mod running;

mod amounts;
mod asked;
mod begin;
mod bypass;
mod calls;
mod closing;
mod counted;
mod denied;
mod elsewhere;
mod files;
mod follows;
mod generated;
mod honest;
mod judge;
mod kept;
mod learned;
mod learned_again;
mod learned_else;
mod lenient;
mod logins;
mod money;
mod named;
mod orders;
mod otherwise;
mod person;
mod prices;
mod templates;
mod unpriced;
mod unseen;
