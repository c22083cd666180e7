use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use hsmsign::{error::Result, keyring::KeyName};

use super::{Around, import, output};

/// Replace a key's secret and API key by a new pair, and keep the old one until it is committed.
///
/// Exchanges issue an API key and its secret together. The new secret is imported and proved, then both are switched
/// at once. The old pair stays on the token until `--commit`; `--undo` goes back to it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign rotate kraken --api-key NEWKEY     asks for the new secret
  hsmsign rotate kraken --commit             the new pair works: delete the old one
  hsmsign rotate kraken --undo               it does not: back to the old one")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The new API key
    #[arg(long, conflicts_with_all = ["commit", "undo"])]
    api_key: Option<String>,
    /// Delete the pair before the rotation
    #[arg(long, conflicts_with = "undo")]
    commit: bool,
    /// Go back to the pair before the rotation, and delete the new one
    #[arg(long)]
    undo: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let enrol = around.enrol()?;
    if args.commit {
        enrol.commit(&args.key)?;
        return output::line(&format!("committed: the old pair of {} is deleted", args.key));
    }
    if args.undo {
        enrol.undo(&args.key)?;
        return output::line(&format!(
            "undone: {} has its old pair again, and the new one is deleted",
            args.key
        ));
    }
    output::refuse_strangers()?;
    let mut api_key = args.api_key;
    if api_key.is_none() && io::stdin().is_terminal() {
        let typed = around.ask.line("New API key (Enter to keep the old one): ")?;
        api_key = Some(typed.trim().to_owned()).filter(|typed| !typed.is_empty());
    }
    let kept = api_key.is_none();
    let plan = enrol.plan_rotation(&args.key, api_key)?;
    let secrets = import::read_secrets(&plan, around.ask.as_ref())?;
    let enrolled = enrol.rotate(&plan, secrets)?;
    if kept && plan.needs_api_key() {
        output::warn(&format!(
            "the old API key was kept; exchanges issue a new one with a new secret: hsmsign set {} --api-key KEY",
            args.key
        ));
    }
    import::tell(&enrolled, "rotated")?;
    output::line(&format!(
        "the old pair is kept; when the new one works: hsmsign rotate {0} --commit; to go back: hsmsign rotate {0} --undo",
        args.key
    ))
}
