//! The program `hsmsign`: hardened first, then the command line.

#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::{
    io::Write as _,
    process::ExitCode,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
};

mod cli;

// The unwinder is linked into the program, where the linker takes it from here: a command need not load a library for it.
// Modules bring their own.
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
#[allow(unsafe_code)]
unsafe extern "C" {}

/// The one function of the C library's mathematics that the program uses, for the rate that a progress bar shows: since it is
/// here, a command need not load that library.
// SAFETY: it has the name, the parameters and the answer that the C library's has.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
extern "C" fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

/// What the loader calls before `main` and before Rust's runtime.
// SAFETY: the section holds pointers to functions that take nothing which is used, and this one makes one system call and
// stores into a static.
#[used]
#[unsafe(link_section = ".init_array")]
#[allow(unsafe_code)]
static FIRST: extern "C" fn() = hsmsign::process::look_for_output;

fn main() -> ExitCode {
    let code = match hsmsign::process::harden() {
        Ok(()) => cli::run(),
        Err(error) => cli::output::report(&error),
    };
    let _ = std::io::stdout().flush();
    leave(code)
}

/// Ends the process without the exit handlers of the modules that were loaded: with 2,000 keys on a SoftHSM token,
/// tearing it down takes longer than a signature, and what the process held is gone with it.
#[allow(unsafe_code)]
fn leave(code: ExitCode) -> ExitCode {
    if let Some(number) = (0..=5).find(|number| ExitCode::from(*number) == code) {
        RESULT.store(number.into(), Relaxed);
        for trouble in [libc::SIGALRM, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT] {
            // SAFETY: the handler makes one system call, and the handlers before it are needed no more.
            unsafe { libc::signal(trouble, end as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        }
        // SAFETY: nothing else of this process uses it.
        unsafe { libc::alarm(PATIENCE) };
        cli::leave();
        end(0);
    }
    code
}

/// How long a token may take to log out, in seconds.
const PATIENCE: u32 = 2;

/// The exit code, once there is one.
static RESULT: AtomicI32 = AtomicI32::new(0);

/// Ends the process with its result, which no module changes that crashes now or does not come back.
#[allow(unsafe_code)]
extern "C" fn end(_signal: libc::c_int) {
    // SAFETY: every buffer of this process is flushed, and nothing runs after it.
    unsafe { libc::_exit(RESULT.load(Relaxed)) };
}
