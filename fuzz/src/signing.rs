//! Signing with signatures that anyone can tell, and what must hold of every request that comes out.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use super::{judging::denials, told::PASSPHRASE};
use hsmsign::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    error::Error,
    exchange::{KeyKind, NonceNeed, Part, Scheme, Stamps, builtin, builtin_ids, check_base_url},
    json::Json,
    request::{Credentials, Request, SignedRequest},
    secret::Secret,
};

const STAMPS: Stamps = Stamps {
    now: Duration::from_millis(1_700_000_000_123),
    nonce: Some(1_700_000_000_123_456),
};

/// A request that was signed, with what was signed.
pub struct Signed {
    pub messages: Vec<Part>,
    pub answer: SignedRequest,
    pub moves_money: Option<String>,
    /// What each of some policies says against it.
    pub denials: Vec<Option<Error>>,
}

/// A scheme, and whether it makes a body of the request, so that the request cannot be read off what is sent.
pub type Known = (Scheme, bool);

/// The schemes that ship, by id.
pub fn schemes() -> &'static HashMap<String, Known> {
    static ALL: OnceLock<HashMap<String, Known>> = OnceLock::new();
    ALL.get_or_init(|| {
        let texts = builtin_ids().iter().map(|id| builtin(id).unwrap());
        texts
            .map(|text| {
                let scheme = Scheme::parse(text, "x").unwrap();
                (scheme.id().to_owned(), (scheme, makes_body(text)))
            })
            .collect()
    })
}

/// Whether a file, or the one that it is like, has a template for the body.
fn makes_body(text: &str) -> bool {
    let rules = text.split("[[test]]").next().unwrap();
    let other = rules
        .lines()
        .find_map(|line| line.strip_prefix("like = \"")?.split('"').next());
    rules.lines().any(|line| line.starts_with("body = \"")) || other.and_then(builtin).is_some_and(makes_body)
}

/// A key of an exchange, with everything that the exchange may want of it.
pub struct Key<'s> {
    pub scheme: &'s Scheme,
    pub kind: &'s KeyKind,
    pub base: Option<String>,
    pub credentials: Credentials,
}

impl<'s> Key<'s> {
    /// Of the exchange's usual kind.
    pub fn new(scheme: &'s Scheme) -> Self {
        let more = scheme.credentials().iter().chain(scheme.optional());
        Self {
            scheme,
            kind: &scheme.kinds()[0],
            base: None,
            credentials: Credentials {
                api_key: Some("ApiKey".into()),
                passphrase: Some(Secret::take(&mut PASSPHRASE.as_bytes().to_vec()).unwrap()),
                passphrase_macs: Vec::new(),
                extra: more
                    .filter(|name| !name.ends_with("secret"))
                    .map(|name| (name.clone(), "77".to_owned()))
                    .collect(),
            },
        }
    }

    /// Changes what is known of it, as far as the owner could.
    pub fn set(&mut self, name: &str, value: &str) {
        let printable = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        match name {
            "algorithm" => {
                if let Some(kind) = value
                    .parse()
                    .ok()
                    .and_then(|name| self.scheme.kind(Some(name)).ok())
                {
                    self.kind = kind;
                }
            }
            "base" => self.base = check_base_url(value).ok().map(|()| value.to_owned()),
            "api_key" if printable => self.credentials.api_key = Some(value.to_owned()),
            name => {
                let found = self.credentials.extra.iter_mut().find(|(have, _)| have == name);
                if let Some((_, have)) = found.filter(|_| printable) {
                    value.clone_into(have);
                }
            }
        }
    }

    /// Whether nothing of it could be read as fields, where it stands among those of a request.
    pub fn is_plain(&self) -> bool {
        let Credentials { api_key, extra, .. } = &self.credentials;
        let mut values = api_key.iter().chain(extra.iter().map(|(_, value)| value));
        values.all(|value| value.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    }
}

/// A signature of the size that the kind of key has; the same for the same `mark`.
fn signature(kind: &KeyKind, mark: u8) -> Vec<u8> {
    let len = match kind.algorithm() {
        Algorithm::Mac(MacAlgorithm::HmacSha256) => 32,
        Algorithm::Mac(MacAlgorithm::HmacSha384) => 48,
        Algorithm::Mac(MacAlgorithm::HmacSha512) => 64,
        Algorithm::Signature(SignatureAlgorithm::Ed25519 | SignatureAlgorithm::P256) => 64,
        Algorithm::Signature(SignatureAlgorithm::Rsa2048) => 256,
        Algorithm::Signature(SignatureAlgorithm::Rsa3072) => 384,
        Algorithm::Signature(SignatureAlgorithm::Rsa4096) => 512,
    };
    (0..len).map(|at| mark.wrapping_add(at as u8)).collect()
}

/// Prepares, composes and attaches.
pub fn sign(key: &Key<'_>, request: &Request, mark: u8) -> Result<Signed, Error> {
    let prepared = key.scheme.prepare(request, key.kind, key.base.as_deref())?;
    let moves_money = prepared.moves_money();
    let denials = denials(&prepared, key.scheme);
    if let NonceNeed::Fresh { .. } = prepared.nonce() {
        prepared.check_nonce(STAMPS.nonce.unwrap())?;
    }
    let mut composed = prepared.compose(&key.credentials, &STAMPS)?;
    let mut messages = Vec::new();
    while let Some(part) = composed.next()? {
        messages.push(part);
        composed.supply(&signature(key.kind, mark))?;
    }
    Ok(Signed {
        messages,
        answer: composed.attach()?,
        moves_money,
        denials,
    })
}

/// What holds of every signed request, whatever the scheme.
pub fn sound(key: &Key<'_>, signed: &Signed) {
    let scheme = key.scheme;
    let Signed { messages, answer, .. } = signed;
    let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(url) = &answer.url
        && answer.method != "WS"
    {
        assert!(graphic(url), "{url:?}");
        let host = url.split('/').nth(2).unwrap();
        let own = scheme.hosts().iter().any(|own| own == host) && url.starts_with("https://");
        assert!(own || key.base.is_some(), "{url} is no place of {}", scheme.id());
        assert!(!url.contains('#'), "{url}");
    }
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "WS"];
    assert!(methods.contains(&answer.method.as_str()), "{}", answer.method);
    let mut names = Vec::new();
    for (name, value) in &answer.headers {
        let name = name.to_ascii_lowercase();
        assert!(
            graphic(&name) && !name.is_empty() && !name.contains(':'),
            "{name:?}"
        );
        assert!(
            value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{value:?}"
        );
        assert!(!names.contains(&name), "{name} stands twice");
        names.push(name);
    }
    if let Some(body) = &answer.body {
        assert!(!body.is_empty());
        assert!(
            answer.method == "WS" || names.iter().any(|name| name == "content-type"),
            "a body without a type: {answer:?}"
        );
        // Coinone has base64 in a body that it calls JSON.
        if matches!(body[0], b'{' | b'[') {
            Json::parse_bytes(body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        }
    }
    let line = answer.to_line(Some(&Json::Number("1.0".into())));
    assert!(!line.contains('\n'), "{line:?}");
    let read = Json::parse(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let said = |name: &str| read.get(name).and_then(Json::as_str).map(str::to_owned);
    assert_eq!(said("url"), answer.url);
    assert_eq!(said("method").as_ref(), Some(&answer.method));
    if !scheme.needs_passphrase() {
        assert!(!line.contains(PASSPHRASE), "{line}");
    }
    let slots = scheme.secret_slots();
    for part in messages {
        assert!(slots.contains(&part.slot.as_str()), "{part:?}");
        assert!(
            part.sensitive || !String::from_utf8_lossy(&part.message).contains(PASSPHRASE),
            "{part:?}"
        );
    }
}
