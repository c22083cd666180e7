//! What a process does before anything else, so that its memory stays its own.

mod code;
mod fork;
mod inherited;
mod output;
mod own_time;
mod strangers;

pub use code::{let_go_of_code, let_go_of_heap};
pub use fork::fork;
pub use inherited::{block_no_signal, hand_down_only};
pub use output::{has_output, look_for_output, tell};
pub use own_time::OwnTime;
pub use strangers::{refuse_strangers, remember_libraries};

use std::{os::unix::process::CommandExt as _, sync::OnceLock};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::error::{Result, failed};

/// The mask for new files: nobody else reads them.
const PRIVATE: Mode = Mode::from_bits_truncate(0o077);
/// The mask for new files that this process was started with.
static UMASK: OnceLock<Mode> = OnceLock::new();

/// Gives a program that takes this process's place the mask for new files with which the process was started. Core dumps
/// stay forbidden.
pub fn soften() {
    if let Some(before) = UMASK.get() {
        rustix::process::umask(*before);
    }
}

/// How the GNU C library's allocator is set: of freed blocks of each size that many are at hand, not seven. SoftHSM makes
/// and frees some hundred a signature. And a block of this size goes back to the system when it is freed: left to itself, the
/// allocator would keep the room of the longest lines that ever came.
const ALLOCATOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.tcache_count=200:glibc.malloc.mmap_threshold=262144",
);

/// Begins this program anew, in this process, with the C library's allocator set up for many small blocks, which it looks
/// for at a program's start alone. Once begun so, or where the user has set it up otherwise, this does nothing; where the
/// system refuses, the program goes on as it is.
pub fn set_allocator_up() {
    if !cfg!(target_env = "gnu") || std::env::var_os(ALLOCATOR.0).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    soften();
    output::pass_on();
    let _refused = std::process::Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .exec();
    rustix::process::umask(PRIVATE);
}

/// Forbids core dumps, tracing and `/proc/PID/mem` to other processes of the same user, makes new files private, has the
/// processes that this one starts waited for, and a file that may not grow further be an error.
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
    let before = rustix::process::umask(PRIVATE);
    let _first = UMASK.set(before);
    strangers::mind();
    inherited::hear_of_children();
    inherited::hear_of_large_files();
    Ok(())
}
