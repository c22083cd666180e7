//! The parameters of a request, or the bytes that were MACed: the log has their hash.

use sha2::{Digest as _, Sha256};

/// From how many bytes on they are hashed at once, and not beside the next signatures. A disk may take its time, and what
/// waits for it is to be small.
const LONG: usize = 16 << 10;

/// They, or what is left of long ones.
#[derive(Debug, Clone)]
pub struct Parameters(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Whole(Vec<u8>),
    Digest(String),
}

impl Parameters {
    /// The first half of their SHA-256, in hex.
    pub(super) fn digest(&self) -> String {
        match &self.0 {
            Kept::Whole(bytes) => digest(bytes),
            Kept::Digest(digest) => digest.clone(),
        }
    }
}

impl From<&[u8]> for Parameters {
    fn from(bytes: &[u8]) -> Self {
        Self(match bytes.len() {
            LONG.. => Kept::Digest(digest(bytes)),
            _ => Kept::Whole(bytes.to_vec()),
        })
    }
}

impl From<String> for Parameters {
    fn from(text: String) -> Self {
        Self(match text.len() {
            LONG.. => Kept::Digest(digest(text.as_bytes())),
            _ => Kept::Whole(text.into_bytes()),
        })
    }
}

fn digest(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_parameters_are_not_held_and_have_the_same_digest() {
        for length in [0, LONG - 1, LONG, LONG + 1] {
            let text = "x".repeat(length);
            let (of_bytes, of_text) = (Parameters::from(text.as_bytes()), Parameters::from(text.clone()));
            let wanted = base16ct::lower::encode_string(&Sha256::digest(&text)[..16]);
            assert_eq!([of_bytes.digest(), of_text.digest()], [&*wanted; 2]);
            let whole = matches!((of_bytes.0, of_text.0), (Kept::Whole(_), Kept::Whole(_)));
            assert_eq!(whole, length < LONG);
        }
    }
}
