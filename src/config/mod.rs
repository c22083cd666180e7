//! `config.toml`: the tokens by name, and what to do by default.

mod edit;

use std::{collections::BTreeMap, fmt, net::SocketAddr, ops::Range, path::PathBuf, time::Duration};

use serde::Deserialize;

pub use edit::{add_token, remove_token};

use crate::{
    error::{Code, Error, Result, bad_input, failed},
    home::{Home, read_private},
    name::{RULE, is_name},
};

/// The version of the file that this program writes; a newer one is refused.
pub const VERSION: u32 = 1;
const LIMIT: u64 = 1 << 20;

/// The settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The file's format.
    #[serde(default)]
    pub version: u32,
    /// The token that `import` uses where none is named.
    #[serde(default)]
    pub default_token: Option<String>,
    /// The tokens by name.
    #[serde(default, rename = "token")]
    pub tokens: BTreeMap<String, TokenConfig>,
    /// How requests are sent.
    #[serde(default)]
    pub send: SendConfig,
    /// The resident signer.
    #[serde(default)]
    pub agent: AgentConfig,
}

/// How requests are sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SendConfig {
    /// A file of certificate authorities to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The resident signer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AgentConfig {
    /// The group that may connect to its socket, by name or number; none for the user alone.
    pub group: Option<String>,
    /// The uids that may lock, unlock, import and stop, beside its own user and root.
    pub admins: Vec<u32>,
    /// How many connections it takes.
    pub connections: usize,
    /// How long a token may take for one answer, in seconds.
    pub call_timeout: u64,
    /// How long a person may take who is asked whether a request may be signed, in seconds.
    pub confirm_timeout: u64,
    /// Tokens are locked when nothing was signed for so long, in seconds; 0 for never.
    pub lock_after: u64,
    /// Whether all tokens that hold a key take turns, for throughput; else the first that is healthy signs.
    pub parallel: bool,
    /// Where metrics are read: `127.0.0.1:PORT`, `[::1]:PORT` or the path of a Unix socket; none where they are off.
    pub metrics: Option<MetricsAt>,
}

/// Where metrics are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MetricsAt {
    /// A port of the loopback, that any process of the machine can read.
    Port(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl TryFrom<String> for MetricsAt {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Port(address)),
            Ok(address) => Err(format!(
                "metrics are served to this machine alone, and {address} is not of the loopback: use 127.0.0.1:PORT, [::1]:PORT or the path of a Unix socket"
            )),
            Err(_) => Err(format!(
                "{text:?} is no place for metrics: use 127.0.0.1:PORT, [::1]:PORT or the whole path of a Unix socket"
            )),
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            group: None,
            admins: Vec::new(),
            connections: 4096,
            call_timeout: 30,
            confirm_timeout: 60,
            lock_after: 0,
            parallel: false,
            metrics: None,
        }
    }
}

impl AgentConfig {
    /// How long a token may take for one answer.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout.max(1))
    }

    /// How long a person may take who is asked.
    pub fn confirm_timeout(&self) -> Duration {
        Duration::from_secs(self.confirm_timeout.max(1))
    }

    /// After how long without a signature tokens are locked.
    pub fn lock_after(&self) -> Option<Duration> {
        (self.lock_after > 0).then(|| Duration::from_secs(self.lock_after))
    }
}

/// One token: how to find it, never by slot number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// The PKCS#11 module's file.
    #[serde(default)]
    pub module: Option<PathBuf>,
    /// The token as an RFC 7512 URI, in place of module, label, serial and pin-source.
    #[serde(default)]
    pub uri: Option<String>,
    /// The token's label.
    #[serde(default)]
    pub label: Option<String>,
    /// The token's serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// What the module wants at C_Initialize, in its own form.
    #[serde(default)]
    pub module_args: Option<String>,
    /// Where the PIN comes from: `terminal`, `pinentry`, `file:PATH`, `fd:N`, `credential:NAME`.
    #[serde(default)]
    pub pin_source: Option<String>,
    /// Where the PIN of a YubiKey's PIV applet comes from, where that is not pin-source.
    #[serde(default)]
    pub piv_pin_source: Option<String>,
    /// A file of certificates in PEM whose roots may vouch for keys made on a YubiKey, beside Yubico's own.
    #[serde(default)]
    pub attestation_roots: Option<PathBuf>,
    /// Whether processes take turns at opening it; where not said, what is known of the module decides.
    #[serde(default)]
    pub process_lock: Option<bool>,
    /// Whether it is a YubiKey, or another key with an OATH applet, reached without a PKCS#11 module.
    #[serde(default)]
    pub yubikey: bool,
    /// The id of its OATH applet in hex, by which it is known where it has no serial number.
    #[serde(default)]
    pub applet: Option<String>,
    /// Its firmware's version, as `5.7.4`.
    #[serde(default)]
    pub firmware: Option<String>,
    /// Whether it is a SoftHSM development token in hsmsign's own folders.
    #[serde(default)]
    pub softhsm: bool,
    /// Its owner uses it although it gives its keys away to whoever has the PIN.
    #[serde(default)]
    pub accept_leaky_token: bool,
    /// Environment variables that the module reads, set before it is loaded unless they are set already.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file; what is not there is empty.
    ///
    /// # Errors
    /// When it is open to others, not TOML, has unknown fields or a newer version.
    pub fn load(home: &Home) -> Result<Self> {
        Self::load_text(home).map(|(_, config)| config)
    }

    /// As [`Config::load`], with the text of the file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_text(home: &Home) -> Result<(String, Self)> {
        let path = home.config("config.toml");
        let Some(bytes) = read_private(&path, LIMIT)? else {
            return Ok(Default::default());
        };
        let text = text(bytes, &path)?;
        let config = Self::parse(&text, path.display())?;
        Ok((text, config))
    }

    /// Reads the text of a file; `origin` names it in errors.
    ///
    /// # Errors
    /// When it is not TOML, has unknown fields or a newer version, or holds a PIN.
    pub fn parse(text: &str, origin: impl fmt::Display) -> Result<Self> {
        let config: std::result::Result<Self, _> = toml::from_str(text);
        // What a newer version has besides is not known here: its number is told before anything else.
        let version = config
            .as_ref()
            .map_or_else(|_| version_of(text), |config| Some(config.version));
        if let Some(version) = version
            && version > VERSION
        {
            return Err(failed(format!(
                "{origin} has version {version}, and this hsmsign knows up to {VERSION}"
            ))
            .fix("use the newer hsmsign that wrote it"));
        }
        let config = config.map_err(|error| wrong(text, &origin, error.span(), error.message()))?;
        for (name, token) in &config.tokens {
            if token
                .uri
                .as_ref()
                .is_some_and(|uri| uri.to_ascii_lowercase().contains("pin-value"))
            {
                return Err(bad_input(format!("the uri of [token.{name}] in config.toml holds a PIN in clear"))
                    .fix("put the PIN into a file of mode 0600, and write pin-source=file:PATH in place of pin-value"));
            }
        }
        Ok(config)
    }

    /// The settings of a token.
    ///
    /// # Errors
    /// `token-missing`, naming the tokens there are.
    pub fn token(&self, name: &str) -> Result<&TokenConfig> {
        self.tokens.get(name).ok_or_else(|| {
            let known: Vec<_> = self.tokens.keys().map(String::as_str).collect();
            let error = Error::new(
                Code::TokenMissing,
                format!("there is no token named {name:?} in config.toml"),
            );
            if known.is_empty() {
                error.fix("set one up: hsmsign init")
            } else {
                error.fix(format!(
                    "the tokens are: {}; `hsmsign init --token {name}` sets one up",
                    known.join(", ")
                ))
            }
        })
    }

    /// The token to use where none is named: the only one, or the default.
    ///
    /// # Errors
    /// When there is none, or several and no default.
    pub fn usual_token(&self) -> Result<&str> {
        if let Some(name) = &self.default_token {
            self.token(name)?;
            return Ok(name);
        }
        let mut names = self.tokens.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Error::new(Code::TokenMissing, "no token is set up").fix(
                "for a hardware token: hsmsign init --pkcs11 MODULE; for development: hsmsign init --softhsm",
            )),
            _ => Err(bad_input(format!(
                "there are several tokens ({}), and no default-token in config.toml",
                self.tokens
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))
            .fix("name one with --token")),
        }
    }
}

/// The version that a file names which cannot be read otherwise.
fn version_of(text: &str) -> Option<u32> {
    let table: toml::Table = text.parse().ok()?;
    let version = table.get("version")?.as_integer()?;
    Some(u32::try_from(version).unwrap_or(u32::MAX))
}

/// A fault of the file, with its line and column, and in the library's words, which may quote a value. Where a PIN may be
/// that value, they are left out.
fn wrong(text: &str, origin: impl fmt::Display, span: Option<Range<usize>>, words: &str) -> Error {
    let span = span.unwrap_or(0..text.len());
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(span.end..).unwrap_or_default();
    let end = text.len() - rest.find('\n').map_or(0, |at| rest.len() - at);
    let (number, column) = (
        before.matches('\n').count() + 1,
        before[line..].chars().count() + 1,
    );
    if text[line..end].to_ascii_lowercase().contains("pin") {
        return bad_input(format!("{origin} is not as it should be in line {number}, which is about a PIN"))
            .fix("a PIN never stands in that file; pin-source = \"file:PATH\" names a file that holds it; docs/tokens.md has all settings");
    }
    let words = words.trim().replace('\n', " ");
    bad_input(format!(
        "{origin} is not as it should be in line {number}, column {column}: {words}"
    ))
    .fix("mend the file; docs/tokens.md has all settings")
}

fn text(bytes: Vec<u8>, path: &std::path::Path) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| bad_input(format!("{} is not UTF-8", path.display())))
}

/// Refuses what cannot be a token's name.
pub(crate) fn check_token_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(bad_input(format!("{name:?} cannot be a token's name")).fix(RULE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_stands_in_the_file_is_not_shown() {
        for line in [
            "pin = \"47110815\"",
            "pin-source = 47110815",
            "pin-source = \"47110815",
            "uri = \"pkcs11:token=a?pin-value=47110815\"",
            "uri = \"pkcs11:token=a?pin-value=47110815",
            "module = { pin-value = \"47110815\" }",
            "module = [\n  \"pin\",\n  47110815\n]",
        ] {
            let file = format!("version = 1\n[token.a]\n{line}\n");
            let error = Config::parse(&file, "config.toml").unwrap_err();
            let told = format!("{error} {}", error.advice());
            assert!(told.contains("PIN") && !told.contains("4711"), "{told}");
        }
        // The library quotes the next line here.
        let error = Config::parse("[\"\"\"b]\npin = \"47110815\"", "config.toml").unwrap_err();
        assert!(!error.message().contains("4711"), "{error}");
        let error = Config::parse("version = 1\nnew = 1\n", "config.toml").unwrap_err();
        assert!(
            error
                .message()
                .contains("in line 2, column 1: unknown field `new`"),
            "{error}"
        );
    }
}
