//! What is peculiar to opencryptoki 3.8.1. A token's folder has `NVTOK.DAT`; `TOK_OBJ` with a file for each object; and
//! `TOK_OBJ/OBJ.IDX`, the names of those that count, a line each.
//!
//! An object is taken off the list by writing the others to `IDX.TMP` and then over `OBJ.IDX`, which is emptied first.

use std::{fs, path::Path};

use super::{put_back, read, stays};

/// The bytes of `NVTOK.DAT`: the token's name, the hashes of the PINs, the next object's name and settings.
pub(super) const LEAST: usize = 232;
/// Where the next object's name is.
const NEXT: usize = 208;
/// A name's bytes, 0-9 and A-Z, the first of which counts fastest.
const NAME: usize = 8;

/// Writes the list of objects to its end where that was cut off. A list that is whole never is the beginning of the
/// one that it was last copied from: names are added at its end.
pub(super) fn mend_index(token: &Path) {
    let objects = token.join("TOK_OBJ");
    let (index, source) = (objects.join("OBJ.IDX"), objects.join("IDX.TMP"));
    let cut = || match (read(&index), read(&source)) {
        (Ok(index), Ok(source)) => index.len() < source.len() && source.starts_with(&index),
        _ => false,
    };
    if stays(cut)
        && let Ok(source) = read(&source)
    {
        // Where it cannot be written, the keys are not found, which is told.
        let _told_later = put_back(&index, &source);
    }
}

/// Moves the next object's name past those that are in use: the file of an object that is made is written over one
/// that bears its name.
pub(super) fn skip_names(token: &Path, copy: &mut [u8]) {
    let entries = fs::read_dir(token.join("TOK_OBJ"))
        .into_iter()
        .flatten()
        .flatten();
    let last = entries
        .filter_map(|entry| <[u8; NAME]>::try_from(entry.file_name().as_encoded_bytes()).ok())
        .filter(|name| {
            name.iter()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        })
        .max_by_key(|name| place(name));
    if let (Some(last), Some(next)) = (last, copy.get_mut(NEXT..NEXT + NAME))
        && place(&last) >= place(next)
    {
        next.copy_from_slice(&following(last));
    }
}

/// A name's bytes, the slowest first.
fn place(name: &[u8]) -> Vec<u8> {
    name.iter().rev().copied().collect()
}

fn following(mut name: [u8; NAME]) -> [u8; NAME] {
    for byte in &mut name {
        match *byte {
            b'9' => *byte = b'A',
            b'Z' => {
                *byte = b'0';
                continue;
            }
            _ => *byte += 1,
        }
        break;
    }
    name
}
