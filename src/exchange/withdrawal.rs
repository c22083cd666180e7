//! Whether a request moves money out: the file's rules, looked at with everything in mind that a signature could also
//! be used for.

use std::collections::BTreeMap;

use base64ct::Encoding as _;
use percent_encoding::percent_decode;

use super::{
    analyse::{Seam, is_path_char},
    endpoint::{self, collect},
    file::WithdrawalFile,
    glob::fits,
    plan::Plan,
    prepare::Prepared,
    scheme::Scheme,
};

/// What moves money out, by a file's `[withdrawal]`.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    /// Each path pattern as it is written and as it is compared: in lower case, without slashes at its end.
    paths: Vec<(String, String)>,
    pub fields: Vec<String>,
    pub body: BTreeMap<String, Vec<String>>,
    /// Parts that the exchange wants signed in every withdrawal: `query`, `body`.
    needs: Vec<String>,
}

impl From<WithdrawalFile> for Withdrawal {
    fn from(file: WithdrawalFile) -> Self {
        let with_compared = |pattern: String| {
            let lower = pattern.to_lowercase();
            let compared = match lower.trim_end_matches('/') {
                "" => lower,
                trimmed => trimmed.to_owned(),
            };
            (pattern, compared)
        };
        Self {
            paths: file.paths.into_iter().map(with_compared).collect(),
            fields: file.fields,
            body: file.body,
            needs: file.needs,
        }
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

impl Withdrawal {
    /// Whether no message of this plan is a withdrawal's, since it lacks a part that the exchange wants signed in each.
    pub(crate) fn spares(&self, plan: &Plan) -> bool {
        self.needs.iter().any(|part| match part.as_str() {
            "query" => !plan.facts.signs_query,
            _ => !plan.facts.signs_body,
        })
    }
}

fn raw(rules: &Withdrawal, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    for (pattern, compared) in &rules.paths {
        if fits(&format!("*{}*", compared.trim_end_matches('/')), &lower) {
            return Some(format!("the path {pattern} moves money out"));
        }
    }
    let mut fields = Vec::new();
    collect(text, &mut fields);
    named(rules, &fields)
}

impl Prepared<'_> {
    /// The words of the rule that says that this moves money out, if one does.
    pub fn moves_money(&self) -> Option<String> {
        let facts = &self.plan.facts;
        if self.endpoint.websocket && !(facts.signs_path || facts.signs_query || facts.signs_body) {
            return None;
        }
        let Some(rules) = &self.scheme.withdrawal else {
            return Some(
                "the exchange's file has no withdrawal rules, so any request may move money out".into(),
            );
        };
        if rules.spares(self.plan) {
            return None;
        }
        if !(facts.signs_path || facts.signs_query || facts.signs_body) {
            return Some(
                "nothing of the request is signed, so the signature fits a withdrawal as well".into(),
            );
        }
        if !facts.signs_path && rules.fields.is_empty() && rules.body.is_empty() {
            return Some("the path is not signed, and the exchange's file has no `withdrawal.fields`".into());
        }
        self.path_rule(rules).or_else(|| self.field_rule(rules))
    }

    fn path_rule(&self, rules: &Withdrawal) -> Option<String> {
        let path = self.endpoint.plain_path.as_str();
        let seams = &self.plan.facts.seams;
        let (query, body) = (self.query.as_str(), self.parameters());
        let (pattern, _) = rules.paths.iter().find(|(_, compared)| {
            fits(compared, path) || seams.iter().any(|seam| across(seam, compared, path, query, body))
        })?;
        Some(format!("the path {pattern} moves money out"))
    }

    fn field_rule(&self, rules: &Withdrawal) -> Option<String> {
        if rules.fields.is_empty() && rules.body.is_empty() {
            return None;
        }
        let mut fields = self.fields();
        if !self.plan.facts.signs_path {
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

/// Whether the pattern is hit when path and neighbour are cut apart elsewhere.
fn across(seam: &Seam, pattern: &str, path: &str, query: &str, body: &str) -> bool {
    let longer = format!("{pattern}*");
    // What follows can belong to the path only as far as it could stand in one.
    let joined = |next: &str| {
        let end = next.find(|char| !is_path_char(char)).unwrap_or(next.len());
        endpoint::plain(&format!("{path}{}", &next[..end]))
    };
    match seam {
        Seam::Digits => fits(
            pattern,
            path.trim_end_matches(|char: char| char.is_ascii_digit())
                .trim_end_matches('/'),
        ),
        Seam::Other => fits(&longer, path),
        Seam::Query => fits(&longer, &joined(query)),
        Seam::Body => fits(&longer, &joined(body)),
        Seam::Before { cut } => {
            let rest = pattern.strip_prefix(&cut.to_lowercase()).unwrap_or(pattern);
            fits(&format!("*{rest}"), path)
        }
    }
}

/// The rule that one of these fields fits.
fn named(rules: &Withdrawal, fields: &[(String, String)]) -> Option<String> {
    let fields: Vec<(String, &str)> = fields
        .iter()
        .map(|(name, value)| (folded(name), value.as_str()))
        .collect();
    let has = |wanted: &str| {
        let wanted = wanted.to_lowercase();
        // Digits in front may belong to a number that stands before the query in the message.
        fields.iter().any(|(name, _)| {
            *name == wanted || name.trim_start_matches(|char: char| char.is_ascii_digit()) == wanted
        })
    };
    if let Some(rule) = rules.fields.iter().find(|rule| rule.split('+').all(has)) {
        return Some(match rule.split_once('+') {
            None => format!("the field {rule} moves money out"),
            Some(_) => format!(
                "the fields {} together move money out",
                rule.replace('+', " and ")
            ),
        });
    }
    for (name, values) in &rules.body {
        let wanted = name.to_lowercase();
        for (_, value) in fields.iter().filter(|(name, _)| *name == wanted) {
            let value = value.trim().to_lowercase();
            if let Some(hit) = values.iter().find(|hit| fits(&hit.to_lowercase(), &value)) {
                return Some(format!("{name}={hit} moves money out"));
            }
        }
    }
    None
}

/// A name as servers may read it: without case and spaces around, and without the index of `name[0]`.
fn folded(name: &str) -> String {
    name.split('[').next().unwrap_or_default().trim().to_lowercase()
}
