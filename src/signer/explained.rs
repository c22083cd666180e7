use base64ct::Encoding as _;

use crate::{
    error::{Result, failed},
    exchange::Part,
    json::{Json, quote},
    request::{Answer, SignedRequest},
};

/// What was put before the token, for a person to compare with the exchange's documentation.
#[derive(Debug)]
pub struct Explained {
    /// The answer.
    pub signed: SignedRequest,
    /// Each message that was signed, in order.
    pub messages: Vec<Message>,
}

/// A message that was put before the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name of the secret that it was MACed or signed with.
    pub with: String,
    /// Its bytes; none where they hold a passphrase.
    pub bytes: Option<Vec<u8>>,
}

impl Message {
    /// That of a part.
    pub fn of(part: &Part) -> Self {
        Self {
            with: part.slot.clone(),
            bytes: (!part.sensitive).then(|| part.message.clone()),
        }
    }
}

impl Explained {
    /// As an answer line without its line feed: that of the signed request, with `messages` behind, a list of objects with
    /// `with` and `message_base64`, which is null where the message holds a passphrase.
    pub fn to_line(&self, id: Option<&Json>) -> String {
        let mut line = self.signed.to_line(id);
        line.pop();
        line.push_str(",\"messages\":[");
        for (index, message) in self.messages.iter().enumerate() {
            line.push_str(if index > 0 { ",{\"with\":" } else { "{\"with\":" });
            quote(&message.with, &mut line);
            line.push_str(",\"message_base64\":");
            match &message.bytes {
                Some(bytes) => quote(&base64ct::Base64::encode_string(bytes), &mut line),
                None => line.push_str("null"),
            }
            line.push('}');
        }
        line.push_str("]}");
        line
    }

    /// From that line.
    ///
    /// # Errors
    /// The error that the line tells of; or when it is no such line.
    pub fn parse_line(line: &str) -> Result<Self> {
        let strange = || failed("the agent's answer is not understood");
        let Some(Json::List(messages)) = Answer::parse(line)?.take("messages") else {
            return Err(strange());
        };
        let message = |message: Json| {
            let (Some(Json::String(with)), Some(bytes)) =
                (message.get("with"), message.get("message_base64"))
            else {
                return Err(strange());
            };
            let bytes = match bytes {
                Json::Null => None,
                Json::String(text) => Some(base64ct::Base64::decode_vec(text).map_err(|_| strange())?),
                _ => return Err(strange()),
            };
            Ok(Message {
                with: with.clone(),
                bytes,
            })
        };
        Ok(Self {
            signed: SignedRequest::parse_line(line)?,
            messages: messages.into_iter().map(message).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_comes_back_as_it_was() {
        let message = |with: &str, bytes: Option<&[u8]>| Message {
            with: with.into(),
            bytes: bytes.map(<[u8]>::to_vec),
        };
        let explained = Explained {
            signed: SignedRequest {
                method: "GET".into(),
                url: Some("https://h/p".into()),
                headers: Vec::new(),
                body: None,
            },
            messages: vec![
                message("secret", Some(&[0, 255, b'"'])),
                message("passphrase", None),
                message("secret", Some(b"")),
            ],
        };
        let line = explained.to_line(Some(&Json::Number("7".into())));
        let back = Explained::parse_line(&line).unwrap();
        assert_eq!(back.messages, explained.messages);
        assert_eq!(back.to_line(Some(&Json::Number("7".into()))), line);
        assert!(Explained::parse_line(&explained.signed.to_line(None)).is_err());
    }
}
