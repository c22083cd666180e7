//! From a prepared request to its messages, and from their signatures to the request that is sent.

mod put;
#[cfg(test)]
mod tests;

use self::put::{add, put};
use super::{
    context::Context,
    key::Encode,
    plan::{Member, Place},
    prepare::{NonceState, Prepared, Stamps},
    template::Name,
};
pub use crate::request::Credentials;
use crate::{
    audit::Entry,
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
    note: Option<Box<Entry>>,
}

impl<'c> Composed<'c> {
    /// What the log is to say of it, kept with it on its way.
    #[must_use]
    pub fn with_note(mut self, note: Box<Entry>) -> Self {
        self.note = Some(note);
        self
    }

    /// Takes out what the log is to say of it.
    pub fn take_note(&mut self) -> Option<Box<Entry>> {
        self.note.take()
    }

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
            NonceState::Fresh(_) => match (stamps.nonce, plan.nonce) {
                (Some(nonce), Some(series)) => series.write(nonce),
                _ => return Err(failed("the request needs a nonce, and was given none")),
            },
            NonceState::Random(shape) => shape.make()?,
            NonceState::Timestamp => timestamp.clone(),
        };
        let mut context = Context::new(prepared, credentials, timestamp, nonce);
        add(&mut context)?;
        context.set_content_type()?;
        Ok(Self {
            context,
            waiting: false,
            note: None,
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
            if let Some(mac) = self.context.kept(rule) {
                let encoded = self.encode(mac)?;
                self.context.signatures.push(encoded);
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
        if !self.waiting {
            return Err(failed("a signature was supplied that nothing asked for"));
        }
        let encoded = self.encode(signature)?;
        self.waiting = false;
        self.context.signatures.push(encoded);
        Ok(())
    }

    /// A signature as text, as the exchange wants it here.
    fn encode(&self, signature: &[u8]) -> Result<String> {
        let kind = self.context.kind();
        kind.check_signature(signature.len())?;
        let encoding = self.context.plan().encoding.as_deref();
        Ok(Encode::all(encoding.unwrap_or(&kind.encoding), signature))
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
        put(&mut self.context, &attached, &plan.attach_at)?;
        let take_body = |context: &mut Context<'_>| match replaced {
            Some(body) => Some(body).filter(|body| !body.is_empty()),
            None => context
                .prepared
                .body
                .take()
                .map(|body| body.into_text().into_bytes()),
        };
        if self.context.is_websocket() {
            let url = plan.url.as_ref().map(|url| self.context.text(url)).transpose()?;
            let body = match &plan.frame {
                Some(frame) => self.context.node(frame)?.map(String::into_bytes),
                None => take_body(&mut self.context),
            };
            return Ok(SignedRequest {
                method: "WS".into(),
                url,
                headers,
                body,
            });
        }
        let body = take_body(&mut self.context);
        let context = &self.context;
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
            if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(bad_input(format!(
                    "the header {name} would hold a character that no header can"
                ))
                .fix("see that the API key and passphrase were given without line feeds and accents"));
            }
            headers.push((name.clone(), value));
        }
        if self.context.prepared.testnet {
            headers.extend_from_slice(self.context.prepared.scheme.sending().testnet_headers());
        }
        Ok(headers)
    }
}
