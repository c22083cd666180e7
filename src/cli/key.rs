use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use hsmsign::{
    error::{Code, Error, Result},
    keyring::{KeyName, Keyring as _},
};

use super::{Around, output};

/// Delete a key from its tokens and the keyring.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign remove kraken\n  hsmsign remove kraken --yes     without being asked"
)]
pub struct RemoveArgs {
    /// The key
    key: KeyName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
    if !args.yes && io::stdin().is_terminal() {
        let question = format!(
            "The secret of {} ({}) cannot be had back from the token. Type the key's name to delete it: ",
            record.name, record.exchange
        );
        if around.ask.line(&question)?.trim() != record.name.as_str() {
            return Err(Error::new(Code::Failed, "not confirmed; nothing was deleted")
                .fix("type the name as it is shown"));
        }
    }
    around.enrol()?.remove(&args.key)?;
    output::line(&format!("removed {}", args.key))
}
