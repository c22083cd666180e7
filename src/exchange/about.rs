//! What a file says of its exchange, in words: for lists and pages.

use super::{
    glob,
    key::{Alphabet, KeyKind, SecretForm},
    scheme::Scheme,
    sockets::Sockets,
    template::Template,
};

impl Scheme {
    /// How far the file was checked, by what it was compared with.
    pub fn checked_by(&self) -> &'static str {
        let libraries: Vec<&str> = self
            .checked()
            .iter()
            .filter(|source| *source != "documentation")
            .filter_map(|source| source.split(' ').next())
            .collect();
        match libraries.as_slice() {
            _ if self.checked().iter().any(|source| source == "documentation") => "documented example",
            [first, rest @ ..] if rest.iter().any(|other| other != first) => "two libraries",
            [_, ..] => "one library",
            [] => "nothing",
        }
    }

    /// The logins of the exchange's sockets, each in words.
    pub fn logins(&self) -> Vec<String> {
        let sockets = self.websocket().into_iter().flat_map(Sockets::plans);
        let logins = sockets.map(|plan| {
            let kind = match (&plan.frame, plan.takes_challenge) {
                (_, true) => "an answer to the socket's challenge",
                (None, _) if plan.attach.is_empty() => "headers for the upgrade",
                (None, _) => "each message signed",
                (Some(_), _) => "a message to send",
            };
            let url = plan.url.as_ref().map(Template::plain);
            let at = |url: &str, path: &str| {
                let own = self
                    .host_for
                    .iter()
                    .find(|(pattern, _)| glob::fits(pattern, path));
                let host = own.map(|(_, host)| host).or(self.hosts().first());
                let host = host.map_or("", String::as_str);
                format!("`{}`", url.replace("{host}", host).replace("{path}", path))
            };
            let places: Vec<_> = match url {
                Some(url) if url.contains("{path}") => plan.paths.iter().map(|path| at(&url, path)).collect(),
                url => url.iter().map(|url| at(url, "")).collect(),
            };
            match places.is_empty() {
                true => kind.to_owned(),
                false => format!("{kind}, for {}", places.join(", ")),
            }
        });
        logins.collect()
    }

    /// What moves money out: paths, fields and values as the file has them.
    pub fn withdrawals(&self) -> Vec<&str> {
        let Some(rules) = &self.withdrawal else {
            return Vec::new();
        };
        let paths = rules.paths.iter().map(|rule| rule.shown.as_str());
        let fields = rules.fields.iter().map(|rule| rule.shown.as_str());
        let values = rules.values.iter().map(|rule| rule.shown.as_str());
        paths.chain(fields).chain(values).collect()
    }
}

impl KeyKind {
    /// How the exchange writes the secret, with what its text usually looks like, as `base64, 88 characters`.
    pub fn secret_looks(&self) -> String {
        let form = match self.secret {
            SecretForm::Ascii => "text",
            SecretForm::Base64 => "base64",
            SecretForm::Upper => "text, its letters raised",
            SecretForm::Base64Text => "text, in base64",
            SecretForm::Md5Hex => "text, its MD5",
            SecretForm::Pem => "PEM",
            SecretForm::Base64Seed => "seed in base64",
            SecretForm::Base58Seed => "seed in base58",
        };
        let alphabet = match self.alphabet {
            None => "",
            Some(Alphabet::Alphanumeric) => " of letters and digits",
            Some(Alphabet::Hex) => " of hex digits",
        };
        let mut words = format!("{form}{alphabet}");
        let lengths: Vec<_> = self.length.iter().map(ToString::to_string).collect();
        match lengths.as_slice() {
            [] => {}
            [first, .., last] if lengths.len() > 2 => {
                words.push_str(&format!(", {first} to {last} characters"))
            }
            lengths => words.push_str(&format!(", {} characters", lengths.join(" or "))),
        }
        words
    }
}
