//! Files that are like a built-in one: an exchange that signs as another does, on hosts of its own.

use serde::Deserialize;
use toml::Table;

use super::{
    builtin,
    file::{SchemeFile, SendFile, TestFile, WebSocketFile},
    scheme::from_toml,
};
use crate::error::{Result, bad_input};

/// All that such a file may say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LikeFile {
    id: String,
    name: String,
    like: String,
    docs: Option<String>,
    note: Option<String>,
    closed: Option<String>,
    hosts: Vec<String>,
    #[serde(default)]
    host_for: Table,
    #[serde(default)]
    aliases: Vec<String>,
    websocket: Option<WebSocketFile>,
    #[serde(default)]
    test: Vec<TestFile>,
}

/// Whether it is such a file, read off the keys before its first table.
pub(crate) fn is_like(text: &str) -> bool {
    let mut keys = text.lines().take_while(|line| !line.starts_with('['));
    keys.any(|line| line.split('=').next().is_some_and(|key| key.trim() == "like"))
}

/// The other's file, with what this one says in its place.
pub(crate) fn read(text: &str) -> Result<SchemeFile> {
    let own: LikeFile = from_toml(text)?;
    let unfit = |what: &str| {
        bad_input(format!("`like` names {:?}, which {what}", own.like))
            .fix("name an exchange of `hsmsign exchanges` whose file says itself how it is signed")
    };
    let other = builtin(&own.like).ok_or_else(|| unfit("is not built in"))?;
    let other: SchemeFile = from_toml(other).map_err(|_| unfit("is like another"))?;
    Ok(SchemeFile {
        id: own.id,
        name: own.name,
        docs: own.docs.or(other.docs),
        note: own.note,
        closed: own.closed,
        hosts: own.hosts,
        host_for: own.host_for,
        aliases: own.aliases,
        websocket: own.websocket.or(other.websocket),
        send: other.send.map(SendFile::elsewhere),
        test: own.test,
        ..other
    })
}

#[cfg(test)]
mod tests {
    use crate::exchange::{Scheme, builtin};

    const HEIR: &str = "id = \"x\"\nname = \"X\"\nlike = \"binance\"\nhosts = [\"api.x.com\"]\n";

    #[test]
    fn an_heir_has_its_own_hosts_and_the_others_rules() {
        let heir = Scheme::parse(HEIR, "x").unwrap();
        let other = Scheme::parse(builtin("binance").unwrap(), "binance").unwrap();
        assert_eq!((heir.id(), heir.name()), ("x", "X"));
        assert_eq!(heir.hosts(), ["api.x.com"]);
        assert!(heir.host_for.is_empty() && heir.aliases().is_empty() && heir.tests().is_empty());
        assert_eq!(heir.docs(), other.docs());
        assert_eq!(heir.coverage(), other.coverage());
        assert!(heir.faults().is_empty() && heir.has_websocket());
        assert_eq!(
            heir.sending().time("/api/v3/order"),
            other.sending().time("/api/v3/order")
        );
        assert!(heir.sending().testnet().is_empty() && !other.sending().testnet().is_empty());
    }

    #[test]
    fn what_an_heir_cannot_say_is_refused_with_its_place() {
        for (add, says) in [
            ("clock = { unit = \"ms\" }\n", "line 5, column 1"),
            ("[withdrawal]\npaths = []\n", "line 5, column 2"),
        ] {
            let error = Scheme::parse(&format!("{HEIR}{add}"), "x.toml").unwrap_err();
            assert!(
                error.message().starts_with("x.toml: ") && error.message().contains(says),
                "{error}"
            );
        }
        let error = Scheme::parse(&HEIR.replace("binance", "nowhere"), "x").unwrap_err();
        assert!(error.message().contains("is not built in"), "{error}");
        let error = Scheme::parse(&HEIR.replace("hosts = [\"api.x.com\"]", "hosts = []"), "x").unwrap_err();
        assert!(error.message().contains("`hosts` is empty"), "{error}");
    }

    #[test]
    fn a_nonce_like_the_timestamp_makes_no_heir() {
        let text = "id = \"x\"\n[nonce]\nlike = \"timestamp\"\n";
        assert!(!super::is_like(text));
        assert!(super::is_like(HEIR));
    }
}
