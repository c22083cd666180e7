//! What a process does before anything else, so that its memory stays its own.

mod strangers;

pub use strangers::{refuse_strangers, remember_libraries};

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::error::{Result, failed};

/// The mask for new files that this process was started with.
static UMASK: OnceLock<Mode> = OnceLock::new();

/// Gives a program that takes this process's place the mask for new files with which the process was started. Core dumps
/// stay forbidden.
pub fn soften() {
    if let Some(before) = UMASK.get() {
        rustix::process::umask(*before);
    }
}

/// Forbids core dumps, tracing and `/proc/PID/mem` to other processes of the same user, and makes new files private.
///
/// What remains: root, and a preloaded library that hides; [`refuse_strangers`] finds the others.
///
/// # Errors
/// When the kernel refuses; a program that handles secrets should then stop.
pub fn harden() -> Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        failed(format!(
            "the kernel did not let this process forbid tracing: {error}"
        ))
    })?;
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .map_err(|error| {
        failed(format!(
            "the kernel did not let this process forbid core dumps: {error}"
        ))
    })?;
    let before = rustix::process::umask(Mode::from_bits_truncate(0o077));
    let _first = UMASK.set(before);
    strangers::mind();
    Ok(())
}
