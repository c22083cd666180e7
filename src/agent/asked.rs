//! Reading what a client asks: a request line, a raw MAC, or something of the agent itself.

use base64ct::Encoding as _;

use crate::{
    algorithm::Algorithm,
    error::{Error, Result, bad_input},
    json::{Json, Piece},
    keyring::KeyName,
    request::{Request, id_in},
};

/// What a line asks for.
#[derive(Debug)]
pub enum Asked {
    /// A signature, or a WebSocket login.
    Sign(Box<Request>),
    /// The MAC of bytes.
    Hmac(Hmac),
    /// What can be said of a request without signing it.
    Look(Look, Box<Request>),
    /// Something of the agent.
    Op(Op),
}

impl Asked {
    /// Whether a token is wanted for it, which is not idle then.
    pub fn wants_a_token(&self) -> bool {
        match self {
            Self::Sign(_) | Self::Hmac(_) => true,
            Self::Look(..) => false,
            Self::Op(op) => op.name == "unlock",
        }
    }
}

/// What is wanted of a request that is not to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Where it would go.
    Route,
    /// Which rules decide about it.
    Check,
}

/// `{"hmac":{"key","message_base64"}}`
#[derive(Debug)]
pub struct Hmac {
    /// The caller's own mark.
    pub id: Option<Json>,
    /// The key.
    pub key: KeyName,
    /// The bytes.
    pub message: Vec<u8>,
    /// The algorithm that the caller counts on; none where the key's own will do.
    pub algorithm: Option<String>,
    /// Whether it was counted already; no field of a line.
    pub counted: bool,
}

/// `{"op":NAME}`
#[derive(Debug)]
pub struct Op {
    /// The caller's own mark.
    pub id: Option<Json>,
    /// What is wanted.
    pub name: String,
    /// What it is wanted of, by name.
    pub arguments: Vec<(String, Json)>,
}

/// What went wrong with a line, with its `id` where that could be read.
type Refused = (Option<Json>, Error);

/// Reads a line.
///
/// # Errors
/// When it is none of these; the line's `id` comes along where it could be read.
pub fn read(line: &[u8]) -> Result<Asked, Refused> {
    let text = text(line)?;
    // A request has a key or an id before anything else, mostly; these words are nowhere in most lines.
    if !text.contains("\"op\"") && !text.contains("\"hmac\"") {
        return Request::parse_line(text).map(|request| Asked::Sign(Box::new(request)));
    }
    let members = Piece::of(text)
        .and_then(Piece::members)
        .map_err(|error| (id_in(text), error.within("the request line")))?;
    let find = |wanted: &str| {
        members
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, raw)| *raw)
    };
    let special = ["op", "hmac"]
        .into_iter()
        .find_map(|name| find(name).map(|raw| (name, raw)));
    let Some((name, raw)) = special else {
        return Request::parse_line(text).map(|request| Asked::Sign(Box::new(request)));
    };
    let id = match find("id") {
        Some(raw) => Some(raw.value().map_err(|error| (None, error.within("`id`")))?),
        None => None,
    };
    let others = members
        .iter()
        .filter(|(member, _)| member != name && member != "id")
        .map(|(member, raw)| (&**member, *raw));
    if name == "op"
        && let Some(read) = of_request(raw)
    {
        let members = members.into_iter().filter(|(name, _)| name != "op").collect();
        return Request::of_members(members).map(|request| read(Box::new(request)));
    }
    let read = match name {
        "op" => op(raw, others, id.clone()).map(Asked::Op),
        _ => hmac(raw, others, id.clone()).map(Asked::Hmac),
    };
    read.map_err(|error| (id, error))
}

/// Reads a line that must be a request.
///
/// # Errors
/// As [`read`].
pub fn request(line: &[u8]) -> Result<Asked, Refused> {
    Request::parse_line(text(line)?).map(|request| Asked::Sign(Box::new(request)))
}

fn text(line: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(line).map_err(|_| {
        let error = bad_input("the line is not UTF-8").fix("send a body that is no text as body_base64");
        (None, error)
    })
}

/// How a line is read whose `op` is about a request, which stands beside it.
fn of_request(op: Piece<'_>) -> Option<fn(Box<Request>) -> Asked> {
    match op.get() {
        "\"route\"" => Some(|request| Asked::Look(Look::Route, request)),
        "\"check\"" => Some(|request| Asked::Look(Look::Check, request)),
        "\"explain\"" => Some(|mut request| {
            request.explain = true;
            Asked::Sign(request)
        }),
        _ => None,
    }
}

fn op<'a>(
    raw: Piece<'_>,
    others: impl Iterator<Item = (&'a str, Piece<'a>)>,
    id: Option<Json>,
) -> Result<Op> {
    let Json::String(name) = raw.value()? else {
        return Err(bad_input("`op` must be a string"));
    };
    let arguments = others
        .map(|(name, raw)| Ok((name.to_owned(), raw.value()?)))
        .collect::<Result<_>>()?;
    Ok(Op { id, name, arguments })
}

fn hmac<'a>(
    raw: Piece<'_>,
    mut others: impl Iterator<Item = (&'a str, Piece<'a>)>,
    id: Option<Json>,
) -> Result<Hmac> {
    if let Some((name, _)) = others.next() {
        let shown: String = name.chars().take(60).collect();
        return Err(
            bad_input(format!("a line with `hmac` has no field {shown:?}")).fix("its fields are hmac and id")
        );
    }
    let Json::Object(fields) = raw.value()? else {
        return Err(
            bad_input("`hmac` must be an object").fix("write {\"hmac\":{\"key\":…,\"message_base64\":…}}")
        );
    };
    let (mut key, mut message, mut algorithm) = (None, None, None);
    for (name, value) in fields {
        if !["key", "message_base64", "algorithm"].contains(&name.as_str()) {
            let shown: String = name.chars().take(60).collect();
            return Err(bad_input(format!("`hmac` has no field {shown:?}"))
                .fix("its fields are key, message_base64 and algorithm"));
        }
        let Json::String(text) = value else {
            return Err(bad_input(format!(
                "`{name}` must be a string, and is {}",
                value.kind()
            )));
        };
        match name.as_str() {
            "key" => key = Some(text.parse()?),
            "message_base64" => {
                message = Some(
                    base64ct::Base64::decode_vec(&text)
                        .map_err(|_| bad_input("`message_base64` is not base64"))?,
                );
            }
            _ => {
                Algorithm::ALL
                    .iter()
                    .find(|known| known.name() == text)
                    .ok_or_else(|| bad_input(format!("there is no algorithm {text:?}")))?;
                algorithm = Some(text);
            }
        }
    }
    let missing = |name: &str| {
        bad_input(format!("`hmac` has no {name}")).fix("write {\"hmac\":{\"key\":…,\"message_base64\":…}}")
    };
    Ok(Hmac {
        id,
        key: key.ok_or_else(|| missing("key"))?,
        message: message.ok_or_else(|| missing("message_base64"))?,
        algorithm,
        counted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_told_apart() {
        let is = |line: &str| match read(line.as_bytes()) {
            Ok(Asked::Sign(request)) if request.explain => "explain",
            Ok(Asked::Sign(_)) => "sign",
            Ok(Asked::Look(Look::Route, _)) => "route",
            Ok(Asked::Look(Look::Check, _)) => "check",
            Ok(Asked::Hmac(_)) => "hmac",
            Ok(Asked::Op(_)) => "op",
            Err(_) => "error",
        };
        for (line, wanted) in [
            (r#"{"key":"k","method":"GET","path":"/"}"#, "sign"),
            (
                r#"{"key":"k","method":"POST","path":"/","body":"{\"op\":\"x\"}"}"#,
                "sign",
            ),
            (
                r#"{"key":"k","method":"POST","path":"/","json":{"op":"x","hmac":1}}"#,
                "sign",
            ),
            (r#"{"hmac":{"key":"k","message_base64":"YQ=="},"id":1}"#, "hmac"),
            (
                r#"{"hmac":{"key":"k","message_base64":"YQ==","algorithm":"hmac-sha512"}}"#,
                "hmac",
            ),
            (
                r#"{"hmac":{"key":"k","message_base64":"YQ==","algorithm":"md5"}}"#,
                "error",
            ),
            (r#"{"hmac":{"key":"k","message_base64":"Y"}}"#, "error"),
            (r#"{"hmac":{"key":"k"}}"#, "error"),
            (
                r#"{"hmac":{"key":"k","message_base64":"YQ=="},"key":"k"}"#,
                "error",
            ),
            (r#"{"op":"ping"}"#, "op"),
            (r#"{"op":"unlock","token":"t","id":null}"#, "op"),
            (
                r#"{"op":"route","key":"k","method":"GET","path":"/","id":1}"#,
                "route",
            ),
            (
                r#"{"key":"k","method":"GET","path":"/","op":"check","json":{"op":1}}"#,
                "check",
            ),
            (r#"{"op":"explain","key":"k","websocket":true}"#, "explain"),
            (r#"{"op":"explain","key":"k","token":"t"}"#, "error"),
            (r#"{"op":"route","op":"stop"}"#, "error"),
            (r#"{"op":"explain","hmac":{}}"#, "error"),
            (r#"{"op":5}"#, "error"),
            (r#"{"op":"ping","op":"stop"}"#, "error"),
            ("", "error"),
            ("[]", "error"),
            ("\u{fffd}", "error"),
        ] {
            assert_eq!(is(line), wanted, "{line}");
        }
        assert!(matches!(
            read(br#"{"id":[1],"op":7}"#),
            Err((Some(Json::List(_)), _))
        ));
        assert!(matches!(
            read(br#"{"op":"ping","op":"stop","id":3}"#),
            Err((Some(Json::Number(_)), _))
        ));
    }

    #[test]
    fn a_field_of_hmac_that_there_is_not_is_named_whatever_it_holds() {
        for value in ["1", "\"x\""] {
            let line = format!(r#"{{"hmac":{{"key":"k","mesage":{value}}}}}"#);
            let Err((_, error)) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(error.message(), "`hmac` has no field \"mesage\"");
        }
    }
}
