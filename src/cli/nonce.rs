use std::process::ExitCode;

use hsmsign::{
    audit::What,
    error::Result,
    keyring::{KeyName, Keyring as _},
    nonce::Nonces,
};
use serde_json::json;

use super::{Around, output};

/// Show the greatest nonce that a key may have used, or let the next one be greater than another program's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign nonce kraken
  hsmsign nonce kraken --set-above 1700000000123000000
  hsmsign nonce kraken --reset        the API key is new at the exchange: begin at the clock")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The last nonce that another program used; the sequence is raised, never lowered
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    set_above: Option<u64>,
    /// Begin at the clock again; only for an API key that no nonce was used with yet
    #[arg(long, conflicts_with = "set_above")]
    reset: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
    if let Some(above) = args.set_above {
        around.enrol()?.raise_nonce(&record.name, above)?;
        around.note(What::Set, record.name.as_str(), format!("nonces above {above}"));
    }
    if args.reset {
        around.enrol()?.reset_nonce(&record.name)?;
        around.note(
            What::Set,
            record.name.as_str(),
            "nonces that begin at the clock again",
        );
    }
    let mark = Nonces::new(&around.home).high_water(&record.name)?;
    if args.json {
        return output::json(&json!({"key": record.name.as_str(), "above": mark}));
    }
    output::line(&mark.to_string())
}
