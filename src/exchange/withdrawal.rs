//! Whether a request moves money out: the file's rules, looked at with everything in mind that a signature could also
//! be used for.

use base64ct::Encoding as _;
use percent_encoding::percent_decode;

use super::{
    analyse::{Seam, is_path_char},
    endpoint::{self, Endpoint, collect},
    file::WithdrawalFile,
    glob::fits,
    plan::Plan,
    scheme::Scheme,
};

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

impl WithdrawalFile {
    /// Whether no message of this plan is a withdrawal's, since it lacks a part that the exchange wants signed in each.
    pub(crate) fn spares(&self, plan: &Plan) -> bool {
        self.needs.iter().any(|part| match part.as_str() {
            "query" => !plan.facts.signs_query,
            _ => !plan.facts.signs_body,
        })
    }
}

fn raw(rules: &WithdrawalFile, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    for pattern in &rules.paths {
        if fits(
            &format!("*{}*", pattern.to_lowercase().trim_end_matches('/')),
            &lower,
        ) {
            return Some(format!("the path {pattern} moves money out"));
        }
    }
    let mut fields = Vec::new();
    collect(text, &mut fields);
    named(rules, &fields)
}

/// The words of the rule that says so, if one does.
pub(crate) fn moves_money(
    rules: Option<&WithdrawalFile>,
    plan: &Plan,
    endpoint: &Endpoint,
    query: &str,
    body: &str,
) -> Option<String> {
    let facts = &plan.facts;
    if endpoint.websocket && !(facts.signs_path || facts.signs_query || facts.signs_body) {
        return None;
    }
    let Some(rules) = rules else {
        return Some("the exchange's file has no withdrawal rules, so any request may move money out".into());
    };
    if rules.spares(plan) {
        return None;
    }
    if !(facts.signs_path || facts.signs_query || facts.signs_body) {
        return Some("nothing of the request is signed, so the signature fits a withdrawal as well".into());
    }
    if !facts.signs_path && rules.fields.is_empty() && rules.body.is_empty() {
        return Some("the path is not signed, and the exchange's file has no `withdrawal.fields`".into());
    }
    path_rule(rules, plan, endpoint, query, body).or_else(|| field_rule(rules, plan, endpoint, query, body))
}

fn path_rule(
    rules: &WithdrawalFile,
    plan: &Plan,
    endpoint: &Endpoint,
    query: &str,
    body: &str,
) -> Option<String> {
    let path = endpoint.plain_path.as_str();
    for pattern in &rules.paths {
        let lower = pattern.to_lowercase();
        let lower = if lower.len() > 1 {
            lower.trim_end_matches('/')
        } else {
            &lower
        };
        let hit = fits(lower, path)
            || plan
                .facts
                .seams
                .iter()
                .any(|seam| across(seam, lower, path, query, body));
        if hit {
            return Some(format!("the path {pattern} moves money out"));
        }
    }
    None
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

fn field_rule(
    rules: &WithdrawalFile,
    plan: &Plan,
    endpoint: &Endpoint,
    query: &str,
    body: &str,
) -> Option<String> {
    if rules.fields.is_empty() && rules.body.is_empty() {
        return None;
    }
    let mut more = Vec::new();
    if !plan.facts.signs_path {
        // Query and body may stand side by side in the message: what is cut in two there is one name elsewhere.
        collect(&format!("{query}{body}"), &mut more);
        collect(&format!("{body}{query}"), &mut more);
        // A message may hold names and values that are not encoded: what reads as fields there is looked at as fields.
        for (name, value) in &endpoint.fields {
            if name.contains(['&', ';', '=']) || value.contains(['&', ';']) {
                collect(&format!("{name}={value}"), &mut more);
            }
        }
    }
    more.extend(endpoint.fields.iter().cloned());
    named(rules, &more)
}

/// The rule that one of these fields fits.
fn named(rules: &WithdrawalFile, fields: &[(String, String)]) -> Option<String> {
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
