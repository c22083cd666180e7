use std::process::ExitCode;

use base64ct::Encoding as _;
use clap::ValueEnum;
use hsmsign::{error::Result, keyring::KeyName};

use super::{given::Given, output, reach};

/// MAC standard input with a key's own algorithm; only where the key's owner allowed `raw`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  printf %s \"$message\" | hsmsign hmac service
  hsmsign hmac service --output base64 < message")]
pub struct Args {
    /// The key
    key: KeyName,
    /// How the MAC is written
    #[arg(long, value_enum, default_value_t = Form::Hex)]
    output: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// Lower-case hex and a line feed
    Hex,
    /// Base64 and a line feed
    Base64,
    /// The bytes themselves
    Raw,
}

const MESSAGE: Given = Given {
    what: "the message",
    most: 16 << 20,
    fix: "give a shorter one, or its hash where the service takes that",
};

pub fn run(args: &Args) -> Result<ExitCode> {
    let message = MESSAGE.bytes(None)?;
    let mac = reach::hmac(&args.key, &message)?;
    match args.output {
        Form::Hex => output::line(&base16ct::lower::encode_string(&mac)),
        Form::Base64 => output::line(&base64ct::Base64::encode_string(&mac)),
        Form::Raw => output::write(&mac),
    }
}
