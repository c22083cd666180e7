//! A policy file as TOML has it: every key known, every type checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::value::Datetime;

/// The version of the file that this program knows.
pub const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicyFile {
    pub policy: u32,
    #[serde(default)]
    pub deny_all: bool,
    pub withdrawals: Option<bool>,
    pub raw: Option<bool>,
    pub websocket: Option<bool>,
    pub expires: Option<Datetime>,
    pub hours: Option<Vec<String>>,
    pub rate: Option<RateFile>,
    pub symbols: Option<Vec<String>>,
    #[serde(default)]
    pub symbol_fields: Vec<String>,
    #[serde(default)]
    pub values: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub uncapped: Vec<String>,
    pub client: Option<Vec<ClientFile>>,
    pub allow: Option<Vec<EndpointFile>>,
    #[serde(default)]
    pub deny: Vec<EndpointFile>,
    #[serde(default)]
    pub confirm: Vec<EndpointFile>,
    #[serde(default)]
    pub cap: Vec<CapFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateFile {
    pub second: Option<u64>,
    pub minute: Option<u64>,
    pub day: Option<u64>,
}

/// A number, or a name that stands for one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(u32),
    Name(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFile {
    pub uid: Option<Id>,
    pub gid: Option<Id>,
    pub executable: Option<String>,
    pub unit: Option<String>,
    pub cgroup: Option<String>,
}

/// Text or a list of texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    pub(super) fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointFile {
    pub method: Option<Texts>,
    pub path: Option<Texts>,
    pub fields: Option<Vec<String>>,
    #[serde(default)]
    pub values: BTreeMap<String, Texts>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapFile {
    pub field: String,
    pub times: Option<String>,
    pub symbol: Option<Texts>,
    pub path: Option<Texts>,
    pub request: Option<String>,
    pub day: Option<String>,
}
