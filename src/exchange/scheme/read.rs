//! Reading a scheme: the file's parts checked one by one, and then what they mean for each other.

use toml::{Table, Value};

use super::number::Number;
use super::{FormPlan, Scheme};
use crate::{
    error::{Error, Result, bad_input},
    exchange::{
        caps::Caps,
        check::Test,
        file::{FormFile, PlanFile, SchemeFile, Texts, text},
        key, like,
        locate::located,
        logins::paths_of_logins,
        names::Shared,
        plan::{METHODS, Plan},
        sending::Sending,
        sockets::Sockets,
        withdrawal::Rules,
    },
};

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
        let forms = std::mem::take(&mut file.form).into_iter().enumerate();
        let forms = forms
            .map(|(index, form)| {
                form_plan(form, &base, &plan, &shared)
                    .map_err(|error| error.within(format_args!("form {}", index + 1)))
            })
            .collect::<Result<Vec<_>>>()?;
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
        let lends_signatures = forms.iter().any(|form| {
            let told = |path: &String| withdrawal.as_ref().is_some_and(|rules| rules.has_path(path));
            !form.plan.facts.signs_path && form.plan.unsigned_body && !form.paths.iter().all(told)
        });
        let caps = Caps::read(file.caps.unwrap_or_default()).map_err(|error| error.within("caps"))?;
        let sending = Sending::read(file.send.unwrap_or_default(), &file.hosts, withdrawal.as_ref())
            .map_err(|error| error.within("send"))?;
        Ok(Self {
            host_for: host_for(&file.host_for, &file.hosts)?,
            endpoints: endpoints(&file.endpoints)?,
            number: Number::new(),
            id: file.id,
            name: file.name,
            docs: file.docs,
            note: file.note,
            closed: file.closed,
            hosts: file.hosts,
            aliases: file.aliases,
            kinds,
            shared,
            optional: file.optional,
            plan,
            forms,
            logins: websocket.as_ref().map(paths_of_logins).unwrap_or_default(),
            websocket,
            no_websocket,
            withdrawal,
            classes: file.classes,
            caps,
            lends_signatures,
            checked: file.checked,
            sending,
            like: file.like,
            tests: file.test.into_iter().map(Test::from).collect(),
        })
    }
}

/// A `[[form]]` over the file's own plan.
fn form_plan(mut form: FormFile, base: &PlanFile, usual: &Plan, shared: &Shared) -> Result<FormPlan> {
    let mut plan = Plan::read(form.plan().over(base), shared)?;
    plan.paths.clone_from(&usual.paths);
    let methods = form.method.map(Texts::list).unwrap_or_default();
    if let Some(odd) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return Err(bad_input(format!("`method` cannot be {odd:?}")));
    }
    let paths = form.path.map(Texts::list).unwrap_or_default();
    if methods.is_empty() && paths.is_empty() {
        return Err(bad_input("it has neither `path` nor `method`"));
    }
    Ok(FormPlan { paths, methods, plan })
}

fn host_for(table: &Table, hosts: &[String]) -> Result<Vec<(String, String)>> {
    let host_for = texts(table, "host-for")?;
    match host_for.iter().find(|(_, host)| !hosts.contains(host)) {
        Some((_, host)) => Err(bad_input(format!(
            "`host-for` names {host:?}, which is not among `hosts`"
        ))),
        None => Ok(host_for),
    }
}

fn endpoints(table: &Table) -> Result<Vec<(String, String)>> {
    let endpoints = texts(table, "endpoints")?;
    let odd = endpoints.iter().find(|(endpoint, _)| {
        let (method, path) = endpoint.split_once(' ').unwrap_or_default();
        !METHODS.contains(&method) || !path.starts_with('/')
    });
    match odd {
        Some((odd, _)) => Err(bad_input(format!("`endpoints` has {odd:?}")).fix(
            "write endpoints as \"GET /path\" = \"…\", and keys of the top level before the first [table]",
        )),
        None => Ok(endpoints),
    }
}

/// A table of texts.
fn texts(table: &Table, key: &str) -> Result<Vec<(String, String)>> {
    let pair = |(name, value): (&String, &Value)| {
        let text = text(value).map_err(|kind| {
            let error: Error = bad_input(format!("it must be text, and is a TOML {kind}"));
            error.within(format_args!("{key}.{name}"))
        })?;
        Ok((name.clone(), text.to_owned()))
    };
    table.iter().map(pair).collect()
}

fn check_names(file: &SchemeFile) -> Result<()> {
    let ids = std::iter::once(("id", &file.id));
    for (key, name) in ids.chain(file.aliases.iter().map(|alias| ("aliases", alias))) {
        if !is_id(name) {
            return Err(bad_input(format!("{name:?} cannot be an exchange's id"))
                .fix("use a-z, 0-9, `-`, `_` and `.`")
                .within(key));
        }
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
        return Err(bad_input(format!("{odd:?} does not begin with `/`")).within("paths"));
    }
    Ok(())
}

/// Whether it can be an exchange's id, and with that the name of its file.
pub(in crate::exchange) fn is_id(name: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(is_sign)
        && name.len() <= 63
        && name.bytes().all(|byte| is_sign(byte) || b"-_.".contains(&byte))
}

/// Whether it is a host as files write it, with its port where it is not the usual one.
pub(in crate::exchange) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte))
}
