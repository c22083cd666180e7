//! What waits to be written, and its lines.

use std::{fs::File, sync::Arc, time::Duration};

use super::{
    Entry,
    file::{Files, Tail},
    line,
    seal::Due,
};
use crate::{clock, error::Result};

/// Something that waits to be written.
pub(super) enum Waiting {
    /// What happened.
    Entry(Box<Entry>),
    /// A seal that the token made.
    Seal { due: Due, token: String, mac: Vec<u8> },
}

/// Appends all of it; answers the file to be synced, and where the log ends then.
pub(super) fn append(files: &mut Files, all: &[Waiting]) -> Result<(Arc<File>, Option<Tail>)> {
    let mut end = None;
    let file = files.append(&mut |tail, out| {
        let tail = render(all, tail, out);
        end = Some(tail);
        tail
    })?;
    Ok((file, end))
}

fn render(all: &[Waiting], mut tail: Tail, out: &mut String) -> Tail {
    for waiting in all {
        let (begin, number) = (out.len(), tail.number + 1);
        match waiting {
            Waiting::Entry(entry) => {
                line::begin(out, number, micros(entry.at), entry.what.name());
                line::members(out, entry);
            }
            Waiting::Seal { due, token, mac } => {
                line::begin(out, number, micros(clock::now()), "seal");
                due.members(out, token, mac);
            }
        }
        let hash = line::close(out, begin, &tail.hash);
        tail = Tail { number, hash };
    }
    tail
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
