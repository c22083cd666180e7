//! Reading a secret as the exchange issues it, straight from locked memory into locked memory. No error shows any of it.

use base64ct::Encoding as _;
use md5::Digest as _;

use super::key::{Alphabet, KeyKind, SecretForm};
use crate::{
    algorithm::Algorithm,
    error::{Code, Result, bad_input},
    private_key::{PrivateKey, is_pem},
    secret::Secret,
};

impl KeyKind {
    /// The key that this text stands for, with warnings where the text is unusual for the exchange.
    ///
    /// # Errors
    /// When it has characters that no secret of this exchange has, or cannot be decoded; or when there is no locked
    /// memory.
    pub fn read_secret(&self, text: &Secret) -> Result<(Secret, Vec<String>)> {
        if is_pem(text.expose()) {
            let key = PrivateKey::read(text, false)?;
            return Err(bad_input(format!(
                "the secret is an {} private key, and this key is to be {}",
                key.algorithm(),
                self.algorithm
            ))
            .fix(format!(
                "add --algorithm {} if the exchange takes such keys, or give the secret that goes with the API key",
                key.algorithm()
            )));
        }
        check_characters(text.expose())?;
        self.check_alphabet(text.expose())?;
        let mut warnings = Vec::new();
        if !self.length.is_empty() && !self.length.contains(&text.len()) {
            let usual: Vec<_> = self.length.iter().map(ToString::to_string).collect();
            warnings.push(format!(
                "the secret has {} characters; this exchange usually issues {}: see that it is whole",
                text.len(),
                usual.join(" or ")
            ));
        }
        Ok((self.decode(text)?, warnings))
    }

    /// The private key that this text stands for: a PEM block, or as the exchange writes it.
    ///
    /// # Errors
    /// As [`PrivateKey::read`]; and when the key is of another algorithm than this kind.
    pub fn read_private(&self, text: &Secret) -> Result<PrivateKey> {
        let key = PrivateKey::read(text, self.secret == SecretForm::Base58Seed)?;
        if Algorithm::Signature(key.algorithm()) == self.algorithm {
            return Ok(key);
        }
        Err(bad_input(format!(
            "the private key is for {}, and this key is to be {}",
            key.algorithm(),
            self.algorithm
        ))
        .fix(format!(
            "add --algorithm {}, or give the right key",
            key.algorithm()
        )))
    }

    fn check_alphabet(&self, text: &[u8]) -> Result<()> {
        let (fits, what): (fn(&u8) -> bool, &str) = match self.alphabet {
            None => return Ok(()),
            Some(Alphabet::Alphanumeric) => (u8::is_ascii_alphanumeric, "letters and digits"),
            Some(Alphabet::Hex) => (u8::is_ascii_hexdigit, "the digits 0-9 and letters a-f"),
        };
        if text.iter().all(fits) {
            return Ok(());
        }
        Err(bad_input(format!(
            "the secret has characters other than {what}, of which this exchange's secrets consist"
        ))
        .fix("see that it is this exchange's secret, and not the API key of another or a passphrase"))
    }

    fn decode(&self, text: &Secret) -> Result<Secret> {
        match self.secret {
            SecretForm::Base64 => decode_base64(text),
            SecretForm::Upper => {
                let mut key = text.duplicate()?;
                let len = key.len();
                key.truncate(0);
                let room = &mut key.spare_mut()[..len];
                room.copy_from_slice(text.expose());
                room.make_ascii_uppercase();
                key.grow(len);
                Ok(key)
            }
            SecretForm::Base64Text => {
                let mut key = Secret::with_capacity(text.len().div_ceil(3) * 4)?;
                let len = base64ct::Base64::encode(text.expose(), key.spare_mut())
                    .map_err(|_| bad_input("the secret is too long"))?
                    .len();
                key.grow(len);
                Ok(key)
            }
            SecretForm::Md5Hex => {
                let mut key = Secret::with_capacity(32)?;
                let mut digest = Secret::with_capacity(16)?;
                let room = <&mut [u8; 16]>::try_from(&mut digest.spare_mut()[..16])
                    .map_err(|_| bad_input("the secret is too long"))?;
                md5::Md5::new_with_prefix(text.expose()).finalize_into(room.into());
                digest.grow(16);
                let len = base16ct::lower::encode(digest.expose(), key.spare_mut())
                    .map_err(|_| bad_input("the secret is too long"))?
                    .len();
                key.grow(len);
                Ok(key)
            }
            SecretForm::Ascii | SecretForm::Pem | SecretForm::Base64Seed | SecretForm::Base58Seed => {
                text.duplicate()
            }
        }
    }
}

fn check_characters(text: &[u8]) -> Result<()> {
    let refuse = |what: &str, fix: &str| Err(bad_input(format!("the secret {what}")).fix(fix));
    if text.is_empty() {
        return refuse("is empty", "give the secret as the exchange shows it");
    }
    if text.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return refuse(
            "has blanks in it",
            "copy it again without the blanks around and inside it",
        );
    }
    if text.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'`')) {
        return refuse(
            "has quotes in it",
            "give the secret alone, without the quotes of a file or shell",
        );
    }
    if text.iter().any(u8::is_ascii_control) {
        return refuse(
            "has control characters in it, as a line feed or the key that was pressed",
            "give it in one line; in a terminal, paste it instead of typing",
        );
    }
    if !text.is_ascii() {
        return refuse(
            "has characters outside ASCII",
            "copy it again: a text processor may have changed a hyphen or quote",
        );
    }
    Ok(())
}

fn decode_base64(text: &Secret) -> Result<Secret> {
    let bytes = text.expose();
    let body_len = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let refuse = |what: &str, fix: &str| Err(bad_input(format!("the secret is not base64: {what}")).fix(fix));
    let strange = |byte: &&u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    let mut strangers = bytes[..body_len].iter().filter(strange).peekable();
    if strangers.peek().is_some() {
        if strangers.all(|byte| matches!(byte, b'-' | b'_')) {
            return refuse(
                "it has `-` or `_`, as the form for URLs has",
                "copy it as the exchange shows it, with `+` and `/`; if it shows these, it is another key's, or not the secret",
            );
        }
        return refuse(
            "it has characters that base64 does not have",
            "give the secret (also called private key), not the API key or the passphrase",
        );
    }
    if !bytes.len().is_multiple_of(4) || body_len == 0 {
        return refuse(
            "its length is no multiple of four",
            "see that it was copied whole, with the `=` at its end",
        );
    }
    text.decode_base64().or_else(|error| match error.code() {
        Code::BadInput => refuse(
            "its end does not fit",
            "see that it was copied whole, with the `=` at its end",
        ),
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Scheme, builtin};

    fn read(exchange: &str, text: &str) -> Result<(Vec<u8>, Vec<String>)> {
        let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
        let (key, warnings) = scheme
            .kind(None)
            .unwrap()
            .read_secret(&Secret::take(&mut text.as_bytes().to_vec()).unwrap())?;
        Ok((key.expose().to_vec(), warnings))
    }

    fn with(secret: &str, text: &str) -> Vec<u8> {
        let file = format!(
            "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = {{ algorithm = \"hmac-sha256\", secret = \"{secret}\", \
             encoding = \"hex\" }}\nsignature = {{ message = \"{{body}}\" }}\n"
        );
        let scheme = Scheme::parse(&file, "x").unwrap();
        let text = Secret::take(&mut text.as_bytes().to_vec()).unwrap();
        scheme
            .kind(None)
            .unwrap()
            .read_secret(&text)
            .unwrap()
            .0
            .expose()
            .to_vec()
    }

    #[test]
    fn every_way_of_writing_is_decoded() {
        assert_eq!(with("ascii", "00ff"), b"00ff");
        assert_eq!(with("upper", "aB-c"), b"AB-C");
        assert_eq!(with("base64", "AP8="), [0, 255]);
        assert_eq!(with("base64-text", "ab"), b"YWI=");
        assert_eq!(with("md5-hex", "abc"), b"900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn an_unusual_length_is_a_warning() {
        let (key, warnings) = read("bitfinex", "abc").unwrap();
        assert_eq!(key, b"abc");
        assert!(warnings[0].contains("3 characters"), "{warnings:?}");
        assert!(read("bitfinex", &"a".repeat(43)).unwrap().1.is_empty());
    }

    #[test]
    fn each_fault_has_its_own_words_and_shows_nothing() {
        let mut seen = Vec::new();
        for text in [
            "",
            "SECRET ==",
            "\"SECRET\"",
            "SECRET\u{16}",
            "SECRETé",
            "SECRET-_",
            "SECRETS",
            "SECRETSx====",
        ] {
            let error = read("kraken", text).unwrap_err();
            assert!(!error.message().contains("SECRET") && !error.remedy().unwrap().contains("SECRET"));
            seen.push(error.message().to_owned());
        }
        seen.dedup();
        assert_eq!(seen.len(), 8, "{seen:#?}");
        assert!(
            read("binance", &"-".repeat(64))
                .unwrap_err()
                .message()
                .contains("letters and digits")
        );
    }
}
