//! The extraction suite on a PKCS #11 token: does it keep a key that says it cannot be extracted?
//!
//! The parent starts a worker, gives it a job and the PIN through a pipe, and listens. A worker that crashes or hangs is
//! an answer too: it is put down to the attack at hand, and another worker goes on behind it.

mod bench;
mod calls;
mod catalogue;
mod change;
mod derive;
mod digest;
mod job;
mod pairs;
mod plain;
mod sacrifice;
mod worker;
mod wrap;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use cryptoki_sys::{CKF_LOGIN_REQUIRED, CKF_PROTECTED_AUTHENTICATION_PATH};

use self::job::{Job, Said};
pub use self::worker::attack_from_stdin;
use super::{Pkcs11Token, choose::present};
use crate::{
    algorithm::Algorithm,
    process::OwnTime,
    secret::Secret,
    token::{
        Class, KeyRef, PinRequest, Result, Token as _, TokenError,
        extraction::{Report, Trial, Tried, Verdict, Worker, worker},
    },
};

/// How often it is looked whether that is over.
const TICK: Duration = Duration::from_secs(1);
/// How long one attack may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where RSA keys are made for it.
const WITH_RSA: Duration = Duration::from_secs(180);
/// How long opening may take where a person types the PIN on the token first.
const AT_A_KEYPAD: Duration = Duration::from_secs(120);
/// How many workers may be lost.
const LOSSES: usize = 6;

impl Pkcs11Token {
    /// Tries to get a key out of the token, in processes of their own.
    pub(super) fn attack(&self, trial: &Trial) -> Result<Report> {
        let worker = worker().ok_or_else(|| {
            TokenError::Unsupported("this program cannot start the extraction suite".to_owned())
        })?;
        let mut job = Job {
            settings: self.settings.clone(),
            pin: false,
            parent: std::process::id(),
            algorithm: trial.algorithm,
            generated: trial.generated,
            key: trial.key.clone(),
            id: trial.id.clone(),
            quick: trial.quick,
            done: Vec::new(),
        };
        // The very token that is open here, whichever others come meanwhile.
        job.settings.serial = Some(self.identity.serial.clone()).filter(|serial| !serial.is_empty());
        let mut report = Report::default();
        let mut losses = 0;
        loop {
            let (pin, patience) = self.pin_for_worker()?;
            job.pin = pin.is_some();
            let end = listen(worker, &job, pin, patience, &mut report);
            // A worker that was lost could not clean up.
            let class = match job.algorithm {
                Algorithm::Mac(_) => Class::Mac,
                Algorithm::Signature(_) => Class::Private,
            };
            let cleaned = self.delete(&KeyRef::Object {
                class,
                id: job.id.clone(),
            });
            match end {
                End::Done => return cleaned.map(|()| report),
                End::Failed(error) => {
                    if matches!(error, TokenError::WrongPin { .. }) {
                        self.pin.refused(None);
                    }
                    return Err(error);
                }
                End::Lost(Some(tried)) if losses < LOSSES => {
                    losses += 1;
                    report.tried.push(tried);
                    job.done = report.tried.iter().map(|tried| tried.attack.clone()).collect();
                }
                End::Lost(_) => {
                    return Err(TokenError::Failed(
                        "the module crashes or hangs in a process that does nothing but open it".to_owned(),
                    ));
                }
            }
        }
    }

    /// The PIN that opened the token, where it wants one that is not typed on itself.
    fn pin_for_worker(&self) -> Result<(Option<Secret>, Duration)> {
        // In turn: while another process logs in, SoftHSM shows no token for a moment.
        let token = self.run_in_turn(|opened| {
            Ok(present(&opened.module)?
                .into_iter()
                .find(|token| token.slot == opened.slot))
        })?;
        let token = token.ok_or_else(|| TokenError::NotFound("the token went away".into()))?;
        if !token.has(CKF_LOGIN_REQUIRED) {
            return Ok((None, PATIENCE));
        }
        if token.has(CKF_PROTECTED_AUTHENTICATION_PATH) {
            return Ok((None, AT_A_KEYPAD));
        }
        let request = PinRequest {
            label: token.identity.label,
            serial: token.identity.serial,
            ..PinRequest::default()
        };
        Ok((Some(self.ask(&request)?), PATIENCE))
    }
}

/// How a worker ended.
enum End {
    Done,
    Failed(TokenError),
    /// It crashed or hung, in this attack.
    Lost(Option<Tried>),
}

fn listen(worker: &Worker, job: &Job, pin: Option<Secret>, patience: Duration, report: &mut Report) -> End {
    let (mut child, lines) = match start(worker, job, pin) {
        Ok(started) => started,
        Err(error) => return End::Failed(error),
    };
    let mut begun: Option<Tried> = None;
    let rsa = matches!(job.algorithm, Algorithm::Signature(algorithm) if algorithm.is_rsa());
    let patient = if rsa { WITH_RSA } else { PATIENCE };
    let mut wait = patience.max(patient);
    let what = loop {
        let said = receive(&lines, wait);
        wait = patient;
        match said {
            Ok(Said::Begun(tried)) => begun = Some(tried),
            Ok(Said::Tried(tried)) => {
                begun = None;
                report.tried.push(tried);
            }
            Ok(end @ (Said::Failed(_) | Said::Done)) => {
                let _ = child.wait();
                return match end {
                    Said::Failed(error) => End::Failed(error),
                    _ => End::Done,
                };
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                break format!("the module did not come back within {} s", patient.as_secs());
            }
            Err(RecvTimeoutError::Disconnected) => {
                break child.wait().map_or_else(
                    |_| "the module crashed".to_owned(),
                    |status| format!("the module crashed ({status})"),
                );
            }
        }
    };
    End::Lost(begun.map(|tried| Tried {
        verdict: Verdict::Crashed,
        what,
        ..tried
    }))
}

/// Waits for what a worker says next. The time in which this process stood still, and the worker most likely with it, as with
/// a terminal's Ctrl-Z or a container, does not count.
fn receive(lines: &mpsc::Receiver<Said>, wait: Duration) -> Result<Said, RecvTimeoutError> {
    let mut time = OwnTime::default();
    let begun = Instant::now();
    let mut now = begun;
    loop {
        match lines.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => now = time.at(Instant::now(), now, TICK),
            said => return said,
        }
        if now.saturating_duration_since(begun) >= wait {
            return Err(RecvTimeoutError::Timeout);
        }
    }
}

/// Starts a worker, and what reads from it. The PIN is wiped here when the worker has it.
fn start(worker: &Worker, job: &Job, pin: Option<Secret>) -> Result<(Child, mpsc::Receiver<Said>)> {
    let failed = |what: &str| TokenError::Failed(format!("the extraction suite {what}"));
    let mut first = serde_json::to_vec(job).map_err(|_| failed("has no job"))?;
    first.push(b'\n');
    let mut child = Command::new(&worker.program)
        .args(&worker.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    let heard = child.stdout.take().map(lines).transpose();
    let Some(lines) = heard.map_err(|error| failed(&format!("cannot be heard: {error}")))? else {
        return Err(failed("has no output"));
    };
    let given = child.stdin.take().map(|mut stdin| {
        stdin.write_all(&first)?;
        if let Some(pin) = pin {
            stdin.write_all(pin.expose())?;
            stdin.write_all(b"\n")?;
        }
        Ok::<_, std::io::Error>(())
    });
    // One that ended before it had read all says so by its end.
    drop(given);
    Ok((child, lines))
}

/// What a worker says, line by line; what its module says beside that is passed over.
///
/// # Errors
/// Where the system has no thread to give.
fn lines(stdout: ChildStdout) -> std::io::Result<mpsc::Receiver<Said>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(std::io::Result::ok) {
            if let Ok(said) = serde_json::from_slice(&line)
                && sender.send(said).is_err()
            {
                break;
            }
        }
    };
    std::thread::Builder::new().spawn(read)?;
    Ok(receiver)
}
