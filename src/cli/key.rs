use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use hsmsign::{
    audit::What,
    enrol::Left,
    error::{Code, Error, Result},
    keyring::{KeyName, Keyring as _},
    policy::{Policies, Whose},
};

use super::{Around, output};

/// Delete a key from its tokens and the keyring.
///
/// With --forget, a token that cannot be reached is no hindrance: for one that is lost or broken. What stays on it is
/// told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign remove kraken
  hsmsign remove kraken --yes         without being asked
  hsmsign remove kraken --forget      its token is lost")]
pub struct RemoveArgs {
    /// The key
    key: KeyName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Take it out of the keyring although a token that holds it cannot be reached
    #[arg(long)]
    forget: bool,
}

pub fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    // What is only in the journal, of a change that was cut off, can be forgotten too.
    match around.keyring().get(&args.key) {
        Ok(record) if !args.yes && io::stdin().is_terminal() => {
            let question = format!(
                "The secret of {} ({}) cannot be had back from the token. Type the key's name to delete it: ",
                record.name, record.exchange
            );
            if around.ask.line(&question)?.trim() != record.name.as_str() {
                return Err(Error::new(Code::Failed, "not confirmed; nothing was deleted")
                    .fix("type the name as it is shown"));
            }
        }
        Err(error) if !args.forget => return Err(error),
        _ => {}
    }
    let enrol = around.enrol()?;
    if !args.forget {
        enrol.remove(&args.key)?;
        around.note(What::Remove, args.key.as_str(), "");
        tell_policy(&around, &args.key);
        return output::line(&format!("removed {}", args.key));
    }
    let left = enrol.forget(&args.key)?;
    around.note(What::Remove, args.key.as_str(), "forgotten");
    tell_policy(&around, &args.key);
    output::line(&format!("removed {}", args.key))?;
    for left in &left {
        tell(&args.key, left)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The owner's file is not deleted with the key.
fn tell_policy(around: &Around, key: &KeyName) {
    let policies = Policies::new(&around.home).only_looking();
    if policies.is_there(&Whose::Key(key.clone())).unwrap_or_default() {
        output::warn(&format!(
            "its policy is kept, and holds for the next key of that name; to take it away: hsmsign policy remove {key}"
        ));
    }
}

fn tell(key: &KeyName, left: &Left) -> Result<ExitCode> {
    let ids: Vec<_> = left.objects.iter().map(ToString::to_string).collect();
    let serial = if left.serial.is_empty() {
        String::new()
    } else {
        format!(" (serial {})", left.serial)
    };
    output::warn(&left.why.to_string());
    output::line(&format!(
        "  on token {}{serial} it stays, as the objects with the ids {}; who finds the token and its PIN can sign with it: revoke the API key of {key} at the exchange",
        left.token,
        ids.join(", ")
    ))
}
