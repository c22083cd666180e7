//! A file for an exchange that signs as another one does, elsewhere: it names the other and says what differs.

use serde::Deserialize;
use toml::Table;

use super::{
    builtin,
    file::{SchemeFile, TestFile},
    locate::place,
};
use crate::error::{Result, bad_input};

/// What such a file may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LikeFile {
    id: String,
    name: String,
    like: String,
    docs: Option<String>,
    note: Option<String>,
    closed: Option<String>,
    #[serde(default)]
    checked: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    hosts: Vec<String>,
    #[serde(default)]
    host_for: Table,
    key: Option<Table>,
    websocket: Option<LikeSocket>,
    #[serde(default)]
    test: Vec<TestFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LikeSocket {
    url: String,
}

/// Reads a file, and the built-in one that it is like, where it is.
///
/// # Errors
/// When the text is not TOML, has an unknown key or a wrong type, or names an exchange that is not built in.
pub(crate) fn read(text: &str) -> Result<SchemeFile> {
    let wrong = |error: toml::de::Error| bad_input(place(text, &error));
    let may_be_like = text.lines().any(|line| line.trim_start().starts_with("like"));
    if !may_be_like || !toml::from_str::<Table>(text).map_err(wrong)?.contains_key("like") {
        return toml::from_str(text).map_err(wrong);
    }
    let own: LikeFile = toml::from_str(text).map_err(wrong)?;
    let unknown = || {
        bad_input(format!(
            "it is like {:?}, which is no built-in exchange",
            own.like
        ))
        .fix("name a built-in one that is not itself like another; `hsmsign exchanges` lists them")
    };
    let base = builtin(&own.like).ok_or_else(unknown)?;
    let mut file: SchemeFile = toml::from_str(base).map_err(|_| unknown())?;
    file.id = own.id;
    file.like = Some(own.like.clone());
    file.name = own.name;
    file.docs = own.docs.or(file.docs);
    file.note = own.note;
    file.closed = own.closed;
    file.checked = own.checked;
    file.aliases = own.aliases;
    file.hosts = own.hosts;
    if let Some(send) = &mut file.send {
        send.testnet.retain(|real, _| file.hosts.contains(real));
        if send.testnet.is_empty() {
            send.testnet_headers.clear();
        }
    }
    file.host_for = own.host_for;
    file.test = own.test;
    file.key = own.key.unwrap_or(file.key);
    if let (Some(socket), Some(own)) = (&mut file.websocket, own.websocket) {
        socket.url = Some(own.url);
        // What goes to other sockets goes to those of the other exchange.
        socket
            .form
            .retain(|form| form.path.is_none() && form.url.is_none());
    }
    Ok(file)
}
