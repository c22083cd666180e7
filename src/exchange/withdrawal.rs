//! Whether a request moves money out: the file's rules, looked at with everything in mind that a signature could also
//! be used for.

use base64ct::Encoding as _;
use percent_encoding::percent_decode;

use super::{
    analyse::{Seam, is_path_char},
    endpoint::{self, Endpoint, collect},
    file::WithdrawalFile,
    glob::{begins, fits},
    plan::{METHODS, Plan},
    prepare::Prepared,
    scheme::Scheme,
};
use crate::error::{Result, bad_input};

/// A file's rules, ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub paths: Vec<PathRule>,
    pub fields: Vec<FieldRule>,
    pub values: Vec<ValueRule>,
    needs: Vec<Need>,
    /// Whether the path of some request is not signed, so that a signature made elsewhere may fit it.
    loose: bool,
    /// Whether the path of some request is signed, so that text of another may stand for it.
    strict: bool,
}

/// A part of the request that every withdrawal's message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Query,
    Body,
}

#[derive(Debug, Clone)]
pub(crate) struct PathRule {
    /// As the file has it.
    pub shown: String,
    pub method: Option<&'static str>,
    /// The path in lower case, without a slash at its end.
    pub pattern: String,
}

#[derive(Debug, Clone)]
pub(crate) struct FieldRule {
    pub shown: String,
    /// Names in lower case, all of which must be there.
    pub names: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct ValueRule {
    pub shown: String,
    pub name: String,
    pub value: String,
}

impl Rules {
    /// Checks what a file says.
    pub(crate) fn read(file: WithdrawalFile) -> Result<Self> {
        let paths = file
            .paths
            .into_iter()
            .map(PathRule::read)
            .collect::<Result<_>>()?;
        let field = |shown: String| FieldRule {
            names: shown.to_lowercase().split('+').map(str::to_owned).collect(),
            shown,
        };
        let mut values = Vec::new();
        for (name, hits) in &file.body {
            values.extend(hits.iter().map(|hit| ValueRule {
                shown: format!("{name}={hit}"),
                name: name.to_lowercase(),
                value: hit.to_lowercase(),
            }));
        }
        let need = |part: &String| match part.as_str() {
            "query" => Ok(Need::Query),
            "body" => Ok(Need::Body),
            other => Err(bad_input(format!("`needs` cannot be {other:?}")).fix("use \"query\" and \"body\"")),
        };
        Ok(Self {
            needs: file.needs.iter().map(need).collect::<Result<_>>()?,
            paths,
            fields: file.fields.into_iter().map(field).collect(),
            values,
            loose: false,
            strict: false,
        })
    }

    /// Takes note of what the file's plans sign.
    pub(crate) fn look_at(&mut self, plan: &Plan) {
        self.strict |= plan.facts.signs_path;
        self.loose |= !plan.facts.signs_path && (plan.facts.signs_query || plan.facts.signs_body);
    }

    /// Whether no message of this plan is a withdrawal's, since it lacks a part that the exchange wants signed in each.
    pub(crate) fn spare(&self, plan: &Plan) -> bool {
        self.needs.iter().any(|need| match need {
            Need::Query => !plan.facts.signs_query,
            Need::Body => !plan.facts.signs_body,
        })
    }

    /// Whether a rule, of whatever method, fits this path.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        self.paths.iter().any(|rule| fits(&rule.pattern, &path))
    }

    /// Whether a withdrawal can be known without its path.
    pub(crate) const fn knows_fields(&self) -> bool {
        !self.fields.is_empty() || !self.values.is_empty()
    }
}

impl PathRule {
    fn read(shown: String) -> Result<Self> {
        let (method, path) = match shown.split_once(' ') {
            None => (None, shown.as_str()),
            Some((method, path)) => {
                let known = METHODS.into_iter().find(|known| *known == method);
                let known = known.ok_or_else(|| {
                    bad_input(format!("`withdrawal.paths` has {shown:?}")).fix(format!(
                        "write one of {} in front of the path, or none",
                        METHODS.join(", ")
                    ))
                })?;
                (Some(known), path)
            }
        };
        if !path.starts_with('/') && !path.starts_with('*') {
            return Err(bad_input(format!("the path {path:?} does not begin with `/`")));
        }
        let mut pattern = path.to_lowercase();
        while pattern.len() > 1 && pattern.ends_with('/') {
            pattern.pop();
        }
        Ok(Self {
            method,
            pattern,
            shown,
        })
    }

    fn says(&self) -> String {
        format!("the path {} moves money out", self.shown)
    }
}

impl Scheme {
    /// The words of the rule by which a raw message looks like a withdrawal, if one does.
    ///
    /// It is looked at as text and, where it is base64, as what that stands for. Where a message does not show path or
    /// fields, as behind a hash, nothing can be seen: nothing here does not mean that it is harmless.
    pub fn raw_moves_money(&self, message: &[u8]) -> Option<String> {
        let rules = self.withdrawal.as_ref()?;
        let mut texts = vec![message.to_vec(), percent_decode(message).collect()];
        for part in message.split(|byte| *byte == b'.') {
            texts.extend(base64ct::Base64Unpadded::decode_vec(
                &String::from_utf8_lossy(part).replace('=', ""),
            ));
            texts.extend(base64ct::Base64UrlUnpadded::decode_vec(&String::from_utf8_lossy(
                part,
            )));
        }
        texts
            .iter()
            .find_map(|text| raw(rules, &String::from_utf8_lossy(text)))
    }
}

fn raw(rules: &Rules, text: &str) -> Option<String> {
    if let Some(rule) = shown_in(rules, &text.to_lowercase()) {
        return Some(rule.says());
    }
    let mut fields = Vec::new();
    collect(text, &mut fields);
    named(rules, &fields)
}

/// The path that stands somewhere in a text, which is in lower case.
fn shown_in<'r>(rules: &'r Rules, text: &str) -> Option<&'r PathRule> {
    let mut paths = rules.paths.iter();
    paths.find(|rule| fits(&format!("*{}*", rule.pattern), text))
}

impl Prepared<'_> {
    /// The words of the rule that says that this moves money out, if one does.
    pub fn moves_money(&self) -> Option<String> {
        let facts = &self.plan.facts;
        let signs_something = facts.signs_path || facts.signs_query || facts.signs_body;
        if self.endpoint.websocket && !signs_something {
            return None;
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
        // Where the path is not signed, no method protects either: there the rule is for honest mistakes.
        let told = (facts.signs_method || !facts.signs_path) && !self.endpoint.websocket;
        let hit = rules.paths.iter().find(|rule| {
            let other = rule.method.is_some_and(|method| method != self.endpoint.method);
            !(told && other) && could_be(self, &rule.pattern)
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

    fn field_rule(&self, rules: &Rules) -> Option<String> {
        if !rules.knows_fields() {
            return None;
        }
        let mut fields = self.fields();
        if rules.loose {
            let (query, body) = (self.query.as_str(), self.parameters());
            let mut more = Vec::new();
            // Query and body may stand side by side in the message: what is cut in two there is one name elsewhere.
            collect(&format!("{query}{body}"), &mut more);
            collect(&format!("{body}{query}"), &mut more);
            // A message may hold names and values that are not encoded: what reads as fields there is looked at as
            // fields.
            for (name, value) in &fields {
                if name.contains(['&', ';', '=']) || value.contains(['&', ';']) {
                    collect(&format!("{name}={value}"), &mut more);
                }
            }
            fields.append(&mut more);
        }
        named(rules, &fields)
    }

    /// The body as it was given, or the parameters that go under one of its members.
    fn parameters(&self) -> &str {
        match (&self.under, &self.body) {
            (Some(under), _) => under,
            (None, Some(body)) => &body.text,
            (None, None) => "",
        }
    }
}

/// Whether the path fits the pattern, which is in lower case, or could be read as one that does: without an ending, or
/// cut apart from its neighbours elsewhere.
pub(crate) fn could_be(prepared: &Prepared<'_>, pattern: &str) -> bool {
    let path = prepared.endpoint.plain_path.as_str();
    let (query, body) = (prepared.query.as_str(), prepared.parameters());
    fits(pattern, path)
        || without_endings(path).any(|bare| fits(pattern, bare))
        || prepared
            .plan
            .facts
            .seams
            .iter()
            .any(|seam| across(seam, pattern, &prepared.endpoint, query, body))
}

/// The path without endings such as `.json`, which some servers pass over: cut at each dot of its last segment.
fn without_endings(path: &str) -> impl Iterator<Item = &str> {
    let last = path.rfind('/').unwrap_or(0);
    path[last..]
        .match_indices('.')
        .map(move |(at, _)| &path[..last + at])
}

/// Whether the pattern is hit when path and neighbour are cut apart elsewhere.
fn across(seam: &Seam, pattern: &str, endpoint: &Endpoint, query: &str, body: &str) -> bool {
    let longer = format!("{pattern}*");
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
        Seam::Other => fits(&longer, path),
        Seam::Text => fits(&longer, path) || begins(pattern, path),
        Seam::Query => fits(&longer, &joined(query)),
        Seam::Body => fits(&longer, &joined(body)),
        Seam::Before { cut } => {
            let rest = pattern.strip_prefix(&cut.to_lowercase()).unwrap_or(pattern);
            fits(&format!("*{rest}"), path)
        }
    }
}

/// The rule that one of these fields fits.
fn named(rules: &Rules, fields: &[(String, String)]) -> Option<String> {
    let fields: Vec<(String, &str)> = fields
        .iter()
        .map(|(name, value)| (folded(name), value.as_str()))
        .collect();
    let has = |wanted: &String| {
        // Digits in front may belong to a number that stands before the query in the message.
        fields.iter().any(|(name, _)| {
            name == wanted || name.trim_start_matches(|char: char| char.is_ascii_digit()) == wanted
        })
    };
    if let Some(rule) = rules.fields.iter().find(|rule| rule.names.iter().all(has)) {
        return Some(if rule.names.len() == 1 {
            format!("the field {} moves money out", rule.shown)
        } else {
            let together = rule.shown.replace('+', " and ");
            format!("the fields {together} together move money out")
        });
    }
    let hit = rules.values.iter().find(|rule| {
        let mut same = fields.iter().filter(|(name, _)| *name == rule.name);
        same.any(|(_, value)| fits(&rule.value, &value.trim().to_lowercase()))
    });
    hit.map(|rule| format!("{} moves money out", rule.shown))
}

/// A name as servers may read it: without case and spaces around, and without the index of `name[0]`.
fn folded(name: &str) -> String {
    name.split('[').next().unwrap_or_default().trim().to_lowercase()
}
