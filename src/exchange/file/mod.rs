//! A scheme file as TOML has it: every key known, every type checked, nothing interpreted yet.

mod plan;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

pub(crate) use self::plan::{
    FormFile, NonceFile, ParamsFile, PlacesFile, PlanFile, SchemeFile, SignatureFile, Signatures,
    WebSocketFile,
};

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
    pub market_without: Option<String>,
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
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct NoLeverageFile {
    /// Fields that must not be there.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Fields and the values that they must not have, `*` for any characters.
    #[serde(default)]
    pub deny_values: BTreeMap<String, Vec<String>>,
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
