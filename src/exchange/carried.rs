//! What a request carries of what the scheme would add: stamps, API key, window. It is used and not doubled, and refused
//! where it is not what the scheme would have added.

use super::{
    bodies,
    place::{decoded, pieces},
    plan::{Node, Place},
    prepare::{NonceState, Prepared},
    stamps::{self, Series},
    template::Name,
};
use crate::{
    error::{Error, Result, bad_input},
    request::Nonce,
};

/// The stamps that the request carries.
#[derive(Default)]
pub(crate) struct Carried {
    pub timestamp: Option<String>,
    pub nonce: Option<String>,
}

/// The error of a nonce that the exchange would not take.
pub(crate) fn too_great(nonce: u64, max: u64) -> Error {
    bad_input(format!(
        "the nonce {nonce} is above {max}, the greatest that the exchange takes"
    ))
    .fix("for a new API key at the exchange, start anew: hsmsign nonce KEY --reset")
}

impl Prepared<'_> {
    pub(crate) fn take_content_type(&mut self, given: Option<&str>) -> Result<()> {
        if given.is_some() && self.body.is_none() && self.plan.add.is_empty() {
            return Err(bad_input("the request has a `content_type` and no body"));
        }
        if let Some(body) = &self.body {
            bodies::check_kind(given, body.json)?;
        }
        self.content_type = given.map(str::to_owned);
        Ok(())
    }

    pub(crate) fn take_challenge(&mut self, given: Option<&str>) -> Result<()> {
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

    /// Puts the owner's window in place of the file's.
    pub(crate) fn set_window(&mut self, chosen: Option<&str>) {
        if let (Some(window), Some(at)) = (chosen, self.plan.window()) {
            window.clone_into(&mut self.options[at]);
        }
    }

    /// Sets the scheme's window, and says which option that is.
    pub(crate) fn take_window(&mut self, given: Option<&str>) -> Result<Option<usize>> {
        let Some(window) = given else { return Ok(None) };
        let Some(at) = self.plan.window() else {
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
    pub(crate) fn take_carried(&mut self, method: &str, window: Option<usize>) -> Result<Carried> {
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
                if value.len() > 14 || !value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                    return Err(bad_input(format!(
                        "the request's own `{}` is not a number",
                        member.name
                    )));
                }
                self.options[option] = value;
            } else if is_fixed(&member.value) {
                self.expected.push((at, value));
            }
        }
        // A request that carries its timestamp is finished: a window that it does without is not the file's to choose.
        if carried.timestamp.is_some() && window.is_none() {
            let (add, options) = (&self.plan.add, self.options.len());
            let is_option = |value: &Node| (0..options).any(|at| value.is_just(Name::Opt(at)));
            self.missing.retain(|(at, _)| !is_option(&add[*at].value));
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
                    .map(|(_, value)| decoded(value).into_owned()),
            );
        };
        if matches!(place, Place::Query | Place::Params) {
            look(&self.query);
        }
        match &self.body {
            Some(body) if !body.json && matches!(place, Place::Form | Place::Params) => look(body.text()),
            Some(body) if body.json && matches!(place, Place::Json | Place::Params) => {
                if let Some(value) = body.value()?.get(name) {
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
            (Some(body), Place::Json) if body.text().trim_start().starts_with('[') => Err(bad_input(
                "the exchange wants fields added to the body, and a JSON list cannot take them",
            )
            .fix("give the body as a JSON object")),
            _ => Ok(wanted),
        }
    }

    pub(crate) fn take_timestamp(&mut self, given: Option<&str>, carried: Option<String>) -> Result<()> {
        if !self.plan.facts.uses.contains(&Name::Timestamp) || self.plan.clock.is_none() {
            return self.unused("timestamp", given);
        }
        self.timestamp = same("timestamp", given.map(str::to_owned), carried)?;
        match (&self.timestamp, self.plan.clock) {
            (Some(timestamp), Some(clock)) => clock.check(timestamp),
            _ => Ok(()),
        }
    }

    pub(crate) fn take_nonce(&mut self, given: &Nonce, carried: Option<String>) -> Result<()> {
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
                if let (Some(max), Some(value)) = (self.plan.nonce_max, series.value(&nonce))
                    && value > max
                {
                    return Err(too_great(value, max));
                }
                NonceState::Brought(nonce)
            }
            (None, Series::Count(unit) | Series::Decimal(unit)) => NonceState::Fresh(unit),
            (None, Series::Timestamp | Series::Word) => NonceState::Timestamp,
            (None, Series::Random { shape, .. }) => NonceState::Random(shape),
        };
        Ok(())
    }

    /// A stamp that the scheme does not use is passed over only where the request carries it.
    fn unused(&self, what: &str, given: Option<&str>) -> Result<()> {
        match given {
            Some(given) if !self.fields().iter().any(|(_, value)| value == given) => Err(bad_input(format!(
                "the request has a `{what}`, which this exchange does not use here"
            ))
            .fix("leave it out")),
            _ => Ok(()),
        }
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
