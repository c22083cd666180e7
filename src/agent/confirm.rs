//! The process that asks a person, for the front, which may start nothing: one question, by pinentry, on the desktop or
//! terminal that the agent was started with.

use std::{os::fd::BorrowedFd, time::Duration};

use super::{
    frame::{self, Ask, Told},
    wire,
};
use crate::{
    ask::{Agreed, agreed},
    error::{Result, failed},
};

/// In place of a token's name, for the launcher.
pub const NAME: &str = "!confirm";

/// Asks one question of the front on standard input, and answers what was said. Where the front hangs up, the question is
/// closed.
///
/// # Errors
/// When the front is not understood, or is gone.
pub fn run(front: BorrowedFd<'_>) -> Result<()> {
    let Some(frame) = wire::first_frame(front, &mut Default::default())? else {
        return Ok(());
    };
    let (id, Ask::Question { seconds, text }) = frame::read_ask(&frame)? else {
        return Err(failed("a question was not understood"));
    };
    let patience = Duration::from_secs(seconds.into());
    let told = match agreed(&String::from_utf8_lossy(text), patience, Some(front)) {
        Ok(said) => Told::Done(word(said).into()),
        Err(error) => Told::Refused(error),
    };
    let mut output = Vec::new();
    told.write(id, &mut output);
    wire::send_all(front, &output, &[]).map_err(|error| failed(format!("the agent is gone: {error}")))
}

/// What was said, for the front.
const fn word(said: Agreed) -> &'static str {
    match said {
        Agreed::Yes => "yes",
        Agreed::No => "no",
        Agreed::Silent | Agreed::Later => "silent",
    }
}

/// Reads what [`run`] answers. What is not understood is no yes.
pub fn said(word: &[u8]) -> Agreed {
    match word {
        b"yes" => Agreed::Yes,
        b"silent" => Agreed::Silent,
        _ => Agreed::No,
    }
}
