use std::process::ExitCode;

use hsmsign::{
    error::Result,
    keyring::KeyName,
    request::{Body, Nonce, Request},
};

use super::{output, reach};

/// Make the login message of an exchange's WebSocket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign websocket bitfinex | jq -r .body        the frame to send
  hsmsign websocket krakenfutures --challenge 226aee50-88fc-4618-a42a-34f7709570b2
  hsmsign websocket htx --path /linear-swap-notification
  hsmsign websocket gate --data '{\"channel\":\"spot.orders\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\"]}'")]
pub struct Args {
    /// The key
    key: KeyName,
    /// The challenge that the exchange sent
    #[arg(long)]
    challenge: Option<String>,
    /// The path, where the exchange has several sockets or the login signs it
    #[arg(long)]
    path: Option<String>,
    /// The host, where the exchange has several
    #[arg(long)]
    host: Option<String>,
    /// The message to sign, or its parameters, as JSON, where the exchange signs each
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
    output::line(&reach::sign(&request)?.to_line(None))
}
