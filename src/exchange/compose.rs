//! From a prepared request to its messages, and from their signatures to the request that is sent.

use super::{
    bodies::Payload,
    context::Context,
    key::Encode,
    place::{encode, insert, insert_json},
    plan::{AddAt, Member, Place},
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
        context.set_content_type();
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
            None => context.prepared.body.take().map(|body| body.text.into_bytes()),
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
            if value.chars().any(|char| !('\u{20}'..='\u{7e}').contains(&char)) {
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

/// Adds the fields that the scheme wants and the request does not carry, and compares those it carries.
fn add(context: &mut Context<'_>) -> Result<()> {
    let plan = context.plan();
    let missing = std::mem::take(&mut context.prepared.missing);
    let members: Vec<(Place, &Member)> = missing
        .iter()
        .map(|(at, place)| (*place, &plan.add[*at]))
        .collect();
    put(context, &members, &plan.add_at)?;
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
fn put(context: &mut Context<'_>, members: &[(Place, &Member)], at: &AddAt) -> Result<()> {
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
            context.prepared.query = insert(&context.prepared.query, &added, at);
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
            insert_json(&body.text, &added, at)?
        } else {
            insert(&body.text, &added, at)
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        exchange::{Scheme, builtin},
        request::Request,
        secret::Secret,
    };

    fn credentials() -> Credentials {
        Credentials {
            api_key: Some("KEY".into()),
            passphrase: Some(Secret::take(&mut b"words".to_vec()).unwrap()),
            ..Credentials::default()
        }
    }

    fn sign(exchange: &str, line: &str, credentials: &Credentials) -> Result<SignedRequest> {
        let scheme = Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap();
        let kind = scheme.kind(None).unwrap();
        let request = Request::parse_line(line).map_err(|(_, error)| error)?;
        let stamps = Stamps {
            now: Duration::from_millis(1_700_000_000_123),
            nonce: Some(5),
        };
        let mut composed = scheme
            .prepare(&request, kind, None)?
            .compose(credentials, &stamps)?;
        while composed.next()?.is_some() {
            let len = if exchange == "bitfinex" { 48 } else { 32 };
            composed.supply(&vec![0; len])?;
        }
        composed.attach()
    }

    #[test]
    fn a_signature_is_taken_once_and_only_when_asked_for() {
        let scheme = Scheme::parse(builtin("binance").unwrap(), "binance").unwrap();
        let request = Request::parse_line(r#"{"method":"GET","path":"/api/v3/account"}"#).unwrap();
        let credentials = credentials();
        let stamps = Stamps {
            now: Duration::from_secs(1_700_000_000),
            nonce: None,
        };
        let prepared = scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap();
        let mut composed = prepared.compose(&credentials, &stamps).unwrap();
        assert!(composed.supply(&[0; 32]).is_err());
        assert!(composed.next().unwrap().is_some());
        assert!(composed.supply(&[0; 31]).is_err());
        composed.supply(&[0; 32]).unwrap();
        assert!(composed.supply(&[0; 32]).is_err());
        assert!(composed.next().unwrap().is_none());
        let signed = composed.attach().unwrap();
        assert!(
            signed
                .url
                .unwrap()
                .ends_with(&format!("?timestamp=1700000000000&signature={}", "00".repeat(32)))
        );
    }

    #[test]
    fn an_unsigned_request_is_not_attached() {
        let scheme = Scheme::parse(builtin("binance").unwrap(), "binance").unwrap();
        let request = Request::parse_line(r#"{"method":"GET","path":"/api/v3/account"}"#).unwrap();
        let credentials = credentials();
        let stamps = Stamps {
            now: Duration::from_secs(1_700_000_000),
            nonce: None,
        };
        let prepared = scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap();
        assert!(prepared.compose(&credentials, &stamps).unwrap().attach().is_err());
    }

    #[test]
    fn what_the_key_lacks_is_said() {
        let none = Credentials::default();
        let line = r#"{"method":"GET","path":"/accounts"}"#;
        assert!(
            sign("coinbaseexchange", line, &none)
                .unwrap_err()
                .message()
                .contains("API key")
        );
        let key = Credentials {
            api_key: Some("KEY".into()),
            ..Credentials::default()
        };
        assert!(
            sign("coinbaseexchange", line, &key)
                .unwrap_err()
                .message()
                .contains("passphrase")
        );
    }

    #[test]
    fn a_header_holds_no_line_feed() {
        let bad = Credentials {
            api_key: Some("KEY\r\nX: y".into()),
            ..credentials()
        };
        let error = sign(
            "bitfinex",
            r#"{"method":"POST","path":"/v2/auth/r/wallets"}"#,
            &bad,
        )
        .unwrap_err();
        assert!(error.message().contains("bfx-apikey"), "{error}");
    }

    #[test]
    fn a_content_type_stands_wherever_there_is_a_body() {
        let types = |exchange: &str, line: &str| {
            let signed = sign(exchange, line, &credentials()).unwrap();
            let kind = signed.headers.iter().find(|(name, _)| name == "Content-Type");
            (signed.body.is_some(), kind.map(|(_, value)| value.clone()))
        };
        assert_eq!(
            types("coinbaseexchange", r#"{"method":"GET","path":"/accounts"}"#),
            (false, None)
        );
        assert_eq!(
            types(
                "coinbaseexchange",
                r#"{"method":"POST","path":"/orders","json":{"a":1}}"#
            ),
            (true, Some("application/json".into()))
        );
        assert_eq!(
            types(
                "binance",
                r#"{"method":"POST","path":"/api/v3/order","form":{"a":1}}"#
            ),
            (true, Some("application/x-www-form-urlencoded".into()))
        );
    }

    #[test]
    fn added_and_attached_fields_go_where_the_request_has_its_own() {
        let sent = |line: &str| {
            let signed = sign("binance", line, &credentials()).unwrap();
            let query = signed
                .url
                .unwrap()
                .split_once('?')
                .map(|(_, query)| query.to_owned())
                .unwrap_or_default();
            (query.contains("signature="), signed.body.is_some())
        };
        assert_eq!(
            sent(r#"{"method":"POST","path":"/api/v3/order","query":"a=1"}"#),
            (true, false)
        );
        assert_eq!(
            sent(r#"{"method":"POST","path":"/api/v3/order","query":"a=1","body":"b=2"}"#),
            (false, true)
        );
        assert_eq!(sent(r#"{"method":"POST","path":"/api/v3/order"}"#), (false, true));
        assert_eq!(
            sent(r#"{"method":"GET","path":"/api/v3/account"}"#),
            (true, false)
        );
    }

    #[test]
    fn a_websocket_login_is_a_frame() {
        let signed = sign("bitfinex", r#"{"websocket":true}"#, &credentials()).unwrap();
        assert_eq!(
            (signed.method.as_str(), signed.url.as_deref()),
            ("WS", Some("wss://api.bitfinex.com/ws/2"))
        );
        let frame = String::from_utf8(signed.body.unwrap()).unwrap();
        assert!(
            frame.contains(r#""authNonce":5,"authPayload":"AUTH5""#),
            "{frame}"
        );
        let signed = sign(
            "binance",
            r#"{"websocket":true,"json":{"symbol":"BTCUSDT"}}"#,
            &credentials(),
        )
        .unwrap();
        let frame = String::from_utf8(signed.body.unwrap()).unwrap();
        assert!(
            frame.starts_with(r#"{"symbol":"BTCUSDT","apiKey":"KEY","timestamp":1700000000123,"signature":"#),
            "{frame}"
        );
    }
}
