//! The parts of a request as flags, which `sign` and `send` share.

use std::path::Path;

use hsmsign::{
    clock::Offset,
    error::{Result, bad_input},
    json::Json,
    keyring::KeyName,
    request::{Body, Fields, Nonce, Request},
};

use super::given::Given;

#[derive(Debug, clap::Args)]
pub struct Parts {
    /// The host, where the exchange has several
    #[arg(long)]
    host: Option<String>,
    /// At the exchange's testnet, with a key of the testnet's
    #[arg(long)]
    testnet: bool,
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
    #[arg(long, allow_negative_numbers = true)]
    timestamp: Option<String>,
    /// The nonce, exactly as on the wire; `none` for none, where the exchange lets it out
    #[arg(long, allow_negative_numbers = true)]
    nonce: Option<String>,
    /// The receive window, in the exchange's own unit
    #[arg(long)]
    window: Option<String>,
    /// By how many milliseconds the exchange's clock is ahead of this machine's, in place of what the key has
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    offset_ms: Option<String>,
}

impl Parts {
    /// The request; `path` may be a whole URL.
    pub fn request(
        self,
        key: Option<KeyName>,
        method: Option<String>,
        path: Option<String>,
    ) -> Result<Request> {
        if self.data.is_some() && !self.form.is_empty() {
            return Err(
                bad_input("the body was given twice, by --data and by --form").fix("give one of them")
            );
        }
        let body = match self.data {
            Some(data) => Some(Body::Bytes(read_data(data)?)),
            None if self.form.is_empty() => None,
            None => Some(Body::Form(Fields::Pairs(pairs(&self.form, "--form")?))),
        };
        let (path, url) = match path {
            Some(path) if is_url(&path) => (None, Some(path)),
            path => (path, None),
        };
        Ok(Request {
            key,
            method,
            path,
            url,
            host: self.host,
            testnet: self.testnet,
            query: if self.query.is_empty() {
                None
            } else {
                Some(Fields::Pairs(pairs(&self.query, "--query")?))
            },
            body,
            params: if self.param.is_empty() {
                None
            } else {
                Some(pairs(&self.param, "--param")?)
            },
            timestamp: self.timestamp,
            nonce: match self.nonce {
                None => Nonce::Made,
                Some(nonce) if nonce == "none" => Nonce::Without,
                Some(nonce) => Nonce::Brought(nonce),
            },
            window: self.window,
            offset: self.offset_ms.as_deref().map(Offset::parse).transpose()?,
            content_type: self.content_type,
            ..Request::default()
        })
    }
}

/// Whether it begins as a URL does: in a query one may stand too.
fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(protocol, _)| {
        protocol.starts_with(|first: char| first.is_ascii_alphabetic())
            && protocol
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
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

const BODY: Given = Given {
    what: "the body",
    most: 16 << 20,
    fix: "give a smaller one",
};

fn read_data(data: String) -> Result<Vec<u8>> {
    match data.strip_prefix('@') {
        None => Ok(data.into_bytes()),
        Some("-") => BODY.bytes(None),
        Some(file) => BODY.bytes(Some(Path::new(file))),
    }
}
