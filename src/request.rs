//! A request to be signed and what comes of it, as exact bytes that nothing re-serialises.

mod answer;
mod line;
mod write;

use std::fmt::Write as _;

pub use answer::Answer;
pub(crate) use line::id_in;

use crate::{
    clock::Offset,
    error::Error,
    json::{Json, quote},
    keyring::KeyName,
    secret::Secret,
};

/// What a caller asks to have signed, as read from a request line or the command line, before its exchange is known.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The key to sign with; none only in a scheme's own tests.
    pub key: Option<KeyName>,
    /// The caller's own mark, echoed in the answer: any JSON value.
    pub id: Option<Json>,
    /// Whether the login message of the exchange's WebSocket is wanted instead of a REST request.
    pub websocket: bool,
    /// The method, as given.
    pub method: Option<String>,
    /// The path, as given; may carry `?query`.
    pub path: Option<String>,
    /// A whole URL in place of `host`, `path` and `query`.
    pub url: Option<String>,
    /// The host, chosen among the scheme's.
    pub host: Option<String>,
    /// Whether it goes to the exchange's testnet, at the host that the scheme names for it.
    pub testnet: bool,
    /// The query.
    pub query: Option<Fields>,
    /// The body.
    pub body: Option<Body>,
    /// The exchange's parameters, without saying where they go.
    pub params: Option<Vec<(String, Json)>>,
    /// The timestamp, exactly as on the wire.
    pub timestamp: Option<String>,
    /// The nonce, exactly as on the wire.
    pub nonce: Nonce,
    /// The receive window, in the exchange's own unit.
    pub window: Option<String>,
    /// How far the exchange's clock is ahead of this machine's, in place of what the key's owner set.
    pub offset: Option<Offset>,
    /// A challenge that the exchange sent for a WebSocket login.
    pub challenge: Option<String>,
    /// The Content-Type, where the caller has its own.
    pub content_type: Option<String>,
    /// Whether the messages that were signed are wanted beside the answer; no field of a line.
    pub explain: bool,
    /// Whether it was counted already, when it was composed for a key that then was elsewhere; no field of a line.
    pub counted: bool,
}

/// The nonce a caller asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Nonce {
    /// hsmsign makes one, where the exchange wants one.
    #[default]
    Made,
    /// This one, exactly as on the wire.
    Brought(String),
    /// None, where the exchange lets it out (`"nonce":null`).
    Without,
}

/// A query or form.
#[derive(Debug, Clone)]
pub enum Fields {
    /// Finished text, taken byte for byte.
    Text(String),
    /// Names and values, encoded as the exchange wants.
    Pairs(Vec<(String, Json)>),
}

/// A body.
#[derive(Debug, Clone)]
pub enum Body {
    /// Finished bytes, from `body` or `body_base64`.
    Bytes(Vec<u8>),
    /// A form, encoded as the exchange wants.
    Form(Fields),
    /// JSON, its characters as they were given.
    Json(String),
    /// Names and values that become a form or JSON, as the exchange wants.
    Parts {
        /// The names and values.
        pairs: Vec<(String, Json)>,
        /// The object's characters as they were given; none where it was a list of pairs.
        object: Option<String>,
    },
}

/// A request with its signature in place, ready to be sent as it stands.
#[derive(Debug)]
pub struct SignedRequest {
    /// The method; `WS` for a WebSocket login.
    pub method: String,
    /// The absolute URL; none for a WebSocket login that goes to no fixed place.
    pub url: Option<String>,
    /// Header names as the exchange spells them, with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body's exact bytes; none where there is no body.
    pub body: Option<Vec<u8>>,
}

/// What of a key's record a signature needs, beside the secret on the token.
#[derive(Debug, Default)]
pub struct Credentials {
    /// The API key, which names the key to the exchange.
    pub api_key: Option<String>,
    /// The passphrase that some exchanges want in the request.
    pub passphrase: Option<Secret>,
    /// The passphrase's MACs, each by the name of the secret that made it, where they are kept in its place.
    pub passphrase_macs: Vec<(String, Vec<u8>)>,
    /// Further values that a scheme names, as `user_id` or `partner`.
    pub extra: Vec<(String, String)>,
}

impl SignedRequest {
    /// The answer line, without its line feed.
    ///
    /// A body that is not UTF-8 stands as `body_base64`, and `body` is null.
    pub fn to_line(&self, id: Option<&Json>) -> String {
        use base64ct::Encoding as _;

        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 6)
            .sum();
        let url = self.url.as_ref().map_or(0, String::len);
        let mut line = String::with_capacity(96 + url + headers + self.body.as_ref().map_or(0, Vec::len));
        line.push_str("{\"ok\":true");
        write_id(&mut line, id);
        line.push_str(",\"method\":");
        quote(&self.method, &mut line);
        line.push_str(",\"url\":");
        match &self.url {
            Some(url) => quote(url, &mut line),
            None => line.push_str("null"),
        }
        line.push_str(",\"headers\":{");
        for (index, (name, value)) in self.headers.iter().enumerate() {
            if index > 0 {
                line.push(',');
            }
            quote(name, &mut line);
            line.push(':');
            quote(value, &mut line);
        }
        line.push_str("},\"body\":");
        match self.body.as_deref().map(std::str::from_utf8) {
            None => line.push_str("null"),
            Some(Ok(body)) => quote(body, &mut line),
            Some(Err(_)) => {
                let body = self.body.as_deref().unwrap_or_default();
                let _ = write!(
                    line,
                    "null,\"body_base64\":\"{}\"",
                    base64ct::Base64::encode_string(body)
                );
            }
        }
        line.push('}');
        line
    }
}

/// The answer to a line that could not be done, without its line feed.
pub fn error_line(id: Option<&Json>, error: &Error) -> String {
    let mut line = String::from("{\"ok\":false");
    write_id(&mut line, id);
    line.push_str(",\"error\":{\"code\":");
    quote(error.code().name(), &mut line);
    line.push_str(",\"message\":");
    quote(error.message(), &mut line);
    line.push_str(",\"fix\":");
    quote(error.advice(), &mut line);
    if let Some(rule) = error.rule() {
        line.push_str(",\"rule\":");
        quote(rule, &mut line);
    }
    line.push_str("}}");
    line
}

fn write_id(line: &mut String, id: Option<&Json>) {
    if let Some(id) = id {
        line.push_str(",\"id\":");
        line.push_str(&id.to_compact());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, bad_input};

    #[test]
    fn an_answer_is_the_line_of_the_contract() {
        let mut signed = SignedRequest {
            method: "POST".into(),
            url: Some("https://api.kraken.com/0/private/Balance".into()),
            headers: vec![("API-Key".into(), "k".into()), ("API-Sign".into(), "a+/=".into())],
            body: Some(b"nonce=1".to_vec()),
        };
        let id = Json::Number("1.0".into());
        assert_eq!(
            signed.to_line(Some(&id)),
            r#"{"ok":true,"id":1.0,"method":"POST","url":"https://api.kraken.com/0/private/Balance","headers":{"API-Key":"k","API-Sign":"a+/="},"body":"nonce=1"}"#
        );
        signed.body = Some(vec![0xff]);
        signed.url = None;
        signed.headers.clear();
        assert_eq!(
            signed.to_line(None),
            r#"{"ok":true,"method":"POST","url":null,"headers":{},"body":null,"body_base64":"/w=="}"#
        );
    }

    #[test]
    fn a_refusal_is_the_line_of_the_contract() {
        let error = bad_input("no").fix("say \"yes\"");
        assert_eq!(
            error_line(Some(&Json::Null), &error),
            r#"{"ok":false,"id":null,"error":{"code":"bad-input","message":"no","fix":"say \"yes\""}}"#
        );
        let denial = Error::new(Code::Denied, "no")
            .fix("yes")
            .by("cap 1 of policy/k.toml");
        assert_eq!(
            error_line(None, &denial),
            r#"{"ok":false,"error":{"code":"denied","message":"no","fix":"yes","rule":"cap 1 of policy/k.toml"}}"#
        );
    }
}
