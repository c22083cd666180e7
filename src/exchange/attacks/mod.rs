//! What an attacker who may ask for signatures tries, one test each.

mod everywhere;
mod fields;
mod files;
mod raw;
mod requests;
mod seams;
mod withdrawals;

use std::time::Duration;

use super::{Composed, Scheme, Stamps, builtin};
use crate::{
    error::Error,
    request::{Credentials, Request},
    secret::Secret,
};

fn scheme(name: &str) -> Scheme {
    Scheme::parse(builtin(name).unwrap(), name).unwrap()
}

/// What the rules say of a request, or why it is refused.
fn look(exchange: &str, line: &str) -> Result<Option<String>, Error> {
    let scheme = scheme(exchange);
    let request = Request::parse_line(line).map_err(|(_, error)| error)?;
    let prepared = scheme.prepare(&request, scheme.kind(None)?, None)?;
    Ok(prepared.moves_money())
}

#[track_caller]
fn withdrawal(exchange: &str, line: &str) {
    assert!(look(exchange, line).unwrap().is_some(), "{line}");
}

#[track_caller]
fn harmless(exchange: &str, line: &str) {
    assert_eq!(look(exchange, line).unwrap(), None, "{line}");
}

#[track_caller]
fn refused(exchange: &str, line: &str, says: &str) {
    let error = look(exchange, line).unwrap_err();
    assert!(error.message().contains(says), "{line}: {error}");
}

fn credentials() -> Credentials {
    Credentials {
        api_key: Some("KEY".into()),
        passphrase: Some(Secret::take(&mut b"words".to_vec()).unwrap()),
        ..Credentials::default()
    }
}

/// The first message of a request, or why there is none.
fn message(exchange: &str, line: &str) -> Result<Vec<u8>, Error> {
    let scheme = scheme(exchange);
    let request = Request::parse_line(line).map_err(|(_, error)| error)?;
    let credentials = credentials();
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: Some(1_700_000_000_000),
    };
    let mut composed: Composed<'_> = scheme
        .prepare(&request, scheme.kind(None)?, None)?
        .compose(&credentials, &stamps)?;
    Ok(composed.next()?.unwrap().message)
}
