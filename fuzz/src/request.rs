//! Request lines: whatever is asked, nothing panics; and what is signed is what is sent.
//!
//! The first line of an input is an exchange, and what is known of the key as `name=value`: `algorithm`, `base` (its base
//! URL), `api_key` and the like; the request line follows.

use hsmsign::{
    error::Error,
    json::Json,
    request::{Nonce, Request, SignedRequest},
};

use super::{
    signing::{Key, Signed, schemes, sign, sound},
    told::{PASSPHRASE, told},
};

/// What came of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused.
    Refused,
    /// It was signed, and cannot be read back from what is sent: a login, a body that is made from the request, a nonce
    /// that is random.
    Signed,
    /// It was signed, and signing what is sent once more gave the same.
    SignedTwice,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    outcome(data);
}

/// Runs one input, and says what came of it.
pub fn outcome(data: &[u8]) -> Outcome {
    let Some((head, line)) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.split_once('\n'))
    else {
        return Outcome::Refused;
    };
    let mut words = head.split(' ');
    let Some((scheme, makes_body)) = words.next().and_then(|id| schemes().get(id)) else {
        return Outcome::Refused;
    };
    let mut key = Key::new(scheme);
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        key.set(name, value);
    }
    // Where the input itself says it, the answer may.
    if head.contains(PASSPHRASE) || line.contains(PASSPHRASE) {
        return Outcome::Refused;
    }
    let request = match Request::parse_line(line) {
        Ok(request) => request,
        Err((_, error)) => {
            told(&error);
            return Outcome::Refused;
        }
    };
    let signed = match sign(&key, &request, 7) {
        Ok(signed) => signed,
        Err(error) => {
            told(&error);
            return Outcome::Refused;
        }
    };
    sound(&key, &signed);
    shows(&key, &signed);
    let other = sign(&key, &request, 113).expect("what was signed once is signed again");
    let same = signed.messages == other.messages || signed.messages.len() > 1;
    if !same || *makes_body || signed.answer.method == "WS" {
        return Outcome::Signed;
    }
    match unsigned(&request, &signed.answer, &other.answer) {
        Some(sent) => again(&key, &sent, &signed),
        None => Outcome::Signed,
    }
}

/// Where a message has the path of a withdrawal, it may not be signed raw either.
fn shows(key: &Key<'_>, signed: &Signed) {
    let moves = signed.moves_money.as_deref();
    let (Some(rule), Some(url)) = (
        moves.filter(|rule| rule.starts_with("the path ")),
        &signed.answer.url,
    ) else {
        return;
    };
    let path = url
        .split(['?', '#'])
        .next()
        .unwrap()
        .splitn(4, '/')
        .nth(3)
        .unwrap_or_default();
    for part in &signed.messages {
        let text = String::from_utf8_lossy(&part.message);
        assert!(
            path.is_empty() || !text.contains(path) || key.scheme.raw_moves_money(&part.message).is_some(),
            "{rule} of {}: {text:?}",
            key.scheme.id()
        );
    }
}

/// The request that is read back from what is sent must be signed to the very same.
fn again(key: &Key<'_>, line: &str, signed: &Signed) -> Outcome {
    let request = Request::parse_line(line).unwrap_or_else(|(_, error)| panic!("{error}: {line}"));
    let twice = match sign(key, &request, 7) {
        Ok(twice) => twice,
        Err(error) => panic!("{}: {line} was sent, and is refused: {error}", key.scheme.id()),
    };
    assert_eq!(signed.messages, twice.messages, "{line}");
    assert_eq!(signed.answer.to_line(None), twice.answer.to_line(None), "{line}");
    assert_eq!(signed.moves_money, twice.moves_money, "{line}");
    if key.is_plain() {
        for (asked, sent) in signed.denials.iter().zip(&twice.denials) {
            let found = sent
                .as_ref()
                .filter(|error| asked.is_none() && !is_careful(error));
            assert!(found.is_none(), "{found:?} of {line}, which was permitted");
        }
    }
    Outcome::SignedTwice
}

/// Whether it is a denial by what only the finished body has: the path's own name in a member, where names and values run
/// together in what is signed.
fn is_careful(error: &Error) -> bool {
    error.message().contains("nothing keeps names and values apart")
}

/// The line that asks for what is sent: the two answers, which differ in their signatures alone, without these.
fn unsigned(request: &Request, one: &SignedRequest, other: &SignedRequest) -> Option<String> {
    let (one_url, other_url) = (one.url.as_deref()?, other.url.as_deref()?);
    let (place, query) = one_url.split_once('?').unwrap_or((one_url, ""));
    let (_, other_query) = other_url.split_once('?').unwrap_or((other_url, ""));
    let query = without(query, other_query)?;
    let text = |signed: &SignedRequest| String::from_utf8(signed.body.clone().unwrap_or_default());
    let given = request.body.is_some() || request.params.is_some();
    let (body, other_body) = (text(one).ok()?, text(other).ok()?);
    let body = if body.trim_start().starts_with('{') {
        without_members(body, &other_body)?
    } else {
        without(&body, &other_body)?
    };
    // What was put into a body that was not there goes with the body.
    let body = Some(body).filter(|body| !body.is_empty() && (body != "{}" || given));
    let mut members = vec![
        ("method", Some(one.method.clone())),
        (
            "url",
            Some(if query.is_empty() {
                place.to_owned()
            } else {
                format!("{place}?{query}")
            }),
        ),
        ("body", body),
        ("timestamp", request.timestamp.clone()),
        ("window", request.window.clone()),
        ("content_type", request.content_type.clone()),
    ];
    match &request.nonce {
        Nonce::Brought(nonce) => members.push(("nonce", Some(nonce.clone()))),
        Nonce::Made | Nonce::Without => {}
    }
    let mut members: Vec<(String, Json)> = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Json::String(value?))))
        .collect();
    if request.nonce == Nonce::Without {
        members.push(("nonce".into(), Json::Null));
    }
    Some(Json::Object(members).to_compact())
}

/// A form or query without the fields in which the two differ.
fn without(one: &str, other: &str) -> Option<String> {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('&').collect(), other.split('&').collect());
    let same = one.iter().zip(&other).filter(|(one, other)| one == other);
    (one.len() == other.len()).then(|| same.map(|(one, _)| *one).collect::<Vec<_>>().join("&"))
}

/// A JSON object's text without the members in which the two differ.
fn without_members(mut text: String, other: &str) -> Option<String> {
    let (Json::Object(one), Json::Object(other)) = (Json::parse(&text).ok()?, Json::parse(other).ok()?)
    else {
        return None;
    };
    if one.len() != other.len() {
        return None;
    }
    for ((name, value), _) in one.iter().zip(&other).filter(|(one, other)| one != other) {
        let member = Json::Object(vec![(name.clone(), value.clone())]).to_compact();
        let member = &member[1..member.len() - 1];
        let cut = [format!(",{member}"), format!("{member},"), member.to_owned()]
            .into_iter()
            .find(|cut| text.matches(cut.as_str()).count() == 1)?;
        text = text.replace(&cut, "");
    }
    Some(text)
}
