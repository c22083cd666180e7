//! The one thread that computes what is done in software.

use std::sync::{
    Arc,
    mpsc::{self, Receiver, Sender},
};

use super::ReadyKey;
use crate::{
    error::{Result, failed},
    exchange::Part,
};

/// The first message of each request of a batch, with its key; none where a request was refused before.
pub(super) type Parts = Vec<Option<(Arc<ReadyKey>, Part)>>;
/// The signatures of such messages.
pub(super) type Signatures = Vec<Option<Result<Vec<u8>>>>;

/// Hands batches to the one thread that computes them, in [`Signer::serve`](super::Signer::serve).
///
/// A module in software computes in this process. Threads that take turns in it wait for each other, and each wait costs
/// more than a signature; one thread that always finds the next batch waiting is as fast as the module can be.
#[derive(Clone)]
pub struct Lane(Sender<(Parts, Sender<Signatures>)>);

/// The end of a lane at which the work comes out.
pub struct LaneWork(pub(super) Receiver<(Parts, Sender<Signatures>)>);

impl Lane {
    /// A lane and its end.
    pub fn new() -> (Self, LaneWork) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), LaneWork(receiver))
    }

    pub(super) fn compute(&self, parts: Parts) -> Signatures {
        let wanted: Vec<bool> = parts.iter().map(Option::is_some).collect();
        let (sender, answer) = mpsc::channel();
        let signatures = self
            .0
            .send((parts, sender))
            .ok()
            .and_then(|()| answer.recv().ok());
        signatures.unwrap_or_else(|| {
            let lost = || Err(failed("the thread that computes signatures ended"));
            wanted.into_iter().map(|wanted| wanted.then(lost)).collect()
        })
    }
}
