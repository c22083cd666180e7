//! Templates: text with `{expressions}`, read once into a small syntax tree.
//!
//! ```text
//! template := (text | "{" expr "}")*      {{ }} are literal braces
//! expr     := name | 'text' | function(expr, …)
//! ```
//! There are no operators, loops or types: every template ends, and what it depends on can be read off the tree.

use super::functions::Function;
use crate::error::{Error, Result, bad_input};

/// How deep functions may stand in each other.
const DEPTH: usize = 16;

/// A template's parts, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Expr>);

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expr {
    /// Text that stands for itself.
    Text(String),
    /// A value of the request, the key or the file.
    Name(Name),
    /// A function of other parts.
    Call(Function, Vec<Expr>),
}

/// What a name stands for. Names of a file are indices into its lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// The method, upper case.
    Method,
    /// The host, with a port where it is not the usual one.
    Host,
    /// The path, as it goes on the wire.
    Path,
    /// The query, without `?`, with what was added.
    Query,
    /// The body, with what was added.
    Body,
    /// The body as it was given.
    GivenBody,
    /// The path, with `?` and the query where there is one.
    Target,
    /// The whole URL.
    Url,
    /// The timestamp, as it goes on the wire.
    Timestamp,
    /// The nonce, as it goes on the wire.
    Nonce,
    /// The body's Content-Type; empty without a body.
    ContentType,
    /// What the file's `[endpoints]` say of method and path.
    Endpoint,
    /// The key's API key.
    ApiKey,
    /// The key's passphrase.
    Passphrase,
    /// The challenge of a WebSocket login.
    Challenge,
    /// A named intermediate.
    Let(usize),
    /// A table as compact JSON.
    Json(usize),
    /// An option.
    Opt(usize),
    /// A further value of the key, as `user_id`.
    Credential(usize),
    /// A value that the kind of key sets.
    Set(usize),
    /// The encoded result of the file's nth signature.
    Signature(usize),
}

/// Which names of the file a template may use.
pub(crate) trait Scope {
    /// What the name stands for here.
    fn resolve(&self, name: &str) -> Option<Name>;
    /// All names, for the error that says which there are.
    fn known(&self) -> Vec<String>;
}

/// The names that every file has.
pub(crate) const NAMES: [(&str, Name); 15] = [
    ("method", Name::Method),
    ("host", Name::Host),
    ("path", Name::Path),
    ("query", Name::Query),
    ("body", Name::Body),
    ("given_body", Name::GivenBody),
    ("target", Name::Target),
    ("url", Name::Url),
    ("timestamp", Name::Timestamp),
    ("nonce", Name::Nonce),
    ("content_type", Name::ContentType),
    ("endpoint", Name::Endpoint),
    ("api_key", Name::ApiKey),
    ("passphrase", Name::Passphrase),
    ("challenge", Name::Challenge),
];

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a brace is left open or alone, or a name or function is unknown; the error says at which character.
    pub(crate) fn parse(text: &str, scope: &dyn Scope) -> Result<Self> {
        let mut reader = Reader { text, at: 0, scope };
        reader
            .template()
            .map_err(|error| error.within(format_args!("{text:?}")))
    }

    /// Whether it is this one name and nothing else; `{number(name)}` counts as the name.
    pub(crate) fn is_just(&self, wanted: Name) -> bool {
        match self.0.as_slice() {
            [Expr::Name(name)] => *name == wanted,
            [Expr::Call(Function::Number, of)] => {
                matches!(of.as_slice(), [Expr::Name(name)] if *name == wanted)
            }
            _ => false,
        }
    }

    /// Its text, with `{path}` and `{host}` as they stand and other expressions as `{…}`.
    pub(crate) fn plain(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Expr::Text(text) => text.as_str(),
            Expr::Name(Name::Path) => "{path}",
            Expr::Name(Name::Host) => "{host}",
            Expr::Name(_) | Expr::Call(..) => "{…}",
        });
        parts.collect()
    }

    /// Whether it is text alone, the same for every request.
    pub(crate) fn is_constant(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Expr::Text(_)))
    }

    /// Whether names and values of JSON are joined in it without anything between them.
    pub(crate) fn flattens(&self) -> bool {
        self.0.iter().any(Expr::flattens)
    }

    /// Calls `visit` with every name in it.
    pub(crate) fn names(&self, visit: &mut dyn FnMut(Name)) {
        for part in &self.0 {
            part.names(visit);
        }
    }
}

impl Expr {
    fn flattens(&self) -> bool {
        match self {
            Self::Call(Function::Flatten, _) => true,
            Self::Call(_, arguments) => arguments.iter().any(Self::flattens),
            Self::Text(_) | Self::Name(_) => false,
        }
    }

    fn names(&self, visit: &mut dyn FnMut(Name)) {
        match self {
            Self::Text(_) => {}
            Self::Name(name) => visit(*name),
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.names(visit)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    scope: &'a dyn Scope,
}

impl Reader<'_> {
    fn template(&mut self) -> Result<Template> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(char) = self.peek() {
            let doubled = self.text[self.at..].starts_with("{{") || self.text[self.at..].starts_with("}}");
            if doubled {
                text.push(char);
                self.at += 2;
            } else if char == '{' {
                if !text.is_empty() {
                    parts.push(Expr::Text(std::mem::take(&mut text)));
                }
                self.at += 1;
                parts.push(self.expr(DEPTH)?);
                self.space();
                if self.peek() != Some('}') {
                    return Err(self.wanted("`}`"));
                }
                self.at += 1;
            } else if char == '}' {
                return Err(self.wanted("no `}` alone; write `}}` for the brace itself;"));
            } else {
                text.push(char);
                self.at += char.len_utf8();
            }
        }
        if !text.is_empty() {
            parts.push(Expr::Text(text));
        }
        Ok(Template(parts))
    }

    fn expr(&mut self, depth: usize) -> Result<Expr> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(bad_input(format!(
                "functions stand deeper than {DEPTH} in each other"
            )));
        };
        self.space();
        if self.peek() == Some('\'') {
            let rest = &self.text[self.at + 1..];
            let end = rest
                .find('\'')
                .ok_or_else(|| self.wanted("a closing quote `'`"))?;
            self.at += end + 2;
            return Ok(Expr::Text(rest[..end].to_owned()));
        }
        let begin = self.at;
        let rest = &self.text[begin..];
        let len = rest
            .find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-')))
            .unwrap_or(rest.len());
        if len == 0 {
            return Err(self.wanted("a name, a function or 'text'"));
        }
        let name = &rest[..len];
        self.at += len;
        self.space();
        if self.peek() != Some('(') {
            return self
                .scope
                .resolve(name)
                .map(Expr::Name)
                .ok_or_else(|| self.unknown(begin, name));
        }
        let function = Function::of(name).ok_or_else(|| {
            bad_input(format!("there is no function `{name}` (character {})", begin + 1))
                .fix(format!("the functions are {}", Function::names()))
        })?;
        self.at += 1;
        let mut arguments = Vec::new();
        loop {
            arguments.push(self.expr(depth)?);
            self.space();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(')') => break,
                _ => return Err(self.wanted("`,` or `)`")),
            }
        }
        self.at += 1;
        function.check(&arguments)?;
        Ok(Expr::Call(function, arguments))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn space(&mut self) {
        while self.peek() == Some(' ') {
            self.at += 1;
        }
    }

    fn wanted(&self, what: &str) -> Error {
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), |char| format!("{char:?}"));
        bad_input(format!(
            "{what} was expected at character {}, not {found}",
            self.at + 1
        ))
    }

    fn unknown(&self, begin: usize, name: &str) -> Error {
        bad_input(format!(
            "there is no name `{name}` here (character {})",
            begin + 1
        ))
        .fix(format!("the names here are {}", self.scope.known().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;
    impl Scope for Plain {
        fn resolve(&self, name: &str) -> Option<Name> {
            NAMES
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, name)| *name)
        }
        fn known(&self) -> Vec<String> {
            NAMES.iter().map(|(name, _)| (*name).to_owned()).collect()
        }
    }

    fn parse(text: &str) -> Result<Template> {
        Template::parse(text, &Plain)
    }

    #[test]
    fn text_names_functions_and_braces_are_read() {
        assert_eq!(
            parse("a{{{path}}}{sha256( nonce , 'x')}").unwrap().0,
            [
                Expr::Text("a{".into()),
                Expr::Name(Name::Path),
                Expr::Text("}".into()),
                Expr::Call(
                    Function::Sha256,
                    vec![Expr::Name(Name::Nonce), Expr::Text("x".into())]
                ),
            ]
        );
    }

    #[test]
    fn faults_say_where_they_are() {
        for (text, says) in [
            ("{", "character 2"),
            ("}", "character 1"),
            ("{path", "character 6"),
            ("{nope}", "no name `nope` here (character 2)"),
            ("{nope(path)}", "no function `nope` (character 2)"),
            ("{sha256(path}", "character 13"),
            ("{'a}", "closing quote"),
            ("{sha256()}", "character 9"),
            ("{after(path)}", "`after` takes 2"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_ends() {
        let deep = format!("{{{}path{}}}", "sha256(".repeat(500), ")".repeat(500));
        assert!(parse(&deep).is_err());
    }
}
