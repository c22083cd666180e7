//! Reading an answer line: what [`SignedRequest::to_line`] and [`super::error_line`] write.

use base64ct::Encoding as _;

use super::SignedRequest;
use crate::{
    error::{Code, Error, Result, failed},
    json::Json,
};

impl SignedRequest {
    /// Reads an answer line.
    ///
    /// # Errors
    /// The error that the line tells of; or when it is no answer.
    pub fn parse_line(line: &str) -> Result<Self> {
        let mut answer = Answer::parse(line)?;
        let mut signed = Self {
            method: answer.text("method")?.ok_or_else(strange)?,
            url: answer.text("url")?,
            headers: Vec::new(),
            body: answer.text("body")?.map(String::into_bytes),
        };
        if let Some(body) = answer.text("body_base64")? {
            signed.body = Some(base64ct::Base64::decode_vec(&body).map_err(|_| strange())?);
        }
        if let Some(Json::Object(headers)) = answer.take("headers") {
            for (name, value) in headers {
                let Json::String(value) = value else {
                    return Err(strange());
                };
                signed.headers.push((name, value));
            }
        }
        Ok(signed)
    }
}

/// An answer line that says that it was done.
#[derive(Debug)]
pub struct Answer(Vec<(String, Json)>);

impl Answer {
    /// Reads an answer line.
    ///
    /// # Errors
    /// The error that the line tells of; or when it is no answer.
    pub fn parse(line: &str) -> Result<Self> {
        let Json::Object(members) = Json::parse(line).map_err(|_| strange())? else {
            return Err(strange());
        };
        let mut answer = Self(members);
        match answer.take("ok") {
            Some(Json::Bool(true)) => Ok(answer),
            Some(Json::Bool(false)) => {
                let Some(Json::Object(error)) = answer.take("error") else {
                    return Err(strange());
                };
                let mut error = Self(error);
                let code = error
                    .text("code")?
                    .and_then(|code| Code::named(&code))
                    .unwrap_or(Code::Failed);
                let mut told = Error::new(code, error.text("message")?.unwrap_or_default());
                if let Some(rule) = error.text("rule")? {
                    told = told.by(rule);
                }
                Err(match error.text("fix")? {
                    Some(fix) => told.fix(fix),
                    None => told,
                })
            }
            _ => Err(strange()),
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let index = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Takes a member out that is a string or null.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(strange()),
        }
    }
}

fn strange() -> Error {
    failed("the agent's answer is not understood")
        .fix("use the hsmsign that the agent is of; restart the agent after an upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::bad_input, request::error_line};

    #[test]
    fn answers_come_back_as_they_were() {
        for body in [None, Some(b"a=1".to_vec()), Some(vec![0xff])] {
            let signed = SignedRequest {
                method: "POST".into(),
                url: Some("https://h/p".into()),
                headers: vec![("B".into(), "1".into()), ("A".into(), "2".into())],
                body,
            };
            let line = signed.to_line(None);
            assert_eq!(SignedRequest::parse_line(&line).unwrap().to_line(None), line);
        }
        let told = bad_input("no").fix("yes").by("a rule");
        let error = SignedRequest::parse_line(&error_line(None, &told)).unwrap_err();
        assert_eq!(
            (error.code(), error.message(), error.remedy(), error.rule()),
            (Code::BadInput, "no", Some("yes"), Some("a rule"))
        );
        for strange in [
            "",
            "{}",
            "[]",
            r#"{"ok":true}"#,
            r#"{"ok":false}"#,
            r#"{"ok":true,"method":1}"#,
        ] {
            assert!(SignedRequest::parse_line(strange).is_err(), "{strange}");
        }
    }
}
