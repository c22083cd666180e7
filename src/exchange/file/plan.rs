//! The keys of a scheme file that say how a request is made, in the file itself and in its overlays.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{CapsFile, ClassesFile, SendFile, TestFile, Texts, WithdrawalFile};

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

/// Gives a macro the keys that a file, a `[[form]]` and `[websocket]` share, behind what else it is given.
macro_rules! shared {
    ($to:ident $given:tt) => {
        $to! { $given {
            clock: Option<ClockFile>,
            nonce: Option<NonceFile>,
            options: Option<BTreeMap<String, String>>,
            params: Option<ParamsFile>,
            add: Option<PlacesFile>,
            add_at: Option<String>,
            add_after: Option<String>,
            #[serde(default, rename = "let")]
            lets: Table,
            #[serde(default)]
            json: Table,
            signature: Option<Signatures>,
            encoding: Option<String>,
            headers: Option<Table>,
            attach: Option<PlacesFile>,
            attach_at: Option<String>,
            attach_before: Option<String>,
            attach_after: Option<String>,
            body: Option<String>,
            content_type: Option<String>,
            bodies: Option<Vec<String>>,
            unsigned: Option<Vec<String>>,
        } }
    };
}

/// A struct with the shared keys beside its own.
macro_rules! with_plan {
    (
        { $(#[$meta:meta])* $name:ident { $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)* } }
        { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct $name {
            $($(#[$own_meta])* pub $own: $own_type,)*
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Takes the shared keys out.
            pub(crate) fn plan(&mut self) -> PlanFile {
                PlanFile { $($field: std::mem::take(&mut self.$field),)* }
            }
        }
    };
}

/// The struct of the shared keys alone.
macro_rules! plan {
    ({ $(#[$meta:meta])* $name:ident } { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            $(pub $field: $type,)*
        }

        impl $name {
            /// This plan laid over another: what it says counts, the rest is the other's; lets and JSON tables one by one.
            pub(crate) fn over(self, base: &Self) -> Self {
                let base = base.clone();
                Self { $($field: self.$field.over(base.$field),)* }
            }
        }
    };
}

/// How the value of a key is laid over another.
trait Over {
    fn over(self, base: Self) -> Self;
}

impl<T> Over for Option<T> {
    fn over(self, base: Self) -> Self {
        self.or(base)
    }
}

impl Over for Table {
    fn over(self, mut base: Self) -> Self {
        base.extend(self);
        base
    }
}

shared! { with_plan {
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
} }

shared! { with_plan {
    /// An overlay for some paths or methods.
    FormFile {
        path: Option<Texts>,
        method: Option<Texts>,
    }
} }

shared! { with_plan {
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
} }

shared! { with_plan {
    /// The login of another of the exchange's sockets, or for another kind of message.
    WebSocketFormFile {
        path: Option<Texts>,
        given: Option<String>,
        message: Option<String>,
        /// A table, or a list.
        frame: Option<Value>,
        url: Option<String>,
    }
} }

shared! { plan {
    /// The shared keys.
    PlanFile
} }
