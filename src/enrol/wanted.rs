//! Whether what an owner says of a new key is something that its exchange knows.

use super::NewKey;
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, bad_input},
    exchange::{KeyKind, Scheme},
    keyring::{Allow, GENERIC},
};

pub(super) fn algorithm(scheme: Option<&Scheme>, new: &NewKey) -> Result<Algorithm> {
    let Some(scheme) = scheme else {
        return generic_algorithm(new);
    };
    if new.encoding.is_some() {
        return Err(bad_input(
            "--encoding is for --exchange generic; this exchange's scheme says how its secret is written",
        ));
    }
    if !new.on_token {
        return Ok(scheme.kind(new.algorithm)?.algorithm());
    }
    let registered: Vec<_> = scheme
        .kinds()
        .iter()
        .filter(|kind| kind.is_registered())
        .map(|kind| kind.algorithm().name())
        .collect();
    let import = format!("import it: hsmsign import --exchange {}", scheme.id());
    if registered.is_empty() {
        let issued = scheme.kinds().iter().find_map(KeyKind::issued);
        return Err(Error::new(
            Code::Unsupported,
            format!(
                "{} issues its keys itself, and takes none that a token made",
                scheme.name()
            ),
        )
        .fix(issued.map_or(import, str::to_owned)));
    }
    let Some(algorithm) = new.algorithm else {
        return Err(bad_input(format!(
            "{} takes keys of more than one algorithm, and none was named",
            scheme.name()
        ))
        .fix(format!("add --algorithm: {}", registered.join(", "))));
    };
    let kind = scheme.kind(Some(algorithm))?;
    if kind.is_registered() {
        return Ok(algorithm);
    }
    Err(Error::new(
        Code::Unsupported,
        format!(
            "{} issues its {algorithm} keys itself, and takes none that a token made",
            scheme.name()
        ),
    )
    .fix(format!(
        "{}; or have the token make a key of another algorithm: {}",
        kind.issued().map_or(import, str::to_owned),
        registered.join(", ")
    )))
}

fn generic_algorithm(new: &NewKey) -> Result<Algorithm> {
    match new.algorithm {
        _ if new.on_token => Err(Error::new(
            Code::Unsupported,
            "a generic key makes MACs, and the service that checks them issues its secret",
        )
        .fix("import the secret: hsmsign import --exchange generic")),
        Some(algorithm @ Algorithm::Mac(_)) => Ok(algorithm),
        Some(other) => Err(Error::new(
            Code::Unsupported,
            format!("a generic key makes MACs, and {other} is none"),
        )
        .fix("use --algorithm hmac-sha256, hmac-sha384 or hmac-sha512")),
        None => Err(bad_input("a generic key needs its algorithm")
            .fix("add --algorithm hmac-sha256, hmac-sha384 or hmac-sha512")),
    }
}

pub(super) fn check_values(scheme: Option<&Scheme>, algorithm: Algorithm, new: &NewKey) -> Result<()> {
    if new.allow.contains(&Allow::Raw) && matches!(algorithm, Algorithm::Signature(_)) {
        return Err(bad_input(format!(
            "{algorithm} keys make no MACs, so there are no raw ones to allow"
        ))
        .fix("leave --allow raw out"));
    }
    if let Some(api_key) = &new.api_key {
        check_api_key(api_key)?;
        let kind = scheme.and_then(|scheme| scheme.kind(Some(algorithm)).ok());
        if new.on_token && kind.is_some_and(KeyKind::api_key_is_public) {
            return Err(bad_input(
                "the API key of this exchange is the public key, which the token is about to make",
            )
            .fix("leave --api-key out"));
        }
    }
    for (name, text) in &new.extra {
        if !printable(text) {
            return Err(bad_input(format!(
                "the {name} has characters that cannot stand in a request"
            )));
        }
        let known = scheme.is_some_and(|scheme| {
            scheme
                .credentials()
                .iter()
                .chain(scheme.optional())
                .any(|other| other == name)
        });
        if !known {
            let exchange = scheme.map_or(GENERIC, |scheme| scheme.id());
            return Err(bad_input(format!("{exchange} has no {name}")));
        }
    }
    if let Some(scheme) = scheme {
        for name in scheme.credentials() {
            if !new.extra.contains_key(name.as_str()) {
                let flag = name.replace('_', "-");
                return Err(
                    bad_input(format!("{} wants a {name}", scheme.name())).fix(format!("add --{flag}"))
                );
            }
        }
    }
    if let Some(url) = &new.base_url {
        crate::exchange::check_base_url(url)?;
    }
    Ok(())
}

/// Whether text can stand in a header or query: 1 to 1024 printable ASCII characters without blanks.
fn printable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn check_api_key(api_key: &str) -> Result<()> {
    if printable(api_key) {
        return Ok(());
    }
    Err(
        bad_input("the API key has blanks or characters that cannot stand in a request")
            .fix("give it as the exchange shows it"),
    )
}
