//! The values that names stand for while one request is composed, and evaluating templates with them.

use std::borrow::Cow;

use super::{
    bodies,
    functions::Function,
    key::KeyKind,
    place::{decoded, pieces},
    plan::{Node, Place, Plan, Signature, is_number},
    prepare::Prepared,
    template::{Expr, Name, Template},
};
use crate::{
    error::{Error, Result, bad_input},
    json::quote,
    request::Credentials,
};

/// Everything that templates can name.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    pub prepared: Prepared<'c>,
    credentials: &'c Credentials,
    timestamp: String,
    nonce: String,
    content_type: String,
    /// The encoded signatures so far; an empty one was left out.
    pub signatures: Vec<String>,
}

impl<'c> Context<'c> {
    pub(crate) const fn new(
        prepared: Prepared<'c>,
        credentials: &'c Credentials,
        timestamp: String,
        nonce: String,
    ) -> Self {
        Self {
            prepared,
            credentials,
            timestamp,
            nonce,
            content_type: String::new(),
            signatures: Vec::new(),
        }
    }

    /// Settles the Content-Type once the body is whole; what was added may have made it.
    pub(crate) fn set_content_type(&mut self) -> Result<()> {
        if let Some(body) = &self.prepared.body {
            bodies::check_kind(self.prepared.content_type.as_deref(), body.json)?;
        }
        self.content_type = match (&self.prepared.body, &self.prepared.content_type) {
            (None, _) => String::new(),
            (Some(_), Some(given)) => given.clone(),
            (Some(body), None) if body.json => "application/json".into(),
            (Some(_), None) => "application/x-www-form-urlencoded".into(),
        };
        Ok(())
    }

    pub(crate) const fn plan(&self) -> &'c Plan {
        self.prepared.plan
    }

    pub(crate) const fn kind(&self) -> &'c KeyKind {
        self.prepared.kind
    }

    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    pub(crate) fn method(&self) -> &str {
        &self.prepared.endpoint.method
    }

    pub(crate) const fn is_websocket(&self) -> bool {
        self.prepared.endpoint.websocket
    }

    pub(crate) fn url(&self) -> String {
        [&self.prepared.origin, self.target().as_str()].concat()
    }

    fn target(&self) -> String {
        let path = &self.prepared.endpoint.path;
        match self.prepared.query.as_str() {
            "" => path.clone(),
            query => [path, "?", query].concat(),
        }
    }

    /// Where a field that goes with the parameters is put now that the added ones are there: beside the time.
    pub(crate) fn place_of(&self, place: Place) -> Place {
        match (place, &self.prepared.body) {
            (Place::Params, Some(_)) if self.is_stamped_in_query() => Place::Query,
            (Place::Params, Some(body)) if body.json => Place::Json,
            (Place::Params, Some(_)) => Place::Form,
            (Place::Params, None) => Place::Query,
            (place, _) => place,
        }
    }

    /// Whether a request of query and body has its timestamp in the query.
    fn is_stamped_in_query(&self) -> bool {
        let in_query = |name: &str| pieces(&self.prepared.query).any(|(have, _)| decoded(have) == name);
        let mut members = self.plan().add.iter();
        members.any(|member| member.value.is_just(Name::Timestamp) && in_query(&member.name))
    }

    /// Whether this signature is for a secret that the key may do without, and does.
    pub(crate) fn lacks_optional(&self, rule: &Signature) -> Result<bool> {
        if !self.prepared.scheme.is_optional(&rule.slot) {
            return Ok(false);
        }
        let mut lacks = false;
        rule.message.names(&mut |name| {
            if let Name::Credential(at) = name {
                lacks |= self.credential(at).is_none();
            }
        });
        Ok(lacks)
    }

    /// The signature that is kept: the MAC of the passphrase alone.
    pub(crate) fn kept(&self, rule: &Signature) -> Option<&[u8]> {
        let macs = &self.credentials.passphrase_macs;
        let (_, mac) = macs
            .iter()
            .find(|(slot, _)| *slot == rule.slot && rule.is_of_passphrase())?;
        Some(mac)
    }

    /// Whether the passphrase stands in it.
    pub(crate) fn is_sensitive(&self, template: &Template) -> bool {
        let mut sensitive = false;
        template.names(&mut |name| {
            sensitive |= match name {
                Name::Passphrase => true,
                Name::Let(at) => self.is_sensitive(&self.plan().lets[at].1),
                Name::Json(at) => {
                    let mut inner = false;
                    self.plan().jsons[at]
                        .1
                        .templates(&mut |template| inner |= self.is_sensitive(template));
                    inner
                }
                _ => false,
            };
        });
        sensitive
    }

    fn credential(&self, at: usize) -> Option<&str> {
        let name = &self.prepared.scheme.shared.credentials[at];
        let found = self.credentials.extra.iter().find(|(have, _)| have == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn value(&self, name: Name) -> Result<Cow<'_, [u8]>> {
        let prepared = &self.prepared;
        let text: &str = match name {
            Name::Method => &prepared.endpoint.method,
            Name::Host => &prepared.endpoint.host,
            Name::Path => &prepared.endpoint.path,
            Name::Query => &prepared.query,
            Name::Body => prepared.body.as_ref().map_or("", |body| body.text()),
            Name::GivenBody => &prepared.given_body,
            Name::Target => return Ok(self.target().into_bytes().into()),
            Name::Url => return Ok(self.url().into_bytes().into()),
            Name::Timestamp => &self.timestamp,
            Name::Nonce => &self.nonce,
            Name::ContentType => &self.content_type,
            Name::Endpoint => {
                let (method, path) = (&prepared.endpoint.method, &prepared.endpoint.path);
                match prepared.scheme.word_for(method, path) {
                    Some(word) => word,
                    None => {
                        return Err(bad_input(format!(
                            "{} has no instruction for {method} {path}",
                            prepared.scheme.name()
                        ))
                        .fix("add it to `endpoints` of the exchange's file"));
                    }
                }
            }
            Name::ApiKey => match self.credentials.api_key.as_deref() {
                Some(key) if !key.is_empty() => key,
                _ => return Err(lacks("API key", "--api-key KEY")),
            },
            Name::Passphrase => match &self.credentials.passphrase {
                Some(passphrase) => return Ok(Cow::Borrowed(passphrase.expose())),
                None => {
                    return Err(bad_input("the key has no passphrase, and the exchange wants one")
                        .fix("import the key again with its passphrase"));
                }
            },
            Name::Challenge => &prepared.challenge,
            Name::Let(at) => return self.eval(&self.plan().lets[at].1).map(Cow::Owned),
            Name::Json(at) => {
                let json = self.node(&self.plan().jsons[at].1)?.unwrap_or_default();
                return Ok(json.into_bytes().into());
            }
            Name::Opt(at) => &prepared.options[at],
            Name::Credential(at) => match self.credential(at) {
                Some(value) => value,
                None => {
                    let name = &prepared.scheme.shared.credentials[at];
                    if prepared.scheme.is_optional(name) {
                        ""
                    } else {
                        return Err(lacks(name, &format!("--{} …", name.replace('_', "-"))));
                    }
                }
            },
            Name::Set(at) => prepared.kind.set.get(at).map_or("", String::as_str),
            Name::Signature(at) => self.signatures.get(at).map_or("", String::as_str),
        };
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    /// The bytes of a template.
    pub(crate) fn eval(&self, template: &Template) -> Result<Vec<u8>> {
        let mut out = match template.0.as_slice() {
            [part] => return Ok(self.expr(part)?.into_owned()),
            _ => Vec::with_capacity(128),
        };
        for part in &template.0 {
            out.extend_from_slice(&self.expr(part)?);
        }
        Ok(out)
    }

    fn expr<'a>(&'a self, expr: &'a Expr) -> Result<Cow<'a, [u8]>> {
        match expr {
            Expr::Text(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Expr::Name(name) => self.value(*name),
            Expr::Call(Function::When, arguments) if self.expr(&arguments[0])?.is_empty() => {
                Ok(Cow::Borrowed(b""))
            }
            Expr::Call(function, arguments) => {
                let values = arguments
                    .iter()
                    .map(|argument| self.expr(argument))
                    .collect::<Result<Vec<_>>>()?;
                function.apply(&values).map(Cow::Owned)
            }
        }
    }

    /// A template as text.
    pub(crate) fn text(&self, template: &Template) -> Result<String> {
        String::from_utf8(self.eval(template)?)
            .map_err(|_| bad_input("a header or field would hold bytes that are no text"))
    }

    /// Compact JSON; nothing for a template that comes out empty.
    pub(crate) fn node(&self, node: &Node) -> Result<Option<String>> {
        Ok(Some(match node {
            Node::Bool(value) => value.to_string(),
            Node::Number(number) => number.clone(),
            Node::Text(template) => {
                let text = self.text(template)?;
                if text.is_empty() && !template.is_constant() {
                    return Ok(None);
                }
                if is_number(template) {
                    if !is_plain_number(&text) {
                        return Err(bad_input("a number of the exchange's frame would not be one"));
                    }
                    text
                } else {
                    let mut out = String::with_capacity(text.len() + 2);
                    quote(&text, &mut out);
                    out
                }
            }
            Node::List(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for item in items {
                    parts.extend(self.node(item)?);
                }
                // A list whose items are all left out is left out itself.
                if parts.is_empty() && !items.is_empty() {
                    return Ok(None);
                }
                format!("[{}]", parts.join(","))
            }
            Node::Object(members) => {
                let mut out = String::from("{");
                for (name, value) in members {
                    if let Some(value) = self.node(value)? {
                        if out.len() > 1 {
                            out.push(',');
                        }
                        quote(name, &mut out);
                        out.push(':');
                        out.push_str(&value);
                    }
                }
                out.push('}');
                out
            }
        }))
    }
}

/// Whether it is a number of JSON without sign and exponent: `0.10`, and not `010`.
fn is_plain_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(part) && (whole == "0" || !whole.starts_with('0'))
}

fn lacks(what: &str, option: &str) -> Error {
    bad_input(format!("the key has no {what}, and the exchange wants one"))
        .fix(format!("set it with: hsmsign set KEY {option}"))
}
