//! Reading the parts of a policy file: each is checked before it counts.

use std::path::{Component, PathBuf};

use toml::value::Datetime;

use super::{Cap, Client, Endpoint, Limit, METHODS, Window};
use crate::{
    caller::number_of,
    error::{Result, bad_input},
    policy::{
        counts,
        decimal::{Amount, Decimal},
        file::{CapFile, ClientFile, EndpointFile, Id, Texts},
        subject::{folded, last_part},
    },
};

impl Endpoint {
    /// `what` it is: `allow`, `deny` or `confirm`.
    pub(super) fn read(file: EndpointFile, what: &str) -> Result<Self> {
        let allows = what == "allow";
        let methods = listed("method", file.method)?;
        if let Some(odd) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(bad_input(format!("there is no method {odd:?}")).fix(format!(
                "write {}, in capitals; WS is a WebSocket login",
                METHODS.join(", ")
            )));
        }
        let shown_paths = listed("path", file.path)?;
        let paths = shown_paths
            .iter()
            .map(|path| pattern(path))
            .collect::<Result<Vec<_>>>()?;
        if what != "deny" && !file.values.is_empty() {
            return Err(bad_input("`values` is for a [[deny]]").fix(
                "values = { side = [\"buy\"] } in front of every [[table]] says which alone a field may have",
            ));
        }
        if methods.is_empty() && paths.is_empty() && file.fields.is_none() && file.values.is_empty() {
            return Err(bad_input("it names neither `method` nor `path` nor `fields`")
                .fix("write path = \"*\" where every path is meant"));
        }
        let mut fields = None;
        for name in file.fields.iter().flatten() {
            let fields = fields.get_or_insert_with(Vec::new);
            fields.push(field_name(name)?);
            // Of `close[price]`, the part in front is a name too.
            let first = name.split(['[', '.']).next().filter(|_| allows);
            fields.extend(first.map(folded));
        }
        if file.fields.is_some() {
            fields.get_or_insert_with(Vec::new);
        }
        if !allows && fields.as_ref().is_some_and(Vec::is_empty) {
            return Err(
                bad_input("`fields` is empty").fix("name the fields by which such a request is known")
            );
        }
        let mut shown = [methods.join("|"), shown_paths.join(" or ")]
            .join(" ")
            .trim()
            .to_owned();
        if let (Some(names), true) = (&file.fields, shown.is_empty()) {
            shown = format!("fields {}", names.join(", "));
        }
        if shown.is_empty() {
            let names: Vec<_> = file.values.keys().map(String::as_str).collect();
            shown = format!("values of {}", names.join(", "));
        }
        let values = file.values.into_iter().map(|(name, values)| {
            let values = listed(&format!("values.{name}"), Some(values))?;
            Ok((field_name(&name)?, lowered(values)))
        });
        Ok(Self {
            methods,
            paths,
            fields,
            values: values.collect::<Result<_>>()?,
            shown,
            name: "".into(),
        })
    }

    /// Whether it is for everything that another rule is for, as far as that can be told from the files.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.fields.is_none()
            && self.values.is_empty()
            && (self.methods.is_empty()
                || !other.methods.is_empty() && other.methods.iter().all(|one| self.methods.contains(one)))
            && (self.paths.is_empty()
                || !other.paths.is_empty()
                    && other
                        .paths
                        .iter()
                        .all(|one| self.paths.iter().any(|own| own == "*" || own == one)))
    }
}

impl Cap {
    pub(super) fn read(file: CapFile, name: &str, origin: &str) -> Result<Self> {
        let amount = |name: &str, text: &Option<String>| -> Result<Option<Amount>> {
            let Some(text) = text else { return Ok(None) };
            let amount = Decimal::parse(text).and_then(Decimal::amount);
            amount
                .filter(|_| !text.starts_with(['-', '+']))
                .map(Some)
                .ok_or_else(|| {
                    bad_input(format!("`{name}` is no amount: {text:?}")).fix("write it as \"0.1\"")
                })
        };
        let (request, day) = (amount("request", &file.request)?, amount("day", &file.day)?);
        if request.is_none() && day.is_none() {
            return Err(bad_input("it has neither `request` nor `day`")
                .fix("write how much a request or a day may have"));
        }
        let paths = listed("path", file.path)?;
        let mut shown = match &file.times {
            Some(times) => format!("{times} × {}", file.field),
            None => file.field.clone(),
        };
        let symbols = listed("symbol", file.symbol)?;
        if !symbols.is_empty() {
            shown = format!("{shown} of {}", symbols.join(", "));
        }
        let name = format!("{name} ({shown})");
        let field = field_name(&file.field)?;
        let times = file.times.as_deref().map(field_name).transpose()?;
        let symbols = lowered(symbols);
        let paths = paths
            .iter()
            .map(|path| pattern(path))
            .collect::<Result<Vec<_>>>()?;
        let day = day.map(|most| {
            let with = [
                times.as_deref().unwrap_or_default(),
                &symbols.join(","),
                &paths.join(","),
            ];
            Limit {
                rule: format!("{name}.day of {origin}"),
                identity: counts::identity(&format!("{origin}|cap|{field}|{}", with.join("|"))),
                window: Window::Day,
                most,
            }
        });
        Ok(Self {
            name,
            field,
            times,
            given: [file.field, file.times.unwrap_or_default()],
            symbols,
            paths,
            request,
            day,
        })
    }
}

impl Client {
    pub(super) fn read(file: ClientFile) -> Result<Self> {
        let id = |id: Option<Id>, names: &str| match id {
            None => Ok(None),
            Some(Id::Number(number)) => Ok(Some(number)),
            Some(Id::Name(name)) => number_of(&name, names).map(Some),
        };
        let client = Self {
            uid: id(file.uid, "/etc/passwd")?,
            gid: id(file.gid, "/etc/group")?,
            executable: file.executable.map(PathBuf::from),
            unit: file.unit,
            cgroup: file.cgroup,
        };
        if let Some(path) = &client.executable {
            let plain = path.components().collect::<PathBuf>();
            let turns = |part| matches!(part, Component::ParentDir | Component::CurDir);
            if !path.is_absolute() || plain.as_os_str() != path.as_os_str() || path.components().any(turns) {
                return Err(bad_input("`executable` is no whole path")
                    .fix("write it from the root and as it is, /usr/bin/bot"));
            }
        }
        if client
            .cgroup
            .as_deref()
            .is_some_and(|cgroup| !cgroup.starts_with('/'))
        {
            return Err(
                bad_input("`cgroup` does not begin with `/`, so it can never match")
                    .fix("write it as /proc/PID/cgroup has it, behind `0::`"),
            );
        }
        let none = client.uid.is_none() && client.gid.is_none() && client.executable.is_none();
        if none && client.unit.is_none() && client.cgroup.is_none() {
            return Err(
                bad_input("it names nobody").fix("write `uid`, `gid`, `executable`, `unit` or `cgroup`")
            );
        }
        Ok(client)
    }
}

/// A text or a list of them, which has something in it where it is there: an empty one would mean anything.
fn listed(name: &str, texts: Option<Texts>) -> Result<Vec<String>> {
    not_empty(name, texts.map(Texts::list)).map(Option::unwrap_or_default)
}

/// A list that has something in it where it is there.
pub(super) fn not_empty(name: &str, list: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
    match list {
        Some(list) if list.is_empty() => Err(bad_input(format!("`{name}` is an empty list"))
            .fix("say which, or take it out where any is meant")),
        list => Ok(list),
    }
}

pub(super) fn lowered(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().map(|text| text.to_lowercase()).collect()
}

pub(in crate::policy) fn field_name(name: &str) -> Result<String> {
    let folded = folded(last_part(name));
    if folded.is_empty() || !name.is_ascii() {
        return Err(bad_input(format!("{name:?} cannot be a field's name")));
    }
    Ok(folded)
}

/// A pattern as paths are compared with it.
pub(super) fn pattern(path: &str) -> Result<String> {
    if !path.starts_with(['/', '*']) {
        return Err(bad_input(format!(
            "the path {path:?} does not begin with `/`, so it can never match"
        )));
    }
    if let Some(odd) = path
        .chars()
        .find(|char| !char.is_ascii_graphic() || matches!(char, '%' | '?' | '#'))
    {
        return Err(bad_input(format!("the path {path:?} has {odd:?} in it"))
            .fix("write it decoded, without its query; `*` stands for any characters"));
    }
    if path.contains("//") {
        return Err(bad_input(format!(
            "the path {path:?} has `//` in it, so it can never match"
        )));
    }
    if let Some(dots) = path.split('/').find(|part| matches!(*part, "." | "..")) {
        return Err(bad_input(format!(
            "the path {path:?} has the segment `{dots}`, so it can never match"
        )));
    }
    let mut pattern = path.to_ascii_lowercase();
    while pattern.len() > 1 && pattern.ends_with('/') {
        pattern.pop();
    }
    Ok(pattern)
}

/// Seconds since 1970; a date alone is its first moment in UTC.
pub(super) fn seconds(time: Datetime) -> Result<(u64, String)> {
    let shown = time.to_string();
    let whole = if time.time.is_none() {
        format!("{shown}T00:00:00Z")
    } else {
        shown.clone()
    };
    let stamp = whole.parse::<jiff::Timestamp>().ok();
    let seconds = stamp.and_then(|stamp| u64::try_from(stamp.as_second()).ok());
    let (wrong, fix) = if time.offset.is_none() && time.time.is_some() {
        ("has no zone", "write expires = 2026-12-31T18:00:00Z")
    } else {
        (
            "is before 1970 or at the end of all years",
            "write expires = 2026-12-31T18:00:00Z; leave it out where the policy is to hold for good",
        )
    };
    seconds
        .map(|seconds| (seconds, shown))
        .ok_or_else(|| bad_input(format!("`expires` is {whole}, which {wrong}")).fix(fix))
}
