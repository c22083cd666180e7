use std::process::ExitCode;

use hsmsign::{
    error::Result,
    keyring::{KeyName, Keyring as _},
    placeholder::placeholder,
};

use super::{Around, output};

/// Print what to put in a program's configuration in place of a key's secret.
///
/// A program that `hsmsign run` starts has what it would sign with a placeholder signed on the token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign placeholder kraken
  FREQTRADE__EXCHANGE__SECRET=$(hsmsign placeholder kraken) hsmsign run -- freqtrade trade")]
pub struct Args {
    /// The key
    key: KeyName,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
    output::line(&placeholder(&record.name))
}
