//! Keys and data on a token: how they are named, how they are made, what is given to them and what comes back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Result, TokenError};

/// The bytes of an id of hsmsign's making.
const WHOLE: usize = 16;

/// The id of an object on a token (CKA_ID), 1 to 64 bytes; hsmsign makes random ones of 16.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(Vec<u8>);

impl ObjectId {
    /// A random id of 16 bytes.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> crate::error::Result<Self> {
        let mut id = vec![0; WHOLE];
        getrandom::fill(&mut id).map_err(|_| crate::error::failed("the system gave no random bytes"))?;
        Ok(Self(id))
    }

    /// The id as a token reports it.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the beginning that a token kept of a whole one. Of these there are so few that another key may have it,
    /// too.
    pub const fn is_cut(&self) -> bool {
        self.0.len() < WHOLE
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ObjectId {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        match base16ct::lower::decode_vec(&text) {
            Ok(id) if !id.is_empty() && id.len() <= 64 => Ok(Self(id)),
            _ => Err("an object id is 1 to 64 bytes in lower-case hex"),
        }
    }
}

/// Where a key is on its token: a locator that can be written down, never a session's handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRef {
    /// An object of a PKCS#11 token, by class and CKA_ID.
    Object {
        /// What kind of object.
        class: Class,
        /// Its CKA_ID (CKA_OBJECT_ID for data).
        id: ObjectId,
    },
    /// A credential of an OATH applet.
    Credential {
        /// Its id, which is in its name.
        id: ObjectId,
        /// Its whole name, by which the applet finds it.
        name: String,
        /// Whether each use of it takes a touch.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        touch: bool,
    },
    /// A slot of a PIV applet.
    Slot {
        /// Its id, which stands in the applet's index.
        id: ObjectId,
        /// The slot's number.
        slot: u8,
        /// Whether each use of it takes a touch.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        touch: bool,
        /// Whether it works without the PIN.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        without_pin: bool,
    },
}

impl KeyRef {
    /// The id under which it was made.
    pub const fn id(&self) -> &ObjectId {
        match self {
            Self::Object { id, .. } | Self::Credential { id, .. } | Self::Slot { id, .. } => id,
        }
    }

    /// Whether each use waits for a touch.
    pub const fn is_touched(&self) -> bool {
        match self {
            Self::Object { .. } => false,
            Self::Credential { touch, .. } | Self::Slot { touch, .. } => *touch,
        }
    }

    /// Class and id of an object of a PKCS#11 token.
    ///
    /// # Errors
    /// When it is on a token of another kind.
    pub fn object(&self) -> Result<(Class, &ObjectId)> {
        match self {
            Self::Object { class, id } => Ok((*class, id)),
            Self::Credential { .. } | Self::Slot { .. } => Err(TokenError::NotFound(
                "the key is on a token of another kind than the one that has its name in config.toml"
                    .to_owned(),
            )),
        }
    }
}

/// The kind of an object on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A MAC key (CKO_SECRET_KEY).
    Mac,
    /// A private key (CKO_PRIVATE_KEY).
    Private,
    /// A public key (CKO_PUBLIC_KEY).
    Public,
    /// Private data, as a passphrase (CKO_DATA).
    Data,
}

/// How a new object is named on its token.
#[derive(Debug, Clone)]
pub struct KeyMeta {
    /// Its id, chosen and journalled before the token hears of it.
    pub id: ObjectId,
    /// Its label: `hsmsign:` and the key's name.
    pub label: String,
    /// What its owner wishes of it beside.
    pub wishes: Wishes,
}

/// How a new key is to be used and where it is to lie, on tokens that let one choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Each use takes a touch of the token.
    pub touch: bool,
    /// When the PIN is wanted.
    pub pin: PinPolicy,
    /// The slot of a PIV applet, by its number; a free one where none is given.
    pub slot: Option<u8>,
    /// A data object whose bytes are to be changed later: [`super::Token::set_data`].
    pub changes: bool,
}

/// When a token wants its PIN for a key, where that can be chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PinPolicy {
    /// Once in a session with the token; hsmsign's are as long as one use.
    #[default]
    Once,
    /// Before each use.
    Always,
    /// Never.
    Never,
}

/// A key that is now on the token.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Where.
    pub key: KeyRef,
    /// The hardening that took effect, read back from the token, as `sensitive`, `not-extractable`, `not-copyable`;
    /// what was asked and did not is left out.
    pub hardening: Vec<String>,
    /// The rung of the import ladder that the token accepted, 1 the hardest; 0 where there is no ladder.
    pub rung: u8,
    /// The token's own proof that it made the key, as certificates in PEM, where it gives one.
    pub attestation: Option<String>,
}

/// A MAC as the token gave it, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    bytes: [u8; 64],
    len: usize,
}

impl Mac {
    /// From the token's answer; none if it is longer than any MAC here.
    pub fn new(answer: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..answer.len())?.copy_from_slice(answer);
        Some(Self {
            bytes,
            len: answer.len(),
        })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a signature is made of.
#[derive(Debug, Clone, Copy)]
pub enum SignInput<'a> {
    /// The message itself.
    Message(&'a [u8]),
    /// Its SHA-256, 32 bytes, for algorithms that hash first.
    Digest(&'a [u8; 32]),
}

/// One object that a token lists.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Where it is; none where it has no id, or its class is not one of ours.
    pub key: Option<KeyRef>,
    /// Its label.
    pub label: String,
}
