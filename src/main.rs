//! The program `hsmsign`: hardened first, then the command line.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    if let Err(error) = hsmsign::process::harden() {
        return cli::output::report(&error);
    }
    cli::run()
}
