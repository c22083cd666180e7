//! Keys as exchanges issue them, random in each run.

use base64ct::Encoding as _;
use serde_json::json;

use crate::forms::{Forms, Hash};

/// A secret with what is done to import it.
pub struct Key {
    /// The key's name.
    pub name: &'static str,
    /// The arguments of `import` beside it.
    import: &'static [&'static str],
    /// The secret as its exchange shows it.
    pub text: String,
    /// The same as a line of `import --json`.
    pub json: String,
    pub forms: Forms,
}

impl Key {
    fn new(
        name: &'static str,
        import: &'static [&'static str],
        text: Vec<u8>,
        key: &[u8],
        hash: Hash,
    ) -> Self {
        let forms = Forms::of(&text, key, hash);
        let text = String::from_utf8(text).unwrap();
        Self {
            name,
            import,
            json: json!({"exchange": name, "api_key": "a", "secret": text}).to_string(),
            text,
            forms,
        }
    }

    /// Base64, HMAC-SHA-512.
    pub fn kraken() -> Self {
        let key = random(64);
        let text = base64ct::Base64::encode_string(&key).into_bytes();
        Self::new(
            "kraken",
            &["--exchange", "kraken", "--api-key", "a"],
            text,
            &key,
            Hash::Sha512,
        )
    }

    /// Base64, HMAC-SHA-256, with a passphrase.
    pub fn coinbase_exchange() -> Self {
        let key = random(64);
        let text = base64ct::Base64::encode_string(&key).into_bytes();
        Self::new(
            "coinbaseexchange",
            &["--exchange", "coinbaseexchange", "--api-key", "a"],
            text,
            &key,
            Hash::Sha256,
        )
    }

    /// The text itself, HMAC-SHA-256, as long as the hash's block.
    pub fn binance() -> Self {
        let key = alphanumeric(64);
        Self::new(
            "binance",
            &["--exchange", "binance", "--api-key", "a"],
            key.clone(),
            &key,
            Hash::Sha256,
        )
    }

    /// The text itself, HMAC-SHA-384, shorter than the block.
    pub fn bitfinex() -> Self {
        let key = alphanumeric(43);
        Self::new(
            "bitfinex",
            &["--exchange", "bitfinex", "--api-key", "a"],
            key.clone(),
            &key,
            Hash::Sha384,
        )
    }

    /// Longer than the hash's block, so that it is hashed; and it makes raw MACs.
    pub fn long() -> Self {
        let key = alphanumeric(300);
        Self::new(
            "long",
            &[
                "--exchange",
                "generic",
                "--algorithm",
                "hmac-sha256",
                "--allow",
                "raw",
            ],
            key.clone(),
            &key,
            Hash::Sha256,
        )
    }

    /// Hex.
    pub fn hex() -> Self {
        let key = random(32);
        Self::new(
            "hex",
            &[
                "--exchange",
                "generic",
                "--algorithm",
                "hmac-sha256",
                "--encoding",
                "hex",
            ],
            base16ct::lower::encode_string(&key).into_bytes(),
            &key,
            Hash::Sha256,
        )
    }

    /// The arguments that import it.
    pub fn import_args(&self) -> Vec<&'static str> {
        [&["import", "--key", self.name], self.import].concat()
    }

    /// The secret's line.
    pub fn line(&self) -> String {
        format!("{}\n", self.text)
    }
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub fn alphanumeric(len: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random(len)
        .iter()
        .map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()])
        .collect()
}
