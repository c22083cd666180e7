//! Work of the road of secrets that a worker does for who may not read the agent's files.

use std::{collections::VecDeque, os::fd::OwnedFd};

use crate::{
    error::{Code, Error, Result},
    token::Tokens,
};

/// Does what the JSON says.
///
/// # Errors
/// As the work itself.
pub fn run(_tokens: &Tokens, _job: &[u8], _fds: &mut VecDeque<OwnedFd>) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "the agent does not know this work"))
}
