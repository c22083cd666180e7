//! Where a request would go, and who signs it for whoever sends it.

use std::sync::Arc;

use serde_json::json;

use super::{
    Signer,
    ready::{no_exchange, prepare},
    road::Road,
};
use crate::{
    clock::Offset,
    error::{Result, failed},
    exchange::{Scheme, builtin},
    json::Json,
    policy::Caller,
    request::{Answer, Request, SignedRequest},
};

/// Where a request would go, known before it is signed.
#[derive(Debug)]
pub struct Route {
    /// The exchange.
    pub scheme: Arc<Scheme>,
    /// The text of the exchange's file where it is not built in.
    own_text: Option<Arc<str>>,
    /// The method.
    pub method: String,
    /// `https://` and the host.
    pub origin: String,
    /// The path as it goes on the wire, without its query.
    pub path: String,
    /// Whether the request brings a timestamp or a nonce of its own, so that signing it again makes no fresh one.
    pub brings_stamps: bool,
    /// How far the exchange's clock is ahead of this machine's, as the request or the key says.
    pub offset: Offset,
}

/// Whoever signs requests for a sender: a signer of this process, or an agent that it reaches.
pub trait Signs {
    /// Where a request would go. Nothing is decided or given out.
    ///
    /// # Errors
    /// Everything that can be wrong with the request or its key's record.
    fn route(&self, request: &Request) -> Result<Route>;

    /// Signs one request. What is answered is in the log: of a signer of this process on the disk already, of an agent
    /// some milliseconds later.
    ///
    /// # Errors
    /// As [`Signer::sign`]; and when the log cannot be written.
    fn sign(&self, request: &Request) -> Result<SignedRequest>;
}

/// A signer of this process, for one caller.
pub struct Here {
    /// The signer.
    pub signer: Signer,
    /// Who asks.
    pub caller: Caller,
}

impl Signs for Here {
    fn route(&self, request: &Request) -> Result<Route> {
        self.signer.route(request)
    }

    fn sign(&self, request: &Request) -> Result<SignedRequest> {
        self.signer.settled(self.signer.sign(request, &self.caller))
    }
}

impl Road {
    /// Where a request would go. Nothing is decided or given out, and no token is asked.
    ///
    /// # Errors
    /// Everything that can be wrong with the request or its key's record.
    pub fn route(&self, request: &Request) -> Result<Route> {
        let record = self.record_of(request)?;
        if record.is_generic() {
            return Err(no_exchange(&record));
        }
        let scheme = self.catalogue().get(&record.exchange)?;
        let prepared = prepare(&record, &scheme, request)?;
        Ok(Route {
            own_text: self.catalogue().own_text(&record.exchange)?,
            method: prepared.endpoint().method.clone(),
            origin: prepared.origin().to_owned(),
            path: prepared.endpoint().path.clone(),
            brings_stamps: prepared.brings_stamps(),
            offset: request.offset.unwrap_or(record.offset_ms),
            scheme: Arc::clone(&scheme),
        })
    }
}

impl Route {
    /// As the members of an answer, for whoever has not the agent's files.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "exchange": self.scheme.id(), "scheme": self.own_text.as_deref(), "method": self.method, "origin": self.origin,
            "path": self.path, "brings_stamps": self.brings_stamps, "offset_ms": self.offset.millis(),
        })
    }

    /// From an answer line with these members.
    ///
    /// # Errors
    /// The error that the line tells of; or when it is no such line.
    pub fn parse_line(line: &str) -> Result<Self> {
        let mut answer = Answer::parse(line)?;
        let mut text = |name: &str| answer.text(name)?.ok_or_else(strange);
        let (exchange, method, origin, path) =
            (text("exchange")?, text("method")?, text("origin")?, text("path")?);
        let own_text: Option<Arc<str>> = answer.text("scheme")?.map(Into::into);
        let known = own_text
            .as_deref()
            .or_else(|| builtin(&exchange))
            .ok_or_else(strange)?;
        let (Some(Json::Bool(brings_stamps)), Some(Json::Number(offset))) =
            (answer.take("brings_stamps"), answer.take("offset_ms"))
        else {
            return Err(strange());
        };
        Ok(Self {
            scheme: Arc::new(Scheme::parse(known, &format!("the agent's {exchange}"))?),
            own_text,
            method,
            origin,
            path,
            brings_stamps,
            offset: Offset::from_millis(offset.parse().map_err(|_| strange())?),
        })
    }
}

fn strange() -> crate::error::Error {
    failed("the agent's answer is not understood")
        .fix("use the hsmsign that the agent is of; restart the agent after an upgrade")
}
