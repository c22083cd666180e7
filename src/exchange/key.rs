//! The kinds of key that a scheme takes: how the secret is written, and what is made of a signature.

use base64ct::Encoding as _;
use toml::{Table, Value};

use super::file::KeyFile;
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    error::{Error, Result, bad_input},
    public_key::{PublicForm, PublicKey},
};

/// One kind of key.
#[derive(Debug, Clone)]
pub struct KeyKind {
    pub(crate) algorithm: Algorithm,
    pub(crate) secret: SecretForm,
    pub(crate) length: Vec<usize>,
    pub(crate) alphabet: Option<Alphabet>,
    pub(crate) encoding: Vec<Encode>,
    pub(crate) set: Vec<String>,
    public: PublicForm,
    api_key_is_public: bool,
    issued: Option<String>,
}

/// How an exchange writes a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretForm {
    /// The text's own bytes, even where it looks like hex.
    Ascii,
    /// Base64 of the key (RFC 4648, section 4, with padding).
    Base64,
    /// The text in upper case.
    Upper,
    /// The base64 of the text's bytes.
    Base64Text,
    /// The lower-case hex of the text's MD5.
    Md5Hex,
    /// A PEM block.
    Pem,
    /// Base64 of the 32-byte seed, or of seed and public key.
    Base64Seed,
    /// Base58 of the same.
    Base58Seed,
}

/// The characters of a secret's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Alphanumeric,
    Hex,
}

/// A step of making text of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encode {
    Hex,
    Base64,
    Base64Url,
    Base58,
    Upper,
}

impl Encode {
    /// Reads a chain of steps, as `hex|upper`.
    pub(crate) fn chain(text: &str) -> Result<Vec<Self>> {
        let step = |name: &str| match name {
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            "base64url" => Ok(Self::Base64Url),
            "base58" => Ok(Self::Base58),
            "upper" => Ok(Self::Upper),
            other => Err(bad_input(format!("there is no encoding {other:?}"))
                .fix("use hex, base64, base64url or base58, chained as in hex|upper")),
        };
        let steps = text.split('|').map(step).collect::<Result<Vec<_>>>()?;
        if steps.first() == Some(&Self::Upper) {
            return Err(bad_input("an encoding cannot begin with `upper`").fix("write hex|upper"));
        }
        Ok(steps)
    }

    /// What the steps make of a signature, one after the other.
    pub(crate) fn all(steps: &[Self], signature: &[u8]) -> String {
        let step = |step: &Self, bytes: &[u8]| match step {
            Self::Hex => base16ct::lower::encode_string(bytes),
            Self::Base64 => base64ct::Base64::encode_string(bytes),
            Self::Base64Url => base64ct::Base64UrlUnpadded::encode_string(bytes),
            Self::Base58 => bs58::encode(bytes).into_string(),
            Self::Upper => String::from_utf8_lossy(bytes).to_ascii_uppercase(),
        };
        let (first, rest) = match steps.split_first() {
            Some((first, rest)) => (step(first, signature), rest),
            None => return String::new(),
        };
        rest.iter().fold(first, |text, next| step(next, text.as_bytes()))
    }
}

impl KeyKind {
    /// What a key of this kind computes.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How the secret is written, in words for a prompt.
    pub const fn secret_is(&self) -> &'static str {
        match self.secret {
            SecretForm::Ascii | SecretForm::Upper | SecretForm::Base64Text | SecretForm::Md5Hex => {
                "the text as the exchange shows it"
            }
            SecretForm::Base64 => "base64 text as the exchange shows it",
            SecretForm::Pem => "a PEM block",
            SecretForm::Base64Seed => "base64 of the 32-byte seed",
            SecretForm::Base58Seed => "base58 of the 32-byte seed",
        }
    }

    /// The public key as the exchange's page wants it pasted.
    pub fn public_text(&self, key: &PublicKey) -> String {
        key.text(self.public)
    }

    /// Whether the public key, as text, is the API key too.
    pub const fn api_key_is_public(&self) -> bool {
        self.api_key_is_public
    }

    /// Whether this API key may go with that public key: any may, but where it is the public key itself, written as the
    /// exchange does, with `ed25519:` in front or without.
    pub fn may_be_known_as(&self, api_key: &str, public: &PublicKey) -> bool {
        let bare = |text: &str| text.trim_start_matches("ed25519:").to_owned();
        !self.api_key_is_public || bare(api_key) == bare(&self.public_text(public))
    }

    /// Whether the exchange takes such a key from where it was made; otherwise it issues them itself.
    pub const fn is_registered(&self) -> bool {
        matches!(self.algorithm, Algorithm::Signature(_)) && self.issued.is_none()
    }

    /// What to do where the exchange issues such keys itself and takes none made elsewhere.
    pub fn issued(&self) -> Option<&str> {
        self.issued.as_deref()
    }

    /// The size in bytes that a signature must have; an error otherwise, since a short one would be sent as it is.
    pub(crate) fn check_signature(&self, len: usize) -> Result<()> {
        let wanted = match self.algorithm {
            Algorithm::Mac(mac) => mac.output_len(),
            Algorithm::Signature(SignatureAlgorithm::Ed25519 | SignatureAlgorithm::P256) => 64,
            Algorithm::Signature(SignatureAlgorithm::Rsa2048) => 256,
            Algorithm::Signature(SignatureAlgorithm::Rsa3072) => 384,
            Algorithm::Signature(SignatureAlgorithm::Rsa4096) => 512,
        };
        if len == wanted {
            return Ok(());
        }
        Err(crate::error::failed(format!(
            "the token's {} signature has {len} bytes, and must have {wanted}",
            self.algorithm
        )))
    }
}

/// Reads `key = { … }` or `key.hmac = { … }`: the kinds in the file's order, with the names that `set` gives.
pub(crate) fn read(table: &Table) -> Result<(Vec<KeyKind>, Vec<String>)> {
    let single = table.contains_key("algorithm");
    let entries: Vec<(&str, &Value)> = table.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut files = Vec::new();
    if single {
        files.push(("key", entry(&Value::Table(table.clone()))?));
    } else {
        for (name, value) in entries {
            files.push((name, entry(value).map_err(|error| error.within(name))?));
        }
    }
    let Some((_, first)) = files.first() else {
        return Err(bad_input("`key` is empty").fix("add algorithm, secret and encoding"));
    };
    let sets: Vec<String> = first.set.keys().cloned().collect();
    let mut kinds = Vec::new();
    for (name, file) in &files {
        kinds.extend(kinds_of(file, &sets).map_err(|error| error.within(name))?);
    }
    for (index, kind) in kinds.iter().enumerate() {
        if kinds[..index]
            .iter()
            .any(|other: &KeyKind| other.algorithm == kind.algorithm)
        {
            return Err(bad_input(format!(
                "two kinds of key have the algorithm {}",
                kind.algorithm
            )));
        }
    }
    Ok((kinds, sets))
}

fn entry(value: &Value) -> Result<KeyFile> {
    value
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| bad_input(error.message().to_owned()))
}

fn kinds_of(file: &KeyFile, sets: &[String]) -> Result<Vec<KeyKind>> {
    let unknown = |what: &str, given: &str, known: &str| -> Error {
        bad_input(format!("there is no {what} {given:?}")).fix(format!("use {known}"))
    };
    let algorithms = match file.algorithm.as_str() {
        "hmac-sha256" => vec![Algorithm::Mac(MacAlgorithm::HmacSha256)],
        "hmac-sha384" => vec![Algorithm::Mac(MacAlgorithm::HmacSha384)],
        "hmac-sha512" => vec![Algorithm::Mac(MacAlgorithm::HmacSha512)],
        "ed25519" => vec![Algorithm::Signature(SignatureAlgorithm::Ed25519)],
        "p256" => vec![Algorithm::Signature(SignatureAlgorithm::P256)],
        "rsa-pkcs1-sha256" => [
            SignatureAlgorithm::Rsa2048,
            SignatureAlgorithm::Rsa3072,
            SignatureAlgorithm::Rsa4096,
        ]
        .map(Algorithm::Signature)
        .to_vec(),
        other => {
            return Err(unknown(
                "algorithm",
                other,
                "hmac-sha256, hmac-sha384, hmac-sha512, ed25519, p256 or rsa-pkcs1-sha256",
            ));
        }
    };
    let secret = match file.secret.as_str() {
        "ascii" => SecretForm::Ascii,
        "base64" => SecretForm::Base64,
        "upper" => SecretForm::Upper,
        "base64-text" => SecretForm::Base64Text,
        "md5-hex" => SecretForm::Md5Hex,
        "pem" => SecretForm::Pem,
        "base64-seed" => SecretForm::Base64Seed,
        "base58-seed" => SecretForm::Base58Seed,
        other => {
            return Err(unknown(
                "way to write a secret",
                other,
                "ascii, base64, upper, base64-text, md5-hex, pem, base64-seed or base58-seed",
            ));
        }
    };
    let encoding = Encode::chain(&file.encoding)?;
    let alphabet = match file.alphabet.as_deref() {
        None => None,
        Some("alphanumeric") => Some(Alphabet::Alphanumeric),
        Some("hex") => Some(Alphabet::Hex),
        Some(other) => return Err(unknown("alphabet", other, "alphanumeric or hex")),
    };
    let public = match file.public.as_deref() {
        None | Some("pem") => PublicForm::Pem,
        Some("base64") => PublicForm::Base64,
        Some("hex") => PublicForm::Hex,
        Some("base58") => PublicForm::Base58,
        Some("ed25519:base58") => PublicForm::PrefixedBase58,
        Some(other) => {
            return Err(unknown(
                "way to write a public key",
                other,
                "pem, base64, hex, base58 or ed25519:base58",
            ));
        }
    };
    let api_key_is_public = match file.api_key.as_deref() {
        None => false,
        Some("public-key") => true,
        Some(other) => {
            return Err(unknown(
                "origin of the API key",
                other,
                "public-key, or leave it out",
            ));
        }
    };
    let about_public = file.public.is_some() || file.api_key.is_some() || file.issued.is_some();
    if about_public && matches!(algorithms[0], Algorithm::Mac(_)) {
        return Err(bad_input(
            "`public`, `api-key` and `issued` are for keys that have a public half",
        ));
    }
    if !file.set.keys().eq(sets) {
        return Err(bad_input("every kind of key must `set` the same names"));
    }
    let kind = |algorithm| KeyKind {
        algorithm,
        secret,
        length: file.length.clone(),
        alphabet,
        encoding: encoding.clone(),
        set: file.set.values().cloned().collect(),
        public,
        api_key_is_public,
        issued: file.issued.clone(),
    };
    Ok(algorithms.into_iter().map(kind).collect())
}

#[cfg(test)]
mod tests {
    use crate::exchange::Scheme;

    fn file(key: &str) -> crate::error::Result<Scheme> {
        Scheme::parse(
            &format!(
                "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = {{ {key}, encoding = \"base64\" }}\nsignature = {{ message = \"{{body}}\" }}\n"
            ),
            "x",
        )
    }

    #[test]
    fn what_a_file_says_of_public_keys_is_checked() {
        let pair = "algorithm = \"ed25519\", secret = \"pem\"";
        for (more, words) in [
            ("public = \"der\"", "no way to write a public key"),
            ("api-key = \"secret\"", "no origin of the API key"),
            ("api_key = \"public-key\"", "api_key"),
        ] {
            let error = file(&format!("{pair}, {more}")).unwrap_err();
            assert!(error.message().contains(words), "{error}");
        }
        let mac = "algorithm = \"hmac-sha256\", secret = \"ascii\"";
        for more in [
            "public = \"pem\"",
            "api-key = \"public-key\"",
            "issued = \"there\"",
        ] {
            let error = file(&format!("{mac}, {more}")).unwrap_err();
            assert!(error.message().contains("public half"), "{error}");
        }
        let kind = |more: &str| file(&format!("{pair}{more}")).unwrap().kinds()[0].clone();
        assert!(kind("").is_registered() && !kind("").api_key_is_public());
        assert!(!kind(", issued = \"there\"").is_registered());
        assert!(kind(", api-key = \"public-key\"").api_key_is_public());
        assert!(!file(mac).unwrap().kinds()[0].is_registered());
    }
}
