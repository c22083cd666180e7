//! A scheme: one exchange, as its file says it, checked whole when it is read.

mod number;
mod read;

use self::number::Number;
pub(super) use self::read::{is_host, is_id};
use super::{
    caps::Caps,
    carried::too_great,
    check::Test,
    file::ClassesFile,
    key::KeyKind,
    names::Shared,
    plan::Plan,
    sending::Sending,
    sockets::Sockets,
    template::{Name, Template},
    withdrawal::Rules,
};
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result},
};

/// What one exchange wants.
#[derive(Debug, Clone)]
pub struct Scheme {
    pub(crate) number: Number,
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
    pub(crate) websocket: Option<Sockets>,
    /// Patterns of paths for which a request's signature may be that of a login.
    pub(crate) logins: Vec<String>,
    no_websocket: Option<String>,
    pub(crate) withdrawal: Option<Rules>,
    pub(crate) classes: Option<ClassesFile>,
    pub(crate) caps: Caps,
    /// Whether some requests are signed without their body, and neither path nor withdrawal rules tell theirs from the
    /// signature of another.
    pub(crate) lends_signatures: bool,
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

    /// Whether any kind of its requests has a receive window.
    pub fn knows_window(&self) -> bool {
        self.plans().any(|plan| plan.window().is_some())
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

    /// What `[endpoints]` says of this method and path.
    pub(crate) fn word_for(&self, method: &str, path: &str) -> Option<&str> {
        let named = |(endpoint, _): &&(String, String)| endpoint.split_once(' ') == Some((method, path));
        self.endpoints.iter().find(named).map(|(_, word)| word.as_str())
    }

    /// The endpoints, as method and path, of which `[endpoints]` says the same as of this one.
    pub(crate) fn of_the_same_word(&self, method: &str, path: &str) -> impl Iterator<Item = (&str, &str)> {
        let word = self.word_for(method, path);
        let same = self
            .endpoints
            .iter()
            .filter(move |(_, other)| Some(other.as_str()) == word);
        same.filter_map(|(endpoint, _)| endpoint.split_once(' '))
    }

    /// The logins of the exchange's sockets.
    pub(crate) fn websocket(&self) -> Result<&Sockets> {
        self.websocket.as_ref().ok_or_else(|| {
            let error = Error::new(
                Code::Unsupported,
                format!("{} has no WebSocket login to sign", self.name),
            );
            let instead = self.no_websocket.as_deref().or_else(|| self.closed());
            error.fix(instead.unwrap_or(
                "its file has requests alone; docs/adding-an-exchange.md says how a file of your own has a login too",
            ))
        })
    }
}
