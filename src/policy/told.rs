//! A request for the person who is asked: all of it, and nothing that it could pass itself off as.

use super::{judge::endpoint, subject::Subject};
use crate::{
    ask::quoted,
    caller::Caller,
    error::{Code, Error, Result},
    keyring::KeyName,
};

/// How many fields a question shows at most.
const MOST_FIELDS: usize = 40;
/// How long it is at most, in bytes as pinentry is told it: a line of the Assuan protocol has 1,000, with the command's
/// name and the line feed, and a pinentry that is told more ends.
const LONGEST: usize = 990;

/// The whole question: which program asks to sign with which key, where the request goes, and all of it.
///
/// # Errors
/// As [`told`]; and `denied` where it is longer than pinentry can show.
pub fn question(
    caller: &Caller,
    key: &KeyName,
    exchange: &str,
    origin: &str,
    subject: &dyn Subject,
) -> Result<String> {
    let program = caller
        .executable
        .as_ref()
        .map_or_else(|| of_unit(caller), |path| plain(&path.to_string_lossy()));
    let at = match origin {
        "" => exchange.to_owned(),
        origin => format!("{exchange} ({origin})"),
    };
    let request = told(subject)?;
    let question = format!(
        "{program} (process {}, uid {}) asks to sign with the key {key}, at {at}:\n{request}",
        caller.pid, caller.uid,
    );
    match quoted(&question).len() {
        ..=LONGEST => Ok(question),
        _ => Err(too_long()),
    }
}

/// A program of which no more is known than the unit that it runs in. Users name those of their own managers as they like.
fn of_unit(caller: &Caller) -> String {
    let unit = caller.unit().map(|unit| {
        let name: String = plain(unit.name).chars().take(80).collect();
        match unit.of_user {
            None => format!(" of {name}"),
            Some(user) => format!(" of {name}, a unit of the user {user},"),
        }
    });
    format!("a program{}", unit.unwrap_or_default())
}

fn too_long() -> Error {
    Error::new(
        Code::Denied,
        format!(
            "a person is to be asked, and this is too long to be shown: {MOST_FIELDS} fields and {LONGEST} bytes at most"
        ),
    )
    .fix("send fewer orders at once, with shorter values")
}

/// Method and path, and below them a line a field, with what the signature does not bind. Values stand in quotes, and what
/// is not a plain character in them is written out, so that no request can look like another.
///
/// # Errors
/// `denied` where it has more fields than a person sees at once, or could be read in two ways.
pub fn told(subject: &dyn Subject) -> Result<String> {
    let fields = subject.fields();
    let denied = |saw: String, fix: &str| Err(Error::new(Code::Denied, saw).fix(fix));
    if fields.all().count() > MOST_FIELDS {
        return Err(too_long());
    }
    if let Some(why) = fields
        .odd
        .clone()
        .or_else(|| fields.all().find_map(|field| fields.doubt(&field.name)))
    {
        return denied(
            format!("a person is to be asked, and {why}"),
            "send plain fields, each once",
        );
    }
    let mut told = plain(&endpoint(subject));
    for group in 0..fields.objects() {
        let depth = fields.around(group).skip(1).count();
        for (at, field) in fields.group(group).iter().enumerate() {
            let mark = if depth > 0 && at == 0 { "- " } else { "  " };
            told.push_str(&format!("\n{}{mark}{}", "  ".repeat(depth), plain(&field.given)));
            if let Some(value) = &field.value {
                told.push_str(&format!(" = \"{}\"", value.escape_default()));
            }
        }
    }
    let bound = subject.bound();
    if !bound.path && !bound.login {
        told.push_str(
            "\nThe exchange does not sign method and path: the signature fits whatever takes these fields.",
        );
    }
    if !bound.fields && !bound.login {
        told.push_str("\nThe exchange does not sign the fields: they can be changed after this.");
    }
    Ok(told)
}

/// Text of a stranger, with everything written out that a terminal or a window could show as something else.
pub fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|char| {
            let plain = char == ' ' || char.is_ascii_graphic();
            plain
                .then_some(char)
                .into_iter()
                .chain(char.escape_unicode().filter(move |_| !plain))
        })
        .collect()
}
