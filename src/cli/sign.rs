use std::{
    fs::File,
    io::{self, Read, Write as _},
    process::ExitCode,
};

use clap::ValueEnum;
use hsmsign::{
    error::{Code, Error, Result, bad_input, failed},
    json::Json,
    keyring::KeyName,
    policy::Caller,
    request::{Body, Fields, Nonce, Request, SignedRequest},
    signer::Explained,
};

use super::{Around, lines, output};

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
    /// The host, where the exchange has several
    #[arg(long)]
    host: Option<String>,
    /// A parameter of the query
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// A field of the form that is the body
    #[arg(long, value_name = "NAME=VALUE")]
    form: Vec<String>,
    /// A parameter of the exchange, put where its kind of request wants it
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// The body as it stands, from a file with @FILE, from standard input with @-
    #[arg(long, value_name = "STRING|@FILE|@-", allow_hyphen_values = true)]
    data: Option<String>,
    /// The Content-Type, where it is not the exchange's usual one
    #[arg(long)]
    content_type: Option<String>,
    /// The timestamp, exactly as on the wire
    #[arg(long)]
    timestamp: Option<String>,
    /// The nonce, exactly as on the wire; `none` for none, where the exchange lets it out
    #[arg(long)]
    nonce: Option<String>,
    /// The receive window, in the exchange's own unit
    #[arg(long)]
    window: Option<String>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Form::Json)]
    output: Form,
    /// Print on standard error what was signed, as text and hex
    #[arg(long)]
    explain: bool,
    /// Read a request a line from standard input, and answer a line each
    #[arg(long, conflicts_with_all = ["key", "method", "path", "host", "query", "form", "param", "data", "output", "explain", "timestamp", "nonce", "window", "content_type"])]
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
    let around = Around::find()?;
    let signer = around.signer()?;
    if args.json {
        return lines::sign(&signer);
    }
    let (explain, form) = (args.explain, args.output);
    let request = request(args)?;
    let print = |signed: &SignedRequest| {
        let brought = matches!(&request.body, Some(Body::Bytes(body)) if Some(body) == signed.body.as_ref());
        if signed.body.is_some() && !brought && matches!(form, Form::Headers | Form::Url) {
            output::warn(
                "the signature holds for a body that is not printed here; --output json or curl has it",
            );
        }
        print(signed, form)
    };
    let caller = Caller::this_process();
    if !explain {
        return print(&signer.sign(&request, &caller)?);
    }
    let Explained { signed, messages } = signer.explain(&request, &caller)?;
    tell(&messages);
    print(&signed)
}

fn request(args: Args) -> Result<Request> {
    if args.data.is_some() && !args.form.is_empty() {
        return Err(bad_input("the body was given twice, by --data and by --form").fix("give one of them"));
    }
    let body = match args.data {
        Some(data) => Some(Body::Bytes(read_data(data)?)),
        None if args.form.is_empty() => None,
        None => Some(Body::Form(Fields::Pairs(pairs(&args.form, "--form")?))),
    };
    let (path, url) = match args.path {
        Some(path) if path.contains("://") => (None, Some(path)),
        path => (path, None),
    };
    Ok(Request {
        key: args.key,
        method: args.method,
        path,
        url,
        host: args.host,
        query: if args.query.is_empty() {
            None
        } else {
            Some(Fields::Pairs(pairs(&args.query, "--query")?))
        },
        body,
        params: if args.param.is_empty() {
            None
        } else {
            Some(pairs(&args.param, "--param")?)
        },
        timestamp: args.timestamp,
        nonce: match args.nonce {
            None => Nonce::Made,
            Some(nonce) if nonce == "none" => Nonce::Without,
            Some(nonce) => Nonce::Brought(nonce),
        },
        window: args.window,
        content_type: args.content_type,
        ..Request::default()
    })
}

fn pairs(given: &[String], flag: &str) -> Result<Vec<(String, Json)>> {
    given
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Json::String(value.to_owned()))),
            _ => Err(bad_input(format!("{flag} {pair:?} is not NAME=VALUE"))),
        })
        .collect()
}

/// The longest body that is read, in bytes.
const LIMIT: u64 = 16 << 20;

fn read_data(data: String) -> Result<Vec<u8>> {
    let Some(source) = data.strip_prefix('@') else {
        return Ok(data.into_bytes());
    };
    let read = |input: &mut dyn Read| {
        let mut bytes = Vec::new();
        input.take(LIMIT + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = if source == "-" {
        read(&mut io::stdin().lock())
            .map_err(|error| failed(format!("standard input cannot be read: {error}")))?
    } else {
        File::open(source)
            .and_then(|mut file| read(&mut file))
            .map_err(|error| bad_input(format!("the body's file {source} cannot be read: {error}")))?
    };
    if bytes.len() as u64 > LIMIT {
        return Err(Error::new(
            Code::TooLarge,
            format!("the body is longer than {LIMIT} bytes"),
        ));
    }
    Ok(bytes)
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
        text.push_str(&format!("header = {}\n", quote(&format!("{name}: {value}"))));
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

fn tell(messages: &[(String, Option<Vec<u8>>)]) {
    let mut stderr = io::stderr().lock();
    for (slot, message) in messages {
        let Some(message) = message else {
            let _ = writeln!(
                stderr,
                "signed with the {slot}: a message that holds the passphrase, not shown"
            );
            continue;
        };
        let text: String = message
            .iter()
            .flat_map(|byte| byte.escape_ascii())
            .map(char::from)
            .collect();
        let _ = writeln!(stderr, "signed with the {slot}, {} bytes", message.len());
        let _ = writeln!(stderr, "  text {text}");
        let _ = writeln!(stderr, "  hex  {}", base16ct::lower::encode_string(message));
    }
}
