//! Whether a message that is signed raw looks like a withdrawal.

use base64ct::Encoding as _;
use percent_encoding::percent_decode_str;

use super::rules::{Rules, named, shown_in};
use crate::exchange::{endpoint::collect, scheme::Scheme};

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
        let mut texts = vec![message.to_vec()];
        for part in message.split(|byte| *byte == b'.') {
            let text = String::from_utf8_lossy(part);
            texts.extend(base64ct::Base64Unpadded::decode_vec(&text.replace('=', "")));
            texts.extend(base64ct::Base64UrlUnpadded::decode_vec(&text.replace('=', "")));
        }
        texts.iter().find_map(|text| {
            let mut text = String::from_utf8_lossy(text).into_owned();
            for _ in 0..TIMES {
                if let Some(rule) = raw(rules, &text) {
                    return Some(rule);
                }
                let undone = percent_decode_str(&text).decode_utf8_lossy().into_owned();
                if undone == text {
                    break;
                }
                text = undone;
            }
            raw(rules, &text)
        })
    }
}

fn raw(rules: &Rules, text: &str) -> Option<String> {
    let mut fields = Vec::new();
    collect(text, &mut fields);
    // A path may stand in a value, where JSON can spell it otherwise.
    let values = fields.iter().map(|(_, value)| &**value);
    let mut texts = std::iter::once(text).chain(values);
    let shown = |text: &str| {
        let lower = text.to_lowercase();
        shown_in(rules, &lower).or_else(|| shown_in(rules, &as_a_path(&lower)?))
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
