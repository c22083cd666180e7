//! `hsmsign token sync`.

use std::process::ExitCode;

use hsmsign::{
    enrol::{Held, Placed},
    error::{Code, Error, Result},
};
use serde_json::{Value, json};

use super::{Around, output};

/// Says what of the keys is missing on which token; exit code 1 where something is.
pub fn run(around: &Around, tokens: &[String], json: bool) -> Result<ExitCode> {
    let placed = match around.enrol().and_then(|enrol| enrol.sync(tokens)) {
        Ok(placed) => placed,
        Err(error) => return Ok(output::report_json(&error, json)),
    };
    if json {
        output::json(&Value::Array(placed.iter().map(in_json).collect()))?;
    } else if placed.is_empty() {
        output::line("no key is imported")?;
    } else {
        let rows = placed.iter().map(|placed| {
            [
                placed.key.to_string(),
                placed.token.clone(),
                in_words(&placed.held),
            ]
        });
        output::table(["KEY", "TOKEN", "IS IT THERE?"], rows)?;
    }
    Ok(verdict(&placed).map_or(ExitCode::SUCCESS, |error| output::report(&error)))
}

fn in_words(held: &Held) -> String {
    match held {
        Held::Whole => "yes".to_owned(),
        Held::Never => "missing: it was never brought there".to_owned(),
        Held::Made => "no, and it cannot be: another token made it".to_owned(),
        Held::Lost(slots) => format!("missing: its {} is not there any more", slots.join(" and its ")),
        Held::Unknown(error) => format!("unknown: {}", error.message()),
    }
}

fn in_json(placed: &Placed) -> Value {
    let (held, lost, error) = match &placed.held {
        Held::Whole => ("yes", None, None),
        Held::Never => ("never", None, None),
        Held::Made => ("made", None, None),
        Held::Lost(slots) => ("lost", Some(slots), None),
        Held::Unknown(error) => ("unknown", None, Some(error)),
    };
    json!({
        "key": placed.key, "token": placed.token, "held": held, "lost": lost,
        "error": error.map(|error| json!({"code": error.code().name(), "message": error.message(), "fix": error.advice()})),
    })
}

/// What is wrong, where something is: that a key is missing somewhere comes before that a token cannot be looked at.
fn verdict(placed: &[Placed]) -> Option<Error> {
    let missing: Vec<_> = placed
        .iter()
        .filter(|placed| matches!(placed.held, Held::Never | Held::Lost(_)))
        .map(|placed| format!("{} on {}", placed.key, placed.token))
        .collect();
    if !missing.is_empty() {
        return Some(
            Error::new(Code::Failed, format!("missing: {}", missing.join(", "))).fix(
                "a secret cannot be copied from a token: with the secret, or a new one of the exchange, at hand: hsmsign remove KEY, then hsmsign import with a --token for each; what a token made it alone has, and hsmsign generate makes another",
            ),
        );
    }
    placed.iter().find_map(|placed| match &placed.held {
        Held::Unknown(error) => Some(error.clone()),
        _ => None,
    })
}
