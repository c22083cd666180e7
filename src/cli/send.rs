use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use hsmsign::{
    error::{Code, Error, Result, failed},
    home::Home,
    keyring::KeyName,
    send::{Answer, Progress, Retry, Sender, Sent, Settings, failure_line},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::{Around, output, parts::Parts, reach};

/// Sign a request, send it, and print the exchange's answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign send kraken POST /0/private/Balance
  hsmsign send kraken POST /0/private/AddOrder --param pair=XBTUSD --param type=buy --param ordertype=market --param volume=1 --dry-run
  hsmsign send binance-test POST /api/v3/order --testnet --param symbol=BTCUSDT --param side=BUY --param type=MARKET --param quantity=0.001
  hsmsign send binance GET /api/v3/account --json | jq -r .body

What may have placed an order is not sent again unless --retry-unsafe says so.
Exit codes: 0 for a 2xx without an error by the exchange's own rule; 1 for any other answer, or none; as for `sign`
where nothing was sent.")]
pub struct Args {
    /// The key
    key: KeyName,
    /// GET, POST, PUT, DELETE or PATCH
    method: String,
    /// The path, with its query if it has one; or the whole URL
    #[arg(value_name = "PATH[?QUERY]")]
    path: String,
    #[command(flatten)]
    parts: Parts,
    /// How long one attempt may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How often to send it again, each time with a fresh timestamp, nonce and signature
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=20))]
    retries: u32,
    /// The longest that the exchange may ask to wait before it is sent again
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86400))]
    max_wait: u64,
    /// Send it again even where that may place an order twice
    #[arg(long)]
    retry_unsafe: bool,
    /// Ask the exchange for its time first, and sign by that
    #[arg(long, conflicts_with = "offset_ms")]
    measure_clock: bool,
    /// Show the signed request with passphrases masked, and send nothing
    #[arg(long, conflicts_with = "measure_clock")]
    dry_run: bool,
    /// Print an object with the answer's status, headers and body, and all attempts
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let json = args.json;
    send(args).or_else(|error| {
        if json {
            output::line(&failure_line(&[], &error))?;
        }
        Err(error)
    })
}

fn send(args: Args) -> Result<ExitCode> {
    // Who has the agent's socket alone has no settings. Settings that are there and cannot be read are no reason to trust
    // others than those that the owner named.
    let ca_file = if Home::is_named() {
        Around::find()?.config()?.send.ca_file
    } else {
        None
    };
    let settings = Settings {
        timeout: Duration::from_secs(args.timeout),
        retry: Retry {
            times: args.retries,
            patience: Duration::from_secs(args.max_wait),
            even_unsafe: args.retry_unsafe,
            ..Retry::default()
        },
        measure_clock: args.measure_clock,
        ca_file,
    };
    let request = args
        .parts
        .request(Some(args.key), Some(args.method), Some(args.path))?;
    let (signs, route) = reach::signs(&request)?;
    let sender = Sender::new(signs.as_ref(), route, settings, &wait);
    if args.dry_run {
        let preview = sender.preview(&request)?;
        return if args.json {
            output::line(&preview.to_line())
        } else {
            output::write(&preview.to_text())
        };
    }
    end_at_a_signal(sender.progress(), args.json)?;
    let outcome = sender.send(&request)?;
    let printed = match &outcome.answer {
        _ if args.json => output::line(&outcome.to_line()),
        Some(answer) => print(answer),
        None => Ok(ExitCode::SUCCESS),
    };
    match (outcome.error, printed) {
        (Some(error), _) => Ok(output::report(&error)),
        (None, Ok(code)) => Ok(code),
        (None, Err(error)) => Ok(output::report(&error.within("the request is done, but"))),
    }
}

/// Says why it waits, and waits.
fn wait(error: &Error, time: Duration) {
    output::warn(&format!("{error}; tried again in {:.1} s", time.as_secs_f64()));
    std::thread::sleep(time);
}

/// The body: its exact bytes for programs; for a person JSON is indented, and nothing reaches the terminal that it would
/// act on.
fn print(answer: &Answer) -> Result<ExitCode> {
    if !io::stdout().is_terminal() {
        return output::write(&answer.body);
    }
    if answer.body.is_empty() {
        return output::line(&answer.status_line());
    }
    match answer.json() {
        Some(json) => output::line(&json.to_pretty()),
        None => output::line(&harmless(&String::from_utf8_lossy(&answer.body))),
    }
}

fn harmless(text: &str) -> String {
    let keep = |char: char| !char.is_control() || matches!(char, '\n' | '\t');
    text.chars()
        .map(|char| if keep(char) { char } else { '\u{fffd}' })
        .collect()
}

/// From here on a signal ends the process at once, after it has said what is known of the request.
fn end_at_a_signal(progress: Arc<Progress>, json: bool) -> Result<()> {
    let told = |error: io::Error| failed(format!("signals cannot be watched: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(told)?;
    std::thread::Builder::new()
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            let error = broken_off(progress.sent());
            if json {
                let _ = output::line(&failure_line(&progress.attempts(), &error));
            }
            output::report(&error);
            let _ = io::stdout().flush();
            let _ = emulate_default_handler(signal);
        })
        .map_err(told)?;
    Ok(())
}

fn broken_off(sent: Sent) -> Error {
    let (told, fix) = match sent {
        Sent::No => ("nothing was sent", "send it again when you like"),
        Sent::Maybe => (
            "the request may have been sent, and its answer was not read",
            "look at your orders and balances before you send it again",
        ),
        Sent::Yes => (
            "the request was sent and answered, and not yet sent again",
            "look at your orders and balances before you send it again",
        ),
    };
    Error::new(Code::Failed, format!("broken off: {told}")).fix(fix)
}
