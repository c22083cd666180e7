//! From a prepared request to its messages, and from their signatures to the request that is sent.

use super::{
    bodies::Payload,
    context::Context,
    place::{encode, insert, insert_json},
    plan::{AddAt, Member, Place},
    prepare::{NonceState, Prepared, Stamps},
    template::Name,
};
pub use crate::request::Credentials;
use crate::{
    error::{Result, bad_input, failed},
    request::SignedRequest,
};

/// One message to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which of the key's secrets signs it: `secret`, or as `partner_secret`.
    pub slot: String,
    /// The exact bytes.
    pub message: Vec<u8>,
    /// Whether a passphrase stands in the message, so that nothing may show it.
    pub sensitive: bool,
}

/// A composed request: takes its signatures one after the other, since a later message may hold an earlier signature.
#[derive(Debug)]
pub struct Composed<'c> {
    context: Context<'c>,
    waiting: bool,
}

impl<'c> Composed<'c> {
    pub(crate) fn new(prepared: Prepared<'c>, credentials: &'c Credentials, stamps: &Stamps) -> Result<Self> {
        let plan = prepared.plan;
        let uses = |name| plan.facts.uses.contains(&name);
        let timestamp = match (&prepared.timestamp, plan.clock) {
            (Some(timestamp), _) => timestamp.clone(),
            (None, Some(clock)) if uses(Name::Timestamp) || prepared.nonce == NonceState::Timestamp => {
                clock.make(stamps.now)?
            }
            (None, _) => String::new(),
        };
        let nonce = match &prepared.nonce {
            NonceState::None => String::new(),
            NonceState::Brought(nonce) => nonce.clone(),
            NonceState::Fresh(_) => match stamps.nonce {
                Some(nonce) => nonce.to_string(),
                None => return Err(failed("the request needs a nonce, and was given none")),
            },
            NonceState::Random(series) => series.random()?,
            NonceState::Timestamp => timestamp.clone(),
        };
        let mut context = Context::new(prepared, credentials, timestamp, nonce);
        add(&mut context)?;
        context.set_content_type();
        Ok(Self {
            context,
            waiting: false,
        })
    }

    /// The next message to be signed; nothing when all are.
    ///
    /// # Errors
    /// When the key lacks a value that the message holds.
    // No iterator: each message may need the signature before it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Part>> {
        loop {
            let at = self.context.signatures.len();
            let Some(rule) = self.context.plan().signatures.get(at) else {
                return Ok(None);
            };
            if self.context.lacks_optional(rule)? {
                self.context.signatures.push(String::new());
                continue;
            }
            self.waiting = true;
            return Ok(Some(Part {
                slot: rule.slot.clone(),
                message: self.context.eval(&rule.message)?,
                sensitive: self.context.is_sensitive(&rule.message),
            }));
        }
    }

    /// Takes the signature of the message that [`Composed::next`] gave: raw bytes, r‖s for ECDSA.
    ///
    /// # Errors
    /// When no message was asked for, or the signature does not have the algorithm's size.
    pub fn supply(&mut self, signature: &[u8]) -> Result<()> {
        if !std::mem::take(&mut self.waiting) {
            return Err(failed("a signature was supplied that nothing asked for"));
        }
        let kind = self.context.kind();
        kind.check_signature(signature.len())?;
        self.context.signatures.push(kind.encode(signature));
        Ok(())
    }

    /// Puts everything in its place.
    ///
    /// # Errors
    /// When a signature is still missing, or a header would hold a character that no header can.
    pub fn attach(mut self) -> Result<SignedRequest> {
        if self.context.signatures.len() != self.context.plan().signatures.len() {
            return Err(failed("the request is not signed yet"));
        }
        let plan = self.context.plan();
        let headers = self.headers()?;
        let replaced = plan
            .body
            .as_ref()
            .map(|body| self.context.eval(body))
            .transpose()?;
        let attached: Vec<(Place, &Member)> = plan
            .attach
            .iter()
            .map(|member| (self.context.place_of(member.place), member))
            .collect();
        put(
            &mut self.context,
            &attached,
            AddAt::Last,
            plan.attach_before.as_deref(),
        )?;
        let context = &self.context;
        let body = match replaced {
            Some(body) => Some(body).filter(|body| !body.is_empty()),
            None => context.body().map(|body| body.text.clone().into_bytes()),
        };
        if context.is_websocket() {
            let body = match &plan.frame {
                Some(frame) => context.node(frame)?.map(String::into_bytes),
                None => body,
            };
            let url = plan.url.as_ref().map(|url| context.text(url)).transpose()?;
            return Ok(SignedRequest {
                method: "WS".into(),
                url,
                headers,
                body,
            });
        }
        let mut headers = headers;
        let typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !typed {
            let kind = plan
                .content_type
                .clone()
                .unwrap_or_else(|| context.content_type().to_owned());
            headers.push(("Content-Type".into(), kind));
        }
        Ok(SignedRequest {
            method: context.method().to_owned(),
            url: Some(context.url()),
            headers,
            body,
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        for (name, template) in &self.context.plan().headers {
            let value = self.context.text(template)?;
            if value.is_empty() {
                continue;
            }
            if value.chars().any(|char| !('\u{20}'..='\u{7e}').contains(&char)) {
                return Err(bad_input(format!(
                    "the header {name} would hold a character that no header can"
                ))
                .fix("see that the API key and passphrase were given without line feeds and accents"));
            }
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}

/// Adds the fields that the scheme wants and the request does not carry, and compares those it carries.
fn add(context: &mut Context<'_>) -> Result<()> {
    let plan = context.plan();
    let missing = std::mem::take(&mut context.prepared.missing);
    let members: Vec<(Place, &Member)> = missing
        .iter()
        .map(|(at, place)| (*place, &plan.add[*at]))
        .collect();
    put(context, &members, plan.add_at, None)?;
    for (at, carried) in &context.prepared.expected {
        let member = &plan.add[*at];
        let super::plan::Node::Text(template) = &member.value else {
            continue;
        };
        if context.text(template)? != *carried {
            return Err(bad_input(format!(
                "the request's own `{}` is not what this key and path want",
                member.name
            ))
            .fix(format!("leave `{}` out, and hsmsign adds it", member.name)));
        }
    }
    Ok(())
}

/// Evaluates members and puts them into query and body.
fn put(
    context: &mut Context<'_>,
    members: &[(Place, &Member)],
    at: AddAt,
    before: Option<&str>,
) -> Result<()> {
    let rules = context.plan().params.as_ref();
    let plus = rules.is_some_and(|rules| rules.plus_for_space);
    let under = rules.and_then(|rules| rules.under.as_deref());
    for place in [Place::Query, Place::Form, Place::Json] {
        let mut added = Vec::new();
        for (_, member) in members.iter().filter(|(wanted, _)| *wanted == place) {
            let value = match (place, &member.value) {
                (Place::Json, _)
                    if under == Some(member.name.as_str()) && context.prepared.under.is_some() =>
                {
                    context.prepared.under.clone()
                }
                (Place::Json, node) => context.node(node)?,
                (_, super::plan::Node::Text(template)) => Some(context.text(template)?)
                    .filter(|text| !text.is_empty())
                    .map(|text| encode(text.as_bytes(), plus)),
                (_, node) => context.node(node)?,
            };
            if let Some(value) = value {
                let name = if place == Place::Json {
                    member.name.clone()
                } else {
                    encode(member.name.as_bytes(), plus)
                };
                added.push((name, value));
            }
        }
        if added.is_empty() {
            continue;
        }
        if place == Place::Query {
            context.prepared.query = insert(&context.prepared.query, &added, at, before);
            continue;
        }
        let json = place == Place::Json;
        let body = context.prepared.body.get_or_insert_with(|| Payload {
            json,
            text: if json { "{}".into() } else { String::new() },
        });
        if body.json != json {
            return Err(bad_input(format!(
                "this exchange wants the body as {}",
                if json { "JSON" } else { "a form" }
            )));
        }
        body.text = if json {
            insert_json(&body.text, &added, at, before)?
        } else {
            insert(&body.text, &added, at, before)
        };
    }
    Ok(())
}
