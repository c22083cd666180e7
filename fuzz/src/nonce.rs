//! The file of a key's nonces, whatever stands in it: nonces increase, or there are none.
//!
//! An input is lines, a slot each: what follows `+` gets its right checksum, what follows `-` is taken as it is. The rest
//! of the input is ignored behind two.

use std::time::Duration;

use hsmsign::{
    home::{Home, write_private},
    keyring::KeyName,
    nonce::Nonces,
};
use sha2::{Digest as _, Sha256};

use super::{place::folder_with, told::told};

const SLOT: usize = 128;
const CLOCK: u64 = 1_700_000_000_000;

/// A slot's bytes; where it is whole, its number and the last nonce that it says was given out.
type Slot = (Vec<u8>, Option<(u64, u64)>);

/// Runs one input.
pub fn run(data: &[u8]) {
    let slots: Vec<Slot> = data.split(|byte| *byte == b'\n').take(2).map(slot).collect();
    let bytes: Vec<u8> = slots.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let folder = folder_with("nonces");
    let home = Home::at(folder.path());
    write_private(&home.state("nonces/k"), &bytes).unwrap();
    let key: KeyName = "k".parse().unwrap();
    // The newest counts; where two say that they are, either may.
    let newest = slots.iter().filter_map(|(_, said)| said.map(|(at, _)| at)).max();
    let mut last = slots
        .iter()
        .filter_map(|(_, said)| *said)
        .filter(|(at, _)| Some(*at) == newest)
        .map(|(_, last)| last)
        .min();
    // As two processes would: the second one reads what the first one wrote.
    for _ in 0..2 {
        let nonces = Nonces::new(&home);
        for _ in 0..2 {
            match nonces.next(&key, CLOCK, 1000) {
                Err(error) => told(&error),
                Ok(nonce) => {
                    assert!(last.is_none_or(|last| nonce > last), "{nonce} after {last:?}");
                    assert!(nonce >= CLOCK);
                    last = Some(nonce);
                    assert!(nonces.high_water(&key).unwrap() >= nonce);
                }
            }
        }
        if let Ok(()) = nonces.raise(&key, CLOCK + 1_000_000, Duration::from_millis(CLOCK)) {
            last = last.max(Some(CLOCK + 1_000_000));
        }
    }
}

/// The slot of a line.
fn slot(line: &[u8]) -> Slot {
    let (first, rest) = line.split_first().unwrap_or((&b'-', &[]));
    let mut bytes = rest[..rest.len().min(SLOT - 20)].to_vec();
    let mut said = None;
    if *first == b'+' {
        let sum = base16ct::lower::encode_string(&Sha256::digest(&bytes));
        let words: Vec<_> = std::str::from_utf8(&bytes)
            .unwrap_or_default()
            .split_ascii_whitespace()
            .collect();
        if let ["1", at, last, reserved, _] = words[..] {
            // The last number there is has no successor: a slot that says it is none.
            said = reserved
                .parse::<u64>()
                .ok()
                .and(at.parse().ok().filter(|at| *at < u64::MAX).zip(last.parse().ok()));
        }
        bytes.push(b' ');
        bytes.extend(&sum.as_bytes()[..16]);
    }
    bytes.resize(SLOT - 1, b' ');
    bytes.push(b'\n');
    (bytes, said)
}
