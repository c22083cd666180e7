//! Whether a request moves money out: the file's rules, looked at with everything in mind that a signature could also
//! be used for.

mod raw;
mod rules;

pub(crate) use self::rules::{PathRule, Rules};
use self::rules::{named, shown_in};
use super::{
    analyse::{Seam, is_path_char},
    endpoint::{self, Endpoint, collect},
    glob::{begins, fits, fits_beginning, parts},
    plan::Plan,
    prepare::Prepared,
    scheme::Scheme,
};

impl Scheme {
    /// Whether a signature that covers nothing may be a withdrawal's.
    fn a_login_fits(&self) -> bool {
        let spare = |plan: &Plan| self.withdrawal.as_ref().is_some_and(|rules| rules.spare(plan));
        self.rest_plans()
            .any(|plan| !plan.facts.sign_something() && !spare(plan))
    }
}

impl Prepared<'_> {
    /// The words of the rule that says that this moves money out, if one does.
    pub fn moves_money(&self) -> Option<String> {
        let facts = &self.plan.facts;
        let signs_something = facts.sign_something();
        if self.endpoint.websocket && !signs_something {
            return self.scheme.a_login_fits().then(|| {
                "no request's signature covers anything of it, so that of the login fits a withdrawal as well".into()
            });
        }
        let Some(rules) = &self.scheme.withdrawal else {
            return Some(
                "the exchange's file has no withdrawal rules, so any request may move money out".into(),
            );
        };
        if rules.spare(self.plan) {
            // The message is no withdrawal's; the path still gives an honest mistake its answer.
            return self.path_rule(rules);
        }
        if !signs_something {
            return Some(
                "nothing of the request is signed, so the signature fits a withdrawal as well".into(),
            );
        }
        if !facts.signs_path && !rules.knows_fields() {
            return Some("the path is not signed, and the exchange's file has no `withdrawal.fields`".into());
        }
        self.path_rule(rules).or_else(|| self.field_rule(rules))
    }

    fn path_rule(&self, rules: &Rules) -> Option<String> {
        let facts = &self.plan.facts;
        let (query, body) = (self.query.as_str(), self.parameters());
        // Where the path is not signed, no method protects either: there the rule is for honest mistakes. An endpoint's
        // word says method and path, and holds for every endpoint that has the same.
        let told =
            (facts.signs_method || facts.tells_endpoint || !facts.signs_path) && !self.endpoint.websocket;
        let hit = rules.paths.iter().find(|rule| {
            let other = rule.method.is_some_and(|method| method != self.endpoint.method);
            facts.tells_endpoint && self.is_told_like(rule)
                || !(told && other) && could_be(self, &rule.pattern)
        });
        if let Some(rule) = hit {
            return Some(rule.says());
        }
        // Elsewhere the exchange reads a path where this request has fields.
        if !facts.signs_path && rules.strict && (query.contains('/') || body.contains('/')) {
            return shown_in(rules, &format!("{query}{body}").to_lowercase()).map(PathRule::says);
        }
        None
    }

    /// Whether an endpoint that the rule means has the word of this request's.
    fn is_told_like(&self, rule: &PathRule) -> bool {
        let (method, path) = (&self.endpoint.method, &self.endpoint.path);
        self.scheme.of_the_same_word(method, path).any(|(method, path)| {
            rule.method.is_none_or(|wanted| wanted == method) && fits(&rule.pattern, &endpoint::plain(path))
        })
    }

    fn field_rule(&self, rules: &Rules) -> Option<String> {
        if !rules.knows_fields() {
            return None;
        }
        let fields = self.fields();
        if !rules.loose {
            return named(rules, fields.iter());
        }
        let mut more = Vec::new();
        // Query and body may stand side by side in the message: what is cut in two there is one name elsewhere.
        let (query, body) = (self.query.as_str(), self.parameters());
        let both = [[query, body].concat(), [body, query].concat()];
        let is_json = self.body.as_ref().is_some_and(|body| body.json);
        let ways = match query.is_empty() || body.is_empty() {
            false => 2,
            // There is one way to read it, and a query or form was read in that way.
            true => usize::from(is_json),
        };
        both[..ways].iter().for_each(|text| collect(text, &mut more));
        // A message may hold names and values that are not encoded: what reads as fields there is looked at as fields.
        let open = |name: &str, value: &str| {
            name.bytes().any(|byte| matches!(byte, b'&' | b';' | b'='))
                || value.bytes().any(|byte| matches!(byte, b'&' | b';'))
        };
        let open = fields.iter().filter(|(name, value)| open(name, value));
        let open: Vec<String> = open.map(|(name, value)| [name, "=", value].concat()).collect();
        open.iter().for_each(|text| collect(text, &mut more));
        named(rules, fields.iter().chain(&more))
    }

    /// The body as it was given, or the parameters that go under one of its members.
    pub(super) fn parameters(&self) -> &str {
        let given = self.under.as_ref().or(self.body.as_ref());
        given.map_or("", |given| given.text())
    }
}

/// Whether the path fits the pattern, which is in lower case, or could be read as one that does: without an ending, or
/// cut apart from its neighbours elsewhere.
pub(crate) fn could_be(prepared: &Prepared<'_>, pattern: &str) -> bool {
    let path = prepared.endpoint.plain_path.as_str();
    let seams = &prepared.plan.facts.seams;
    // Every rule asks, and other paths are told from this one by how they begin.
    if parts(pattern, path) && begins_as_it_is(prepared) {
        return false;
    }
    let (query, body) = (prepared.query.as_str(), prepared.parameters());
    fits(pattern, path)
        || without_endings(path).any(|bare| fits(pattern, bare))
        || seams
            .iter()
            .any(|seam| across(seam, pattern, &prepared.endpoint, query, body))
}

/// Whether neither what follows the path nor what stands before it may belong to it, so that it begins as it is given.
pub(crate) fn begins_as_it_is(prepared: &Prepared<'_>) -> bool {
    let of_itself = |seam: &Seam| matches!(seam, Seam::Digits | Seam::Other | Seam::Text);
    prepared.plan.facts.seams.iter().all(of_itself)
}

/// The path without endings such as `.json`, which some servers pass over: cut at each dot of its last segment.
fn without_endings(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let at = rest.bytes().rposition(|byte| matches!(byte, b'.' | b'/'))?;
        let ends = rest.as_bytes()[at] == b'.';
        rest = if ends { &rest[..at] } else { "" };
        ends.then_some(rest)
    })
}

/// Whether the pattern is hit when path and neighbour are cut apart elsewhere.
fn across(seam: &Seam, pattern: &str, endpoint: &Endpoint, query: &str, body: &str) -> bool {
    let path = endpoint.plain_path.as_str();
    // What follows can belong to the path only as far as it could stand in one; a slash at the path's end counts.
    let joined = |next: &str| {
        let end = next.find(|char| !is_path_char(char)).unwrap_or(next.len());
        endpoint::plain(&format!("{}{}", endpoint.path, &next[..end]))
    };
    match seam {
        Seam::Digits => fits(
            pattern,
            path.trim_end_matches(|char: char| char.is_ascii_digit())
                .trim_end_matches('/'),
        ),
        Seam::Other => fits_beginning(pattern, path),
        Seam::Text => fits_beginning(pattern, path) || begins(pattern, path),
        Seam::Query => fits_beginning(pattern, &joined(query)),
        Seam::Body => fits_beginning(pattern, &joined(body)),
        Seam::Before { cut } => {
            let rest = pattern.strip_prefix(&cut.to_lowercase()).unwrap_or(pattern);
            fits(&format!("*{rest}"), path)
        }
    }
}
