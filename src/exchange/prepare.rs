//! The one place where a request is parsed. Everything that could make a signature fit another request is refused here:
//! a method out of the set, a path or query with odd characters, a body that is neither JSON nor a form, a field named
//! twice, a part that the exchange does not sign.

use std::{borrow::Cow, cell::OnceCell};

use super::{
    bodies::{self, Payload},
    carried::too_great,
    compose::{Composed, Credentials},
    endpoint::{self, Endpoint},
    glob,
    key::KeyKind,
    named::Named,
    place,
    plan::{Place, Plan},
    scheme::Scheme,
    stamps::{Shape, Unit},
    target::{self, Target},
    template::Name,
};
use crate::{
    clock::Offset,
    error::{Code, Error, Result, bad_input},
    json::Json,
    request::{Fields, Request},
};

/// A request that is fit to be signed, with everything in it that can be known before a clock and a nonce are read.
#[derive(Debug)]
pub struct Prepared<'s> {
    pub(crate) scheme: &'s Scheme,
    pub(crate) plan: &'s Plan,
    pub(crate) kind: &'s KeyKind,
    pub(crate) endpoint: Endpoint,
    pub(crate) origin: String,
    pub(crate) query: String,
    pub(crate) body: Option<Payload>,
    pub(crate) given_body: String,
    pub(crate) content_type: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) nonce: NonceState,
    pub(crate) options: Vec<String>,
    pub(crate) challenge: String,
    /// Which of the plan's added fields are missing, and where they go.
    pub(crate) missing: Vec<(usize, Place)>,
    /// Which of the plan's added fields the request carries with a value that must be the scheme's.
    pub(crate) expected: Vec<(usize, String)>,
    /// The parameters that go under a member, as JSON.
    pub(crate) under: Option<Payload>,
    /// Whether it goes to the exchange's testnet.
    pub(crate) testnet: bool,
    /// How far ahead of the clock that the key's owner chose a timestamp is made.
    pub(crate) ahead: Offset,
    /// What [`Prepared::named`] found.
    pub(crate) named: OnceCell<Named>,
}

/// What a key's owner chose for its requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chosen<'k> {
    /// `https://host[:port]` in place of the file's hosts.
    pub base_url: Option<&'k str>,
    /// The receive window, digits in the exchange's unit, in place of the file's; passed over where the request is of a
    /// kind that knows none.
    pub window: Option<&'k str>,
    /// How far the exchange's clock is ahead of this machine's.
    pub offset: Offset,
}

/// The nonce of a prepared request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NonceState {
    /// The scheme uses none here, or it was left out.
    None,
    /// This one.
    Brought(String),
    /// A number that the caller counts.
    Fresh(Unit),
    /// Random.
    Random(Shape),
    /// The timestamp again.
    Timestamp,
}

/// What a prepared request needs of the key's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceNeed {
    /// Nothing: there is no nonce, or one that does not count.
    None,
    /// The next number, counted in this unit.
    Fresh {
        /// What it counts.
        unit: Unit,
    },
    /// The request brought this number, which raises the sequence.
    Brought {
        /// Its value.
        value: u64,
    },
}

/// The clock and nonce of one signature.
#[derive(Debug, Clone, Copy)]
pub struct Stamps {
    /// Now, since 1970-01-01 00:00 UTC, without leap seconds.
    pub now: std::time::Duration,
    /// The nonce, where [`Prepared::nonce`] asked for a fresh one.
    pub nonce: Option<u64>,
}

impl Scheme {
    /// Parses a request and closes every seam; `base_url` (`https://host[:port]`) stands in for the file's hosts.
    ///
    /// # Errors
    /// When anything in the request cannot be signed exactly as it stands; the error says what and how to give it.
    pub fn prepare<'s>(
        &'s self,
        request: &Request,
        kind: &'s KeyKind,
        base_url: Option<&str>,
    ) -> Result<Prepared<'s>> {
        let chosen = Chosen {
            base_url,
            ..Chosen::default()
        };
        self.prepare_for(request, kind, chosen)
    }

    /// As [`Scheme::prepare`], with what the key's owner chose.
    ///
    /// # Errors
    /// As [`Scheme::prepare`].
    pub fn prepare_for<'s>(
        &'s self,
        request: &Request,
        kind: &'s KeyKind,
        chosen: Chosen<'_>,
    ) -> Result<Prepared<'s>> {
        let Target {
            method,
            origin,
            host,
            path,
            query,
            testnet,
        } = target::read(self, request, chosen.base_url)?;
        let plan = if request.websocket {
            let has_body = request.body.is_some() || request.params.is_some();
            self.websocket()?.choose(&path, has_body)
        } else {
            self.plan_for(method, &path)
        };
        if !plan.paths.is_empty()
            && !path.is_empty()
            && !plan.paths.iter().any(|pattern| glob::fits(pattern, &path))
        {
            return Err(bad_input(format!("{} has no path {path}", self.name()))
                .fix(format!("its paths are {}", plan.paths.join(", "))));
        }
        let given = request
            .query
            .as_ref()
            .filter(|query| !matches!(query, Fields::Text(text) if text.is_empty()));
        let (query, query_given) = match (given, query) {
            (Some(_), Some(_)) => {
                return Err(
                    bad_input("the request has two queries: one in its path or URL, and `query`")
                        .fix("give the query in one place"),
                );
            }
            (Some(Fields::Text(text)), None) => (text.clone(), true),
            (Some(Fields::Pairs(pairs)), None) => (place::form(pairs, plan.params.as_ref())?, true),
            (None, Some(query)) => (query, true),
            (None, None) => (String::new(), false),
        };
        let body = bodies::read(request, plan, method, &path)?;
        let mut parts = Parts {
            query,
            query_given,
            body,
            under: None,
        };
        if let Some(params) = &request.params {
            parts.take_params(params, plan, method, &path)?;
        }
        bodies::check_text("query", &parts.query)?;
        self.finish(
            request,
            kind,
            plan,
            Where {
                method,
                origin,
                host,
                path,
                testnet,
                chosen,
            },
            parts,
        )
    }

    fn finish<'s>(
        &'s self,
        request: &Request,
        kind: &'s KeyKind,
        plan: &'s Plan,
        at: Where<'_>,
        parts: Parts,
    ) -> Result<Prepared<'s>> {
        let Parts {
            query, body, under, ..
        } = parts;
        bodies::check_signed(plan, self.name(), &query, body.as_ref())?;
        let endpoint = Endpoint {
            method: if request.websocket {
                "WS".into()
            } else {
                at.method.into()
            },
            host: at.host,
            plain_path: endpoint::plain(&at.path),
            path: at.path,
            websocket: request.websocket,
        };
        let given_body = match &body {
            Some(body) if plan.facts.uses.contains(&Name::GivenBody) => body.text().to_owned(),
            _ => String::new(),
        };
        let mut prepared = Prepared {
            scheme: self,
            plan,
            kind,
            endpoint,
            origin: at.origin,
            query,
            body,
            given_body,
            content_type: None,
            timestamp: None,
            nonce: NonceState::None,
            options: plan.options.iter().map(|(_, value)| value.clone()).collect(),
            challenge: String::new(),
            missing: Vec::new(),
            expected: Vec::new(),
            under,
            testnet: at.testnet,
            ahead: request.offset.unwrap_or(at.chosen.offset).less(at.chosen.offset),
            named: OnceCell::new(),
        };
        prepared.take_content_type(request.content_type.as_deref())?;
        prepared.take_challenge(request.challenge.as_deref())?;
        prepared.set_window(at.chosen.window);
        let window = prepared.take_window(request.window.as_deref())?;
        let carried = prepared.take_carried(at.method, window)?;
        prepared.take_timestamp(request.timestamp.as_deref(), carried.timestamp)?;
        prepared.take_nonce(&request.nonce, carried.nonce)?;
        Ok(prepared)
    }
}

struct Where<'k> {
    method: &'static str,
    origin: String,
    host: String,
    path: String,
    testnet: bool,
    chosen: Chosen<'k>,
}

struct Parts {
    query: String,
    query_given: bool,
    body: Option<Payload>,
    under: Option<Payload>,
}

impl Parts {
    fn take_params(
        &mut self,
        params: &[(String, Json)],
        plan: &Plan,
        method: &str,
        path: &str,
    ) -> Result<()> {
        let Some(rules) = &plan.params else {
            return Err(Error::new(
                Code::Unsupported,
                "the exchange's file does not say where parameters go",
            )
            .fix("give `query`, `form` or `json` in place of `params`"));
        };
        for place in rules.places(method, path) {
            let taken = if *place == Place::Query {
                self.query_given
            } else {
                self.body.is_some()
            };
            if taken {
                return Err(bad_input(format!(
                    "the request has `params`, which go to the {}, and that as well",
                    place.name()
                ))
                .fix("give all of them in one way"));
            }
            let text = place::params(params, *place, rules)?;
            if *place == Place::Form {
                bodies::check_form(&text)?;
            }
            if *place == Place::Query {
                self.query = text;
            } else if let (Place::Json, Some(_)) = (place, &rules.under) {
                self.under = Some(Payload::new(true, text));
                self.body = Some(Payload::new(true, "{}".into()));
            } else if !params.is_empty() {
                self.body = Some(Payload::new(*place == Place::Json, text));
            } else if let Some(empty) = &rules.empty {
                self.body = Some(Payload::new(*place == Place::Json, empty.clone()));
            }
        }
        Ok(())
    }
}

impl Prepared<'_> {
    /// What rules look at.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Names and values that query, form and JSON carry as they were given, decoded, at any depth. One stands here more
    /// than once where it can be read in more than one way.
    pub fn fields(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let mut fields = Vec::new();
        endpoint::collect(&self.query, &mut fields);
        for part in [&self.body, &self.under].into_iter().flatten() {
            match part.json.then(|| part.value()) {
                Some(Ok(json)) => endpoint::collect_value(json, &mut fields),
                Some(Err(_)) => {}
                None => endpoint::collect(part.text(), &mut fields),
            }
        }
        fields
    }

    /// What the signature needs of the key's sequence.
    pub fn nonce(&self) -> NonceNeed {
        match &self.nonce {
            NonceState::Fresh(unit) => NonceNeed::Fresh { unit: *unit },
            NonceState::Brought(nonce) => {
                let value = self.plan.nonce.and_then(|series| series.value(nonce));
                value.map_or(NonceNeed::None, |value| NonceNeed::Brought { value })
            }
            _ => NonceNeed::None,
        }
    }

    /// Whether the request brings a timestamp or a nonce of its own, so that signing it again makes no fresh one.
    pub fn brings_stamps(&self) -> bool {
        self.timestamp.is_some() || matches!(self.nonce, NonceState::Brought(_))
    }

    /// Query and body as they were given, a line each; none where there is neither.
    pub fn parameters_text(&self) -> Option<String> {
        let body = self.parameters();
        (!self.query.is_empty() || !body.is_empty()).then(|| [&self.query, "\n", body].concat())
    }

    /// `https://` and the host.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Refuses a made nonce that the exchange would not take.
    ///
    /// # Errors
    /// When it is above the greatest that the file names.
    pub fn check_nonce(&self, nonce: u64) -> Result<()> {
        match self.plan.nonce_max {
            Some(max) if nonce > max => Err(too_great(nonce, max)),
            _ => Ok(()),
        }
    }

    /// Composes what is signed; the signatures are then supplied one after the other.
    ///
    /// # Errors
    /// When the key lacks a value that the exchange wants, or the stamps one that [`Prepared::nonce`] asked for.
    pub fn compose<'c>(self, credentials: &'c Credentials, stamps: &Stamps) -> Result<Composed<'c>>
    where
        Self: 'c,
    {
        Composed::new(self, credentials, stamps)
    }
}
