//! Writing a request line: what [`Request::parse_line`] reads.

use base64ct::Encoding as _;

use super::{Body, Fields, Nonce, Request};
use crate::json::{Json, quote};

impl Request {
    /// The request as a line, without its line feed.
    pub fn to_line(&self) -> String {
        self.to_op_line(None)
    }

    /// As [`Request::to_line`], with what an agent is to do with it in place of signing.
    pub(crate) fn to_op_line(&self, op: Option<&str>) -> String {
        let mut line = Line(String::from("{"));
        if let Some(op) = op {
            line.text("op", op);
        }
        if let Some(key) = &self.key {
            line.text("key", key.as_str());
        }
        if let Some(id) = &self.id {
            line.raw("id", &id.to_compact());
        }
        for (name, set) in [("websocket", self.websocket), ("testnet", self.testnet)] {
            if set {
                line.raw(name, "true");
            }
        }
        for (name, value) in [
            ("method", &self.method),
            ("path", &self.path),
            ("url", &self.url),
            ("host", &self.host),
            ("timestamp", &self.timestamp),
            ("window", &self.window),
            ("challenge", &self.challenge),
            ("content_type", &self.content_type),
        ] {
            if let Some(value) = value {
                line.text(name, value);
            }
        }
        if let Some(query) = &self.query {
            line.fields("query", query);
        }
        match &self.body {
            None => {}
            Some(Body::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => line.text("body", text),
                Err(_) => line.text("body_base64", &base64ct::Base64::encode_string(bytes)),
            },
            Some(Body::Form(fields)) => line.fields("form", fields),
            Some(Body::Json(text)) => line.raw("json", &in_one_line(text)),
            Some(Body::Parts {
                object: Some(text), ..
            }) => line.raw("body", &in_one_line(text)),
            Some(Body::Parts { pairs, object: None }) => line.pairs("body", pairs),
        }
        if let Some(params) = &self.params {
            line.pairs("params", params);
        }
        if let Some(offset) = self.offset {
            line.raw("offset_ms", &offset.millis().to_string());
        }
        match &self.nonce {
            Nonce::Made => {}
            Nonce::Brought(nonce) => line.text("nonce", nonce),
            Nonce::Without => line.raw("nonce", "null"),
        }
        line.0.push('}');
        line.0
    }
}

struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(name, &mut self.0);
        self.0.push(':');
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(value, &mut self.0);
    }

    fn fields(&mut self, name: &str, fields: &Fields) {
        match fields {
            Fields::Text(text) => self.text(name, text),
            Fields::Pairs(pairs) => self.pairs(name, pairs),
        }
    }

    /// As a list of pairs, which may hold a name twice.
    fn pairs(&mut self, name: &str, pairs: &[(String, Json)]) {
        let pairs = pairs
            .iter()
            .map(|(name, value)| Json::List(vec![Json::String(name.clone()), value.clone()]));
        self.raw(name, &Json::List(pairs.collect()).to_compact());
    }
}

/// JSON whose white space between values may hold line feeds, which would end the line; in strings there are none.
fn in_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for line in [
            r#"{"key":"kraken","id":[1,"x"],"websocket":true,"method":"POST","path":"/p","host":"h","query":[["a",1.0],["a","2"]],"json":{"a": 0.10},"nonce":null}"#,
            r#"{"key":"k","testnet":true,"url":"https://h/p?q","timestamp":"1","window":"5000","challenge":"c","content_type":"t","query":"a=b&","body":"x\n\"y\"","offset_ms":1500,"nonce":"5"}"#,
            r#"{"key":"k","body_base64":"/w=="}"#,
            r#"{"key":"k","form":"a=1","params":[["p","q"]]}"#,
            r#"{"key":"k","form":[["a",[1,2]]]}"#,
            r#"{"key":"k","body":{"a": 0.10, "b":"\u00e9"}}"#,
            r#"{"key":"k","body":[["a",1.0],["a","2"]]}"#,
            "{}",
        ] {
            let request = Request::parse_line(line).unwrap();
            let written = request.to_line();
            let again = Request::parse_line(&written).unwrap();
            assert_eq!(format!("{request:?}"), format!("{again:?}"), "{written}");
        }
        let request = Request {
            body: Some(Body::Json("{\n  \"a\": 1\r\n}".into())),
            ..Request::default()
        };
        assert_eq!(request.to_line(), "{\"json\":{   \"a\": 1  }}");
    }
}
