//! A request to be signed and what comes of it, as exact bytes that nothing re-serialises.

use crate::{json::Json, keyring::KeyName, secret::Secret};

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
    /// A challenge that the exchange sent for a WebSocket login.
    pub challenge: Option<String>,
    /// The Content-Type, where the caller has its own.
    pub content_type: Option<String>,
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
    /// Further values that a scheme names, as `user_id` or `partner`.
    pub extra: Vec<(String, String)>,
}
