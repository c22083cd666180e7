use std::process::ExitCode;

use hsmsign::{
    error::Result,
    keyring::KeyName,
    policy::Caller,
    request::{Body, Nonce, Request},
};

use super::{Around, output};

/// Make the login message of an exchange's WebSocket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign websocket bitfinex | jq -r .body        the frame to send
  hsmsign websocket krakenfutures --challenge 226aee50-88fc-4618-a42a-34f7709570b2")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The challenge that the exchange sent
    #[arg(long)]
    challenge: Option<String>,
    /// The path, where the login signs one
    #[arg(long)]
    path: Option<String>,
    /// The host, where the exchange has several
    #[arg(long)]
    host: Option<String>,
    /// The parameters of a request over the WebSocket, as JSON, where the exchange signs each
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// The timestamp, exactly as on the wire
    #[arg(long)]
    timestamp: Option<String>,
    /// The nonce, exactly as on the wire
    #[arg(long)]
    nonce: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let request = Request {
        key: Some(args.key),
        websocket: true,
        path: args.path,
        host: args.host,
        challenge: args.challenge,
        body: args.data.map(Body::Json),
        timestamp: args.timestamp,
        nonce: args.nonce.map_or(Nonce::Made, Nonce::Brought),
        ..Request::default()
    };
    let signed = Around::find()?
        .signer()?
        .sign(&request, &Caller::this_process())?;
    output::line(&signed.to_line(None))
}
