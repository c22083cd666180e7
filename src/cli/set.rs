use std::process::ExitCode;

use hsmsign::{
    audit::{What, cut},
    error::{Code, Error, Result},
    keyring::KeyName,
};

use super::{Around, output};

/// Change the API key or the base-url of a key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign set kraken --api-key KEY
  hsmsign set kraken --base-url https://api.example.com
  hsmsign set kraken --base-url ''        back to the exchange's own host")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The API key that the exchange shows for this secret
    #[arg(long)]
    api_key: Option<String>,
    /// The host to use in place of the exchange's; empty for the exchange's own
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.api_key.is_none() && args.base_url.is_none() {
        return Err(Error::new(Code::Usage, "nothing to set was given").fix("give --api-key or --base-url"));
    }
    let around = Around::find()?;
    let changed = [
        args.api_key.as_ref().map(|_| "api-key".to_owned()),
        args.base_url.as_ref().map(|url| format!("base-url {url:?}")),
    ];
    let (record, in_force) = around.enrol()?.set(&args.key, args.api_key, args.base_url)?;
    let changed: Vec<_> = changed.into_iter().flatten().collect();
    around.note(What::Set, record.name.as_str(), cut(&changed.join(", "), 300));
    if in_force {
        return super::rotate::in_force(&record.name);
    }
    output::line(&format!("set {}", record.name))
}
