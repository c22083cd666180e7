//! A robbery: every way to a key is tried, and what the token gives out is kept and looked through.

use std::collections::HashSet;

use cryptoki_sys::*;
use hmac::Hmac;

use crate::{
    bare::Inside,
    mechanisms::{Means, UNCLAIMED},
};

/// Room for whatever a module gives.
pub const ROOM: usize = 8192;
/// A key of the robber's, long enough for any cipher.
pub const OURS: &[u8; 32] = b"a key that the robber brought in";
/// A point of P-256: the curve's own base point.
const POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// So many bytes in a row are no accident.
const PART: usize = 8;

/// One key under attack by who has the PIN.
pub struct Robbery<'a> {
    pub inside: &'a Inside,
    pub victim: CK_OBJECT_HANDLE,
    /// The mechanisms that the key is for.
    pub own: &'a [CK_MECHANISM_TYPE],
    /// What nobody should find.
    secret: &'a [u8],
    /// Everything that the token gave out, with the way to it.
    loot: Vec<(String, Vec<u8>)>,
    /// Calls that should have been refused and were not.
    pub granted: Vec<String>,
}

impl<'a> Robbery<'a> {
    pub fn of(
        inside: &'a Inside,
        victim: CK_OBJECT_HANDLE,
        own: &'a [CK_MECHANISM_TYPE],
        secret: &'a [u8],
    ) -> Self {
        Self {
            inside,
            victim,
            own,
            secret,
            loot: Vec::new(),
            granted: Vec::new(),
        }
    }

    /// Every way there is.
    pub fn all(mut self) -> Self {
        self.reads();
        self.searches();
        self.digests();
        self.signs();
        self.other_uses();
        self.wraps();
        self.derives();
        self.copies();
        self.flips();
        self.reads();
        self
    }

    /// Every way, of which none leads anywhere.
    #[track_caller]
    pub fn comes_to_nothing(self) {
        let done = self.all();
        assert_eq!(
            done.granted,
            Vec::<String>::new(),
            "what the token should have refused"
        );
        assert_eq!(done.found(), Vec::<String>::new(), "the key came out");
        assert!(
            done.loot.len() > 20,
            "the token gave out what it may: {}",
            done.loot.len()
        );
    }

    pub fn secret(&self) -> &'a [u8] {
        self.secret
    }

    /// The mechanisms that the token claims for one of these, and those that are tried all the same.
    pub fn claimed(&self, flag: CK_FLAGS) -> Vec<CK_MECHANISM_TYPE> {
        let mut all = self.inside.mechanisms(self.inside.slot);
        all.retain(|&mechanism| self.inside.flags(self.inside.slot, mechanism) & flag != 0);
        all.extend(UNCLAIMED);
        all
    }

    /// What mechanisms need of the robber's own.
    pub fn means(&self, key: CK_OBJECT_HANDLE) -> Means<'static> {
        Means { key, point: &POINT }
    }

    pub fn take(&mut self, way: impl Into<String>, bytes: &[u8]) {
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        if end > 0 {
            self.loot.push((way.into(), bytes[..end].to_vec()));
        }
    }

    pub fn grant(&mut self, way: impl Into<String>) {
        self.granted.push(way.into());
    }

    /// The ways by which the secret came out: as it is, in part, with the pads of HMAC, turned round in words, or as
    /// something else that makes the same MACs.
    pub fn found(&self) -> Vec<String> {
        let macs = |key: &[u8]| {
            fn mac<M: hmac::Mac + hmac::KeyInit>(key: &[u8]) -> Vec<u8> {
                let mac = <M as hmac::KeyInit>::new_from_slice(key).unwrap();
                mac.chain_update(b"message").finalize().into_bytes().to_vec()
            }
            [
                mac::<Hmac<sha2::Sha256>>(key),
                mac::<Hmac<sha2::Sha384>>(key),
                mac::<Hmac<sha2::Sha512>>(key),
            ]
        };
        let wanted = macs(self.secret);
        let mut parts = HashSet::new();
        for word in [1, 4, 8] {
            let chunks = self.secret.chunks(word);
            let turned: Vec<u8> = chunks.flat_map(|chunk| chunk.iter().rev().copied()).collect();
            for pad in [0, 0x36, 0x5c] {
                let padded: Vec<u8> = turned.iter().map(|byte| byte ^ pad).collect();
                parts.extend(padded.windows(PART).map(<[u8]>::to_vec));
            }
        }
        let has_part = |bytes: &[u8]| bytes.windows(PART).any(|seen| parts.contains(seen));
        let is_key = |bytes: &[u8]| {
            bytes.len() >= 16 && bytes.len() <= 4096 && macs(bytes).iter().zip(&wanted).any(|(a, b)| a == b)
        };
        let mut found: Vec<String> = self
            .loot
            .iter()
            .filter(|(_, bytes)| has_part(bytes) || is_key(bytes))
            .map(|(way, _)| way.clone())
            .collect();
        found.dedup();
        found
    }
}
