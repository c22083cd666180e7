//! Work of the road of secrets that a worker does for who may not read the agent's files.

use std::{collections::VecDeque, os::fd::OwnedFd};

use crate::{
    audit,
    error::{Code, Error, Result},
    token::Tokens,
};

/// What a worker is asked for a seal of the log.
pub fn seal(message: &[u8]) -> Vec<u8> {
    format!("{{\"seal\":\"{}\"}}", base16ct::lower::encode_string(message)).into_bytes()
}

/// Does what the JSON says, on the worker's own token.
///
/// # Errors
/// As the work itself.
pub fn run(tokens: &Tokens, token: &str, job: &[u8], _fds: &mut VecDeque<OwnedFd>) -> Result<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Seal {
        seal: String,
    }
    let message = serde_json::from_slice::<Seal>(job).ok();
    let message = message.and_then(|job| base16ct::lower::decode_vec(job.seal).ok());
    match message {
        Some(message) => audit::seal(tokens.get(token)?.as_ref(), &message),
        None => Err(Error::new(Code::Unsupported, "the agent does not know this work")),
    }
}
