//! A policy before requests, without a token.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use hsmsign::{
    algorithm::Algorithm,
    error::{Code, Error},
    exchange::{Scheme, builtin},
    home::Home,
    keyring::{Allow, KeyName},
    policy::{self, Caller, Mode, Policies, Question, Verdict, What, Whose},
    request::Request,
    watch::Epoch,
};

/// A time at which every test's clock stands: 2026-09-21, a Monday, at 14:13:20 UTC.
pub const NOW: Duration = Duration::from_secs(1_790_000_000);

/// What is asked: method, path with its query, and body.
pub type Ask<'a> = (&'a str, &'a str, &'a str);

/// A request line; its body is JSON where it begins so.
pub fn ask(method: &str, path: &str, body: &str) -> String {
    let mut line = serde_json::json!({"method": method, "path": path});
    if !body.is_empty() {
        line["body"] = body.into();
    }
    if body.starts_with(['{', '[']) {
        line["content_type"] = "application/json".into();
    }
    line.to_string()
}

/// The text of a cap of 0.1 a request.
pub fn cap(field: &str) -> String {
    format!("[[cap]]\nfield = \"{field}\"\nrequest = \"0.1\"")
}

/// A policy, what it must permit, and what it must refuse.
pub fn holds(exchange: &str, policy: &str, permitted: &[Ask<'_>], refused: &[Ask<'_>]) {
    Judge::new(exchange, policy).holds(permitted, refused);
}

/// A key of an exchange with a policy of its own.
pub struct Judge {
    _folder: tempfile::TempDir,
    policies: Policies,
    scheme: Scheme,
    key: KeyName,
    pub allow: Vec<Allow>,
    pub caller: Caller,
    /// The kind of the key; the exchange's usual one where none is said.
    pub algorithm: Option<Algorithm>,
}

impl Judge {
    /// A policy's text without its first line.
    pub fn new(exchange: &str, policy: &str) -> Self {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let policies = Policies::new(&Home::at(folder.path()));
        let key: KeyName = "k".parse().unwrap();
        policies
            .put(&Whose::Key(key.clone()), &format!("policy = 1\n{policy}"), NOW)
            .unwrap();
        Self {
            _folder: folder,
            policies,
            scheme: Scheme::parse(builtin(exchange).unwrap(), exchange).unwrap(),
            key,
            allow: Vec::new(),
            caller: Caller::this_process(),
            algorithm: None,
        }
    }

    /// Has all that is asked from now on watched, as `policy learn --begin` does.
    pub fn watches(&self) {
        let switch = self.policies.switch();
        switch
            .change(|denied| drop(denied.learning.insert(self.key.clone(), String::new())))
            .unwrap();
    }

    /// What becomes of a request line: permitted, or refused before that.
    pub fn ask(&self, line: &str) -> Result<Verdict, Error> {
        self.ask_at(line, NOW, Mode::Look)
    }

    /// The same, at a time, and counted.
    pub fn ask_at(&self, line: &str, now: Duration, mode: Mode) -> Result<Verdict, Error> {
        let request = Request::parse_line(line).map_err(|(_, error)| error)?;
        let kind = self.scheme.kind(self.algorithm)?;
        let prepared = self.scheme.prepare(&request, kind, None)?;
        let question = Question {
            key: &self.key,
            allow: &self.allow,
            caller: &self.caller,
            what: What::Request(&prepared),
            now,
            epoch: Epoch::moment(),
        };
        self.policies.decide(&question, mode)
    }

    /// What a person would be shown of a request.
    pub fn told(&self, line: &str) -> Result<String, Error> {
        let request = Request::parse_line(line).map_err(|(_, error)| error)?;
        let prepared = self.scheme.prepare(&request, self.scheme.kind(None)?, None)?;
        policy::told(&prepared)
    }

    /// The question about a request of this judge's caller.
    pub fn question(&self, line: &str) -> Result<String, Error> {
        let request = Request::parse_line(line).map_err(|(_, error)| error)?;
        let prepared = self.scheme.prepare(&request, self.scheme.kind(None)?, None)?;
        policy::question(&self.caller, &self.key, "exchange", "https://host", &prepared)
    }

    /// What becomes of bytes that hsmsign did not compose.
    pub fn ask_raw(&self, message: &[u8]) -> Result<Verdict, Error> {
        let moves_money = self.scheme.raw_moves_money(message);
        let question = Question {
            key: &self.key,
            allow: &self.allow,
            caller: &self.caller,
            what: What::Raw(moves_money.as_deref()),
            now: NOW,
            epoch: Epoch::moment(),
        };
        self.policies.decide(&question, Mode::Look)
    }

    /// A request that must be permitted.
    pub fn permits(&self, line: &str) {
        if let Err(error) = self.ask(line) {
            panic!("{line} is refused: {error}; {}", error.advice());
        }
    }

    /// A request that must be refused: denied, or not even taken for a request.
    pub fn refuses(&self, line: &str) {
        match self.ask(line) {
            Ok(verdict) => panic!("{line} is permitted by {:?}", verdict.rules),
            Err(error) => assert!(
                matches!(error.code(), Code::Denied | Code::BadInput | Code::Unsupported),
                "{line}: {error}"
            ),
        }
    }

    /// Requests that must be permitted, and others that must be refused.
    pub fn holds(&self, permitted: &[Ask<'_>], refused: &[Ask<'_>]) {
        for (method, path, body) in permitted {
            self.permits(&ask(method, path, body));
        }
        for (method, path, body) in refused {
            self.refuses(&ask(method, path, body));
        }
    }

    /// A request that must be denied, in these words.
    pub fn denies(&self, line: &str, words: &str) {
        let error = self.ask(line).expect_err(line);
        assert_eq!(error.code(), Code::Denied, "{line}: {error}");
        assert!(error.message().contains(words), "{line}: {error}");
        assert!(error.remedy().is_some(), "{line}: {error}");
    }
}
