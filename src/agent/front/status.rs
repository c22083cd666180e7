//! What the agent tells of itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Front, metrics::Metrics};
use crate::{
    enrol::public_text,
    error::{Code, Result},
    token::PinSource,
};

/// What was counted since the start.
pub struct Counts {
    began: Instant,
    /// When the loop last looked at the clocks.
    pub looked_at: Instant,
    /// Signatures and MACs that were given out.
    pub signed: u64,
    denied: u64,
    refused: u64,
    longest: Duration,
    /// For Prometheus.
    pub metrics: Metrics,
}

impl Counts {
    /// Nothing yet.
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            looked_at: now,
            signed: 0,
            denied: 0,
            refused: 0,
            longest: Duration::ZERO,
            metrics: Metrics::new(),
        }
    }

    /// A signature was given out.
    pub fn signed(&mut self, took: Duration) {
        self.signed += 1;
        self.longest = self.longest.max(took);
    }

    /// A line was refused.
    pub fn refused(&mut self, code: Code) {
        self.metrics.refused(code);
        match code {
            Code::Denied => self.denied += 1,
            _ => self.refused += 1,
        }
    }
}

impl Front {
    /// The keys that it signs with.
    pub(super) fn keys(&self) -> Result<Vec<Value>> {
        let keyring = self.road.keyring();
        let mut keys = Vec::new();
        for name in keyring.names()? {
            let Ok(record) = keyring.get(&name) else { continue };
            let mut key = json!({
                "key": record.name.as_str(), "exchange": record.exchange, "algorithm": record.algorithm.name(),
                "api_key": record.current.api_key,
                "public_key": public_text(self.road.catalogue(), &record, &record.current),
                "base_url": record.base_url, "window": record.window, "offset_ms": record.offset_ms.millis(),
                "created": record.current.created,
                "hardware": record.current.copies.iter().all(|copy| copy.hardware),
                "tokens": record.current.copies.iter().map(|copy| copy.token.as_str()).collect::<Vec<_>>(),
                "allow": record.allow.iter().map(|allow| allow.name()).collect::<Vec<_>>(),
            });
            if let Some(copy) = record.current.touched() {
                key["touch"] = json!(copy.serial);
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// How many requests are worked on or wait for something.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len() + self.parked.len() + self.questions.waiting()
    }

    /// How it is.
    pub(super) fn status(&self) -> Value {
        let tokens: Vec<_> = self
            .workers
            .iter()
            .filter(|worker| worker.holds_token())
            .map(|worker| {
                let state = if worker.locked {
                    "locked"
                } else if worker.open {
                    "open"
                } else if worker.last_error.is_some() {
                    "failing"
                } else if worker.is_running() {
                    "opening"
                } else {
                    "closed"
                };
                let settings = self.config.token(&worker.token).ok();
                let source = settings.and_then(|settings| crate::token::pin_source(settings).ok());
                let mut told = json!({
                    "token": worker.token, "state": state,
                    // Where a file is, is not for everybody who may connect.
                    "pin_source": source.as_ref().map(kind), "worker_pid": worker.pid(), "restarts": worker.restarts,
                    "waiting": worker.asked(),
                    "error": worker.last_error.as_ref().map(|error| json!({"code": error.code().name(), "message": error.message(), "fix": error.advice()})),
                });
                if let Some(settings) = settings.filter(|settings| settings.yubikey) {
                    let source = crate::token::piv_pin_source(settings).ok();
                    told["piv_pin_source"] = json!(source.as_ref().map(kind));
                }
                told
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(),
            "uptime_s": self.counts.began.elapsed().as_secs(),
            "socket": self.listening.path.to_string_lossy(), "uid": rustix::process::geteuid().as_raw(),
            "connections": self.clients.len() - self.free.len(), "in_flight": self.in_flight(),
            "signed": self.counts.signed, "denied": self.counts.denied, "refused": self.counts.refused,
            "longest_us": u64::try_from(self.counts.longest.as_micros()).unwrap_or(u64::MAX),
            "confined": self.confined.map(|confined| json!({"landlock": confined.files.name(), "seccomp": confined.calls})),
            "replaced": super::files::is_replaced(), "tokens": tokens,
        })
    }
}

/// What kind of source it is, without the name of a file.
fn kind(source: &PinSource) -> String {
    source.text().split(':').next().unwrap_or_default().to_owned()
}
