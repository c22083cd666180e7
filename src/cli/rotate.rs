use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use hsmsign::{
    audit::What,
    enrol::Changes,
    error::Result,
    keyring::{KeyName, Keyring as _},
};

use super::{Around, import, output, show::waiting};

/// Replace a key's secret and API key by a new pair, and keep the old one until it is committed.
///
/// Exchanges issue an API key and its secret together. The new secret is imported and proved, then both are switched
/// at once. The old pair stays on the token until `--commit`; `--undo` goes back to it.
///
/// Of a key that the token made, the token makes a new one, whose public key is printed. It waits beside the old one,
/// which goes on signing, until its API key is given; that puts it in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign rotate kraken --api-key NEWKEY     asks for the new secret
  hsmsign rotate kraken --commit             the new pair works: delete the old one
  hsmsign rotate kraken --undo               it does not: back to the old one
  hsmsign rotate binance                     made on the token: prints a new public key
  hsmsign rotate binance --api-key NEWKEY    registered: the new key signs from here on")]
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
        around.note(What::Rotate, args.key.as_str(), "committed");
        return output::line(&format!("committed: the old pair of {} is deleted", args.key));
    }
    if args.undo {
        enrol.undo(&args.key)?;
        around.note(What::Rotate, args.key.as_str(), "undone");
        return output::line(&format!(
            "undone: {} has its old pair, and the new one is deleted",
            args.key
        ));
    }
    let record = around.keyring().get(&args.key)?;
    if record.next.is_some() && args.api_key.is_some() {
        let changes = Changes {
            api_key: args.api_key,
            ..Changes::default()
        };
        enrol.set(&args.key, changes)?;
        return in_force(&args.key);
    }
    let generated = record.current.is_generated();
    if !generated {
        output::refuse_strangers()?;
    }
    let mut api_key = args.api_key;
    if api_key.is_none() && !generated && record.next.is_none() && io::stdin().is_terminal() {
        let typed = around.ask.line("New API key (Enter to keep the old one): ")?;
        api_key = Some(typed.trim().to_owned()).filter(|typed| !typed.is_empty());
    }
    let kept = api_key.is_none() && !generated;
    let plan = enrol.plan_rotation(&args.key, api_key)?;
    let secrets = import::read_secrets(&plan, around.ask.as_ref())?;
    let enrolled = enrol.rotate(&plan, secrets)?;
    around.note(What::Rotate, args.key.as_str(), "");
    if kept && plan.needs_api_key() {
        output::warn(&format!(
            "the old API key was kept; exchanges issue a new one with a new secret: hsmsign set {} --api-key KEY",
            args.key
        ));
    }
    if !generated {
        import::tell(&enrolled, "rotated")?;
        return output::line(&old_is_kept(&args.key));
    }
    if enrolled.record.next.is_some() {
        output::aside(&format!(
            "made a new key for {}; the old one goes on signing",
            args.key
        ));
        output::warn(&waiting(&args.key));
    } else {
        output::aside(&import::deed(&enrolled, "rotated"));
        output::aside(&old_is_kept(&args.key));
    }
    output::line(enrolled.public_key.as_deref().unwrap_or_default())
}

/// Tells that a key that waited for its API key signs from here on.
pub fn in_force(name: &KeyName) -> Result<ExitCode> {
    output::line(&format!(
        "the new key of {name} is in force\n{}",
        old_is_kept(name)
    ))
}

fn old_is_kept(name: &KeyName) -> String {
    format!(
        "the old pair is kept; when the new one works: hsmsign rotate {name} --commit; to go back: hsmsign rotate {name} --undo"
    )
}
