//! What rules say of where a request goes, before they look into its fields. Most requests go where others went before, so
//! it is kept, where it can be nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Asked, Case, orders::closes_by_its_path};
use crate::{
    error::Result,
    policy::{
        known,
        subject::{Bound, Sent, Spot},
    },
};

/// What rules say of where a request goes, where none of them denies that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ground {
    /// What the signature binds.
    bound: Bound,
    /// The rule that allows it.
    pub by: Option<Arc<str>>,
    /// The numbers of the caps that are about it, each with whether one of its paths could be this one.
    pub caps: Vec<(usize, bool)>,
    /// Whether it closes what there is, and is not `uncapped`.
    pub closes: bool,
    /// Whether it only looks.
    pub looks: bool,
    /// Whether a path has a word in it of what trades by other fields than those of orders.
    pub otherwise: bool,
}

impl Case<'_, '_> {
    /// What the rules say of where it goes.
    pub(super) fn ground(&self, asked: &Asked<'_>) -> Result<Arc<Ground>> {
        let spot = asked.spot();
        if let Some(known) = spot.as_ref().and_then(|spot| self.policy.grounds.of(spot)) {
            debug_assert_eq!(self.look_at(asked).ok().as_ref(), Some(&*known));
            asked.binds(known.bound);
            return Ok(known);
        }
        let looks = asked.looks();
        let ground = Arc::new(self.look_at(asked)?);
        // What did not look into the fields says the same whatever they are.
        if let Some(spot) = spot.filter(|_| asked.looks() == looks) {
            self.policy.grounds.keep(&spot, &ground);
        }
        Ok(ground)
    }

    #[inline(never)]
    fn look_at(&self, asked: &Asked<'_>) -> Result<Ground> {
        self.login(asked)?;
        self.logs_in(asked)?;
        self.denied(asked)?;
        let by = self.allowed(asked)?;
        self.session(asked)?;
        let others = asked.other_paths();
        let mut paths = others.iter().map(String::as_str).chain([asked.plain_path()]);
        let capped = !self.policy.caps.is_empty();
        Ok(Ground {
            bound: asked.bound(),
            by,
            caps: self.caps_about(asked),
            closes: capped && closes_by_its_path(asked) && !self.is_free(asked) && !self.names_path(asked),
            looks: capped && asked.only_looks(),
            otherwise: paths.any(|path| known::TRADES_OTHERWISE.stand_in(path)),
        })
    }

    fn caps_about(&self, asked: &Asked<'_>) -> Vec<(usize, bool)> {
        let told_by_path = asked.bound().path;
        let about = self.policy.caps.about(asked.sole_path().filter(|_| told_by_path));
        let about = about.map(|(at, cap)| (at, cap, cap.paths.iter().any(|path| asked.could_be(path))));
        // Where the path is not signed, a cap for one is a cap for all.
        about
            .filter(|(_, cap, is_asked)| !told_by_path || cap.paths.is_empty() || *is_asked)
            .map(|(at, _, is_asked)| (at, is_asked))
            .collect()
    }
}

/// How many are kept: a bot goes to a few endpoints, and some have the number of an order in their path.
const MOST: usize = 32;

/// How long a path may be that is kept, in bytes.
const LONGEST: usize = 256;

/// The grounds of a policy that were found last.
#[derive(Debug, Default)]
pub(in crate::policy) struct Grounds(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    all: Vec<(Where, Arc<Ground>)>,
    /// The place that is taken next, when all are.
    next: usize,
}

/// A [`Spot`] of its own.
#[derive(Debug)]
struct Where {
    exchange: u64,
    method: String,
    path: String,
    sent: Sent,
}

impl Where {
    fn is(&self, spot: &Spot<'_>) -> bool {
        self.path == spot.path
            && self.method == spot.method
            && self.exchange == spot.exchange
            && self.sent == spot.sent
    }
}

impl Grounds {
    fn of(&self, spot: &Spot<'_>) -> Option<Arc<Ground>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.all.iter().find(|(place, _)| place.is(spot));
        found.map(|(_, ground)| Arc::clone(ground))
    }

    fn keep(&self, spot: &Spot<'_>, ground: &Arc<Ground>) {
        if spot.path.len() > LONGEST {
            return;
        }
        let place = Where {
            exchange: spot.exchange,
            method: spot.method.to_owned(),
            path: spot.path.to_owned(),
            sent: spot.sent,
        };
        let fresh = (place, Arc::clone(ground));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.all.len() < MOST {
            kept.all.push(fresh);
        } else {
            let at = kept.next;
            kept.all[at] = fresh;
            kept.next = (at + 1) % MOST;
        }
    }
}

impl Clone for Grounds {
    /// A copy may be changed, and has none of its own.
    fn clone(&self) -> Self {
        Self::default()
    }
}
