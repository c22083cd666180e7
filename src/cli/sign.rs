use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::ValueEnum;
use hsmsign::{
    agent::client::Client,
    error::{Code, Error, Result},
    keyring::KeyName,
    request::{Body, SignedRequest},
    signer::{Explained, Message},
};

use super::{Around, lines, output, parts::Parts, reach};

/// Sign a request: what comes back is to be sent as it stands.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign sign kraken POST /0/private/Balance
  hsmsign sign kraken POST /0/private/AddOrder --form pair=XBTUSD --form type=buy --form ordertype=market --form volume=1
  hsmsign sign coinbaseexchange GET '/orders?status=open' --output headers
  hsmsign sign binance GET /api/v3/account --output curl | curl -K -
  hsmsign sign bitfinex POST /v2/auth/r/wallets --data '{}' --explain
  hsmsign sign --json < requests.jsonl       a request a line in, an answer a line out")]
pub struct Args {
    /// The key
    #[arg(required_unless_present = "json")]
    key: Option<KeyName>,
    /// GET, POST, PUT, DELETE or PATCH
    #[arg(required_unless_present = "json")]
    method: Option<String>,
    /// The path, with its query if it has one; or the whole URL
    #[arg(value_name = "PATH[?QUERY]", required_unless_present = "json")]
    path: Option<String>,
    #[command(flatten)]
    parts: Parts,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Form::Json)]
    output: Form,
    /// Print on standard error what was signed, as text and hex
    #[arg(long)]
    explain: bool,
    /// Read a request a line from standard input, and answer a line each
    #[arg(long, conflicts_with_all = ["key", "method", "path", "Parts", "output", "explain"])]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// An answer line
    Json,
    /// The headers, one a line
    Headers,
    /// A configuration for `curl -K`
    Curl,
    /// The URL alone
    Url,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.json {
        return match reach::answered(Client::only_requests)? {
            Some((agent, done)) => done.and_then(|()| lines::relay(agent.into_stream())),
            None => {
                hsmsign::process::set_allocator_up();
                let around = Around::find()?;
                lines::sign(&around.signer()?)
            }
        };
    }
    let (explain, form) = (args.explain, args.output);
    let request = args.parts.request(args.key, args.method, args.path)?;
    let print = |signed: &SignedRequest| {
        let brought = matches!(&request.body, Some(Body::Bytes(body)) if Some(body) == signed.body.as_ref());
        if signed.body.is_some() && !brought && matches!(form, Form::Headers | Form::Url) {
            output::warn(
                "the signature holds for a body that is not printed here; --output json or curl has it",
            );
        }
        print(signed, form)
    };
    if !explain {
        if form == Form::Json
            && let Some(line) = reach::sign_line(&request)?
        {
            return output::line(&line);
        }
        return print(&reach::sign(&request)?);
    }
    let Explained { signed, messages } = reach::explain(&request)?;
    tell(&messages);
    print(&signed)
}

fn print(signed: &SignedRequest, form: Form) -> Result<ExitCode> {
    match form {
        Form::Json => output::line(&signed.to_line(None)),
        Form::Headers => {
            let lines: Vec<_> = signed
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            output::line(&lines.join("\n"))
        }
        Form::Url => output::line(signed.url.as_deref().unwrap_or_default()),
        Form::Curl => curl(signed),
    }
}

/// A configuration for `curl -K`, in which curl unescapes quoted strings.
fn curl(signed: &SignedRequest) -> Result<ExitCode> {
    let quote = |text: &str| {
        let escaped = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\r', "\\r")
            .replace('\t', "\\t");
        format!("\"{escaped}\"")
    };
    let url = signed
        .url
        .as_deref()
        .ok_or_else(|| Error::new(Code::Unsupported, "a WebSocket login is no request for curl"))?;
    let mut text = format!(
        "globoff\npath-as-is\nrequest = {}\nurl = {}\n",
        quote(&signed.method),
        quote(url)
    );
    for (name, value) in &signed.headers {
        // With a colon and nothing behind it curl would leave the header out.
        let header = if value.is_empty() {
            format!("{name};")
        } else {
            format!("{name}: {value}")
        };
        text.push_str(&format!("header = {}\n", quote(&header)));
    }
    if let Some(body) = &signed.body {
        let body = std::str::from_utf8(body)
            .ok()
            .filter(|body| !body.contains('\0'))
            .ok_or_else(|| {
                Error::new(
                    Code::Unsupported,
                    "the body is no text, and curl's configuration carries only text",
                )
                .fix("use --output json and send body_base64 decoded")
            })?;
        text.push_str(&format!("data-raw = {}\n", quote(body)));
    }
    output::write(text.as_bytes())
}

fn tell(messages: &[Message]) {
    let mut stderr = io::stderr().lock();
    for Message { with: slot, bytes } in messages {
        let Some(message) = bytes else {
            let _ = writeln!(
                stderr,
                "signed with the {slot}: a message that holds the passphrase, not shown"
            );
            continue;
        };
        let _ = writeln!(stderr, "signed with the {slot}, {} bytes", message.len());
        let _ = writeln!(stderr, "  text {}", output::escaped(message));
        let _ = writeln!(stderr, "  hex  {}", base16ct::lower::encode_string(message));
    }
}
