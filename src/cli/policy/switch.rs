//! The switches that deny everything, to one key or to all.

use std::process::ExitCode;

use hsmsign::{
    agent::client::Client,
    audit::What,
    error::{Code, Error, Result},
    keyring::{KeyName, Keyring as _},
    policy::Policies,
};

use super::of_its_user;
use crate::cli::{Around, errand, output, reach};

/// Deny everything to a key from the next request on
#[derive(Debug, clap::Args)]
pub struct DenyArgs {
    /// The key
    key: KeyName,
    /// Undo that
    #[arg(long)]
    undo: bool,
}

/// Denies everything to every key, or undoes that: to the keys of this user, and to those of a system agent. Whoever pulls
/// the switch means all that is signed for them.
pub fn switch_all(on: bool) -> Result<ExitCode> {
    let own = errand::may_have_own();
    if own {
        // First, and waiting for nobody: an agent of this user goes by it as well.
        let done = switch_own(on)?;
        if !on {
            return Ok(done);
        }
    }
    let (mut agent, uid) = match reach::whose() {
        Ok(Some(other)) => other,
        Ok(None) if own => return Ok(ExitCode::SUCCESS),
        Ok(None) => return Client::barred().map_or_else(|| switch_own(on), Err),
        Err(error) if own => {
            output::warn(error.message());
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    if !on {
        return Err(of_its_user(
            &reach::told(&agent.path, uid),
            "that user alone undoes the switch",
        ));
    }
    errand::pull(&mut agent, &["lock", "--all"]).map_err(|error| {
        let of = format!("the keys of the agent at {} are not locked", agent.path.display());
        error.within(of)
    })
}

fn switch_own(on: bool) -> Result<ExitCode> {
    let around = Around::find()?;
    around.home.create()?;
    Policies::new(&around.home)
        .switch()
        .change(|denied| denied.all = on)?;
    around.note(if on { What::Lock } else { What::Unlock }, "", "every key");
    output::line(if on {
        "locked: every key is denied everything, from the next request on; hsmsign unlock --all undoes it"
    } else {
        "unlocked: what each key's policy says holds again"
    })
}

pub fn deny_all(args: &DenyArgs) -> Result<ExitCode> {
    let around = Around::find();
    let record = around.as_ref().ok().map(|around| around.keyring().get(&args.key));
    let unknown = |error: &Error| error.code() == Code::UnknownKey;
    let here = record
        .as_ref()
        .is_some_and(|record| !record.as_ref().is_err_and(unknown));
    if (!here || errand::is_told())
        && let Some((mut agent, uid)) = reach::other_user()
    {
        if args.undo {
            return Err(of_its_user(
                &reach::told(&agent.path, uid),
                "that user alone undoes the switch",
            ));
        }
        return errand::pull(&mut agent, &["policy", "deny-all", args.key.as_str()]);
    }
    let around = around?;
    let key = around.keyring().get(&args.key).map(|record| record.name);
    let key = match key {
        // A key whose record is broken is denied all the same.
        Err(error) if error.code() == Code::UnknownKey => return Err(error),
        Err(_) => args.key.clone(),
        Ok(key) => key,
    };
    Policies::new(&around.home).switch().change(|denied| {
        if args.undo {
            denied.keys.remove(&key);
        } else {
            denied.keys.insert(key.clone());
        }
    })?;
    let what = if args.undo { What::Unlock } else { What::Lock };
    around.note(what, key.as_str(), "deny-all");
    if args.undo {
        return output::line(&format!("undone: what the policy of {key} says holds again"));
    }
    output::line(&format!(
        "everything is denied to {key}, from the next request on; hsmsign policy deny-all {key} --undo allows again"
    ))
}
