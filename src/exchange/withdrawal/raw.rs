//! Whether a message that is signed raw looks like a withdrawal.

use base64ct::Encoding as _;
use percent_encoding::percent_decode;

use super::rules::{Rules, named, shown_in};
use crate::exchange::{endpoint::collect, scheme::Scheme};

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
