//! A token that is logged in: the anchor session that keeps the login, and sessions to work in.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cryptoki_sys::{CK_SLOT_ID, CKR_SESSION_COUNT};

use super::{
    codes::{Kind, Refused},
    module::{Module, ObjectHandle, SessionHandle},
};
use crate::token::{Identity, KeyRef, TokenError};

/// Sessions kept for the next call; more threads than this open and close theirs.
const KEPT: usize = 64;
/// What a login of this age does not find is not there.
const FRESH: Duration = Duration::from_secs(5);

/// Why a piece of work on a token ended, sorted by what may help.
#[derive(Debug)]
pub(super) enum Fault {
    /// An object's handle is void: find it again.
    Handle(Refused),
    /// The session, login or token is gone: open again.
    Session(Refused),
    /// There is no such object. A login that is `old` may not see what is there: SoftHSM shows an empty token when its
    /// folder was away meanwhile, until the module is started over.
    Gone { error: TokenError, old: bool },
    /// Nothing helps.
    Final(TokenError),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused.kind() {
            Kind::Handle => Self::Handle(refused),
            Kind::Session => Self::Session(refused),
            _ => Self::Final(refused.into()),
        }
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        Self::Final(error)
    }
}

/// One login to one token. Its handles are good within its epoch of the module only.
pub(super) struct Opened {
    pub module: Module,
    pub slot: CK_SLOT_ID,
    pub identity: Identity,
    pub epoch: u64,
    /// Tells this login from the ones before it.
    pub number: u64,
    since: Instant,
    anchor: SessionHandle,
    /// Held while the anchor itself has to do the work.
    anchor_turn: Mutex<()>,
    idle: Mutex<Vec<SessionHandle>>,
    handles: Mutex<HashMap<KeyRef, ObjectHandle>>,
}

impl Opened {
    pub fn new(
        module: Module,
        slot: CK_SLOT_ID,
        identity: Identity,
        epoch: u64,
        anchor: SessionHandle,
    ) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self {
            module,
            slot,
            identity,
            epoch,
            number: COUNT.fetch_add(1, Relaxed),
            since: Instant::now(),
            anchor,
            anchor_turn: Mutex::new(()),
            idle: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    /// Works in a session. One whose work failed is closed, since the operation may still be active in it.
    pub fn reading<T>(&self, work: impl FnOnce(SessionHandle) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = lock(&self.idle).pop();
        let session = match idle {
            Some(session) => session,
            None => match self.module.open_session(self.slot, false) {
                Ok(session) => session,
                Err(Refused {
                    code: CKR_SESSION_COUNT,
                    ..
                }) => {
                    // The token has no session to spare: the anchor does the work, one thread at a time.
                    let _turn = lock(&self.anchor_turn);
                    return work(self.anchor);
                }
                Err(refused) => return Err(refused.into()),
            },
        };
        let done = work(session);
        let mut idle = lock(&self.idle);
        if done.is_ok() && idle.len() < KEPT {
            idle.push(session);
        } else {
            drop(idle);
            let _ = self.module.close_session(session);
        }
        done
    }

    /// Works in a session that may write.
    pub fn writing<T>(&self, work: impl FnOnce(SessionHandle) -> Result<T, Fault>) -> Result<T, Fault> {
        let session = self.module.open_session(self.slot, true)?;
        let done = work(session);
        let _ = self.module.close_session(session);
        done
    }

    /// Whether the login is so old that the token may have gone and come back behind it.
    pub fn is_old(&self) -> bool {
        self.since.elapsed() > FRESH
    }

    pub fn known(&self, key: &KeyRef) -> Option<ObjectHandle> {
        lock(&self.handles).get(key).copied()
    }

    pub fn remember(&self, key: &KeyRef, object: ObjectHandle) {
        lock(&self.handles).insert(key.clone(), object);
    }

    pub fn forget(&self, key: &KeyRef) {
        lock(&self.handles).remove(key);
    }

    pub fn forget_all(&self) {
        lock(&self.handles).clear();
    }

    /// Ends the login alone. Only within the epoch.
    pub fn log_out(&self) {
        let _ = self.module.logout(self.anchor);
    }

    /// Ends the sessions, and with the last one the login. Only within the epoch.
    pub fn close(&self) {
        for session in lock(&self.idle).drain(..) {
            let _ = self.module.close_session(session);
        }
        let _ = self.module.close_session(self.anchor);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
