use std::process::ExitCode;

use hsmsign::{
    enrol::{Checked, Finding},
    error::Result,
    keyring::{KeyName, Standing},
};
use serde_json::json;

use super::{Around, attack, output};

/// Compare a signature on the token with what was recorded when the key was imported or made.
///
/// With --attack, try to get the key out of its token as malware with the PIN would: in a process of its own, with
/// what would change a key done to one made for it. The key stays as it is. Exit code 1 where it comes out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign test kraken
  hsmsign test kraken --attack        does the token really keep it?
  hsmsign test kraken --json")]
pub struct Args {
    /// The key
    key: KeyName,
    /// Try to get the key out of its token
    #[arg(long)]
    attack: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let around = Around::find()?;
    if args.attack {
        return match around.enrol().and_then(|enrol| enrol.attack(&args.key)) {
            Ok(all) => attack::tell(Some(&args.key), &all, args.json),
            Err(error) => Ok(output::report_json(&error, args.json)),
        };
    }
    let checked = match around.enrol().and_then(|enrol| enrol.test(&args.key)) {
        Ok(checked) => checked,
        Err(error) => return Ok(output::report_json(&error, args.json)),
    };
    let failed = checked.iter().find_map(|checked| checked.finding.as_ref().err());
    if args.json {
        let objects: Vec<_> = checked
            .iter()
            .map(|checked| {
                json!({
                    "token": checked.token, "object": checked.slot, "previous": checked.standing == Standing::Previous,
                    "next": checked.standing == Standing::Next,
                    "ok": checked.finding.is_ok(), "finding": words(checked),
                })
            })
            .collect();
        output::json(&json!({"ok": failed.is_none(), "key": args.key.as_str(), "objects": objects}))?;
    } else {
        for checked in &checked {
            let standing = match checked.standing {
                Standing::InForce => "",
                Standing::Previous => " (before the last rotation)",
                Standing::Next => " (not in force yet)",
            };
            output::line(&format!(
                "{} on {}{standing}: {}",
                checked.slot,
                checked.token,
                words(checked)
            ))?;
        }
    }
    Ok(failed.map_or(ExitCode::SUCCESS, output::report))
}

fn words(checked: &Checked) -> String {
    match &checked.finding {
        Ok(Finding::Proved) => "makes the MAC recorded at import, and does not give its value out".to_owned(),
        Ok(Finding::Signs) => {
            "makes signatures of the recorded public key, and does not give its value out".to_owned()
        }
        Ok(Finding::Present) => "is there".to_owned(),
        Err(error) => error.message().to_owned(),
    }
}
