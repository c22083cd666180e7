//! hsmsign computes exchange API signatures on a hardware token: the secret is imported once and never read back.
//!
//! Two roads run through the library. A secret goes in by [`enrol`] and does not come back. A request goes through
//! [`signer`]: parsed and composed by [`exchange`], computed by [`token`].
//! `docs/architecture.md` has the plan of the house.

// A process that has nobody to tell something goes on: `process::tell`.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod adopt;
pub mod agent;
pub mod algorithm;
pub mod ask;
pub mod audit;
pub mod backup;
pub mod caller;
pub mod clock;
mod close;
pub mod config;
pub mod doctor;
pub mod enrol;
pub mod error;
pub mod exchange;
mod glob;
pub mod home;
pub mod json;
pub mod keyring;
mod name;
pub mod nonce;
pub mod placeholder;
pub mod policy;
pub mod private_key;
pub mod process;
pub mod public_key;
pub mod request;
pub mod run;
pub mod secret;
pub mod send;
pub mod setup;
mod shared_file;
pub mod signer;
pub mod token;
pub mod watch;
