//! Opening a token: lock, initialise, choose, log in once; and the same again when it was lost.

use std::{sync::PoisonError, thread::sleep, time::Duration};

use cryptoki_sys::*;

use super::{
    Pkcs11Token,
    choose::{choose, present},
    codes::{Kind, Refused},
    find::is_opencryptoki,
    loaded::State,
    session::{Fault, Opened},
};
use crate::{
    secret::Secret,
    token::{
        PinRequest, Result, TokenError,
        lock::{ProcessLock, WAIT},
    },
};

/// Pauses before opening is tried again, for what another program's login disturbed.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// How often a call begins anew because another token behind the same module was opened again.
const MOST_OVERTAKEN: u32 = 16;

/// Why opening stopped.
pub(super) enum Stop {
    /// It may work in a moment; no PIN was refused.
    Again(TokenError),
    /// A person has to give the PIN first.
    Ask(PinRequest),
    /// Nothing helps.
    Final(TokenError),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        match refused.kind() {
            Kind::Unsupported => Self::Final(refused.into()),
            _ => Self::Again(refused.into()),
        }
    }
}

impl Pkcs11Token {
    /// Does the work, finding handles again once and opening the token again once.
    pub(super) fn run<T>(&self, work: impl Fn(&Opened) -> Result<T, Fault>) -> Result<T> {
        self.run_with(|| Ok(None), work)
    }

    /// The same for work that changes the token, which processes do in turn.
    pub(super) fn run_in_turn<T>(&self, work: impl Fn(&Opened) -> Result<T, Fault>) -> Result<T> {
        self.run_with(|| self.process_lock(), work)
    }

    /// The lock is taken before the gate and given back before the token is opened again, which takes it too.
    fn run_with<T>(
        &self,
        lock: impl Fn() -> Result<Option<ProcessLock>>,
        work: impl Fn(&Opened) -> Result<T, Fault>,
    ) -> Result<T> {
        let (mut found_again, mut opened_again) = (false, false);
        let mut overtaken = 0;
        loop {
            let held = lock()?;
            let (seen, outcome) = self.attempt(&work);
            drop(held);
            match outcome {
                Ok(done) => return Ok(done),
                Err(Fault::Final(error)) => return Err(error),
                // Another token of this process started the module over in between: nothing was asked of this one yet.
                Err(Fault::Session(_)) if seen.is_none() && overtaken < MOST_OVERTAKEN => {
                    overtaken += 1;
                    self.renew(None)?;
                }
                Err(Fault::Handle(_)) if !found_again => found_again = true,
                Err(Fault::Handle(_) | Fault::Session(_)) if !opened_again => {
                    opened_again = true;
                    self.renew(seen)?;
                }
                Err(Fault::Gone { old, .. }) if (old || found_again) && !opened_again => {
                    opened_again = true;
                    self.renew(seen)?;
                }
                Err(Fault::Handle(refused) | Fault::Session(refused)) => return Err(refused.into()),
                Err(Fault::Gone { error, .. }) => return Err(error),
            }
        }
    }

    /// Does the work with the login at hand; answers which login that was.
    fn attempt<T>(&self, work: impl Fn(&Opened) -> Result<T, Fault>) -> (Option<u64>, Result<T, Fault>) {
        let gate = self.loaded.enter();
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(opened) if opened.epoch == gate.epoch => {
                let _turn = self.loaded.turn(&gate);
                let outcome = work(opened);
                if matches!(outcome, Err(Fault::Handle(_))) {
                    opened.forget_all();
                }
                (Some(opened.number), outcome)
            }
            _ => {
                let lost = Refused {
                    call: "the last call",
                    code: CKR_CRYPTOKI_NOT_INITIALIZED,
                };
                (None, Err(Fault::Session(lost)))
            }
        }
    }

    /// Opens the token anew unless another thread did so since the login `seen`.
    pub(super) fn renew(&self, seen: Option<u64>) -> Result<()> {
        let mut pin = None;
        let mut pauses = PAUSES.iter();
        let mut start_over = seen.is_some();
        loop {
            let stop = {
                let _lock = self.process_lock()?;
                let mut gate = self.loaded.enter_alone();
                let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
                if let Some(now) = &*opened
                    && now.epoch == gate.epoch
                    && Some(now.number) != seen
                {
                    return Ok(());
                }
                // Where another token of this process started the module over already, a new login is enough.
                let current = opened.take().filter(|lost| lost.epoch == gate.epoch);
                if let Some(lost) = &current {
                    lost.close();
                }
                if start_over && self.may_start_over() && (current.is_some() || seen.is_none()) {
                    self.loaded.stop(&mut gate);
                }
                match self.open_once(&mut gate, &mut pin) {
                    Ok(new) => {
                        *opened = Some(new);
                        return Ok(());
                    }
                    Err(stop) => stop,
                }
            };
            match stop {
                Stop::Final(error) => return Err(error),
                Stop::Ask(request) => pin = Some(self.ask(&request)?),
                Stop::Again(error) => {
                    sleep(*pauses.next().ok_or(error)?);
                    // Alone, starting over costs nobody; with other tokens behind the module, once is enough.
                    start_over = self.loaded.enter().users <= 1 || pauses.len() == PAUSES.len() - 1;
                }
            }
        }
    }

    /// Whether the module survives C_Finalize and C_Initialize in a process that signed in several threads.
    /// opencryptoki 3.8.1 dies or hangs now and then; with it a new login has to do.
    fn may_start_over(&self) -> bool {
        !is_opencryptoki(&self.identity.module)
    }

    /// The lock under which processes take turns; none where the settings say that the module needs none.
    fn process_lock(&self) -> Result<Option<ProcessLock>> {
        let wanted = self.settings.process_lock.unwrap_or(true);
        wanted
            .then(|| ProcessLock::acquire(&self.settings.lock_file, WAIT))
            .transpose()
    }

    fn open_once(&self, gate: &mut State, pin: &mut Option<Secret>) -> Result<Opened, Stop> {
        let settings = &self.settings;
        self.loaded.start(gate).map_err(|refused| {
            Stop::Again(TokenError::Missing {
                what: format!("the module {} does not start: {refused}", settings.module.display()),
                fix: "see that the token's device or folder is there and may be read (SoftHSM: directories.tokendir in the file that SOFTHSM2_CONF names; opencryptoki: its daemon runs, systemctl restart pkcsslotd)".to_owned(),
            })
        })?;
        let module = self.loaded.module;
        let token = choose(
            present(&module)?,
            settings.label.as_deref(),
            settings.serial.as_deref(),
            &settings.uri,
        )
        .map_err(Stop::Again)?;
        let anchor = module.open_session(token.slot, false)?;
        match self.login(&token, anchor, pin) {
            Ok(()) => Ok(Opened::new(
                module,
                token.slot,
                token.identity,
                gate.epoch,
                anchor,
            )),
            Err(stop) => {
                let _ = module.close_session(anchor);
                Err(stop)
            }
        }
    }
}

impl Drop for Pkcs11Token {
    fn drop(&mut self) {
        let mut gate = self.loaded.enter_alone();
        let opened = self
            .opened
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(opened) = opened.filter(|opened| opened.epoch == gate.epoch) {
            // A login is the whole process's.
            if gate.users == 1 {
                opened.log_out();
            }
            opened.close();
        }
        gate.users -= 1;
        if gate.users == 0 {
            self.loaded.stop(&mut gate);
        }
    }
}
