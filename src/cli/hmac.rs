use std::{
    io::{self, Read as _},
    process::ExitCode,
};

use base64ct::Encoding as _;
use clap::ValueEnum;
use hsmsign::{
    error::{Code, Error, Result, failed},
    keyring::KeyName,
};

use super::{output, reach};

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

/// The longest message that is read, in bytes.
const LIMIT: u64 = 16 << 20;

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut message = Vec::new();
    io::stdin()
        .lock()
        .take(LIMIT + 1)
        .read_to_end(&mut message)
        .map_err(|error| failed(format!("standard input cannot be read: {error}")))?;
    if message.len() as u64 > LIMIT {
        return Err(Error::new(
            Code::TooLarge,
            format!("the message is longer than {LIMIT} bytes"),
        )
        .fix("give a shorter one, or its hash where the service takes that"));
    }
    let mac = reach::hmac(&args.key, &message)?;
    match args.output {
        Form::Hex => output::line(&base16ct::lower::encode_string(&mac)),
        Form::Base64 => output::line(&base64ct::Base64::encode_string(&mac)),
        Form::Raw => output::write(&mac),
    }
}
