//! What a file says for the sake of caps: endpoints that close or trade without an amount, and those that open a session in
//! which nothing is signed; and which requests only look.

use super::{
    analyse::Seam,
    endpoint,
    file::CapsFile,
    glob::fits,
    plan::{Place, Plan},
    prepare::Prepared,
    scheme::Scheme,
};
use crate::{
    error::{Result, bad_input},
    policy::{Fields, Signs, Subject as _, Told, folded},
};

/// The `[caps]` table of a scheme file; empty where there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caps {
    closes: Vec<Closing>,
    sessions: Vec<String>,
    /// The folded name of the field that says what is asked.
    pub(super) asked_by: Option<String>,
    /// The folded names of the fields that name what is traded, where they are known; none of them where the path does.
    pub(super) traded: Option<Vec<String>>,
    /// The field without which an order is one at the market's price, as the exchange spells it.
    pub(super) market_without: Option<String>,
}

/// An endpoint that closes or trades without an amount, where the path is not signed.
#[derive(Debug, Clone)]
struct Closing {
    path: String,
    /// Folded names; whoever has all of one list has what the endpoint needs. None where it needs nothing.
    needs: Vec<Vec<String>>,
}

impl Caps {
    pub(crate) fn read(file: CapsFile) -> Result<Self> {
        let odd = |path: &&String| !path.starts_with('/') || path.contains('*');
        if let Some(odd) = file.closes.keys().find(odd) {
            return Err(
                bad_input(format!("`closes` has {odd:?}, which is no path")).fix("write it as \"/v1/close\"")
            );
        }
        if let Some(odd) = file.sessions.iter().find(|path| !path.starts_with('/')) {
            return Err(bad_input(format!(
                "`sessions` has {odd:?}, which does not begin with `/`"
            )));
        }
        let closing = |(path, needs): (String, Vec<String>)| Closing {
            path,
            needs: needs
                .iter()
                .map(|names| names.split('+').map(folded).collect())
                .collect(),
        };
        Ok(Self {
            closes: file.closes.into_iter().map(closing).collect(),
            sessions: file.sessions.iter().map(|path| endpoint::plain(path)).collect(),
            asked_by: file.asked_by.as_deref().map(folded),
            traded: file
                .traded
                .map(|names| names.iter().map(|name| folded(name)).collect()),
            market_without: file.market_without,
        })
    }
}

impl Told for Scheme {
    /// A GET whose method is signed and that does not act, or what `send.read-only` or `classes.read` names.
    fn looks(&self, method: &str, path: &str) -> bool {
        let facts = &self.plan_for(method, path).facts;
        let told = facts.signs_method || facts.tells_endpoint;
        self.looks_as(if told { method } else { "POST" }, path)
    }

    fn closings(&self, method: &str, path: &str, has: &dyn Fn(&str) -> bool) -> Vec<&str> {
        // No endpoint takes the signature of a message for a socket, as rules see it.
        if method == "WS" {
            return Vec::new();
        }
        self.closing(self.plan_for(method, path), has).collect()
    }

    fn signs(&self, method: &str, path: &str) -> Signs {
        let socket = self.websocket.as_ref().filter(|_| method == "WS");
        let plan = socket.map_or_else(
            || self.plan_for(method, path),
            |sockets| sockets.choose(path, true),
        );
        let goes_on = |seam: &Seam| !matches!(seam, Seam::Digits | Seam::Other | Seam::Before { .. });
        Signs {
            method: plan.facts.signs_method || socket.is_some(),
            path: plan.facts.signs_path,
            path_goes_on: plan.facts.seams.iter().any(goes_on),
            fields: self.signs_fields_of(plan, method),
        }
    }

    fn alike(&self, method: &str, path: &str) -> Vec<&str> {
        let tells = self.plan_for(method, path).facts.tells_endpoint;
        let alike = self.of_the_same_word(method, path).map(|(_, path)| path);
        alike.filter(|_| tells).collect()
    }
}

impl Scheme {
    /// Whether a request only looks, which is a POST where the method may be another than its own.
    fn looks_as(&self, method: &str, path: &str) -> bool {
        let listed = self.classes.iter().flat_map(|classes| &classes.read).any(|read| {
            let (wanted, pattern) = read.split_once(' ').unwrap_or(("", read));
            (wanted.is_empty() || wanted == method) && fits(pattern, path)
        });
        listed || self.sending().only_reads(method, path)
    }

    fn closing(&self, plan: &Plan, has: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        let fitting = move |closing: &&Closing| {
            let mut needs = closing.needs.iter();
            std::ptr::eq(self.plan_for("POST", &closing.path), plan)
                && (closing.needs.is_empty() || needs.any(|names| names.iter().all(|name| has(name))))
        };
        let closes = if plan.facts.signs_path {
            &[]
        } else {
            self.caps.closes.as_slice()
        };
        closes.iter().filter(fitting).map(|closing| closing.path.as_str())
    }
}

impl Prepared<'_> {
    /// Whether the signature is good for nothing but a look.
    pub(super) fn only_looks(&self) -> bool {
        let facts = &self.plan.facts;
        let method = self.endpoint.method.as_str();
        let named = self.named();
        if named.another_method || !named.paths.is_empty() || !matches!(method, "GET" | "POST") {
            return false;
        }
        if !facts.signs_path {
            return self.is_no_json_body();
        }
        let bound = self.bound();
        let method = if bound.method { method } else { "POST" };
        (method == "GET" || !bound.path_goes_on) && self.scheme.looks_as(method, &self.endpoint.path)
    }

    /// Whether the exchange wants JSON of what acts, and what is signed is a query.
    fn is_no_json_body(&self) -> bool {
        let mut params = self.plan.params.iter();
        self.endpoint.method == "GET"
            && self.body.is_none()
            && params.any(|params| params.places("POST", &self.endpoint.path) == [Place::Json])
            && self
                .query
                .as_bytes()
                .first()
                .is_some_and(u8::is_ascii_alphanumeric)
    }

    /// The endpoint that the signature fits as well, and that closes or trades what no amount says.
    pub(super) fn fits_closing(&self, fields: &Fields<'_>) -> Option<&str> {
        if self.scheme.caps.closes.is_empty() || self.endpoint.websocket || self.is_no_json_body() {
            return None;
        }
        self.scheme.closing(self.plan, |name| fields.has(name)).next()
    }

    /// Whether its answer opens a session in which nothing is signed.
    pub(super) fn opens_session(&self) -> bool {
        self.scheme.caps.sessions.iter().any(|path| self.could_be(path))
    }
}
