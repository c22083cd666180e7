//! The logins of an exchange's sockets: the usual one, and those of its other sockets or for other kinds of message.

use toml::Value;

use super::{
    file::{PlanFile, SignatureFile, Signatures, Texts, WebSocketFile},
    glob,
    names::{Names, Shared},
    nodes::node,
    plan::{Node, Plan},
    template::Template,
};
use crate::error::{Error, Result, bad_input};

/// The logins that a file describes.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    usual: Plan,
    forms: Vec<Form>,
}

/// The login for some paths, or for requests that bring a message of their own.
#[derive(Debug, Clone)]
struct Form {
    paths: Vec<String>,
    with_body: bool,
    plan: Plan,
}

impl Sockets {
    /// Checks and resolves what a file says. Clock, nonce and options of the file's own plan count where a login has
    /// none; the usual login counts where a form says nothing.
    pub(crate) fn read(mut file: WebSocketFile, base: &PlanFile, shared: &Shared) -> Result<Self> {
        let takes_challenge = takes_challenge(&file.input)?;
        let under = PlanFile {
            clock: base.clock.clone(),
            nonce: base.nonce.clone(),
            options: base.options.clone(),
            ..PlanFile::default()
        };
        let usual = signed(file.plan(), file.message.take()).over(&under);
        let mut forms = Vec::new();
        for (index, mut form) in std::mem::take(&mut file.form).into_iter().enumerate() {
            let at = |error: Error| error.within(format_args!("form {}", index + 1));
            let with_body = match form.given.as_deref() {
                None => false,
                Some("json") => true,
                Some(other) => {
                    return Err(at(
                        bad_input(format!("`given` cannot be {other:?}")).fix("use \"json\"")
                    ));
                }
            };
            let paths = form.path.take().map(Texts::list).unwrap_or_default();
            if paths.is_empty() && !with_body {
                return Err(at(bad_input("it has neither `path` nor `given`")));
            }
            let own = signed(form.plan(), form.message.take()).over(&usual);
            let parts = Parts {
                paths: if paths.is_empty() { &file.paths } else { &paths },
                frame: form
                    .frame
                    .as_ref()
                    .or(file.frame.as_ref())
                    .filter(|frame| frame.as_table().is_none_or(|table| !table.is_empty())),
                url: form.url.as_deref().or(file.url.as_deref()),
                takes_challenge,
            };
            let plan = parts.plan(own, shared).map_err(at)?;
            forms.push(Form {
                paths,
                with_body,
                plan,
            });
        }
        let parts = Parts {
            paths: &file.paths,
            frame: file.frame.as_ref(),
            url: file.url.as_deref(),
            takes_challenge,
        };
        Ok(Self {
            usual: parts.plan(usual, shared)?,
            forms,
        })
    }

    /// The login for this path, which is empty where the request names none.
    pub(crate) fn choose(&self, path: &str, has_body: bool) -> &Plan {
        let fits = |form: &&Form| {
            (form.paths.is_empty() || form.paths.iter().any(|pattern| glob::fits(pattern, path)))
                && (has_body || !form.with_body)
        };
        self.forms
            .iter()
            .find(fits)
            .map_or(&self.usual, |form| &form.plan)
    }

    /// Whether a form of the file is for this path.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let mut patterns = self.forms.iter().flat_map(|form| &form.paths);
        patterns.any(|pattern| glob::fits(pattern, path))
    }

    /// All logins, the usual one first.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.usual).chain(self.forms.iter().map(|form| &form.plan))
    }
}

/// What a login has beside a plan's keys.
struct Parts<'f> {
    paths: &'f [String],
    frame: Option<&'f Value>,
    url: Option<&'f str>,
    takes_challenge: bool,
}

impl Parts<'_> {
    fn plan(&self, file: PlanFile, shared: &Shared) -> Result<Plan> {
        let mut plan = Plan {
            takes_challenge: self.takes_challenge,
            paths: self.paths.to_vec(),
            ..Plan::default()
        };
        plan.read_parts(file, shared)?;
        let names = Names {
            plan: &plan,
            shared,
            signatures: plan.signatures.len(),
        };
        let url = self.url.map(|url| Template::parse(url, &names)).transpose();
        let url = url.map_err(|error| error.within("url"))?;
        let frame = self.frame.map(|value| frame(value, &names)).transpose();
        let frame = frame.map_err(|error| error.within("frame"))?;
        (plan.url, plan.frame) = (url, frame);
        plan.finish()?;
        if plan.facts.signs_path && plan.paths.is_empty() {
            return Err(bad_input("its message has the path, and `paths` is missing")
                .fix("list the paths of the exchange's sockets, so that no other path can be signed here"));
        }
        Ok(plan)
    }
}

/// A login's frame, as JSON.
fn frame(value: &Value, names: &Names<'_>) -> Result<Node> {
    match value {
        Value::Table(_) | Value::Array(_) => node(value, names),
        other => Err(bad_input(format!("it is a TOML {}", other.type_str()))
            .fix("write a table or a list, as the frame's JSON")),
    }
}

/// The keys of a plan, with its `message` as the signature.
fn signed(mut plan: PlanFile, message: Option<String>) -> PlanFile {
    if let Some(message) = message {
        plan.signature = Some(Signatures::One(SignatureFile {
            message,
            name: None,
            key: None,
        }));
    }
    plan
}

fn takes_challenge(input: &[String]) -> Result<bool> {
    match input.iter().find(|input| *input != "challenge") {
        Some(other) => {
            Err(bad_input(format!("`websocket.input` cannot be {other:?}")).fix("use \"challenge\""))
        }
        None => Ok(!input.is_empty()),
    }
}
