//! Bodies: wholly JSON or wholly a form, of a kind that the exchange takes, and signed.

use std::sync::OnceLock;

use super::{
    place,
    plan::{Place, Plan},
    target,
};
use crate::{
    error::{Result, bad_input},
    json::Json,
    request::{Body, Fields, Request},
};

/// A body: JSON or a form.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub json: bool,
    text: String,
    /// What the JSON is, once that was asked.
    read: OnceLock<Result<Json>>,
}

impl Payload {
    pub(crate) const fn new(json: bool, text: String) -> Self {
        Self {
            json,
            text,
            read: OnceLock::new(),
        }
    }

    /// Its exact text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The value of JSON, read once.
    pub(crate) fn value(&self) -> Result<&Json> {
        let read = self.read.get_or_init(|| Json::parse(&self.text));
        read.as_ref().map_err(Clone::clone)
    }
}

/// The body, wholly JSON or wholly a form, of a kind that the exchange takes.
pub(crate) fn read(request: &Request, plan: &Plan, method: &str, path: &str) -> Result<Option<Payload>> {
    let declared = match request.content_type.as_deref() {
        None => None,
        Some(kind) => Some(is_json_type(kind)?),
    };
    let payload = match &request.body {
        None => return Ok(None),
        Some(Body::Form(Fields::Text(text))) => Payload::new(false, text.clone()),
        Some(Body::Form(Fields::Pairs(pairs))) => {
            Payload::new(false, place::form(pairs, plan.params.as_ref())?)
        }
        Some(Body::Json(text)) => Payload::new(true, text.clone()),
        Some(Body::Parts { pairs, object }) => {
            if parts_are_json(declared, plan, method, path)? {
                let text = object.clone();
                Payload::new(
                    true,
                    text.unwrap_or_else(|| Json::Object(pairs.clone()).to_compact()),
                )
            } else {
                Payload::new(false, place::form(pairs, plan.params.as_ref())?)
            }
        }
        Some(Body::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| bad_input("the body is neither JSON nor a form: it is not UTF-8"))?
                .to_owned();
            let begins = text
                .trim_start_matches([' ', '\t', '\r', '\n'])
                .starts_with(['{', '[']);
            Payload::new(declared.unwrap_or(begins), text)
        }
    };
    if payload.text.is_empty() {
        return Ok(None);
    }
    check_kind(request.content_type.as_deref(), payload.json)?;
    if payload.json {
        match payload.value().map_err(|error| error.within("the body"))? {
            Json::Object(_) | Json::List(_) => {}
            other => {
                return Err(bad_input(format!(
                    "the body is {}, and must be a JSON object or list",
                    other.kind()
                )));
            }
        }
    } else {
        check_form(&payload.text)?;
    }
    let (takes, other) = if payload.json {
        (plan.takes_json, "a form")
    } else {
        (plan.takes_form, "JSON")
    };
    if takes {
        return Ok(Some(payload));
    }
    let kind = if payload.json { "JSON" } else { "a form" };
    Err(
        bad_input(format!("this exchange does not take a body that is {kind}")).fix(
            if plan.takes_form || plan.takes_json {
                format!("give {other}")
            } else {
                "give the fields as `query`".into()
            },
        ),
    )
}

/// Whether names and values given as the body become JSON here: as their `content_type` says, else as the exchange takes
/// it, else as it takes the parameters of such a request.
fn parts_are_json(declared: Option<bool>, plan: &Plan, method: &str, path: &str) -> Result<bool> {
    if let Some(json) = declared {
        return Ok(json);
    }
    if plan.takes_form != plan.takes_json {
        return Ok(plan.takes_json);
    }
    let places = plan
        .params
        .as_ref()
        .map_or(&[][..], |params| params.places(method, path));
    match (places.contains(&Place::Form), places.contains(&Place::Json)) {
        (true, false) => Ok(false),
        (false, true) => Ok(true),
        _ => Err(
            bad_input("the exchange takes a form and JSON here, and the body does not say which it is")
                .fix("give it as `form` or `json`, or as finished text"),
        ),
    }
}

/// Refuses a body that is not of the kind that the request says.
pub(crate) fn check_kind(declared: Option<&str>, json: bool) -> Result<()> {
    match declared.map(is_json_type).transpose()? {
        Some(declared) if declared != json => Err(bad_input(
            "the body is not of the kind that `content_type` says",
        )
        .fix(if json {
            "leave `content_type` out, or give the fields as `form`"
        } else {
            "leave `content_type` out, or give the fields as `json`"
        })),
        _ => Ok(()),
    }
}

fn is_json_type(kind: &str) -> Result<bool> {
    let lower = kind.to_ascii_lowercase();
    let (name, charset) = lower.split_once(';').unwrap_or((&lower, ""));
    match (name, charset.trim_matches(' ')) {
        ("application/json", "" | "charset=utf-8") => Ok(true),
        ("application/x-www-form-urlencoded", "" | "charset=utf-8") => Ok(false),
        _ => Err(bad_input(format!("`content_type` cannot be {kind:?}"))
            .fix("use application/json or application/x-www-form-urlencoded")),
    }
}

/// Finished text of a body that is a form: as [`check_text`], and every field has a name.
pub(crate) fn check_form(text: &str) -> Result<()> {
    check_text("body", text)?;
    let nameless = |piece: &&str| !piece.is_empty() && piece.find('=').is_none_or(|at| at == 0);
    let Some(piece) = text.split('&').find(nameless) else {
        return Ok(());
    };
    let shown: String = piece.chars().take(40).collect();
    Err(bad_input(format!(
        "the body is neither JSON nor a form: {shown:?} is no name=value"
    ))
    .fix("give the body as `form` or `json`"))
}

/// Finished text of a query or form: printable ASCII without blanks, every `%` a whole escape.
pub(crate) fn check_text(what: &str, text: &str) -> Result<()> {
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || byte == b'#' && what == "query";
    let at = text.bytes().position(is_odd);
    if let Some(odd) = at.and_then(|at| text[at..].chars().next()) {
        return Err(bad_input(format!(
            "the {what} has {odd:?} in it, which must be percent-encoded"
        ))
        .fix(format!(
            "encode it, or give the {} as an object",
            if what == "query" { "query" } else { "form" }
        )));
    }
    target::check_escapes(what, text)?;
    check_names(what, text)
}

/// Refuses control characters in names: at a NUL some servers end a name, so that `method%00=` is `method` there.
fn check_names(what: &str, text: &str) -> Result<()> {
    let mut names = text.split(['&', ';']).map(|piece| place::cut_at(piece, b'=').0);
    let strange = |name: &&str| name.contains('%') && place::decoded(name).contains(char::is_control);
    let Some(name) = names.find(strange) else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    Err(bad_input(format!(
        "the {what} has a name with a control character: {shown:?}"
    ))
    .fix("give the fields by the exchange's own names"))
}

/// Refuses a query or body that the messages do not cover, unless the file lets it go along.
pub(crate) fn check_signed(plan: &Plan, exchange: &str, query: &str, body: Option<&Payload>) -> Result<()> {
    let refuse = |part: &str, instead: &str| {
        Err(bad_input(format!(
            "{exchange} does not sign the {part} of this request, so it could be changed on its way"
        ))
        .fix(format!("give the fields in the {instead}")))
    };
    if !query.is_empty() && !plan.facts.signs_query && !plan.unsigned_query {
        return refuse("query", "body");
    }
    if body.is_some() && !plan.facts.signs_body && !plan.unsigned_body {
        return refuse("body", "query");
    }
    Ok(())
}
