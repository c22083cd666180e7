//! Secrets as exchanges write them. The first line of an input is `FORM ALGORITHM ALPHABET`, of which the last may be
//! missing; the secret's text follows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use base64ct::Encoding as _;
use hsmsign::{
    algorithm::Algorithm,
    error::Error,
    exchange::Scheme,
    private_key::PrivateKey,
    secret::{BlockKey, Secret},
};

use super::told::{hides, told};

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (Some(head), Some(text)) = (parts.next(), parts.next()) else {
        return;
    };
    let Some(scheme) = std::str::from_utf8(head).ok().and_then(scheme) else {
        return;
    };
    let kind = &scheme.kinds()[0];
    let shown = String::from_utf8_lossy(text);
    let secret = Secret::take(&mut text.to_vec()).unwrap();
    if matches!(kind.algorithm(), Algorithm::Signature(_)) {
        return match kind.read_private(&secret) {
            Err(error) => faulty(&error, &shown),
            Ok(key) => private(&key),
        };
    }
    let (decoded, warnings) = match kind.read_secret(&secret) {
        Ok(read) => read,
        Err(error) => return faulty(&error, &shown),
    };
    warnings.iter().for_each(|warning| hides(warning, &shown));
    if let Algorithm::Mac(algorithm) = kind.algorithm() {
        let form = head.split(|byte| *byte == b' ').next().unwrap();
        decodes(form, text, decoded.expose());
        let block = BlockKey::new(algorithm, &decoded).unwrap();
        assert_eq!(block.expose().len(), algorithm.block_len());
    }
}

/// What is wrong with a secret is told, and nothing of it shown.
fn faulty(error: &Error, secret: &str) {
    hides(&format!("{} {}", error.message(), error.advice()), secret);
    told(error);
}

/// A key that was read signs as its public key wants it, or its numbers do not belong together.
fn private(key: &PrivateKey) {
    assert!(!format!("{key:?}").contains('['));
    if let Ok(signature) = key.sign_in_software(b"message") {
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"massage", &signature));
    }
}

/// Each form stands for the bytes that it says.
fn decodes(form: &[u8], text: &[u8], key: &[u8]) {
    match form {
        b"ascii" => assert_eq!(key, text),
        b"upper" => assert_eq!(key, text.to_ascii_uppercase()),
        b"base64" => assert_eq!(base64ct::Base64::encode_string(key).as_bytes(), text),
        b"base64-text" => assert_eq!(base64ct::Base64::encode_string(text).as_bytes(), key),
        b"md5-hex" => assert!(key.len() == 32 && key.iter().all(u8::is_ascii_hexdigit)),
        _ => {}
    }
}

/// A scheme whose secrets are written so; none where a file cannot say that.
fn scheme(head: &str) -> Option<Arc<Scheme>> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Option<Arc<Scheme>>>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap();
    if known.len() > 1000 {
        known.clear();
    }
    let found = known.entry(head.to_owned()).or_insert_with(|| {
        let mut words = head.split(' ');
        let (form, algorithm) = (words.next()?, words.next()?);
        let alphabet = words.next().map(|word| format!(", alphabet = \"{word}\"")).unwrap_or_default();
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == ' ';
        let file = format!(
            "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nsignature = {{ message = \"{{body}}\" }}\n\
             key = {{ algorithm = \"{algorithm}\", secret = \"{form}\", encoding = \"hex\", length = [64]{alphabet} }}\n"
        );
        let scheme = head.chars().all(plain).then(|| Scheme::parse(&file, "x").ok())??;
        Some(Arc::new(scheme))
    });
    found.clone()
}
