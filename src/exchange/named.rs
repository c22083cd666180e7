//! Another method or path than its own that a request names in a field.

use super::{bodies::Payload, endpoint, prepare::Prepared};

/// Fields, in lower case, that some servers take for the method of the request.
const OVERRIDES: &[&str] = &[
    "_method",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// What a request names so.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Whether a field may stand for another method of HTTP.
    pub another_method: bool,
    /// The paths that a body of JSON-RPC asks for, where its `method` is not the path's end.
    pub paths: Vec<String>,
}

impl Prepared<'_> {
    /// What it names so, found once.
    pub(crate) fn named(&self) -> &Named {
        self.named.get_or_init(|| self.find_named())
    }

    fn find_named(&self) -> Named {
        let mut named = Named::default();
        let parts = [Some(self.query.as_str()), self.body.as_ref().map(Payload::text)];
        // Few requests have such a field, and none has it that is neither spelled out nor encoded.
        let may = parts.into_iter().flatten().any(may_name_a_method);
        if may {
            self.find_in_fields(&mut named);
        }
        named
    }

    #[inline(never)]
    fn find_in_fields(&self, named: &mut Named) {
        for (name, value) in self.fields() {
            let name = name.to_ascii_lowercase();
            named.another_method |= OVERRIDES.contains(&name.as_str());
            if name == "method" && value.contains('/') {
                named.paths.extend(self.asked_for(&value));
            }
        }
    }

    /// Where JSON-RPC may find a method: below this path, and beside it.
    fn asked_for(&self, method: &str) -> Vec<String> {
        let path = self.endpoint.plain_path.as_str();
        let method = endpoint::plain(method);
        if path.ends_with(&method) {
            return Vec::new();
        }
        let depth = method.matches('/').count();
        let above = path
            .rmatch_indices('/')
            .nth(depth.saturating_sub(1))
            .map_or(0, |(at, _)| at);
        vec![format!("{path}{method}"), format!("{}{method}", &path[..above])]
    }
}

/// Whether the word may stand in the text, in any case, spelled out or encoded.
fn may_name_a_method(text: &str) -> bool {
    // Hardly a text has an `h`.
    let bytes = text.as_bytes();
    if !bytes
        .iter()
        .any(|byte| matches!(byte, b'%' | b'\\' | b'h' | b'H'))
    {
        return false;
    }
    bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'))
        || bytes.windows(6).any(|part| part.eq_ignore_ascii_case(b"method"))
}
