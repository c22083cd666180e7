//! A policy: a file's rules, checked whole and ready to be asked.

mod listed;
mod reading;
mod warnings;

use std::{fmt::Display, path::PathBuf, sync::Arc};

pub(super) use self::listed::Listed;
pub(super) use self::reading::field_name;
use self::reading::{lowered, not_empty, pattern, seconds};
use super::{
    counts,
    decimal::Amount,
    file::{ClientFile, EndpointFile, PolicyFile, VERSION},
    hours::Hours,
    judge::Grounds,
};
use crate::{
    caller::Caller,
    error::{Error, Result, bad_input, failed},
};

/// The methods that a rule may name.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "WS"];

/// The rules of one file.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The file as errors name it.
    pub(super) origin: String,
    text: String,
    pub(super) deny_all: bool,
    pub(super) withdrawals: Option<bool>,
    pub(super) raw: Option<bool>,
    pub(super) websocket: bool,
    /// Seconds since 1970, and as the file has it.
    pub(super) expires: Option<(u64, String)>,
    pub(super) hours: Vec<Hours>,
    pub(super) rates: Vec<Limit>,
    pub(super) symbols: Option<Vec<String>>,
    pub(super) symbol_fields: Vec<String>,
    /// A field's folded name, the rule for it, and the values that it may have.
    pub(super) values: Vec<(String, String, Vec<String>)>,
    /// Folded names of fields, and last parts of paths.
    pub(super) uncapped: Vec<String>,
    /// Paths, as rules compare them.
    pub(super) uncapped_paths: Vec<String>,
    pub(super) clients: Option<Vec<Client>>,
    pub(super) allow: Option<Listed<Endpoint>>,
    pub(super) deny: Listed<Endpoint>,
    pub(super) confirm: Listed<Endpoint>,
    pub(super) caps: Listed<Cap>,
    /// The folded names of the fields that caps are for, in order, each once.
    pub(super) capped: Vec<String>,
    /// What these rules said of endpoints.
    pub(super) grounds: Grounds,
}

/// How much of something there may be in a span of time.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    /// The rule, with its file.
    pub rule: String,
    /// What tells the count from every other of a key; neither the number of the rule nor how much there may be.
    pub identity: [u8; 16],
    pub window: Window,
    pub most: Amount,
}

/// A span of time in which something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Second,
    Minute,
    Day,
}

impl Window {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub methods: Vec<String>,
    /// In lower case, without slashes at the end.
    pub paths: Vec<String>,
    /// Folded names: the only ones there may be where the rule allows, those that must all be there where it denies.
    pub fields: Option<Vec<String>>,
    /// Where it denies: folded names, each with the patterns of which its value must fit one.
    pub values: Vec<(String, Vec<String>)>,
    /// As the file has it, in few words.
    pub shown: String,
    /// The rule, with its file.
    pub name: Arc<str>,
}

#[derive(Debug, Clone)]
pub(super) struct Cap {
    /// The rule, without its file.
    pub name: String,
    /// The folded name.
    pub field: String,
    pub times: Option<String>,
    /// Both as the owner spells them.
    pub given: [String; 2],
    pub symbols: Vec<String>,
    pub paths: Vec<String>,
    pub request: Option<Amount>,
    pub day: Option<Limit>,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    uid: Option<u32>,
    gid: Option<u32>,
    executable: Option<PathBuf>,
    unit: Option<String>,
    cgroup: Option<String>,
}

impl Client {
    pub(super) fn is(&self, caller: &Caller) -> bool {
        self.uid.is_none_or(|uid| uid == caller.uid)
            && self.gid.is_none_or(|gid| gid == caller.gid)
            && (self.executable.is_none() || self.executable.as_deref() == caller.executable.as_deref())
            && self.unit.as_deref().is_none_or(|unit| self.is_in(unit, caller))
            && self.cgroup.as_deref().is_none_or(|cgroup| {
                let whole = caller.cgroup.as_deref().unwrap_or_default();
                whole == cgroup || whole.starts_with(&format!("{}/", cgroup.trim_end_matches('/')))
            })
    }
}

impl Client {
    /// Whether the caller is in the unit: of the system, or of the manager of a user who is to be trusted with its name.
    fn is_in(&self, unit: &str, caller: &Caller) -> bool {
        let own = rustix::process::getuid().as_raw();
        let trusted = |user| self.uid == Some(user) || user == own;
        caller
            .unit()
            .is_some_and(|its| its.name == unit && its.of_user.is_none_or(trusted))
    }
}

impl Policy {
    /// Reads the text of a file; `origin` names it in errors.
    ///
    /// # Errors
    /// When it is not TOML, is empty, has an unknown field, a wrong type or value, or a newer version.
    pub fn parse(text: &str, origin: impl Display) -> Result<Self> {
        let origin = origin.to_string();
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(text, &origin, &error))?;
        match table.get("policy").and_then(toml::Value::as_integer) {
            None => {
                return Err(
                    bad_input(format!("{origin} does not begin with `policy = {VERSION}`"))
                        .fix("write it as the first line; a file without it may be half-written"),
                );
            }
            Some(version) if version > i64::from(VERSION) => {
                return Err(failed(format!(
                    "{origin} has version {version}, and this hsmsign knows up to {VERSION}"
                ))
                .fix("use the newer hsmsign that it is written for"));
            }
            Some(version) if version < 1 => {
                return Err(bad_input(format!("{origin} has version {version}")).fix("write `policy = 1`"));
            }
            Some(_) => {}
        }
        let file: PolicyFile = toml::from_str(text).map_err(|error| wrong(text, &origin, &error))?;
        let mut policy = Self::read(file, &origin).map_err(|error| error.within(&origin))?;
        text.clone_into(&mut policy.text);
        Ok(policy)
    }

    /// Whether a client is told by this user.
    pub fn names_user(&self, uid: u32) -> bool {
        self.clients
            .iter()
            .flatten()
            .any(|client| client.uid == Some(uid))
    }

    /// The file, as errors name it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(file: PolicyFile, origin: &str) -> Result<Self> {
        if file.policy == 0 {
            return Err(bad_input("there is no version 0"));
        }
        let hours = not_empty("hours", file.hours)?;
        let hours = hours
            .iter()
            .flatten()
            .map(|text| Hours::read(text))
            .collect::<Result<_>>()?;
        let mut rates = Vec::new();
        if let Some(rate) = &file.rate {
            let all = [
                (Window::Second, rate.second),
                (Window::Minute, rate.minute),
                (Window::Day, rate.day),
            ];
            rates.extend(all.into_iter().filter_map(|(window, most)| {
                Some(Limit {
                    rule: format!("rate.{} of {origin}", window.name()),
                    identity: counts::identity(&format!("{origin}|rate|{}", window.name())),
                    window,
                    most: Amount::whole(most?),
                })
            }));
            if rates.is_empty() {
                return Err(
                    bad_input("`rate` says nothing").fix("write rate = { minute = 60 }, or take it out")
                );
            }
        }
        let values = file.values.into_iter().map(|(name, values)| {
            let values = values.iter().map(|value| value.to_lowercase()).collect();
            Ok((field_name(&name)?, format!("values.{name}"), values))
        });
        let endpoints = |what: &'static str, list: Vec<EndpointFile>| {
            let read = |(at, endpoint): (usize, EndpointFile)| {
                let name = format!("{what} {}", at + 1);
                let mut rule = Endpoint::read(endpoint, what).map_err(|error| error.within(&name))?;
                rule.name = format!("{name} ({}) of {origin}", rule.shown).into();
                Ok(rule)
            };
            let all = list.into_iter().enumerate().map(read).collect::<Result<_>>()?;
            Ok::<_, Error>(Listed::new(all, |rule: &Endpoint| &rule.paths))
        };
        let caps = file.cap.into_iter().enumerate().map(|(at, cap)| {
            let name = format!("cap {}", at + 1);
            Cap::read(cap, &name, origin).map_err(|error| error.within(&name))
        });
        let caps = Listed::new(caps.collect::<Result<_>>()?, |cap: &Cap| &cap.paths);
        let mut capped: Vec<String> = caps.iter().map(|cap| cap.field.clone()).collect();
        capped.sort();
        capped.dedup();
        let clients = file.client.map(|clients| {
            let read = |(at, client): (usize, ClientFile)| {
                Client::read(client).map_err(|error| error.within(format_args!("client {}", at + 1)))
            };
            clients.into_iter().enumerate().map(read).collect::<Result<_>>()
        });
        let folded_all = |names: &[String]| {
            names
                .iter()
                .map(|name| field_name(name))
                .collect::<Result<Vec<_>>>()
        };
        let (paths, uncapped): (Vec<_>, Vec<_>) =
            file.uncapped.into_iter().partition(|name| name.starts_with('/'));
        Ok(Self {
            origin: origin.to_owned(),
            text: String::new(),
            deny_all: file.deny_all,
            withdrawals: file.withdrawals,
            raw: file.raw,
            websocket: file.websocket.unwrap_or(false),
            expires: file.expires.map(seconds).transpose()?,
            hours,
            rates,
            symbols: file.symbols.map(lowered),
            symbol_fields: folded_all(&file.symbol_fields)?,
            values: values.collect::<Result<_>>()?,
            uncapped: folded_all(&uncapped)?,
            uncapped_paths: paths.iter().map(|path| pattern(path)).collect::<Result<_>>()?,
            clients: clients.transpose()?,
            allow: file.allow.map(|list| endpoints("allow", list)).transpose()?,
            deny: endpoints("deny", file.deny)?,
            confirm: endpoints("confirm", file.confirm)?,
            caps,
            capped,
            grounds: Grounds::default(),
        })
    }

    /// The rule that looks at what a request is, if one does: bytes that hsmsign did not compose cannot answer it.
    pub(super) fn looks_inside(&self) -> Option<&'static str> {
        [
            (self.allow.is_some(), "allow"),
            (!self.deny.is_empty(), "deny"),
            (self.symbols.is_some(), "symbols"),
            (!self.values.is_empty(), "values"),
            (!self.caps.is_empty(), "cap"),
            (!self.confirm.is_empty(), "confirm"),
        ]
        .into_iter()
        .find_map(|(has, name)| has.then_some(name))
    }
}

/// An error of TOML, with its place.
fn wrong(text: &str, origin: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map(|span| {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        format!(" line {line}:")
    });
    bad_input(format!(
        "{origin}:{} {}",
        place.unwrap_or_default(),
        error.message().lines().next().unwrap_or_default()
    ))
    .fix("docs/policy.md has every field; a key of the file itself stands before the first [[table]]")
}
