//! What stands in a program's configuration in place of a secret: the name of a key, in a form that survives what
//! libraries do to secrets.
//!
//! It is the base64 of `hsmsign:` and a label, filled up with zeros to 24 bytes: 32 letters and digits without `=`, which
//! pass checks of length and can be decoded as base64. The label is the key's name where that has at most 16 bytes, else `#`
//! and the first 15 characters of the base64url of the name's SHA-256.

use base64ct::Encoding as _;
use sha2::{Digest as _, Sha256};

use crate::keyring::KeyName;

/// What every placeholder begins with, decoded.
const MARK: &[u8; 8] = b"hsmsign:";
/// How many bytes a placeholder stands for.
const LENGTH: usize = 24;

/// The placeholder of a key: 32 letters and digits.
pub fn placeholder(name: &KeyName) -> String {
    let mut bytes = [0; LENGTH];
    let (mark, room) = bytes.split_at_mut(MARK.len());
    mark.copy_from_slice(MARK);
    let label = label(name, room.len());
    room[..label.len()].copy_from_slice(label.as_bytes());
    base64ct::Base64::encode_string(&bytes)
}

/// Whether a text is a placeholder, of whatever key.
pub fn is_placeholder(text: &[u8]) -> bool {
    let mut room = [0; LENGTH];
    text.len() == LENGTH / 3 * 4
        && base64ct::Base64::decode(text, &mut room).is_ok_and(|bytes| bytes.starts_with(MARK))
}

fn label(name: &KeyName, room: usize) -> String {
    let name = name.as_str();
    if name.len() <= room {
        return name.to_owned();
    }
    let hash = base64ct::Base64UrlUnpadded::encode_string(&Sha256::digest(name));
    format!("#{}", &hash[..room - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> String {
        placeholder(&name.parse().unwrap())
    }

    #[test]
    fn a_short_name_can_be_read_in_it() {
        assert_eq!(of("main"), "aHNtc2lnbjptYWluAAAAAAAAAAAAAAAA");
        assert_eq!(of("kraken-main_2.xy"), "aHNtc2lnbjprcmFrZW4tbWFpbl8yLnh5");
    }

    #[test]
    fn a_long_name_has_its_hash_there() {
        let (one, other) = (of("kraken-main_2.xyz"), of("kraken-main_2.xyy"));
        assert_ne!(one, other);
        let decoded = base64ct::Base64::decode_vec(&one).unwrap();
        assert_eq!(&decoded[8..], b"#Zs8BBPN74--7nqF");
    }

    #[test]
    fn every_placeholder_is_32_letters_and_digits_and_known_again() {
        for name in ["a", "0", "kraken-main_2.xy", "z._-z._-z._-z._-", &"a".repeat(63)] {
            let text = of(name);
            assert_eq!(text.len(), 32, "{text}");
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert!(is_placeholder(text.as_bytes()));
        }
        for other in ["", "aHNtc2lnbjptYWlu", "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSU"] {
            assert!(!is_placeholder(other.as_bytes()), "{other}");
        }
    }
}
