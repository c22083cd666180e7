//! A module's file before it is loaded: its code runs with the PIN at hand.

use std::{
    fs::File,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use crate::token::{Result, TokenError};

/// The head of an ELF file of 64 bits, and of each of its segments, in bytes: elf(5).
const HEAD: usize = 64;
const SEGMENT: usize = 56;
/// A segment that is mapped into memory.
const LOADED: u32 = 1;

/// Refuses a library that everybody may change, and one that is cut off, which would end the process where it is mapped.
/// What else may be wrong with it the dynamic linker tells.
pub(super) fn check(path: &Path) -> Result<()> {
    let Ok(file) = File::open(path) else {
        return Ok(());
    };
    let Ok(metadata) = file.metadata() else {
        return Ok(());
    };
    let shown = path.display();
    if metadata.is_file() && metadata.mode() & 0o002 != 0 {
        return Err(TokenError::Missing {
            what: format!(
                "the PKCS#11 module {shown} has mode {:03o}: everybody may change it, and what it is changed into gets the PIN",
                metadata.mode() & 0o777
            ),
            fix: format!(
                "make sure that it is the vendor's, as by installing it again; then: chmod o-w {shown}"
            ),
        });
    }
    match needed(&file) {
        Some(needed) if metadata.len() < needed => Err(TokenError::Missing {
            what: format!(
                "the PKCS#11 module {shown} is cut off: it has {} bytes, and its head tells of {needed}",
                metadata.len()
            ),
            fix: "install the token's driver again".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// How many bytes its segments reach to; none where it is no library of 64 bits for this byte order.
fn needed(file: &File) -> Option<u64> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if head[..6] != [0x7f, b'E', b'L', b'F', 2, order] {
        return None;
    }
    let begin = number(&head[32..40])?;
    let (size, count) = (short(&head[54..56])?, short(&head[56..58])?);
    if usize::from(size) != SEGMENT {
        return None;
    }
    let mut needed = begin.checked_add(u64::from(size) * u64::from(count))?;
    for at in 0..u64::from(count) {
        let mut segment = [0; SEGMENT];
        if file
            .read_exact_at(&mut segment, begin + at * SEGMENT as u64)
            .is_err()
        {
            break;
        }
        if segment[..4] == LOADED.to_ne_bytes() {
            needed = needed.max(number(&segment[8..16])?.checked_add(number(&segment[32..40])?)?);
        }
    }
    Some(needed)
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_ne_bytes)
}

fn short(bytes: &[u8]) -> Option<u16> {
    bytes.try_into().ok().map(u16::from_ne_bytes)
}
