//! What is left of a secret in the memory of hsmsign, seen from another process that root runs.
//!
//! hsmsign, as it is shipped, works on a SoftHSM token behind a module that forwards each call and has the whole process
//! stand still at those that a test chooses ([`held`]); or it stands still because nobody reads what it answers. Then all
//! of its memory is looked through ([`scan`]) for each form that the secret can take ([`forms`]).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../bench/mod.rs"]
mod bench;

mod forms;
mod held;
mod import;
mod keys;
mod pins;
mod private_keys;
mod reach;
mod scan;
mod strangers;
mod work;
