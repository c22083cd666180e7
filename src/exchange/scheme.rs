//! A scheme: one exchange, as its file says it, checked whole when it is read.

use toml::Value;

use super::{
    carried::too_great,
    check::Test,
    file::{ClassesFile, SchemeFile, text},
    key::{self, KeyKind},
    like,
    locate::located,
    names::Shared,
    plan::{METHODS, Plan},
    sending::Sending,
    sockets::Sockets,
    template::{Name, Template},
    withdrawal::Rules,
};
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, bad_input},
};

/// What one exchange wants.
#[derive(Debug, Clone)]
pub struct Scheme {
    pub(crate) id: String,
    name: String,
    docs: Option<String>,
    note: Option<String>,
    closed: Option<String>,
    hosts: Vec<String>,
    pub(crate) host_for: Vec<(String, String)>,
    aliases: Vec<String>,
    pub(crate) kinds: Vec<KeyKind>,
    pub(crate) shared: Shared,
    optional: Vec<String>,
    pub(crate) endpoints: Vec<(String, String)>,
    plan: Plan,
    pub(crate) forms: Vec<FormPlan>,
    websocket: Option<Sockets>,
    no_websocket: Option<String>,
    pub(crate) withdrawal: Option<Rules>,
    pub(crate) classes: Option<ClassesFile>,
    checked: Vec<String>,
    sending: Sending,
    like: Option<String>,
    tests: Vec<Test>,
}

/// A plan for some paths and methods.
#[derive(Debug, Clone)]
pub(crate) struct FormPlan {
    pub paths: Vec<String>,
    methods: Vec<String>,
    pub plan: Plan,
}

impl FormPlan {
    /// Which requests it is for, in words.
    pub(crate) fn requests(&self) -> String {
        let methods = self.methods.join(" and ");
        let paths = self.paths.join(", ");
        match (methods.is_empty(), paths.is_empty()) {
            (true, _) => format!("requests to {paths}"),
            (false, true) => format!("{methods} requests"),
            (false, false) => format!("{methods} requests to {paths}"),
        }
    }
}

impl Scheme {
    /// Reads and checks a file; `origin` names it in errors.
    ///
    /// # Errors
    /// When it is not TOML, has an unknown key or a wrong type, or when a template of it is not whole or names what
    /// there is not.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        like::read(text)
            .and_then(|file| Self::read(file).map_err(|error| located(text, error)))
            .map_err(|error| error.within(origin))
    }

    fn read(mut file: SchemeFile) -> Result<Self> {
        let base = file.plan();
        check_names(&file)?;
        let (kinds, sets) = key::read(&file.key).map_err(|error| error.within("key"))?;
        let mut credentials = file.credentials.clone();
        credentials.extend(
            file.optional
                .iter()
                .filter(|name| !name.ends_with("secret"))
                .cloned(),
        );
        let shared = Shared {
            credentials,
            sets,
            has_endpoints: !file.endpoints.is_empty(),
        };
        let mut plan = Plan::read(base.clone(), &shared)?;
        plan.paths = file.paths;
        let mut forms = Vec::new();
        for (index, mut form) in std::mem::take(&mut file.form).into_iter().enumerate() {
            let at = |error: Error| error.within(format_args!("form {}", index + 1));
            let mut own = Plan::read(form.plan().over(&base), &shared).map_err(at)?;
            own.paths.clone_from(&plan.paths);
            let methods = form.method.map(super::file::Texts::list).unwrap_or_default();
            if let Some(odd) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
                return Err(at(bad_input(format!("there is no method {odd:?}"))));
            }
            let paths = form.path.map(super::file::Texts::list).unwrap_or_default();
            if methods.is_empty() && paths.is_empty() {
                return Err(at(bad_input("it has neither `path` nor `method`")));
            }
            forms.push(FormPlan {
                paths,
                methods,
                plan: own,
            });
        }
        let mut no_websocket = None;
        let websocket = match file.websocket.take() {
            None => None,
            Some(socket) if socket.none.is_some() => {
                no_websocket = socket.none;
                None
            }
            Some(socket) => {
                Some(Sockets::read(socket, &base, &shared).map_err(|error| error.within("websocket"))?)
            }
        };
        let pairs = |table: &toml::Table, what: &str| -> Result<Vec<(String, String)>> {
            let pair = |(name, value): (&String, &Value)| {
                text_of(value)
                    .map(|value| (name.clone(), value))
                    .map_err(|error| error.within(format_args!("{what}.{name}")))
            };
            table.iter().map(pair).collect()
        };
        let host_for = pairs(&file.host_for, "host-for")?;
        if let Some((_, host)) = host_for.iter().find(|(_, host)| !file.hosts.contains(host)) {
            return Err(bad_input(format!(
                "`host-for` names {host:?}, which is not among `hosts`"
            )));
        }
        let endpoints = pairs(&file.endpoints, "endpoints")?;
        for (endpoint, _) in &endpoints {
            let fits = endpoint
                .split_once(' ')
                .is_some_and(|(method, path)| METHODS.contains(&method) && path.starts_with('/'));
            if !fits {
                return Err(bad_input(format!("`endpoints` has {endpoint:?}"))
                    .fix("write endpoints as \"GET /path\" = \"…\", and keys of the top level before the first [table]"));
            }
        }
        let mut withdrawal = file
            .withdrawal
            .map(Rules::read)
            .transpose()
            .map_err(|error| error.within("withdrawal"))?;
        if let Some(rules) = &mut withdrawal {
            let sockets = websocket.iter().flat_map(Sockets::plans);
            let all = std::iter::once(&plan).chain(forms.iter().map(|form| &form.plan));
            all.chain(sockets).for_each(|plan| rules.look_at(plan));
        }
        if let Some(classes) = &file.classes {
            classes.check()?;
        }
        let sending = Sending::read(file.send.unwrap_or_default(), &file.hosts, withdrawal.as_ref())
            .map_err(|error| error.within("send"))?;
        Ok(Self {
            id: file.id,
            name: file.name,
            docs: file.docs,
            note: file.note,
            closed: file.closed,
            hosts: file.hosts,
            host_for,
            aliases: file.aliases,
            kinds,
            shared,
            optional: file.optional,
            endpoints,
            plan,
            forms,
            websocket,
            no_websocket,
            withdrawal,
            classes: file.classes,
            checked: file.checked,
            sending,
            like: file.like,
            tests: file.test.into_iter().map(Test::from).collect(),
        })
    }

    /// The id, as in `--exchange`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The exchange's name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The exchange's own page on authentication.
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// What a user should know.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Since when and how the exchange or this API is closed, where it is.
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// What the file was compared with: `documentation` for an example that the exchange publishes, or the name and
    /// version of a library.
    pub fn checked(&self) -> &[String] {
        &self.checked
    }

    /// The exchange that this one is signed like, where its file leaves the rest to that.
    pub fn like(&self) -> Option<&str> {
        self.like.as_deref()
    }

    /// What to do where there is no WebSocket login to sign, if the file says it.
    pub fn instead_of_websocket(&self) -> Option<&str> {
        self.no_websocket.as_deref()
    }

    /// The hosts, the usual one first.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Other names of the id.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// The kinds of key, the usual one first.
    pub fn kinds(&self) -> &[KeyKind] {
        &self.kinds
    }

    /// The kind of key with this algorithm; the usual one without.
    ///
    /// # Errors
    /// When the exchange takes no keys of the algorithm; the error names those it takes.
    pub fn kind(&self, algorithm: Option<Algorithm>) -> Result<&KeyKind> {
        let found = match algorithm {
            None => self.kinds.first(),
            Some(algorithm) => self.kinds.iter().find(|kind| kind.algorithm == algorithm),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.kinds.iter().map(|kind| kind.algorithm.name()).collect();
            let asked = algorithm.map_or("any", Algorithm::name);
            Error::new(Code::Unsupported, format!("{} takes no {asked} keys", self.name))
                .fix(format!("use {}", names.join(", ")))
        })
    }

    /// What sending must know of the exchange.
    pub const fn sending(&self) -> &Sending {
        &self.sending
    }

    /// The file's own test rows.
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// Whether there is a WebSocket login message.
    pub const fn has_websocket(&self) -> bool {
        self.websocket.is_some()
    }

    /// Whether some request has the passphrase in it.
    pub fn needs_passphrase(&self) -> bool {
        self.uses(Name::Passphrase)
    }

    /// The secrets by which the passphrase is MACed, where nothing else becomes of it: then it need not be kept, but its
    /// MACs alone. None where requests hold the passphrase itself, or there is none.
    pub fn passphrase_slots(&self) -> Vec<&str> {
        let mut slots: Vec<&str> = Vec::new();
        for plan in self.plans() {
            let own = |template: &Template| {
                plan.signatures.iter().any(|signature| {
                    signature.is_of_passphrase() && std::ptr::eq(&raw const signature.message, template)
                })
            };
            let mut bare = false;
            plan.templates(&mut |template| {
                template.names(&mut |name| bare |= name == Name::Passphrase && !own(template));
            });
            if bare {
                return Vec::new();
            }
            for signature in plan
                .signatures
                .iter()
                .filter(|signature| signature.is_of_passphrase())
            {
                if !slots.contains(&signature.slot.as_str()) {
                    slots.push(&signature.slot);
                }
            }
        }
        slots
    }

    /// Whether some request has the API key in it.
    pub fn needs_api_key(&self) -> bool {
        self.uses(Name::ApiKey)
    }

    /// Further values that a key must have, as `user_id`.
    pub fn credentials(&self) -> &[String] {
        &self.shared.credentials[..self.shared.credentials.len() - self.optional_values()]
    }

    /// Further values that a key may have, as `partner` and `partner_secret`.
    pub fn optional(&self) -> &[String] {
        &self.optional
    }

    fn optional_values(&self) -> usize {
        self.optional
            .iter()
            .filter(|name| !name.ends_with("secret"))
            .count()
    }

    /// Whether a further value may be missing.
    pub(crate) fn is_optional(&self, credential: &str) -> bool {
        self.optional.iter().any(|name| name == credential)
    }

    /// Refuses a mark above which the exchange takes no nonce.
    ///
    /// # Errors
    /// When it is at or above the greatest nonce that the file names.
    pub fn check_nonce_mark(&self, mark: u64) -> Result<()> {
        match self.plan.nonce_max {
            Some(max) if mark >= max => Err(too_great(mark, max)),
            _ => Ok(()),
        }
    }

    /// The secrets that signatures need: `secret`, and for some `partner_secret`.
    pub fn secret_slots(&self) -> Vec<&str> {
        let mut slots: Vec<&str> = Vec::new();
        for signature in self.plans().flat_map(|plan| &plan.signatures) {
            if !slots.contains(&signature.slot.as_str()) {
                slots.push(&signature.slot);
            }
        }
        slots
    }

    fn uses(&self, name: Name) -> bool {
        self.plans().any(|plan| plan.facts.uses.contains(&name))
    }

    /// All plans: the file's own, the forms', the WebSocket login's.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        let sockets = self.websocket.iter().flat_map(Sockets::plans);
        self.rest_plans().chain(sockets)
    }

    /// The plans of REST requests.
    pub(crate) fn rest_plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.plan).chain(self.forms.iter().map(|form| &form.plan))
    }

    /// The plan of a request; the first form that fits.
    pub(crate) fn plan_for(&self, method: &str, path: &str) -> &Plan {
        let fits = |form: &&FormPlan| {
            (form.methods.is_empty() || form.methods.iter().any(|have| have == method))
                && (form.paths.is_empty()
                    || form.paths.iter().any(|pattern| super::glob::fits(pattern, path)))
        };
        self.forms.iter().find(fits).map_or(&self.plan, |form| &form.plan)
    }

    /// The logins of the exchange's sockets.
    pub(crate) fn websocket(&self) -> Result<&Sockets> {
        self.websocket.as_ref().ok_or_else(|| {
            let error = Error::new(
                Code::Unsupported,
                format!("{} has no WebSocket login to sign", self.name),
            );
            match &self.no_websocket {
                Some(instead) => error.fix(instead.clone()),
                None => error,
            }
        })
    }
}

fn check_names(file: &SchemeFile) -> Result<()> {
    let is_id = |name: &str| {
        let mut bytes = name.bytes();
        bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && name.len() <= 63
            && bytes.all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
            })
    };
    if let Some(odd) = std::iter::once(&file.id)
        .chain(&file.aliases)
        .find(|name| !is_id(name))
    {
        return Err(
            bad_input(format!("{odd:?} cannot be an exchange's id")).fix("use a-z, 0-9, `-`, `_` and `.`")
        );
    }
    if file.hosts.is_empty() {
        return Err(bad_input("`hosts` is empty").fix("list the API's hosts, the usual one first"));
    }
    if let Some(odd) = file.hosts.iter().find(|host| !is_host(host)) {
        return Err(bad_input(format!("`hosts` has {odd:?}"))
            .fix("write hosts in lower case, without https:// and path"));
    }
    let mut patterns = file.paths.iter();
    if let Some(odd) = patterns.find(|pattern| !pattern.starts_with('/') && !pattern.starts_with('*')) {
        return Err(bad_input(format!("the path {odd:?} does not begin with `/`")));
    }
    Ok(())
}

/// Whether it is a host as files write it, with its port where it is not the usual one.
pub(super) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte))
}

fn text_of(value: &Value) -> Result<String> {
    text(value)
        .map(str::to_owned)
        .map_err(|kind| bad_input(format!("it must be text, and is a TOML {kind}")))
}

/// A TOML error with its line and column.
pub(crate) fn place(source: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', " ");
    match error.span() {
        Some(span) => format!("{}: {message}", line_and_column(source, span.start)),
        None => message,
    }
}

/// Where a byte of a text is, for a person.
pub(crate) fn line_and_column(source: &str, byte: usize) -> String {
    let before = source.get(..byte).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    format!("line {line}, column {column}")
}
