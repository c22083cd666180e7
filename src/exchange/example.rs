//! An example of each kind of request that a file describes, with the message that is signed: for a person to compare
//! with the exchange's documentation.

use std::time::Duration;

use super::{
    glob,
    plan::{METHODS, Plan},
    prepare::Stamps,
    scheme::Scheme,
    sockets::Sockets,
};
use crate::{
    error::Result,
    json::Json,
    request::{Credentials, Request},
    secret::Secret,
};

/// A request and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The request as a line, without a key.
    pub request: String,
    /// The exact bytes that are signed.
    pub message: Vec<u8>,
}

impl Scheme {
    /// An example for each of [`Scheme::coverage`], in the same order; none where nothing could be made up. The file's
    /// own tests come first.
    pub fn examples(&self) -> Vec<Option<Example>> {
        let rest = self
            .rest_plans()
            .map(|plan| self.example(plan, self.requests(plan)));
        let sockets = self.websocket().into_iter().flat_map(Sockets::plans);
        rest.chain(sockets.map(|plan| self.example(plan, logins(plan))))
            .collect()
    }

    fn example(&self, plan: &Plan, made_up: Vec<String>) -> Option<Example> {
        let own = self
            .tests()
            .iter()
            .find_map(|test| self.composed(plan, test.request(), &test.credentials().ok()?));
        own.or_else(|| {
            let credentials = self.stand_ins().ok()?;
            made_up
                .iter()
                .find_map(|line| self.composed(plan, line, &credentials))
        })
    }

    /// The example, if the request is one of this plan's.
    fn composed(&self, plan: &Plan, line: &str, credentials: &Credentials) -> Option<Example> {
        let request = Request::parse_line(line).ok()?;
        let prepared = self.prepare(&request, self.kind(None).ok()?, None).ok()?;
        if !std::ptr::eq(prepared.plan, plan) {
            return None;
        }
        let stamps = Stamps {
            now: Duration::from_secs(1_700_000_000),
            nonce: Some(1_700_000_000_000),
        };
        let part = prepared.compose(credentials, &stamps).ok()?.next().ok()??;
        Some(Example {
            request: line.to_owned(),
            message: part.message,
        })
    }

    /// Values for all that a key of the exchange may have.
    fn stand_ins(&self) -> Result<Credentials> {
        let names = self.credentials().iter().chain(self.optional());
        let extra = names.filter(|name| !name.ends_with("secret"));
        Ok(Credentials {
            api_key: Some("API-KEY".into()),
            passphrase: Some(Secret::take(&mut b"PASSPHRASE".to_vec())?),
            extra: extra.map(|name| (name.clone(), name.to_uppercase())).collect(),
            ..Credentials::default()
        })
    }

    /// Requests that may be of this plan.
    fn requests(&self, plan: &Plan) -> Vec<String> {
        let form = self.forms.iter().find(|form| std::ptr::eq(&form.plan, plan));
        let patterns = form.map_or(&plan.paths, |form| &form.paths);
        let of_patterns = patterns.iter().map(|path| path.replace('*', "example"));
        let of_endpoints = self.endpoints.iter().filter_map(|(endpoint, _)| {
            let (_, path) = endpoint.split_once(' ')?;
            Some(path.to_owned())
        });
        let mut lines = Vec::new();
        for path in of_patterns.chain(of_endpoints).chain(["/example".to_owned()]) {
            if !plan.paths.is_empty() && !plan.paths.iter().any(|own| glob::fits(own, &path)) {
                continue;
            }
            let path = quoted(&path);
            for method in ["POST", "GET"].into_iter().chain(METHODS) {
                let bare = format!(r#"{{"method":"{method}","path":{path}"#);
                lines.push(format!(r#"{bare},"params":{{"symbol":"BTC"}}}}"#));
                lines.push(format!(r#"{bare},"query":{{"symbol":"BTC"}}}}"#));
                lines.push(format!("{bare}}}"));
            }
        }
        lines
    }
}

/// Logins that may be of this plan.
fn logins(plan: &Plan) -> Vec<String> {
    let mut lines = vec![
        r#"{"websocket":true}"#.to_owned(),
        r#"{"websocket":true,"challenge":"226aee50-88fc-4618-a42a-34f7709570b2"}"#.to_owned(),
    ];
    for path in &plan.paths {
        let path = quoted(&path.replace('*', "example"));
        lines.push(format!(r#"{{"websocket":true,"path":{path}}}"#));
    }
    lines.push(r#"{"websocket":true,"json":{"channel":"example","event":"subscribe"}}"#.to_owned());
    lines
}

fn quoted(text: &str) -> String {
    Json::String(text.to_owned()).to_compact()
}

#[cfg(test)]
mod tests {
    use crate::exchange::{Scheme, builtin, builtin_ids};

    #[test]
    fn every_kind_of_request_of_a_shipped_file_has_an_example() {
        for id in builtin_ids() {
            let scheme = Scheme::parse(builtin(id).unwrap(), id).unwrap();
            for (coverage, example) in scheme.coverage().iter().zip(scheme.examples()) {
                assert!(example.is_some(), "{id}: {}", coverage.requests);
            }
        }
    }
}
