//! The worker: a process that opens the token for itself, tries every attack, and says what came of each.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
};

use cryptoki_sys::*;

use super::{
    super::{Pkcs11Token, find, session::Fault},
    bench::{Bench, Outcome},
    catalogue::{Attack, chosen},
    job::{Job, Said},
    sacrifice::Sacrifice,
};
use crate::{
    ask::read_secret_line,
    error::{self, Code, bad_input, failed},
    secret::Secret,
    token::{
        KeyRef, PinProvider, PinRequest, Result, Token as _, TokenError,
        extraction::{Evidence, LABEL, Tried, Verdict, Victim},
    },
};

/// Reads a job and perhaps a PIN from standard input, does it, and writes what came of it to standard output. For the
/// process that [`crate::token::extraction::use_worker`] names, and nothing else.
///
/// # Errors
/// When standard input holds no job, or standard output is closed.
pub fn attack_from_stdin() -> error::Result<()> {
    // It would go on making keys for nobody, while the next start takes away what was left.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|_| failed("the worker cannot be made to end with its parent"))?;
    let stdin = io::stdin();
    let line = read_secret_line(stdin.as_fd())?;
    let job: Job = serde_json::from_slice(line.expose())
        .map_err(|_| bad_input("standard input holds no job of the extraction suite"))?;
    // One that ended before this one was tied to it sends no signal.
    if std::os::unix::process::parent_id() != job.parent {
        return Err(failed("the process that started the worker is gone"));
    }
    let pin = job.pin.then(|| read_secret_line(stdin.as_fd())).transpose()?;
    let listener = Listener::new().map_err(|_| failed("the worker has no standard output of its own"))?;
    let last = match attack(&job, pin, &listener) {
        Ok(()) => Said::Done,
        Err(error) => Said::Failed(error),
    };
    listener.hears(&last).map_err(Into::into)
}

/// The parent, on what was standard output: what a module prints there must not stand between the lines.
struct Listener(File);

impl Listener {
    fn new() -> io::Result<Self> {
        let own = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
        rustix::stdio::dup2_stdout(OpenOptions::new().write(true).open("/dev/null")?)?;
        Ok(Self(own.into()))
    }

    fn hears(&self, said: &Said) -> Result<()> {
        let mut text =
            serde_json::to_vec(said).map_err(|_| TokenError::Failed("a report is no JSON".into()))?;
        text.push(b'\n');
        (&self.0)
            .write_all(&text)
            .map_err(|_| TokenError::Failed("the extraction suite was not listened to".into()))
    }
}

/// A PIN that the parent's login proved right; given once, and not where a try is worth something.
struct Given(Mutex<Option<Secret>>);

impl PinProvider for Given {
    fn pin(&self, request: &PinRequest) -> error::Result<Secret> {
        let pin = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let locked = |what: &str| error::Error::new(Code::TokenLocked, what);
        if request.count_low || request.final_try {
            return Err(locked(
                "a wrong PIN was given to the token, and the extraction suite spends no try",
            ));
        }
        pin.ok_or_else(|| locked("the extraction suite was given no PIN, or was to give it twice"))
    }

    fn refused(&self, _: Option<u32>) {}

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn describe(&self) -> String {
        "the process that started the extraction suite".to_owned()
    }
}

fn attack(job: &Job, pin: Option<Secret>, listener: &Listener) -> Result<()> {
    let token = Pkcs11Token::open(job.settings.clone(), Arc::new(Given(Mutex::new(pin))))?;
    // One that was killed leaves its key; hsmsign runs no two at a time.
    for left in token.list()?.into_iter().filter(|info| info.label == LABEL) {
        if let Some(key) = left.key {
            token.delete(&key)?;
        }
    }
    let shared = match job.key {
        Some(_) => None,
        None => Some(Sacrifice::make(&token, job)?),
    };
    let tried = try_all(&token, job, shared.as_ref(), listener);
    let removed = shared.map_or(Ok(()), |shared| token.delete(&shared.key));
    tried.and(removed)
}

fn try_all(token: &Pkcs11Token, job: &Job, shared: Option<&Sacrifice>, listener: &Listener) -> Result<()> {
    let todo =
        chosen(job.algorithm, job.quick).filter(|attack| !job.done.iter().any(|done| done == attack.name));
    for attack in todo {
        let on = if attack.sacrifice || job.key.is_none() {
            Victim::Sacrificial
        } else {
            Victim::Key
        };
        let mut tried = Tried {
            attack: attack.name.to_owned(),
            does: attack.does.to_owned(),
            on,
            verdict: Verdict::Crashed,
            what: String::new(),
        };
        listener.hears(&Said::Begun(tried.clone()))?;
        let outcome = match (&job.key, shared) {
            (Some((key, evidence)), _) if !attack.sacrifice => run(token, attack, key, evidence, None)?,
            (_, Some(shared)) if !attack.sacrifice => run(
                token,
                attack,
                &shared.key,
                &shared.evidence,
                shared.value.as_ref(),
            )?,
            _ => {
                // One of its own, so that what one attack changes does not help or spoil the next.
                if let Some(shared) = shared {
                    token.delete(&shared.key)?;
                }
                let own = Sacrifice::make(token, job)?;
                let outcome = run(token, attack, &own.key, &own.evidence, own.value.as_ref());
                token.delete(&own.key)?;
                outcome?
            }
        };
        tried.verdict = outcome.verdict;
        tried.what = outcome.what;
        listener.hears(&Said::Tried(tried))?;
    }
    Ok(())
}

fn run(
    token: &Pkcs11Token,
    attack: &Attack,
    key: &KeyRef,
    evidence: &Evidence,
    value: Option<&Secret>,
) -> Result<Outcome> {
    token.run(|opened| {
        let claimed: Vec<CK_MECHANISM_TYPE> = opened.module.mechanisms(opened.slot)?;
        opened.writing(|session| -> std::result::Result<Outcome, Fault> {
            Ok((attack.run)(&Bench {
                module: &opened.module,
                slot: opened.slot,
                session,
                victim: find::handle(opened, session, key)?,
                evidence,
                value,
                claimed: &claimed,
            }))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_given_once_and_not_where_a_try_is_worth_something() {
        let given = || {
            let pin = Secret::take(&mut b"1234".to_vec()).unwrap();
            Given(Mutex::new(Some(pin)))
        };
        let pin = given();
        assert_eq!(pin.pin(&PinRequest::default()).unwrap().expose(), b"1234");
        assert_eq!(
            pin.pin(&PinRequest::default()).unwrap_err().code(),
            Code::TokenLocked
        );
        let count_low = PinRequest {
            count_low: true,
            ..PinRequest::default()
        };
        let final_try = PinRequest {
            final_try: true,
            ..PinRequest::default()
        };
        for worth_something in [count_low, final_try] {
            assert_eq!(
                given().pin(&worth_something).unwrap_err().code(),
                Code::TokenLocked
            );
        }
    }
}
