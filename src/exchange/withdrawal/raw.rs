//! Whether a message that is signed raw looks like a withdrawal.

use base64ct::Encoding as _;
use percent_encoding::percent_decode_str;

use super::rules::{PathRule, Rules, named, shown_in};
use crate::exchange::{
    endpoint::collect,
    functions::Function,
    glob::fits,
    plan::Plan,
    scheme::Scheme,
    template::{Expr, Name},
};

/// How often a text is undone that was percent-encoded.
const TIMES: usize = 3;

impl Scheme {
    /// The words of the rule by which a raw message looks like a withdrawal, if one does.
    ///
    /// It is looked at as text and, where it is base64, as what that stands for; each also with its percent-encoding undone,
    /// and with paths as a server reads them. Where a message does not show path or fields, as behind a hash, nothing can be
    /// seen: nothing here does not mean that it is harmless.
    pub fn raw_moves_money(&self, message: &[u8]) -> Option<String> {
        let rules = self.withdrawal.as_ref()?;
        let mut cuts = Vec::new();
        for plan in self.rest_plans() {
            let messages = plan.signatures.iter().map(|signature| &signature.message);
            messages.for_each(|message| cut_off(plan, &message.0, &mut cuts));
        }
        let look = |text: &str| raw(rules, text, &cuts);
        let mut texts = vec![message.to_vec()];
        for part in message.split(|byte| *byte == b'.') {
            let text = String::from_utf8_lossy(part);
            texts.extend(base64ct::Base64Unpadded::decode_vec(&text.replace('=', "")));
            texts.extend(base64ct::Base64UrlUnpadded::decode_vec(&text.replace('=', "")));
        }
        texts.iter().find_map(|text| {
            let mut text = String::from_utf8_lossy(text).into_owned();
            for _ in 0..TIMES {
                if let Some(rule) = look(&text) {
                    return Some(rule);
                }
                let undone = percent_decode_str(&text).decode_utf8_lossy().into_owned();
                if undone == text {
                    break;
                }
                text = undone;
            }
            look(&text)
        })
    }
}

/// What a file cuts from the path before it is signed, in lower case.
fn cut_off(plan: &Plan, parts: &[Expr], found: &mut Vec<String>) {
    for part in parts {
        match part {
            Expr::Name(Name::Let(at)) => cut_off(plan, &plan.lets[*at].1.0, found),
            Expr::Call(function, arguments) => {
                if let (Function::After, Some(Expr::Text(cut))) = (function, arguments.first()) {
                    found.push(cut.to_lowercase());
                }
                cut_off(plan, arguments, found);
            }
            Expr::Text(_) | Expr::Name(_) => {}
        }
    }
}

/// The path whose rest stands in a text, where what stands before it was cut off.
fn shown_without<'r>(rules: &'r Rules, text: &str, cuts: &[String]) -> Option<&'r PathRule> {
    let mut paths = rules.paths.iter().filter(|_| !cuts.is_empty());
    paths.find(|rule| {
        let pattern = rule.pattern.as_str();
        let ends = pattern.char_indices().map(|(at, _)| at);
        let mut halves = ends.map(|at| pattern.split_at(at));
        halves.any(|(before, rest)| {
            let says = !rest.trim_matches('*').is_empty();
            says && cuts.iter().any(|cut| fits(before, cut)) && fits(&format!("*{rest}*"), text)
        })
    })
}

fn raw(rules: &Rules, text: &str, cuts: &[String]) -> Option<String> {
    let mut fields = Vec::new();
    collect(text, &mut fields);
    // A path may stand in a value, where JSON can spell it otherwise.
    let values = fields.iter().map(|(_, value)| &**value);
    let mut texts = std::iter::once(text).chain(values);
    let shown = |text: &str| {
        let lower = text.to_lowercase();
        let show = |text: &str| shown_in(rules, text).or_else(|| shown_without(rules, text, cuts));
        show(&lower).or_else(|| show(&as_a_path(&lower)?))
    };
    if let Some(rule) = texts.find_map(shown) {
        return Some(rule.says());
    }
    named(rules, fields.iter())
}

/// The text with slashes that stand once, and without the segments that servers take out of a path; none where it has none.
fn as_a_path(text: &str) -> Option<String> {
    if !["\\", "//", "/.", ";"].iter().any(|odd| text.contains(odd)) {
        return None;
    }
    let text = text.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for (at, part) in text.split('/').enumerate() {
        match part.split(';').next().unwrap_or_default() {
            "" | "." if at > 0 => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
