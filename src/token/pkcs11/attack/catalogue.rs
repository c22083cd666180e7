//! The attacks by name, in the order in which they are tried.

use super::{
    bench::{Bench, Outcome},
    change, derive, digest, pairs, plain, wrap,
};
use crate::algorithm::Algorithm;

/// One attack.
pub(super) struct Attack {
    pub name: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
    /// Whether it changes the key, or needs its value: then it is done to one made for it.
    pub sacrifice: bool,
    /// Whether it is left out of the quick form.
    pub slow: bool,
    pub run: fn(&Bench<'_>) -> Outcome,
}

const fn on_key(name: &'static str, does: &'static str, run: fn(&Bench<'_>) -> Outcome) -> Attack {
    Attack {
        name,
        does,
        sacrifice: false,
        slow: false,
        run,
    }
}

const fn on_sacrifice(name: &'static str, does: &'static str, run: fn(&Bench<'_>) -> Outcome) -> Attack {
    Attack {
        sacrifice: true,
        ..on_key(name, does, run)
    }
}

/// Those on a MAC key.
static ON_MACS: [Attack; 19] = [
    on_key("read-value", "read CKA_VALUE, odd templates too", plain::read),
    on_key("wrap-aes", "wrap it under an AES key of one's own", wrap::aes),
    Attack {
        slow: true,
        ..on_key("wrap-rsa", "wrap it under an RSA key of one's own", wrap::rsa)
    },
    on_key("digest-key", "C_DigestKey", digest::key),
    on_key(
        "digest-key-state",
        "C_DigestKey, then C_GetOperationState",
        digest::key_state,
    ),
    on_key(
        "mac-state",
        "C_SignUpdate, then C_GetOperationState",
        digest::mac_state,
    ),
    on_key(
        "derive-with-data",
        "C_DeriveKey: data before it, behind it, over it",
        derive::with_data,
    ),
    on_key(
        "derive-as-base",
        "C_DeriveKey: concatenate it and a key of one's own",
        derive::as_base,
    ),
    on_key(
        "derive-as-second",
        "C_DeriveKey: concatenate a key of one's own and it",
        derive::as_second,
    ),
    on_key(
        "derive-extract",
        "C_DeriveKey: cut it out of itself",
        derive::extract,
    ),
    on_key("derive-hash", "C_DeriveKey: its hashes", derive::hashes),
    on_key("derive-hkdf", "C_DeriveKey: HKDF with it", derive::hkdf),
    on_key("other-macs", "sign with other hashes", plain::other_macs),
    on_key(
        "truncated-macs",
        "sign with MACs cut short",
        plain::truncated_macs,
    ),
    on_sacrifice("search-value", "search for it by its value", plain::search),
    on_sacrifice(
        "change-protection",
        "set SENSITIVE, EXTRACTABLE, COPYABLE, MODIFIABLE",
        change::protection,
    ),
    on_sacrifice(
        "change-uses",
        "set DERIVE, WRAP, UNWRAP, ENCRYPT, DECRYPT, VERIFY",
        change::uses,
    ),
    on_sacrifice("copy", "copy it with those changed", change::copies),
    // The last one, since it may cost the token the key.
    Attack {
        slow: true,
        ..on_sacrifice(
            "same-id",
            "store an open key under the same CKA_ID",
            change::same_id,
        )
    },
];

/// Those on a private key.
static ON_PAIRS: [Attack; 11] = [
    on_key(
        "pair-read",
        "read the value, or exponents and primes, odd templates too",
        plain::read,
    ),
    on_key(
        "pair-wrap-aes",
        "wrap it under an AES key of one's own",
        wrap::aes,
    ),
    Attack {
        slow: true,
        ..on_key(
            "pair-wrap-rsa",
            "wrap it under an RSA key of one's own",
            wrap::rsa,
        )
    },
    on_key("pair-digest-key", "C_DigestKey", digest::key),
    on_key(
        "pair-derive",
        "C_DeriveKey: ECDH with it, and behind a key of one's own",
        pairs::deriving,
    ),
    on_key(
        "pair-decrypt",
        "decrypt and sign-recover with it",
        pairs::decrypting,
    ),
    on_key(
        "pair-other-signatures",
        "sign with other hashes and paddings, and without",
        pairs::other_signatures,
    ),
    on_sacrifice(
        "pair-change-protection",
        "set SENSITIVE, EXTRACTABLE, COPYABLE, MODIFIABLE",
        change::protection,
    ),
    on_sacrifice(
        "pair-change-uses",
        "set DECRYPT, UNWRAP, DERIVE, SIGN_RECOVER",
        change::uses,
    ),
    on_sacrifice("pair-copy", "copy it with those changed", change::copies),
    Attack {
        slow: true,
        ..on_sacrifice(
            "pair-same-id",
            "make an open pair under the same CKA_ID",
            change::same_id,
        )
    },
];

/// Those that are tried on keys of this kind.
pub(super) fn chosen(algorithm: Algorithm, quick: bool) -> impl Iterator<Item = &'static Attack> {
    let all: &[Attack] = match algorithm {
        Algorithm::Mac(_) => &ON_MACS,
        Algorithm::Signature(_) => &ON_PAIRS,
    };
    all.iter().filter(move |attack| !(quick && attack.slow))
}
