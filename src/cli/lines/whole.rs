use std::{io, os::fd::AsFd as _};

use hsmsign::{
    error::Result,
    secret::{Secret, traceless},
};

use super::stdio::{read, too_long};

/// The room at first, in bytes: locked memory is scarce.
const USUAL: usize = 16 << 10;

/// All of standard input, in locked memory.
///
/// # Errors
/// When it is longer than `limit` bytes, or cannot be read.
pub fn whole_input(limit: usize) -> Result<Secret> {
    let stdin = io::stdin();
    let mut text = Secret::with_capacity(USUAL)?;
    loop {
        if text.spare_mut().is_empty() {
            if text.len() > limit {
                return Err(too_long(limit));
            }
            text = traceless(|| -> Result<Secret> {
                let mut larger = Secret::with_capacity(text.capacity() * 2)?;
                larger.push(text.expose());
                Ok(larger)
            })?;
        }
        match read(stdin.as_fd(), text.spare_mut())? {
            0 => return Ok(text),
            count => text.grow(count),
        }
    }
}
