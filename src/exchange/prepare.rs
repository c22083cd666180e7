//! The one place where a request is parsed. Everything that could make a signature fit another request is refused here:
//! a method out of the set, a path or query with odd characters, a body that is neither JSON nor a form, a field named
//! twice, a part that the exchange does not sign.

use super::{
    compose::{Composed, Credentials},
    endpoint::{self, Endpoint},
    key::KeyKind,
    place::{self, decoded, pieces},
    plan::{Node, Place, Plan},
    scheme::Scheme,
    stamps::{self, Series, Unit},
    target::{self, Target},
    template::Name,
    withdrawal,
};
use crate::{
    error::{Code, Error, Result, bad_input},
    json::Json,
    request::{Body, Fields, Nonce, Request},
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
    pub(crate) under: Option<String>,
}

/// A body: JSON or a form.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub json: bool,
    pub text: String,
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
    Random(Series),
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
        let Target {
            method,
            origin,
            host,
            path,
            query,
        } = target::read(self, request, base_url)?;
        let plan = if request.websocket {
            self.websocket_plan()?
        } else {
            self.plan_for(method, &path)
        };
        if !plan.paths.is_empty()
            && !path.is_empty()
            && !plan.paths.iter().any(|pattern| super::glob::fits(pattern, &path))
        {
            return Err(bad_input(format!("{} has no path {path}", self.name()))
                .fix(format!("its paths are {}", plan.paths.join(", "))));
        }
        let (query, query_given) = match (&request.query, query) {
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
        let body = body(request, plan)?;
        let mut parts = Parts {
            query,
            query_given,
            body,
            under: None,
        };
        if let Some(params) = &request.params {
            parts.take_params(params, plan, method, &path)?;
        }
        check_text("query", &parts.query)?;
        self.finish(
            request,
            kind,
            plan,
            Where {
                method,
                origin,
                host,
                path,
            },
            parts,
        )
    }

    fn finish<'s>(
        &'s self,
        request: &Request,
        kind: &'s KeyKind,
        plan: &'s Plan,
        at: Where,
        parts: Parts,
    ) -> Result<Prepared<'s>> {
        let Parts {
            query, body, under, ..
        } = parts;
        check_signed(plan, self.name(), &query, body.as_ref())?;
        let mut fields = Vec::new();
        endpoint::collect(&query, &mut fields);
        match &body {
            Some(body) if body.json => endpoint::collect_json(&body.text, &mut fields),
            Some(body) => endpoint::collect(&body.text, &mut fields),
            None => {}
        }
        if let Some(under) = &under {
            endpoint::collect_json(under, &mut fields);
        }
        let endpoint = Endpoint {
            method: if request.websocket {
                "WS".into()
            } else {
                at.method.into()
            },
            host: at.host,
            plain_path: endpoint::plain(&at.path),
            path: at.path,
            fields,
            websocket: request.websocket,
        };
        let given_body = body.as_ref().map(|body| body.text.clone()).unwrap_or_default();
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
        };
        prepared.take_content_type(request.content_type.as_deref())?;
        prepared.take_challenge(request.challenge.as_deref())?;
        let window = prepared.take_window(request.window.as_deref())?;
        let carried = prepared.take_carried(at.method, window)?;
        prepared.take_timestamp(request.timestamp.as_deref(), carried.timestamp)?;
        prepared.take_nonce(&request.nonce, carried.nonce)?;
        Ok(prepared)
    }
}

struct Where {
    method: &'static str,
    origin: String,
    host: String,
    path: String,
}

struct Parts {
    query: String,
    query_given: bool,
    body: Option<Payload>,
    under: Option<String>,
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
            if *place == Place::Query {
                self.query = text;
            } else if let (Place::Json, Some(_)) = (place, &rules.under) {
                self.under = Some(text);
                self.body = Some(Payload {
                    json: true,
                    text: "{}".into(),
                });
            } else if !params.is_empty() {
                self.body = Some(Payload {
                    json: *place == Place::Json,
                    text,
                });
            } else if let Some(empty) = &rules.empty {
                self.body = Some(Payload {
                    json: *place == Place::Json,
                    text: empty.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The body, wholly JSON or wholly a form, of a kind that the exchange takes.
fn body(request: &Request, plan: &Plan) -> Result<Option<Payload>> {
    let declared = match request.content_type.as_deref() {
        None => None,
        Some(kind) => Some(is_json_type(kind)?),
    };
    let payload = match &request.body {
        None => return Ok(None),
        Some(Body::Form(Fields::Text(text))) => Payload {
            json: false,
            text: text.clone(),
        },
        Some(Body::Form(Fields::Pairs(pairs))) => Payload {
            json: false,
            text: place::form(pairs, plan.params.as_ref())?,
        },
        Some(Body::Json(text)) => Payload {
            json: true,
            text: text.clone(),
        },
        Some(Body::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| bad_input("the body is neither JSON nor a form: it is not UTF-8"))?
                .to_owned();
            let begins = text
                .trim_start_matches([' ', '\t', '\r', '\n'])
                .starts_with(['{', '[']);
            Payload {
                json: declared.unwrap_or(begins),
                text,
            }
        }
    };
    if payload.text.is_empty() {
        return Ok(None);
    }
    if declared.is_some_and(|json| json != payload.json) {
        return Err(bad_input("the body is not of the kind that `content_type` says"));
    }
    if payload.json {
        match Json::parse(&payload.text).map_err(|error| error.within("the body"))? {
            Json::Object(_) | Json::List(_) => {}
            other => {
                return Err(bad_input(format!(
                    "the body is {}, and must be a JSON object or list",
                    other.kind()
                )));
            }
        }
    } else {
        check_text("body", &payload.text)?;
        if let Some((name, _)) = payload
            .text
            .split('&')
            .map(|piece| (piece, piece.find('=')))
            .find(|(piece, at)| !piece.is_empty() && at.is_none_or(|at| at == 0))
        {
            let shown: String = name.chars().take(40).collect();
            return Err(bad_input(format!(
                "the body is neither JSON nor a form: {shown:?} is no name=value"
            ))
            .fix("give the body as `form` or `json`"));
        }
    }
    let (takes, other) = if payload.json {
        (plan.takes_json, "a form")
    } else {
        (plan.takes_form, "JSON")
    };
    if takes {
        return Ok(Some(payload));
    }
    let kind = if payload.json { "JSON" } else { "a form" };
    Err(
        bad_input(format!("this exchange does not take a body that is {kind}")).fix(
            if plan.takes_form || plan.takes_json {
                format!("give {other}")
            } else {
                "give the fields as `query`".into()
            },
        ),
    )
}

fn is_json_type(kind: &str) -> Result<bool> {
    match kind
        .to_ascii_lowercase()
        .replace(' ', "")
        .trim_end_matches(";charset=utf-8")
    {
        "application/json" => Ok(true),
        "application/x-www-form-urlencoded" => Ok(false),
        _ => Err(bad_input(format!("`content_type` cannot be {kind:?}"))
            .fix("use application/json or application/x-www-form-urlencoded")),
    }
}

/// Finished text of a query or form: printable ASCII without blanks, every `%` a whole escape.
fn check_text(what: &str, text: &str) -> Result<()> {
    let odd = text
        .chars()
        .find(|char| !('\u{21}'..='\u{7e}').contains(char) || (*char == '#' && what == "query"));
    if let Some(odd) = odd {
        return Err(bad_input(format!(
            "the {what} has {odd:?} in it, which must be percent-encoded"
        ))
        .fix(format!(
            "encode it, or give the {} as an object",
            if what == "query" { "query" } else { "form" }
        )));
    }
    target::check_escapes(what, text)
}

fn check_signed(plan: &Plan, exchange: &str, query: &str, body: Option<&Payload>) -> Result<()> {
    let refuse = |part: &str, instead: &str| {
        Err(bad_input(format!(
            "{exchange} does not sign the {part} of this request, so it could be changed on its way"
        ))
        .fix(format!("give the fields in the {instead}")))
    };
    if !query.is_empty() && !plan.facts.signs_query && !plan.unsigned_query {
        return refuse("query", "body");
    }
    if body.is_some() && !plan.facts.signs_body && !plan.unsigned_body {
        return refuse("body", "query");
    }
    Ok(())
}

#[derive(Default)]
struct Carried {
    timestamp: Option<String>,
    nonce: Option<String>,
}

impl Prepared<'_> {
    /// What rules look at.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The words of the rule that says that this moves money out, if one does.
    pub fn moves_money(&self) -> Option<String> {
        let mut body = self
            .body
            .as_ref()
            .map(|body| body.text.clone())
            .unwrap_or_default();
        if let Some(under) = &self.under {
            body.clone_from(under);
        }
        withdrawal::moves_money(
            self.scheme.withdrawal.as_ref(),
            self.plan,
            &self.endpoint,
            &self.query,
            &body,
        )
    }

    /// What the signature needs of the key's sequence.
    pub fn nonce(&self) -> NonceNeed {
        match &self.nonce {
            NonceState::Fresh(unit) => NonceNeed::Fresh { unit: *unit },
            NonceState::Brought(nonce) if matches!(self.plan.nonce, Some(Series::Count(_))) => {
                stamps::count(nonce).map_or(NonceNeed::None, |value| NonceNeed::Brought { value })
            }
            _ => NonceNeed::None,
        }
    }

    fn take_content_type(&mut self, given: Option<&str>) -> Result<()> {
        if given.is_some() && self.body.is_none() && self.plan.add.is_empty() {
            return Err(bad_input("the request has a `content_type` and no body"));
        }
        self.content_type = given.map(str::to_owned);
        Ok(())
    }

    fn take_challenge(&mut self, given: Option<&str>) -> Result<()> {
        match (given, self.plan.takes_challenge) {
            (None, false) => Ok(()),
            (None, true) => Err(
                bad_input("the login answers a challenge, and the request has none")
                    .fix("ask the exchange's socket for one and give it as `challenge`"),
            ),
            (Some(_), false) => Err(bad_input(
                "the request has a `challenge`, which this exchange does not send",
            )),
            (Some(challenge), true) if stamps::is_uuid(challenge) => {
                challenge.clone_into(&mut self.challenge);
                Ok(())
            }
            (Some(_), true) => Err(bad_input("the challenge is not a UUID").fix(
                "give it exactly as the exchange sent it; anything else could be a request in disguise",
            )),
        }
    }

    /// Sets the scheme's window, and says which option that is.
    fn take_window(&mut self, given: Option<&str>) -> Result<Option<usize>> {
        let Some(window) = given else { return Ok(None) };
        let is_window =
            |(_, (_, value)): &(usize, &(String, String))| value.bytes().all(|byte| byte.is_ascii_digit());
        let mut windows = self.plan.options.iter().enumerate().filter(is_window);
        let (Some((at, _)), None) = (windows.next(), windows.next()) else {
            return Err(
                bad_input("the request has a `window`, which this exchange does not know")
                    .fix("leave it out"),
            );
        };
        if window.is_empty() || window.len() > 10 || !window.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad_input(format!("the window {window:?} is not a whole number")));
        }
        window.clone_into(&mut self.options[at]);
        Ok(Some(at))
    }

    /// Looks for the fields that the scheme adds: those that are there are used, the others are noted as missing.
    fn take_carried(&mut self, method: &str, window: Option<usize>) -> Result<Carried> {
        for member in &self.plan.attach {
            if !self.find(member.place, &member.name)?.is_empty() {
                return Err(
                    bad_input(format!("the request is already signed: it has `{}`", member.name))
                        .fix("give the request without its signature"),
                );
            }
        }
        let mut carried = Carried::default();
        for (at, member) in self.plan.add.iter().enumerate() {
            let mut found = self.find(member.place, &member.name)?;
            if found.len() > 1 {
                return Err(
                    bad_input(format!("the request has `{}` more than once", member.name))
                        .fix("give it once"),
                );
            }
            let Some(value) = found.pop() else {
                self.missing.push((at, self.place_for(member.place, method)?));
                continue;
            };
            if member.value.is_just(Name::Nonce) {
                carried.nonce = Some(value);
            } else if member.value.is_just(Name::Timestamp) {
                carried.timestamp = Some(value);
            } else if let Some(option) =
                (0..self.options.len()).find(|at| member.value.is_just(Name::Opt(*at)))
            {
                if window == Some(option) && self.options[option] != value {
                    return Err(bad_input(format!(
                        "`window` and the request's own `{}` differ",
                        member.name
                    )));
                }
                self.options[option] = value;
            } else if is_fixed(&member.value) {
                self.expected.push((at, value));
            }
        }
        Ok(carried)
    }

    /// The values of every field of this name where the place allows it.
    fn find(&self, place: Place, name: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut look = |text: &str| {
            found.extend(
                pieces(text)
                    .filter(|(have, _)| decoded(have) == name)
                    .map(|(_, value)| decoded(value)),
            );
        };
        if matches!(place, Place::Query | Place::Params) {
            look(&self.query);
        }
        match &self.body {
            Some(body) if !body.json && matches!(place, Place::Form | Place::Params) => look(&body.text),
            Some(body) if body.json && matches!(place, Place::Json | Place::Params) => {
                if let Some(value) = Json::parse(&body.text)?.get(name) {
                    found.push(value.scalar().map_or_else(|| value.to_compact(), str::to_owned));
                }
            }
            _ => {}
        }
        Ok(found)
    }

    /// Where a missing field goes: to the body if there is one, else to the query if there is one, else where the
    /// method's parameters go.
    fn place_for(&self, place: Place, method: &str) -> Result<Place> {
        let wanted = match (place, &self.body) {
            (Place::Params, Some(body)) if body.json => Place::Json,
            (Place::Params, Some(_)) => Place::Form,
            (Place::Params, None) if !self.query.is_empty() => Place::Query,
            (Place::Params, None) => {
                let rules = self.plan.params.as_ref();
                let places = rules
                    .map(|rules| rules.places(method, &self.endpoint.path))
                    .unwrap_or_default();
                places.first().copied().unwrap_or(if method == "GET" {
                    Place::Query
                } else {
                    Place::Form
                })
            }
            (place, _) => place,
        };
        match (&self.body, wanted) {
            (Some(body), Place::Form) if body.json => {
                Err(bad_input("this exchange wants the body as a form"))
            }
            (Some(body), Place::Json) if !body.json => Err(bad_input("this exchange wants the body as JSON")),
            (Some(body), Place::Json) if body.text.trim_start().starts_with('[') => Err(bad_input(
                "the exchange wants fields added to the body, and a JSON list cannot take them",
            )
            .fix("give the body as a JSON object")),
            _ => Ok(wanted),
        }
    }

    fn take_timestamp(&mut self, given: Option<&str>, carried: Option<String>) -> Result<()> {
        if !self.plan.facts.uses.contains(&Name::Timestamp) || self.plan.clock.is_none() {
            return self.unused("timestamp", given);
        }
        self.timestamp = same("timestamp", given.map(str::to_owned), carried)?;
        match (&self.timestamp, self.plan.clock) {
            (Some(timestamp), Some(clock)) => clock.check(timestamp),
            _ => Ok(()),
        }
    }

    fn take_nonce(&mut self, given: &Nonce, carried: Option<String>) -> Result<()> {
        let series = match self.plan.nonce {
            Some(series) if self.plan.facts.uses.contains(&Name::Nonce) => series,
            _ => {
                return match given {
                    Nonce::Brought(nonce) => self.unused("nonce", Some(nonce)),
                    Nonce::Made | Nonce::Without => Ok(()),
                };
            }
        };
        let given = match given {
            Nonce::Made => None,
            Nonce::Brought(nonce) => Some(nonce.clone()),
            Nonce::Without if carried.is_some() => {
                return Err(
                    bad_input("the request has a nonce, and `nonce` is null").fix("leave `nonce` out")
                );
            }
            Nonce::Without if self.plan.nonce_optional => return Ok(()),
            Nonce::Without => return Err(bad_input("this exchange wants a nonce").fix("leave `nonce` out")),
        };
        self.nonce = match (same("nonce", given, carried)?, series) {
            (Some(nonce), series) => {
                series.check(&nonce)?;
                NonceState::Brought(nonce)
            }
            (None, Series::Count(unit)) => NonceState::Fresh(unit),
            (None, Series::Timestamp) => NonceState::Timestamp,
            (None, series) => NonceState::Random(series),
        };
        Ok(())
    }

    /// A stamp that the scheme does not use is passed over only where the request carries it.
    fn unused(&self, what: &str, given: Option<&str>) -> Result<()> {
        match given {
            Some(given) if !self.endpoint.fields.iter().any(|(_, value)| value == given) => Err(bad_input(
                format!("the request has a `{what}`, which this exchange does not use here"),
            )
            .fix("leave it out")),
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

/// Whether an added field has one right value: neither a constant, which the caller may choose, nor made anew.
fn is_fixed(value: &Node) -> bool {
    let Node::Text(template) = value else { return false };
    let mut fixed = !template.is_constant();
    template.names(&mut |name| fixed &= !matches!(name, Name::Nonce | Name::Timestamp));
    fixed
}

fn same(what: &str, given: Option<String>, carried: Option<String>) -> Result<Option<String>> {
    match (given, carried) {
        (Some(given), Some(carried)) if given != carried => {
            Err(bad_input(format!("`{what}` and the request's own {what} differ")).fix("give it once"))
        }
        (given, carried) => Ok(given.or(carried)),
    }
}
