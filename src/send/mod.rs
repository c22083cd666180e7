//! Sending: a request is signed, sent, and signed and sent again where that cannot place an order twice.
//!
//! [`Sender::send`] is the road. What is sent are the bytes that were signed; every attempt has a fresh timestamp, nonce
//! and signature; redirects are not followed. What is scheme data comes from [`Sending`](crate::exchange::Sending).

mod answer;
mod judge;
mod measure;
mod outcome;
mod outgoing;
mod preview;
mod progress;
mod proxy;
mod retry;
mod transport;
mod trust;
mod wire;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::{
    answer::Answer,
    measure::Measured,
    outcome::{Outcome, failure_line},
    preview::Preview,
    progress::{Attempt, Progress, Sent},
    retry::Retry,
};
use self::{
    outgoing::Outgoing,
    retry::{Came, Nature, Next},
    wire::{Fault, FaultKind, Wire},
};
use crate::{
    error::{Error, Result, bad_input},
    request::Request,
    signer::{Route, Signs},
};

/// How requests are sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one attempt may take, from looking up the host's name to the last byte of the answer.
    pub timeout: Duration,
    /// When a request is sent again.
    pub retry: Retry,
    /// Whether the exchange's clock is measured first, and the request signed by it.
    pub measure_clock: bool,
    /// A file of certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
            measure_clock: false,
            ca_file: None,
        }
    }
}

/// Waits before an attempt; it is told why the one before failed.
pub type Wait<'a> = dyn Fn(&Error, Duration) + 'a;

/// Sends requests that somebody signs.
pub struct Sender<'s> {
    signs: &'s dyn Signs,
    route: Route,
    settings: Settings,
    progress: Arc<Progress>,
    wait: &'s Wait<'s>,
}

impl<'s> Sender<'s> {
    /// A sender for one request, which goes where `signs` says; `wait` is called between two attempts and returns when the
    /// time is over.
    pub fn new(signs: &'s dyn Signs, route: Route, settings: Settings, wait: &'s Wait<'s>) -> Self {
        Self {
            signs,
            route,
            settings,
            progress: Arc::default(),
            wait,
        }
    }

    /// What is known of the attempts, for another thread to ask.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The request as it would be sent. It is signed, and nothing is sent.
    ///
    /// # Errors
    /// As [`Signs::sign`], and when it could not be sent exactly as it was signed.
    pub fn preview(&self, request: &Request) -> Result<Preview> {
        let route = &self.route;
        sendable(request)?;
        let signed = self.signs.sign(request)?;
        Outgoing::of(&signed, &route.origin)?;
        Ok(Preview::new(
            signed,
            &route.scheme.reveals(&route.method, &route.path),
        ))
    }

    /// Signs and sends.
    ///
    /// # Errors
    /// Where nothing was sent because it could not be: as [`Signs::sign`], and when the proxy, the authorities or the
    /// measuring of the clock fail. What happens from the first attempt on is in the outcome.
    pub fn send(&self, request: &Request) -> Result<Outcome> {
        let began = Instant::now();
        let route = &self.route;
        sendable(request)?;
        let wire = Wire::to(
            &route.origin,
            self.settings.ca_file.as_deref(),
            self.settings.timeout,
            Arc::clone(&self.progress),
        )?;
        let clock = if self.settings.measure_clock {
            let source = route.scheme.sending().time(&route.path);
            Some(measure::measure(&wire, &route.origin, source)?)
        } else {
            None
        };
        let (answer, error) = self.attempts(route, &wire, clock, request)?;
        Ok(Outcome {
            answer,
            error,
            attempts: self.progress.attempts(),
            clock,
            elapsed: began.elapsed(),
        })
    }

    /// Attempt after attempt, until one is the last.
    fn attempts(
        &self,
        route: &Route,
        wire: &Wire,
        clock: Option<Measured>,
        request: &Request,
    ) -> Result<(Option<Answer>, Option<Error>)> {
        let nature = Nature {
            only_reads: route.scheme.sending().only_reads(&route.method, &route.path),
            brings_stamps: route.brings_stamps,
        };
        let mut done = 0;
        loop {
            let outgoing = match self.sign(route, request, clock) {
                Ok(outgoing) => outgoing,
                Err(error) if self.progress.sent() == Sent::No => return Err(error),
                Err(error) => return Ok((None, Some(judge::unsigned(&error)))),
            };
            self.progress.begin();
            let came = wire.exchange(&outgoing);
            let error = match &came {
                Ok(answer) => judge::error(&route.scheme, wire.host(), answer),
                Err(fault) => Some(fault.error.clone()),
            };
            self.progress
                .end(came.is_ok(), error.as_ref().map(Error::message));
            let Some(error) = error else {
                return Ok((came.ok(), None));
            };
            done += 1;
            let last = match self.settings.retry.next(nature, as_came(&came), done) {
                Next::After(wait) => {
                    (self.wait)(&error, wait);
                    continue;
                }
                Next::TooLongAWait(wait) => judge::too_long_a_wait(error, wait, nature, self.progress.sent()),
                Next::End => {
                    let explained = judge::clock(&error, route, wire, &came, clock);
                    explained.unwrap_or_else(|| {
                        judge::advised(error, route.scheme.sending(), nature, &came, self.progress.sent())
                    })
                }
            };
            return Ok((came.ok(), Some(last)));
        }
    }

    fn sign(&self, route: &Route, request: &Request, clock: Option<Measured>) -> Result<Outgoing> {
        let measured = clock.map(|clock| Request {
            offset: Some(clock.offset),
            ..request.clone()
        });
        let signed = self.signs.sign(measured.as_ref().unwrap_or(request))?;
        Outgoing::of(&signed, &route.origin)
    }
}

fn sendable(request: &Request) -> Result<()> {
    if request.websocket {
        return Err(bad_input("a WebSocket login is not sent by itself")
            .fix("print it with `hsmsign websocket KEY`, and send it over your socket"));
    }
    Ok(())
}

fn as_came(came: &std::result::Result<Answer, Fault>) -> Came<'_> {
    match came {
        Ok(answer) => Came::Answered(answer),
        Err(Fault {
            kind: FaultKind::Unwritten,
            ..
        }) => Came::Unwritten,
        Err(Fault {
            kind: FaultKind::Broken,
            ..
        }) => Came::Broken,
        Err(Fault {
            kind: FaultKind::TooLong,
            ..
        }) => Came::TooLong,
    }
}
