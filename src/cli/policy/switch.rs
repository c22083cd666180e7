//! The switches that deny everything, to one key or to all.

use std::process::ExitCode;

use hsmsign::{
    audit::What,
    error::{Code, Result},
    keyring::{KeyName, Keyring as _},
    policy::Policies,
};

use crate::cli::{Around, output};

/// Deny everything to a key from the next request on
#[derive(Debug, clap::Args)]
pub struct DenyArgs {
    /// The key
    key: KeyName,
    /// Undo that
    #[arg(long)]
    undo: bool,
}

/// Denies everything to every key, or undoes that.
pub fn switch_all(on: bool) -> Result<ExitCode> {
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
    let around = Around::find()?;
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
