//! Reading a request line: one JSON object, every field known, none twice.

use base64ct::Encoding as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Body, Fields, Nonce, Request};
use crate::{
    clock::Offset,
    error::{Error, Result, bad_input},
    json::{Json, Members, Piece},
};

const KNOWN: &str = "key, id, websocket, method, path, url, host, testnet, query, body, body_base64, form, json, \
                     params, timestamp, nonce, window, offset_ms, challenge, content_type";

impl Request {
    /// Reads a request line.
    ///
    /// # Errors
    /// When it is not one JSON object of the known fields; the line's `id` comes along where it could be read, so that
    /// the answer can carry it.
    pub fn parse_line(line: &str) -> Result<Self, (Option<Json>, Error)> {
        let members = Piece::of(line)
            .and_then(Piece::members)
            .map_err(|error| (id_in(line), error.within("the request line")))?;
        Self::of_members(members)
    }

    /// As [`Request::parse_line`], from the members of the line's object.
    pub(crate) fn of_members(members: Members<'_>) -> Result<Self, (Option<Json>, Error)> {
        let id = match members.iter().find(|(name, _)| name == "id") {
            Some((_, raw)) => Some(raw.value().map_err(|error| (None, error.within("`id`")))?),
            None => None,
        };
        let mut request = Self {
            id,
            ..Self::default()
        };
        for (name, raw) in members {
            if name == "id" {
                continue;
            }
            if let Err(error) = request.take(&name, raw) {
                return Err((request.id, error));
            }
        }
        Ok(request)
    }

    fn take(&mut self, name: &str, raw: Piece<'_>) -> Result<()> {
        if raw.get() == "null" {
            if name == "nonce" {
                self.nonce = Nonce::Without;
                return Ok(());
            }
            return match KNOWN.split(", ").any(|known| known == name) {
                true => Ok(()),
                false => Err(unknown(name)),
            };
        }
        match name {
            "key" => self.key = Some(text(name, raw)?.parse()?),
            "websocket" => self.websocket = flag(name, raw)?,
            "testnet" => self.testnet = flag(name, raw)?,
            "method" => self.method = Some(text(name, raw)?),
            "path" => self.path = Some(text(name, raw)?),
            "url" => self.url = Some(text(name, raw)?),
            "host" => self.host = Some(text(name, raw)?),
            "challenge" => self.challenge = Some(text(name, raw)?),
            "content_type" => self.content_type = Some(text(name, raw)?),
            "timestamp" => self.timestamp = Some(stamp(name, raw)?),
            "window" => self.window = Some(stamp(name, raw)?),
            "offset_ms" => self.offset = Some(Offset::parse(&stamp(name, raw)?)?),
            "nonce" => self.nonce = Nonce::Brought(stamp(name, raw)?),
            "query" => self.query = Some(fields(name, raw)?),
            "params" => match fields(name, raw)? {
                Fields::Pairs(pairs) => self.params = Some(pairs),
                Fields::Text(_) => {
                    return Err(bad_input("`params` must be an object or a list of pairs")
                        .fix("give finished text as `query` or `body`"));
                }
            },
            "body" => {
                let body = match fields(name, raw)? {
                    Fields::Text(text) => Body::Bytes(text.into_bytes()),
                    Fields::Pairs(pairs) => Body::Parts {
                        pairs,
                        object: raw.get().starts_with('{').then(|| raw.get().to_owned()),
                    },
                };
                self.set_body(body)?;
            }
            "body_base64" => {
                let body = base64ct::Base64::decode_vec(&text(name, raw)?)
                    .map_err(|_| bad_input("`body_base64` is not base64"))?;
                self.set_body(Body::Bytes(body))?;
            }
            "form" => self.set_body(Body::Form(fields(name, raw)?))?,
            "json" => self.set_body(Body::Json(raw.get().to_owned()))?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn set_body(&mut self, body: Body) -> Result<()> {
        if self.body.is_some() {
            return Err(bad_input("the request has more than one body")
                .fix("give one of `body`, `body_base64`, `form` and `json`"));
        }
        self.body = Some(body);
        Ok(())
    }
}

/// The `id` of a line that is wrong elsewhere, as where another field stands twice.
pub(crate) fn id_in(line: &str) -> Option<Json> {
    #[derive(Deserialize)]
    struct Called<'l> {
        #[serde(borrow)]
        id: &'l RawValue,
    }
    let line = line.trim_ascii();
    let called: Called<'_> = serde_json::from_str(line)
        .ok()
        .filter(|_| line.starts_with('{'))?;
    Json::parse(called.id.get()).ok()
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(60).collect();
    bad_input(format!("a request has no field {shown:?}")).fix(format!("the fields are {KNOWN}"))
}

fn flag(name: &str, raw: Piece<'_>) -> Result<bool> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad_input(format!("`{name}` must be true or false"))),
    }
}

fn text(name: &str, raw: Piece<'_>) -> Result<String> {
    match raw.value()? {
        Json::String(text) => Ok(text),
        other => Err(bad_input(format!(
            "`{name}` must be a string, and is {}",
            other.kind()
        ))),
    }
}

/// A string, or a number as it was spelt.
fn stamp(name: &str, raw: Piece<'_>) -> Result<String> {
    match raw.value()? {
        Json::String(text) | Json::Number(text) => Ok(text),
        other => Err(bad_input(format!(
            "`{name}` must be a string, and is {}",
            other.kind()
        ))),
    }
}

fn fields(name: &str, raw: Piece<'_>) -> Result<Fields> {
    match raw.value()? {
        Json::String(text) => Ok(Fields::Text(text)),
        Json::Object(members) => Ok(Fields::Pairs(members)),
        Json::List(items) => items
            .into_iter()
            .map(|item| match item {
                Json::List(pair) => match <[Json; 2]>::try_from(pair) {
                    Ok([Json::String(name), value]) => Ok((name, value)),
                    _ => Err(pairs(name)),
                },
                _ => Err(pairs(name)),
            })
            .collect::<Result<_>>()
            .map(Fields::Pairs),
        other => Err(bad_input(format!(
            "`{name}` must be text, an object or a list of pairs, and is {}",
            other.kind()
        ))),
    }
}

fn pairs(name: &str) -> Error {
    bad_input(format!(
        "`{name}` as a list must hold pairs of a name and a value"
    ))
    .fix(match name {
        "body" => "write it as [[\"symbol\", \"BTCUSD\"], [\"limit\", 5]]; a list of another kind is given as `json`",
        _ => "write it as [[\"symbol\", \"BTCUSD\"], [\"limit\", 5]]",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        Request::parse_line(line).unwrap_err().1.message().to_owned()
    }

    #[test]
    fn every_field_of_the_contract_is_read() {
        let request = Request::parse_line(
            r#"{"key":"kraken","id":[1,"x"],"websocket":false,"method":"POST","path":"/p","host":"h","testnet":true,"query":[["a",1.0]],
               "json":{"a": 0.10},"params":{"p":"q"},"timestamp":"1","nonce":null,"window":5000,"offset_ms":-120,"challenge":"c","content_type":"t"}"#,
        )
        .unwrap();
        assert_eq!(request.key.unwrap().as_str(), "kraken");
        assert!(request.testnet && !request.websocket);
        assert_eq!(request.id.unwrap().to_compact(), r#"[1,"x"]"#);
        assert!(matches!(request.body, Some(Body::Json(text)) if text == r#"{"a": 0.10}"#));
        assert!(
            matches!(request.query, Some(Fields::Pairs(pairs)) if pairs[0].1 == Json::Number("1.0".into()))
        );
        assert_eq!(
            (request.nonce, request.window.as_deref()),
            (Nonce::Without, Some("5000"))
        );
        assert_eq!(request.offset, Some(Offset::from_millis(-120)));
    }

    #[test]
    fn unknown_and_doubled_fields_are_refused_with_the_id_kept() {
        let (id, error) = Request::parse_line(r#"{"id":7,"key":"k","passphrase":"x"}"#).unwrap_err();
        assert_eq!(id, Some(Json::Number("7".into())));
        assert!(error.message().contains("passphrase"));
        let (id, error) = Request::parse_line(r#"{"id":[7.0],"key":"a","key":"b"}"#).unwrap_err();
        assert_eq!(id, Some(Json::List(vec![Json::Number("7.0".into())])));
        assert!(error.message().contains("twice"));
        for unknown in [r#"{"id":1,"id":2,"key":"a"}"#, r#"{"id":1,"key""#, "[1]"] {
            assert_eq!(Request::parse_line(unknown).unwrap_err().0, None, "{unknown}");
        }
        assert!(refused(r#"{"key":"a","body":"x","form":"y"}"#).contains("more than one body"));
        assert!(refused(r#"{"signature":null}"#).contains("signature"));
    }

    #[test]
    fn a_line_that_is_no_object_is_refused() {
        for line in ["", "[]", "1", "{", "{} {}"] {
            assert!(Request::parse_line(line).is_err(), "{line:?}");
        }
    }
}
