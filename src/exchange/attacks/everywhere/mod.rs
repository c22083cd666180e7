//! The same attacks on every exchange that is shipped, made from its own file.

mod fields;
mod paths;
mod rules;
mod seams;
mod sockets;

use std::time::Duration;

use crate::{
    error::Result,
    exchange::{
        Scheme, Stamps, builtin, builtin_ids,
        plan::METHODS,
        stamps::{Series, Shape},
    },
    json::Json,
    request::{Body, Credentials, Fields, Nonce, Request},
    secret::Secret,
};

const UUID: &str = "5685d624-04fc-4555-8daf-106db8dee081";
/// Parameters that could be those of anything.
const PAIRS: [(&str, &str); 2] = [("amount", "1"), ("b", "2")];

/// A shipped exchange, and what a key of it has.
struct Exchange {
    scheme: Scheme,
    credentials: Credentials,
}

/// What hsmsign says of a request.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It cannot be signed at all.
    Refused,
    /// A rule says that it moves money out.
    Withdrawal,
    /// It would be signed; this is the message.
    Signed(Vec<u8>),
}

fn exchanges() -> impl Iterator<Item = Exchange> {
    builtin_ids().iter().map(|id| {
        let scheme = Scheme::parse(builtin(id).unwrap(), id).unwrap();
        let extra = scheme.credentials().iter();
        let credentials = Credentials {
            api_key: Some("KEY".into()),
            passphrase: Some(Secret::take(&mut b"words".to_vec()).unwrap()),
            extra: extra.map(|name| (name.clone(), "7".to_owned())).collect(),
            ..Credentials::default()
        };
        Exchange { scheme, credentials }
    })
}

impl Exchange {
    fn id(&self) -> &str {
        self.scheme.id()
    }

    /// Whether a path of the exchange is not signed.
    fn is_loose(&self, path: &str) -> bool {
        !self.scheme.plan_for("POST", path).facts.signs_path
    }

    /// Whether requests of this method and path are no withdrawals, since the message of one has more in it.
    fn spares(&self, method: &str, path: &str) -> bool {
        let rules = self.scheme.withdrawal.as_ref().unwrap();
        rules.spare(self.scheme.plan_for(method, path))
    }

    fn judge(&self, request: &Request) -> Verdict {
        match self.message(request) {
            Err(_) => Verdict::Refused,
            Ok((true, _)) => Verdict::Withdrawal,
            Ok((false, message)) => Verdict::Signed(message),
        }
    }

    /// Whether the request moves money out, and its first message, the same at each call.
    fn message(&self, request: &Request) -> Result<(bool, Vec<u8>)> {
        let method = request.method.as_deref().unwrap_or_default();
        let plan = self
            .scheme
            .plan_for(method, request.path.as_deref().unwrap_or_default());
        let fixed;
        let mut request = request;
        if let (Some(Series::Random { shape, .. }), Nonce::Made, false) =
            (plan.nonce, &request.nonce, request.websocket)
        {
            let nonce = match shape {
                Shape::Uuid => UUID.to_owned(),
                Shape::Hex => UUID.replace('-', ""),
            };
            fixed = Request {
                nonce: Nonce::Brought(nonce),
                ..request.clone()
            };
            request = &fixed;
        }
        let prepared = self.scheme.prepare(request, self.scheme.kind(None)?, None)?;
        let moves_money = prepared.moves_money().is_some();
        let stamps = Stamps {
            now: Duration::from_millis(1_700_000_000_123),
            nonce: Some(1_700_000_000_123_456),
        };
        let mut composed = prepared.compose(&self.credentials, &stamps)?;
        let part = composed.next()?.unwrap();
        Ok((moves_money, part.message))
    }

    #[track_caller]
    fn never_signs(&self, request: &Request) {
        let verdict = self.judge(request);
        assert!(
            !matches!(verdict, Verdict::Signed(_)),
            "{}: {request:?}",
            self.id()
        );
    }

    /// The withdrawals that the file names by their paths, as method and path.
    fn withdrawals(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        for rule in &self.scheme.withdrawal.as_ref().unwrap().paths {
            let pattern = rule.shown.rsplit(' ').next().unwrap();
            for path in fitting(pattern) {
                match rule.method {
                    Some(method) => all.push((method, path)),
                    None => all.extend(METHODS.map(|method| (method, path.clone()))),
                }
            }
        }
        all
    }

    /// A path that moves no money, for each of the exchange's plans.
    fn innocent(&self) -> Vec<String> {
        let forms = self.scheme.forms.iter().flat_map(|form| &form.paths);
        let listed = self.scheme.endpoints.iter().map(|(endpoint, _)| endpoint);
        let listed = listed.filter(|endpoint| endpoint.contains("order"));
        let usual = self.scheme.plan_for("GET", "/").paths.iter();
        let mut usual = usual.chain(listed).filter_map(|path| path.rsplit(' ').next());
        let usual = usual.next().unwrap_or("/api/orders");
        forms
            .map(String::as_str)
            .chain([usual])
            .map(|pattern| pattern.replace('*', "orders"))
            .collect()
    }
}

/// Paths that fit a pattern.
fn fitting(pattern: &str) -> Vec<String> {
    let whole = if pattern.starts_with('*') {
        format!("/api{pattern}")
    } else {
        pattern.to_owned()
    };
    let mut paths = vec![whole.replace('*', "abc"), whole.replace('*', "a/bc")];
    if let Some(front) = whole.strip_suffix('*').filter(|front| !front.ends_with('/')) {
        paths.push(front.replace('*', "abc"));
    }
    paths
}

fn request(method: &str, path: &str) -> Request {
    Request {
        method: Some(method.to_owned()),
        path: Some(path.to_owned()),
        ..Request::default()
    }
}

/// A request with its fields in every place where a caller may put them; the first has none.
fn forms(method: &str, path: &str, pairs: &[(&str, &str)]) -> [Request; 5] {
    let list: Vec<(String, Json)> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Json::String((*value).to_owned())))
        .collect();
    let text = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    let text = text.collect::<Vec<_>>().join("&");
    let bare = request(method, path);
    [
        bare.clone(),
        with_query(&bare, &text),
        with_body(&bare, &text),
        with_body(&bare, &Json::Object(list.clone()).to_compact()),
        Request {
            params: Some(list),
            ..bare
        },
    ]
}

fn with_query(request: &Request, query: &str) -> Request {
    Request {
        query: Some(Fields::Text(query.to_owned())),
        ..request.clone()
    }
}

fn with_body(request: &Request, body: &str) -> Request {
    Request {
        body: Some(Body::Bytes(body.as_bytes().to_vec())),
        ..request.clone()
    }
}
