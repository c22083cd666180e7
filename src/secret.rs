//! The memory a secret passes through once: in pages of its own, out of core dumps, wiped on every path. What works on a
//! secret does so by [`traceless`].

mod json_text;
mod pages;
mod traceless;

use std::fmt;

use base64ct::Encoding as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use zeroize::Zeroize as _;

use self::pages::Pages;
pub(crate) use self::traceless::clear_registers;
pub use self::traceless::traceless;
use crate::{
    algorithm::MacAlgorithm,
    error::{Result, bad_input, failed},
};

/// Bytes that must not leak: never printed, never swapped, wiped on drop.
pub struct Secret {
    pages: Pages,
    len: usize,
}

impl Secret {
    /// Room for `capacity` bytes, holding none yet.
    ///
    /// # Errors
    /// When the system gives no locked memory (`ulimit -l`).
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let pages = Pages::new(capacity).map_err(|error| {
            failed(format!("the system gave no locked memory for a secret: {error}"))
                .fix("raise the limit of locked memory, as in: ulimit -l 8192")
        })?;
        Ok(Self { pages, len: 0 })
    }

    /// Takes the bytes over and wipes where they came from.
    ///
    /// # Errors
    /// As [`Secret::with_capacity`]; the source is wiped even then.
    pub fn take(source: &mut [u8]) -> Result<Self> {
        let secret = Self::with_capacity(source.len()).map(|mut secret| {
            traceless(|| secret.push(source));
            secret
        });
        source.zeroize();
        secret
    }

    /// Whether the pages come from `memfd_secret(2)`.
    pub const fn is_sealed(&self) -> bool {
        self.pages.is_sealed()
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.pages.bytes()[..self.len]
    }

    /// How many bytes it holds.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it begins with a byte order mark, which some editors put before a text, in UTF-8 or UTF-16.
    pub fn is_marked(&self) -> bool {
        const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        MARKS.iter().any(|mark| self.expose().starts_with(mark))
    }

    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.pages.len()
    }

    /// The room behind the bytes held, for a reader to fill; [`Secret::grow`] then counts what was filled.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        let all = self.pages.len();
        &mut self.pages.first_mut(all)[self.len..]
    }

    /// Counts `more` bytes of the spare room as held, at most all of it.
    pub fn grow(&mut self, more: usize) {
        self.len = self.len.saturating_add(more).min(self.capacity());
    }

    /// Drops the bytes behind the first `len`, wiped.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.pages.first_mut(self.len)[len..].zeroize();
            self.len = len;
        }
    }

    /// Drops the first `count` bytes, wiped.
    pub fn remove_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.pages.first_mut(self.len).copy_within(count.., 0);
        self.truncate(self.len - count);
    }

    /// Appends as many of the bytes as there is room for, and says how many that were.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.capacity() - self.len);
        let end = self.len + taken;
        self.pages.first_mut(end)[self.len..].copy_from_slice(&bytes[..taken]);
        self.len = end;
        taken
    }

    /// A second copy, also locked. Needed only where one secret goes to two tokens.
    ///
    /// # Errors
    /// As [`Secret::with_capacity`].
    pub fn duplicate(&self) -> Result<Self> {
        let mut copy = Self::with_capacity(self.len)?;
        traceless(|| copy.push(self.expose()));
        Ok(copy)
    }

    /// The bytes that this base64 text (RFC 4648, section 4, with padding) stands for.
    ///
    /// # Errors
    /// When it is not base64; the error does not show the text.
    pub fn decode_base64(&self) -> Result<Self> {
        let mut decoded = Self::with_capacity(self.len / 4 * 3 + 3)?;
        let len = traceless(|| base64ct::Base64::decode(self.expose(), decoded.spare_mut()).map(<[u8]>::len))
            .map_err(|_| bad_input("the secret is not base64 as the exchange issues it"))?;
        decoded.grow(len);
        Ok(decoded)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An HMAC key as RFC 2104 pads it to the hash's block: the only form a secret reaches a token in.
///
/// `K' = (K longer than the block ? H(K) : K)`, then zeros up to the block; HMAC(K') = HMAC(K).
pub struct BlockKey {
    algorithm: MacAlgorithm,
    bytes: Secret,
}

impl BlockKey {
    /// The block key of a secret of any length for one algorithm.
    ///
    /// # Errors
    /// When the secret is empty, or there is no locked memory.
    pub fn new(algorithm: MacAlgorithm, secret: &Secret) -> Result<Self> {
        if secret.is_empty() {
            return Err(bad_input("the secret is empty"));
        }
        let block = algorithm.block_len();
        let mut bytes = Secret::with_capacity(block)?;
        traceless(|| -> Result<()> {
            if secret.len() <= block {
                bytes.push(secret.expose());
                return Ok(());
            }
            let (text, spare) = (secret.expose(), &mut bytes.spare_mut()[..algorithm.output_len()]);
            match algorithm {
                MacAlgorithm::HmacSha256 => {
                    Sha256::new_with_prefix(text).finalize_into(spare.try_into().map_err(sized)?);
                }
                MacAlgorithm::HmacSha384 => {
                    Sha384::new_with_prefix(text).finalize_into(spare.try_into().map_err(sized)?);
                }
                MacAlgorithm::HmacSha512 => {
                    Sha512::new_with_prefix(text).finalize_into(spare.try_into().map_err(sized)?);
                }
            }
            Ok(())
        })?;
        // What lies behind the key is zeros.
        bytes.grow(block);
        Ok(Self { algorithm, bytes })
    }

    /// What it is a key for.
    pub const fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// The MAC of a message, computed in software: the proof that a token holds the same key.
    ///
    /// # Errors
    /// Never for a block key; the type of the library asks for it.
    pub fn mac(&self, message: &[u8]) -> Result<Vec<u8>> {
        fn compute<M: KeyInit + Mac>(key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
            let mac = <M as KeyInit>::new_from_slice(key).map_err(sized)?;
            Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
        }
        traceless(|| match self.algorithm {
            MacAlgorithm::HmacSha256 => compute::<Hmac<Sha256>>(self.expose(), message),
            MacAlgorithm::HmacSha384 => compute::<Hmac<Sha384>>(self.expose(), message),
            MacAlgorithm::HmacSha512 => compute::<Hmac<Sha512>>(self.expose(), message),
        })
    }

    /// The padded key, exactly one block.
    pub fn expose(&self) -> &[u8] {
        &self.bytes.expose()[..self.algorithm.block_len()]
    }
}

impl fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockKey({}, …)", self.algorithm.name())
    }
}

fn sized<E>(_: E) -> crate::error::Error {
    failed("a hash of unexpected size")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: &[u8]) -> Secret {
        Secret::take(&mut bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_secret_shows_nothing_and_is_taken_from_its_source() {
        let mut source = *b"hush";
        let taken = Secret::take(&mut source).unwrap();
        assert_eq!(source, [0; 4]);
        assert_eq!(taken.expose(), b"hush");
        assert_eq!(format!("{taken:?}"), "Secret(…)");
    }

    #[test]
    fn it_holds_no_more_than_its_room() {
        let mut room = Secret::with_capacity(4).unwrap();
        assert_eq!(room.push(b"abc"), 3);
        assert_eq!(room.push(b"def"), 1);
        assert_eq!(room.expose(), b"abcd");
        room.truncate(1);
        assert_eq!(room.expose(), b"a");
        assert_eq!(room.spare_mut(), [0, 0, 0]);
    }

    #[test]
    fn base64_is_decoded_and_a_fault_is_not_shown() {
        assert_eq!(secret(b"aHVzaA==").decode_base64().unwrap().expose(), b"hush");
        for wrong in [&b"aHVzaA"[..], b"aHVz aA=", b"a-_="] {
            let error = secret(wrong).decode_base64().unwrap_err();
            assert!(!error.message().contains(std::str::from_utf8(wrong).unwrap()));
        }
    }

    /// RFC 4231, test cases 2 (a short key) and 6 (a key longer than the block).
    #[test]
    fn block_keys_make_the_macs_of_rfc_4231() {
        let cases: [(&[u8], &[u8], [&str; 3]); 2] = [
            (
                b"Jefe",
                b"what do ya want for nothing?",
                [
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
                ],
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                [
                    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                    "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
                    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
                ],
            ),
        ];
        for (key, message, macs) in cases {
            for (algorithm, mac) in MacAlgorithm::ALL.into_iter().zip(macs) {
                let block = BlockKey::new(algorithm, &secret(key)).unwrap();
                assert_eq!(block.expose().len(), algorithm.block_len());
                assert_eq!(base16ct::lower::encode_string(&block.mac(message).unwrap()), mac);
            }
        }
        assert!(BlockKey::new(MacAlgorithm::HmacSha256, &secret(b"")).is_err());
    }
}
