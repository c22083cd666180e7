//! C_DigestKey, alone and with what the module saves of an operation.

use cryptoki_sys::*;
use zeroize::Zeroize as _;

use super::{
    super::{ladder, module::Answer},
    bench::{Bench, Outcome},
};
use crate::{secret::Secret, token::extraction::Verdict};

const HASHES: [(&str, CK_MECHANISM_TYPE); 9] = [
    ("CKM_SHA256", CKM_SHA256),
    ("CKM_SHA384", CKM_SHA384),
    ("CKM_SHA512", CKM_SHA512),
    ("CKM_SHA224", CKM_SHA224),
    ("CKM_SHA_1", CKM_SHA_1),
    ("CKM_MD5", CKM_MD5),
    ("CKM_SHA3_256", CKM_SHA3_256),
    ("CKM_SHA3_384", CKM_SHA3_384),
    ("CKM_SHA3_512", CKM_SHA3_512),
];
/// Room for a saved operation.
const STATE: usize = 16 * 1024;

/// The key's hash. Of a key longer than the hash's block that would be the key itself as HMAC uses it (RFC 2104).
pub(super) fn key(bench: &Bench<'_>) -> Outcome {
    Outcome::worst(HASHES.map(|(name, hash)| {
        let mut digest = [0; 64];
        let answer = bench.aside(|session| {
            bench.module.digest_key(session, hash, b"", bench.victim)?;
            bench.module.digest_final(session, &mut digest)
        });
        let whole = answer.is_ok_and(|len| bench.evidence.fits(&digest[..len]));
        // Of an over-long key it is what HMAC uses in its place.
        digest.zeroize();
        match answer {
            Ok(_) if whole => Outcome::new(
                Verdict::Leaked,
                format!("C_DigestKey with {name} gave the key that HMAC uses"),
            ),
            Ok(_) => Outcome::new(
                Verdict::GuessOracle,
                "C_DigestKey gives the key's hash, which tests guesses as any signature does",
            ),
            Err(refused) => bench.refused(refused, Some(hash)),
        }
    }))
}

/// What the module saves of a hash that the key went into. A key as long as the hash's block is worked off at once;
/// behind all but a byte of a block, all but its own first byte waits in the hash's buffer.
pub(super) fn key_state(bench: &Bench<'_>) -> Outcome {
    let before = [0; 127];
    let before = &before[..(bench.evidence.size() - 1).min(before.len())];
    Outcome::worst(HASHES.iter().flat_map(|&(name, hash)| {
        [&[][..], before].map(|before| {
            saved(
                bench,
                &format!("C_DigestKey with {name}"),
                hash,
                |session, state| {
                    bench.module.digest_key(session, hash, before, bench.victim)?;
                    bench.module.operation_state(session, state)
                },
            )
        })
    }))
}

/// What the module saves of a MAC that is being made.
pub(super) fn mac_state(bench: &Bench<'_>) -> Outcome {
    let mechanism = match bench.mac() {
        Ok(mac) => ladder::mechanism(mac.algorithm),
        Err(outcome) => return outcome,
    };
    saved(bench, "C_SignUpdate", mechanism, |session, state| {
        bench
            .module
            .begin_sign(session, mechanism, bench.victim, b"message")?;
        bench.module.operation_state(session, state)
    })
}

fn saved(
    bench: &Bench<'_>,
    after: &str,
    mechanism: CK_MECHANISM_TYPE,
    save: impl FnOnce(CK_SESSION_HANDLE, &mut [u8]) -> Answer<usize>,
) -> Outcome {
    let Ok(mut state) = Secret::with_capacity(STATE) else {
        return Outcome::new(Verdict::NotApplicable, "there is no locked memory");
    };
    match bench.aside(|session| save(session, state.spare_mut())) {
        Ok(len) => state.grow(len),
        Err(refused) => return bench.refused(refused, Some(mechanism)),
    }
    if is_in_state(bench, &state) {
        return Outcome::new(
            Verdict::Leaked,
            format!("C_GetOperationState after {after} gave the key"),
        );
    }
    Outcome::new(
        Verdict::Weakened,
        format!(
            "C_GetOperationState after {after} gave {} bytes, without the key in them in a form that is known",
            state.len()
        ),
    )
}

/// Whether the key is in what was saved: as it is, or as hashes keep it, with the bytes of their words turned round,
/// or with the pads of HMAC on it.
fn is_in_state(bench: &Bench<'_>, state: &Secret) -> bool {
    let block = bench.evidence.size();
    let Ok(mut turned) = Secret::with_capacity(block) else {
        return false;
    };
    let whole = state.expose().windows(block).any(|window| {
        [1, 4, 8].into_iter().any(|word| {
            [0, 0x36, 0x5c].into_iter().any(|pad| {
                let form = &mut turned.spare_mut()[..block];
                for (to, from) in form.chunks_exact_mut(word).zip(window.chunks_exact(word)) {
                    to.iter_mut()
                        .zip(from.iter().rev())
                        .for_each(|(to, from)| *to = from ^ pad);
                }
                bench.evidence.fits(form)
            })
        })
    });
    whole
        || state.expose().windows(block - 1).any(|window| {
            (0..=u8::MAX).any(|first| {
                let form = &mut turned.spare_mut()[..block];
                form[0] = first;
                form[1..].copy_from_slice(window);
                bench.evidence.fits(form)
            })
        })
}
