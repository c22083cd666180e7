use std::process::ExitCode;

use hsmsign::{
    audit::{What, cut},
    clock::Offset,
    enrol::Changes,
    error::{Code, Error, Result},
    keyring::KeyName,
};

use super::{Around, output};

/// Change what is known of a key: its API key, its host, its receive window, the exchange's clock.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign set kraken --api-key KEY
  hsmsign set kraken --base-url https://api.example.com
  hsmsign set kraken --base-url ''        back to the exchange's own host
  hsmsign set binance --window 5000            the receive window of each request
  hsmsign set binance --offset-ms -120         the exchange's clock is 120 ms behind this machine's

A request's own window, timestamp or offset_ms goes before what is set here.")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The API key that the exchange shows for this secret
    #[arg(long)]
    api_key: Option<String>,
    /// The host to use in place of the exchange's; empty for the exchange's own
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The receive window of each request, in the exchange's own unit; empty for the exchange's own
    #[arg(long)]
    window: Option<String>,
    /// By how many milliseconds the exchange's clock is ahead of this machine's; 0 where the two agree
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    offset_ms: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let nothing = args.api_key.is_none()
        && args.base_url.is_none()
        && args.window.is_none()
        && args.offset_ms.is_none();
    if nothing {
        return Err(Error::new(Code::Usage, "nothing to set was given")
            .fix("give --api-key, --base-url, --window or --offset-ms"));
    }
    let changes = Changes {
        api_key: args.api_key,
        base_url: args.base_url,
        window: args.window,
        offset: args.offset_ms.as_deref().map(Offset::parse).transpose()?,
    };
    let around = Around::find()?;
    let changed = told(&changes);
    let (record, in_force) = around.enrol()?.set(&args.key, changes)?;
    around.note(What::Set, record.name.as_str(), cut(&changed, 300));
    if in_force {
        return super::rotate::in_force(&record.name);
    }
    output::line(&format!("set {}", record.name))
}

/// What is changed, for the log.
fn told(changes: &Changes) -> String {
    let changed = [
        changes.api_key.as_ref().map(|_| "api-key".to_owned()),
        changes.base_url.as_ref().map(|url| format!("base-url {url:?}")),
        changes.window.as_ref().map(|window| format!("window {window:?}")),
        changes
            .offset
            .map(|offset| format!("offset-ms {}", offset.millis())),
    ];
    changed.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
