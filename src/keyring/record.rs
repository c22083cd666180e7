use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    algorithm::Algorithm,
    clock::Offset,
    error::{Error, Result, bad_input, failed},
    json,
    name::{RULE, is_name},
    public_key::PublicKey,
    token::{Imported, KeyRef},
};

/// The version of a record that this program writes; a newer one is refused.
pub const VERSION: u32 = 1;

/// The exchange's id of a key that is for no exchange of the catalogue.
pub const GENERIC: &str = "generic";

/// The name of a key: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

impl KeyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if is_name(name) {
            return Ok(Self(name.to_owned()));
        }
        let shown: String = name.chars().take(80).collect();
        Err(bad_input(format!("{shown:?} cannot be a key's name")).fix(RULE))
    }
}

impl TryFrom<String> for KeyName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

/// What hsmsign knows of one key. The secret is not here: it is on the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The record's format.
    pub version: u32,
    /// The key's name.
    pub name: KeyName,
    /// The exchange's id, as its scheme file has it; `generic` for none.
    pub exchange: String,
    /// What the key computes.
    pub algorithm: Algorithm,
    /// The encoding of its MAC for `hmac`, where the exchange is `generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What the owner allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allow>,
    /// The host that stands in for the scheme's, `https://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The receive window that stands in for the scheme's, in the exchange's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// How far the exchange's clock is ahead of this machine's, in milliseconds.
    #[serde(default, skip_serializing_if = "Offset::is_none")]
    pub offset_ms: Offset,
    /// The pair in force: API key and secret, issued together.
    pub current: Pair,
    /// The pair before the last rotation, kept until `--commit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Pair>,
    /// A pair that the token made and that waits to be put in force: the exchange must know its public key first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Pair>,
}

impl Record {
    /// Whether the key is for bytes alone, and no exchange's.
    pub fn is_generic(&self) -> bool {
        self.exchange == GENERIC
    }

    /// What the log tells of a key that was imported: its exchange, and what it was allowed then.
    pub fn told(&self) -> String {
        let mut told = self.exchange.clone();
        for allow in &self.allow {
            told.push_str(&format!(", allowed {}", allow.name()));
        }
        if let Some(url) = &self.base_url {
            told.push_str(&format!(", base-url {url:?}"));
        }
        told
    }

    /// All pairs that have objects on tokens, the one in force first.
    pub fn pairs(&self) -> impl Iterator<Item = (Standing, &Pair)> {
        let further = [(Standing::Previous, &self.previous), (Standing::Next, &self.next)];
        std::iter::once((Standing::InForce, &self.current)).chain(
            further
                .into_iter()
                .filter_map(|(standing, pair)| pair.as_ref().map(|pair| (standing, pair))),
        )
    }
}

/// What a pair is to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It signs.
    InForce,
    /// It was in force before the last rotation.
    Previous,
    /// It is to be put in force.
    Next,
}

impl Record {
    /// Reads a record, JSON in UTF-8.
    ///
    /// # Errors
    /// When it is not a record, or of a newer version, which is said before anything else that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            failed(format!("this is not a key's record: {error}"))
                .fix("put the file back from a backup (`hsmsign restore`), or import the key again")
        };
        match serde_json::from_slice::<Self>(bytes) {
            Ok(record) if record.version == VERSION => Ok(record),
            other => {
                let version = json::version(bytes).map_err(damaged)?;
                if version > VERSION {
                    return Err(failed(format!(
                        "the record has version {version}, and this hsmsign knows up to {VERSION}"
                    ))
                    .fix("use the newer hsmsign that wrote it"));
                }
                Err(other
                    .err()
                    .map_or_else(|| failed("the record has no version that was ever used"), damaged))
            }
        }
    }
}

/// What an owner can allow a key beyond orders and reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allow {
    /// The exchange's endpoints that move money out.
    Withdrawals,
    /// MACs of bytes that hsmsign does not compose.
    Raw,
}

impl Allow {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawals => "withdrawals",
            Self::Raw => "raw",
        }
    }
}

impl FromStr for Allow {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Withdrawals, Self::Raw]
            .into_iter()
            .find(|allow| allow.name() == name)
            .ok_or_else(|| {
                bad_input(format!("there is nothing named {name:?} to allow"))
                    .fix("allow `withdrawals` or `raw`")
            })
    }
}

/// An API key with its secrets on the token: what an exchange issues together and a rotation switches at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The API key; none until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Further values that are not secret, as `user_id` and `partner`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The passphrase's MACs in lower-case hex, each by the name of the secret that made it, where the exchange wants
    /// nothing else of the passphrase: it is not kept then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passphrase_macs: BTreeMap<String, String>,
    /// When it was imported or generated, RFC 3339 in UTC.
    pub created: String,
    /// The key on each token that holds it, in the order of use. At least one.
    pub copies: Vec<Copy>,
}

impl Pair {
    /// The public half of its private key; none for MAC keys.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.secrets().find_map(|secret| secret.public.as_ref())
    }

    /// Whether the token made its key.
    pub fn is_generated(&self) -> bool {
        self.secrets().any(|secret| secret.generated)
    }

    /// The copy whose every use waits for a touch; none where none does.
    pub fn touched(&self) -> Option<&Copy> {
        let secret = |copy: &Copy| copy.objects.get("secret").map(|secret| secret.key.is_touched());
        self.copies.iter().find(|copy| secret(copy) == Some(true))
    }

    fn secrets(&self) -> impl Iterator<Item = &Material> {
        self.copies.iter().filter_map(|copy| copy.objects.get("secret"))
    }
}

/// One key as it lies on one token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The token's name in `config.toml`.
    pub token: String,
    /// The token's serial number at import.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Whether the token is hardware; false where its keys are in the memory of the process that uses it.
    #[serde(default)]
    pub hardware: bool,
    /// The attacks by which this token gives keys away, which the owner accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<String>,
    /// The objects, by what they are to the scheme: `secret`, `passphrase`, `partner_secret`.
    pub objects: BTreeMap<String, Material>,
}

/// One object on a token, with what was seen when it was put there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// Where it is.
    pub key: KeyRef,
    /// The hardening that took effect, as the token reported it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardening: Vec<String>,
    /// The rung of the import ladder that the token accepted, 1 the hardest.
    #[serde(default)]
    pub rung: u8,
    /// The MAC that proved it, to be compared again by `hsmsign test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The public half of a private key, which proves it whenever it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<PublicKey>,
    /// Whether the token made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
    /// The token's own proof that it made the key, as certificates in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
}

impl Material {
    /// What a token says of a key that it has taken or made.
    pub fn of(imported: Imported) -> Self {
        Self {
            hardening: imported.hardening,
            rung: imported.rung,
            attestation: imported.attestation,
            ..Self::plain(imported.key)
        }
    }

    /// An object of which nothing more is known.
    pub const fn plain(key: KeyRef) -> Self {
        Self {
            key,
            hardening: Vec::new(),
            rung: 0,
            proof: None,
            public: None,
            generated: false,
            attestation: None,
        }
    }
}

/// A message and its MAC as software computed it while the secret was at hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The random message, lower-case hex.
    pub message: String,
    /// Its MAC, lower-case hex.
    pub mac: String,
}
