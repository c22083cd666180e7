//! A signed request as the HTTP client takes it, looked at so that what goes on the wire is what was signed.

use ureq::http::{HeaderName, HeaderValue, Uri};

use crate::{
    error::{Code, Error, Result, bad_input, failed},
    request::SignedRequest,
};

/// A request ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub method: String,
    pub uri: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<Vec<u8>>,
}

impl Outgoing {
    /// # Errors
    /// When it was signed for another place than it is to go to, as for a key whose base-url has just been changed; or the
    /// client could not send the target exactly as it was signed.
    pub(super) fn of(signed: &SignedRequest, origin: &str) -> Result<Self> {
        let url = signed.url.as_deref().unwrap_or_default();
        if !url
            .strip_prefix(origin)
            .is_some_and(|target| target.starts_with('/'))
        {
            return Err(failed(format!(
                "it was signed for another host than {origin}: the key has changed"
            ))
            .fix("send it again"));
        }
        let mut headers = Vec::with_capacity(signed.headers.len());
        for (name, value) in &signed.headers {
            let told = |_| failed(format!("the header {name} cannot be sent"));
            let mut value = HeaderValue::from_str(value).map_err(|error| told(error.to_string()))?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| told(error.to_string()))?;
            headers.push((name, value));
        }
        Ok(Self {
            method: signed.method.clone(),
            uri: exact(url)?,
            headers,
            body: signed.body.clone(),
        })
    }

    /// A GET without a signature.
    ///
    /// # Errors
    /// As [`Outgoing::of`].
    pub(super) fn get(url: &str) -> Result<Self> {
        Ok(Self {
            method: "GET".into(),
            uri: exact(url)?,
            headers: Vec::new(),
            body: None,
        })
    }
}

/// The longest target that the client sends, in bytes.
const LONGEST: usize = 65_000;

fn exact(url: &str) -> Result<Uri> {
    let target = url
        .find("://")
        .and_then(|at| url[at + 3..].find('/').map(|path| &url[at + 3 + path..]))
        .unwrap_or_default();
    if url.len() > LONGEST {
        return Err(Error::new(
            Code::TooLarge,
            format!("path and query are longer than the {LONGEST} bytes that can be sent"),
        )
        .fix("give fewer parameters, or those of a POST in its body"));
    }
    let uri = url.parse::<Uri>().ok();
    let same = |uri: &Uri| uri.path_and_query().is_some_and(|have| have.as_str() == target);
    uri.filter(same).ok_or_else(|| {
        let odd = target.chars().find(|char| "\"<>".contains(*char));
        let what = odd.map_or_else(|| "a character".to_owned(), |odd| format!("{odd:?}"));
        bad_input(format!(
            "path and query have {what} in them, which cannot be sent as it stands"
        ))
        .fix("percent-encode it, or give the query as --query NAME=VALUE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_sent_as_it_stands_or_not_at_all() {
        let sent = |query: &str| exact(&format!("https://h.com:8443/a%2Fb/~c?{query}"));
        for char in (0x21..0x7f_u8).map(char::from).filter(|char| *char != '#') {
            let query = format!("a={char}&b=%20+%e9");
            match sent(&query) {
                Ok(uri) => assert_eq!(uri.to_string(), format!("https://h.com:8443/a%2Fb/~c?{query}")),
                Err(error) => {
                    assert!("\"<>".contains(char), "{char}");
                    assert!(error.message().contains(&format!("{char:?}")), "{error}");
                }
            }
        }
        assert!(sent("a#b").is_err());
        assert_eq!(sent(&"x".repeat(70_000)).unwrap_err().code(), Code::TooLarge);
        assert!(sent(&"x".repeat(64_000)).is_ok());
    }
}
