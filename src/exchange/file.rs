//! A scheme file as TOML has it: every key known, every type checked, nothing interpreted yet.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

/// Text or a list of texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Texts {
    /// As a list.
    pub(crate) fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockFile {
    pub unit: String,
    pub also: Option<String>,
    #[serde(default)]
    pub ahead: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NonceFile {
    pub unit: Option<String>,
    pub random: Option<String>,
    pub like: Option<String>,
    pub max: Option<u64>,
    #[serde(default)]
    pub decimal: bool,
    #[serde(default)]
    pub word: bool,
    #[serde(default)]
    pub increasing: bool,
    #[serde(default)]
    pub optional: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlacesFile {
    pub params: Option<Table>,
    pub query: Option<Table>,
    pub form: Option<Table>,
    pub json: Option<Table>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParamsFile {
    #[serde(rename = "GET")]
    pub get: Option<String>,
    #[serde(rename = "POST")]
    pub post: Option<String>,
    #[serde(rename = "PUT")]
    pub put: Option<String>,
    #[serde(rename = "DELETE")]
    pub delete: Option<String>,
    #[serde(rename = "PATCH")]
    pub patch: Option<String>,
    pub default: Option<String>,
    #[serde(default)]
    pub sorted: Vec<String>,
    pub lists: Option<String>,
    pub space: Option<String>,
    pub empty: Option<String>,
    pub under: Option<String>,
    #[serde(default)]
    pub except: Vec<ExceptFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExceptFile {
    #[serde(default)]
    pub method: Vec<String>,
    pub path: String,
    #[serde(rename = "in")]
    pub place: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureFile {
    pub message: String,
    pub name: Option<String>,
    pub key: Option<String>,
}

/// One signature or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Signatures {
    One(SignatureFile),
    Many(Vec<SignatureFile>),
}

/// The keys that a file, a `[[form]]` and `[websocket]` share, each struct with its own beside them.
macro_rules! with_plan {
    ($(#[$meta:meta])* $name:ident { $($(#[$fm:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct $name {
            $($(#[$fm])* pub $field: $type,)*
            pub clock: Option<ClockFile>,
            pub nonce: Option<NonceFile>,
            pub options: Option<BTreeMap<String, String>>,
            pub params: Option<ParamsFile>,
            pub add: Option<PlacesFile>,
            pub add_at: Option<String>,
            pub add_after: Option<String>,
            #[serde(default, rename = "let")]
            pub lets: Table,
            #[serde(default)]
            pub json: Table,
            pub signature: Option<Signatures>,
            pub encoding: Option<String>,
            pub headers: Option<Table>,
            pub attach: Option<PlacesFile>,
            pub attach_at: Option<String>,
            pub attach_before: Option<String>,
            pub attach_after: Option<String>,
            pub body: Option<String>,
            pub content_type: Option<String>,
            pub bodies: Option<Vec<String>>,
            pub unsigned: Option<Vec<String>>,
        }

        impl $name {
            /// Takes the shared keys out.
            pub(crate) fn plan(&mut self) -> PlanFile {
                PlanFile {
                    clock: self.clock.take(),
                    nonce: self.nonce.take(),
                    options: self.options.take(),
                    params: self.params.take(),
                    add: self.add.take(),
                    add_at: self.add_at.take(),
                    add_after: self.add_after.take(),
                    lets: std::mem::take(&mut self.lets),
                    json: std::mem::take(&mut self.json),
                    signature: self.signature.take(),
                    encoding: self.encoding.take(),
                    headers: self.headers.take(),
                    attach: self.attach.take(),
                    attach_at: self.attach_at.take(),
                    attach_before: self.attach_before.take(),
                    attach_after: self.attach_after.take(),
                    body: self.body.take(),
                    content_type: self.content_type.take(),
                    bodies: self.bodies.take(),
                    unsigned: self.unsigned.take(),
                }
            }
        }
    };
}

with_plan! {
    /// The whole file.
    SchemeFile {
        id: String,
        name: String,
        docs: Option<String>,
        note: Option<String>,
        closed: Option<String>,
        #[serde(default)]
        checked: Vec<String>,
        /// Which exchange the rest was taken from; never in the text of a file that says all itself.
        #[serde(skip)]
        like: Option<String>,
        hosts: Vec<String>,
        #[serde(default)]
        host_for: Table,
        #[serde(default)]
        aliases: Vec<String>,
        #[serde(default)]
        paths: Vec<String>,
        key: Table,
        #[serde(default)]
        credentials: Vec<String>,
        #[serde(default)]
        optional: Vec<String>,
        #[serde(default)]
        endpoints: Table,
        withdrawal: Option<WithdrawalFile>,
        classes: Option<ClassesFile>,
        caps: Option<CapsFile>,
        send: Option<SendFile>,
        websocket: Option<WebSocketFile>,
        #[serde(default)]
        form: Vec<FormFile>,
        #[serde(default)]
        test: Vec<TestFile>,
    }
}

with_plan! {
    /// An overlay for some paths or methods.
    FormFile {
        path: Option<Texts>,
        method: Option<Texts>,
    }
}

with_plan! {
    /// The WebSocket login.
    WebSocketFile {
        message: Option<String>,
        /// A table, or a list.
        frame: Option<Value>,
        #[serde(default)]
        input: Vec<String>,
        url: Option<String>,
        #[serde(default)]
        paths: Vec<String>,
        none: Option<String>,
        #[serde(default)]
        form: Vec<WebSocketFormFile>,
    }
}

with_plan! {
    /// The login of another of the exchange's sockets, or for another kind of message.
    WebSocketFormFile {
        path: Option<Texts>,
        given: Option<String>,
        message: Option<String>,
        /// A table, or a list.
        frame: Option<Value>,
        url: Option<String>,
    }
}

/// The shared keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlanFile {
    pub clock: Option<ClockFile>,
    pub nonce: Option<NonceFile>,
    pub options: Option<BTreeMap<String, String>>,
    pub params: Option<ParamsFile>,
    pub add: Option<PlacesFile>,
    pub add_at: Option<String>,
    pub add_after: Option<String>,
    pub lets: Table,
    pub json: Table,
    pub signature: Option<Signatures>,
    pub encoding: Option<String>,
    pub headers: Option<Table>,
    pub attach: Option<PlacesFile>,
    pub attach_at: Option<String>,
    pub attach_before: Option<String>,
    pub attach_after: Option<String>,
    pub body: Option<String>,
    pub content_type: Option<String>,
    pub bodies: Option<Vec<String>>,
    pub unsigned: Option<Vec<String>>,
}

impl PlanFile {
    /// This plan laid over another: what it says counts, the rest is the other's; lets and JSON tables one by one.
    pub(crate) fn over(self, base: &Self) -> Self {
        let base = base.clone();
        let merge = |mut under: Table, over: Table| {
            under.extend(over);
            under
        };
        Self {
            clock: self.clock.or(base.clock),
            nonce: self.nonce.or(base.nonce),
            options: self.options.or(base.options),
            params: self.params.or(base.params),
            add: self.add.or(base.add),
            add_at: self.add_at.or(base.add_at),
            add_after: self.add_after.or(base.add_after),
            lets: merge(base.lets, self.lets),
            json: merge(base.json, self.json),
            signature: self.signature.or(base.signature),
            encoding: self.encoding.or(base.encoding),
            headers: self.headers.or(base.headers),
            attach: self.attach.or(base.attach),
            attach_at: self.attach_at.or(base.attach_at),
            attach_before: self.attach_before.or(base.attach_before),
            attach_after: self.attach_after.or(base.attach_after),
            body: self.body.or(base.body),
            content_type: self.content_type.or(base.content_type),
            bodies: self.bodies.or(base.bodies),
            unsigned: self.unsigned.or(base.unsigned),
        }
    }
}

/// How a secret is written, what is made of a signature, and what the exchange wants of a key made on the token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeyFile {
    pub algorithm: String,
    pub secret: String,
    pub encoding: String,
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    #[serde(default)]
    pub length: Vec<usize>,
    pub alphabet: Option<String>,
    pub public: Option<String>,
    pub api_key: Option<String>,
    pub issued: Option<String>,
}

/// What moves money out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithdrawalFile {
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub paths: Vec<String>,
    #[serde(default)]
    pub fields: Vec<String>,
    #[serde(default)]
    pub body: BTreeMap<String, Vec<String>>,
}

/// What caps cannot see by the fields of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CapsFile {
    #[serde(default)]
    pub closes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub sessions: Vec<String>,
    pub asked_by: Option<String>,
    pub traded: Option<Vec<String>>,
}

/// Which endpoints read and which trade, for policies to begin with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ClassesFile {
    pub read: Vec<String>,
    /// All fields that such requests may have, where the path is not signed.
    #[serde(default)]
    pub read_fields: Vec<String>,
    pub trade: Vec<String>,
    #[serde(default)]
    pub trade_fields: Vec<String>,
    /// What keeps orders from being on credit; none where nothing signed tells.
    pub no_leverage: Option<NoLeverageFile>,
}

/// By what an order without credit is known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoLeverageFile {
    /// Fields that must not be there.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Fields and the values that they may have.
    #[serde(default)]
    pub values: BTreeMap<String, Vec<String>>,
}

/// What sending a request must know beside the request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SendFile {
    /// A [`TimeFile`] or a list of them.
    pub time: Option<Value>,
    /// An [`ErrorFile`] or a list of them.
    pub error: Option<Value>,
    #[serde(default)]
    pub clock_errors: Vec<String>,
    #[serde(default)]
    pub nonce_errors: Vec<String>,
    #[serde(default)]
    pub read_only: Vec<String>,
    #[serde(default)]
    pub acting: Vec<String>,
    #[serde(default)]
    pub testnet: BTreeMap<String, String>,
    #[serde(default)]
    pub testnet_headers: BTreeMap<String, String>,
}

/// Where the exchange tells its time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeFile {
    pub path: String,
    pub field: Option<String>,
    pub unit: Option<String>,
    #[serde(rename = "for")]
    pub paths: Option<String>,
}

/// By what an answer is known to be an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorFile {
    pub field: String,
    pub when: Option<String>,
    pub is: Option<Vec<String>>,
    pub not: Option<Vec<String>>,
    pub text: Option<String>,
}

/// A signed request that the file must reproduce.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestFile {
    pub name: String,
    pub algorithm: Option<String>,
    pub credentials: BTreeMap<String, String>,
    pub request: String,
    pub nonce: Option<u64>,
    pub now: Option<u64>,
    pub url: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
}

/// The text of a value, or what it is instead.
pub(crate) fn text(value: &Value) -> Result<&str, &'static str> {
    value.as_str().ok_or(value.type_str())
}
