//! Which texts of a file are an exchange's secret, and what belongs to them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    keyfile,
    scalar::Scalar,
    words::{Named, Role, exchange, names_exchange, role, words},
};
use crate::{
    error::Result,
    exchange::{Catalogue, Scheme},
    placeholder::is_placeholder,
};

/// An exchange's secret that was found in a file.
#[derive(Debug, Clone)]
pub struct Found {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// The field, as a path of names.
    pub field: String,
    /// The exchange's id.
    pub exchange: String,
    /// What the key would be called, if nothing else is wished.
    pub name: String,
    /// Whether it is encrypted under a password.
    pub encrypted: bool,
    /// Whether a passphrase stands beside it, which stays in the file.
    pub has_passphrase: bool,
    pub(super) secret: Scalar,
    pub(super) api_key: Option<Scalar>,
    pub(super) passphrase: Option<Scalar>,
    pub(super) user_id: Option<Scalar>,
}

/// What looks like a secret, and stays as it is.
#[derive(Debug, Clone)]
pub struct Left {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// The field, as a path of names.
    pub field: String,
    /// Why it stays.
    pub why: String,
}

/// Fields that belong together: they stand side by side, and have the same words beside those of their roles.
type Groups = BTreeMap<(Vec<String>, Vec<String>), BTreeMap<Role, Vec<Scalar>>>;

/// Finds the secrets among a file's texts. `wished` is the exchange of those whose exchange the file does not say.
///
/// # Errors
/// When a text cannot be read.
pub(super) fn recognise(
    text: &[u8],
    scalars: &[Scalar],
    catalogue: &Catalogue,
    wished: Option<&Arc<Scheme>>,
) -> Result<(Vec<Found>, Vec<Left>)> {
    let mut groups = Groups::new();
    for scalar in scalars {
        if let Some((role, rest)) = role(&words(scalar.leaf())) {
            let group = groups.entry((scalar.parent().to_vec(), rest)).or_default();
            group.entry(role).or_default().push(scalar.clone());
        }
    }
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for ((at, rest), mut fields) in groups {
        let secrets = fields.remove(&Role::Secret).unwrap_or_default();
        let Some(first) = secrets.first() else { continue };
        let keep = |why: String| Left {
            line: first.line(text),
            field: first.path.join("."),
            why,
        };
        if let Some(why) = no_secret(first.raw(text)) {
            left.extend(why.map(|why| keep(why.to_owned())));
            continue;
        }
        let (scheme, more) = match whose(text, &at, &rest, scalars, catalogue)? {
            Some(Named::Known(scheme, more)) => (scheme, more),
            Some(Named::Impossible(why)) => {
                left.push(keep(why));
                continue;
            }
            None => match wished {
                Some(scheme) if fields.contains_key(&Role::ApiKey) || at.is_empty() => {
                    (Arc::clone(scheme), Vec::new())
                }
                _ if fields.contains_key(&Role::ApiKey) => {
                    left.push(keep(
                        "the file does not say of which exchange it is; give --exchange".to_owned(),
                    ));
                    continue;
                }
                _ => continue,
            },
        };
        if secrets.len() > 1 {
            left.push(keep(
                "several fields beside it could be the secret too; name them apart".to_owned(),
            ));
            continue;
        }
        let mut one = |role| fields.remove(&role).and_then(|mut fields| fields.pop());
        let (api_key, passphrase, user_id) = (one(Role::ApiKey), one(Role::Passphrase), one(Role::UserId));
        found.push(Found {
            line: first.line(text),
            field: first.path.join("."),
            exchange: scheme.id().to_owned(),
            name: key_name(scheme.id(), &more),
            encrypted: keyfile::is_keyfile(first.raw(text)),
            has_passphrase: passphrase.is_some() && scheme.needs_passphrase(),
            secret: first.clone(),
            api_key,
            passphrase: passphrase.filter(|_| scheme.needs_passphrase()),
            user_id,
        });
    }
    found.sort_by_key(|found| found.secret.span.start);
    left.sort_by_key(|left| left.line);
    Ok((found, left))
}

/// The exchange that a group of fields is for: by the words beside their roles, else by what stands beside or above them,
/// the nearest first.
fn whose(
    text: &[u8],
    at: &[String],
    rest: &[String],
    scalars: &[Scalar],
    catalogue: &Catalogue,
) -> Result<Option<Named>> {
    if let Some(named) = exchange(rest, catalogue) {
        return Ok(Some(named));
    }
    for depth in (0..=at.len()).rev() {
        for scalar in scalars
            .iter()
            .filter(|scalar| scalar.parent() == &at[..depth] && names_exchange(scalar.leaf()))
        {
            // What is longer is no exchange's name, and may be anything.
            if scalar.span.len() <= 40
                && let Some(Named::Known(scheme, _)) = exchange(&words(&scalar.public(text)?), catalogue)
            {
                return Ok(Some(Named::Known(scheme, rest.to_vec())));
            }
        }
        let above = depth
            .checked_sub(1)
            .and_then(|above| exchange(&words(&at[above]), catalogue));
        if let Some(named) = above {
            return Ok(Some(match named {
                Named::Known(scheme, more) => Named::Known(scheme, [more, rest.to_vec()].concat()),
                other @ Named::Impossible(_) => other,
            }));
        }
    }
    Ok(None)
}

/// Why a text is no secret to be adopted; `Some(None)` where there is nothing to be said of it.
fn no_secret(raw: &[u8]) -> Option<Option<&'static str>> {
    let text = raw.trim_ascii();
    let small = text.to_ascii_lowercase();
    let has = |word: &[u8]| small.windows(word.len()).any(|window| window == word);
    if text.is_empty() || is_placeholder(text) {
        return Some(None);
    }
    if text.starts_with(b"$") || text.starts_with(b"{{") || text.starts_with(b"<") {
        return Some(Some("it stands for a text that is elsewhere"));
    }
    let example = text.len() < 64
        && [&b"your"[..], b"xxxx", b"changeme", b"change_me", b"****"]
            .iter()
            .any(|word| has(word));
    example.then_some(Some("it looks like an example, not like a secret"))
}

/// The exchange's id, and the words that tell this key from its others.
fn key_name(exchange: &str, more: &[String]) -> String {
    let mut name = exchange.to_owned();
    for word in more
        .iter()
        .filter(|word| word.is_ascii() && !matches!(word.as_str(), "api" | "exchange"))
    {
        name.push('-');
        name.push_str(word);
    }
    name.truncate(60);
    name
}
