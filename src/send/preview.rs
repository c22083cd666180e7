//! A request as it would be sent, for a person or a log to see: a passphrase in it is masked.

use super::wire::USER_AGENT;
use crate::{exchange::Reveals, request::SignedRequest};

const MASK: &str = "***";

/// A signed request in which nothing secret is left.
#[derive(Debug)]
pub struct Preview {
    masked: SignedRequest,
}

impl Preview {
    pub(super) fn new(mut signed: SignedRequest, reveals: &Reveals) -> Self {
        for (name, value) in &mut signed.headers {
            if reveals
                .headers
                .iter()
                .any(|header| header.eq_ignore_ascii_case(name))
            {
                MASK.clone_into(value);
            }
        }
        if reveals.query
            && let Some(url) = &mut signed.url
            && let Some(at) = url.find('?')
        {
            url.truncate(at + 1);
            url.push_str(MASK);
        }
        if reveals.body && signed.body.is_some() {
            signed.body = Some(MASK.into());
        }
        Self { masked: signed }
    }

    /// As an answer line of `sign`.
    pub fn to_line(&self) -> String {
        self.masked.to_line(None)
    }

    /// As text: method and URL, headers, an empty line, the body.
    pub fn to_text(&self) -> Vec<u8> {
        let request = &self.masked;
        let mut text = format!(
            "{} {}\n",
            request.method,
            request.url.as_deref().unwrap_or_default()
        );
        for (name, value) in &request.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push_str(&format!("User-Agent: {USER_AGENT}\n"));
        let mut text = text.into_bytes();
        if let Some(body) = &request.body {
            text.push(b'\n');
            text.extend_from_slice(body);
            text.push(b'\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reveals_a_passphrase_is_masked() {
        let signed = || SignedRequest {
            method: "POST".into(),
            url: Some("https://h/p?passphrase=words".into()),
            headers: vec![("Key".into(), "k".into()), ("Pass".into(), "words".into())],
            body: Some(b"words".to_vec()),
        };
        let reveals = Reveals {
            headers: vec!["PASS".into()],
            query: true,
            body: true,
        };
        let preview = Preview::new(signed(), &reveals);
        assert_eq!(
            String::from_utf8(preview.to_text()).unwrap(),
            format!("POST https://h/p?***\nKey: k\nPass: ***\nUser-Agent: {USER_AGENT}\n\n***\n")
        );
        assert!(!preview.to_line().contains("words"));
        let open = Preview::new(signed(), &Reveals::default());
        assert_eq!(open.to_line(), signed().to_line(None));
    }
}
