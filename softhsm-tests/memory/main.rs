//! What is left of a secret in the memory of hsmsign, seen from another process that root runs.
//!
//! hsmsign, as it is shipped, works on a SoftHSM token behind a module that forwards each call and has the whole process
//! stand still at those that a test chooses ([`held`]); or it stands still because nobody reads what it answers. Then all
//! of its memory is looked through ([`scan`]) for each form that the secret can take ([`forms`]). On the way to a YubiKey it
//! stands still because the virtual card does not answer ([`cards`]).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../card/mod.rs"]
mod card;

mod cards;
mod forms;
mod held;
mod import;
mod keys;
mod pins;
mod private_keys;
mod reach;
#[path = "../agent/running.rs"]
#[allow(dead_code)] // The agent's own tests use the rest.
mod running;
mod scan;
mod strangers;
mod work;
