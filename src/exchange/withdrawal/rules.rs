//! A file's rules for what moves money out, and what they say of names and paths alone.

use std::borrow::Cow;

use crate::{
    error::{Result, bad_input},
    exchange::{
        file::WithdrawalFile,
        glob::fits,
        lenient::lowered,
        plan::{METHODS, Plan},
    },
};

/// A file's rules, ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub paths: Vec<PathRule>,
    pub fields: Vec<FieldRule>,
    pub values: Vec<ValueRule>,
    needs: Vec<Need>,
    /// Whether the path of some request is not signed, so that a signature made elsewhere may fit it.
    pub(super) loose: bool,
    /// Whether the path of some request is signed, so that text of another may stand for it.
    pub(super) strict: bool,
}

/// A part of the request that every withdrawal's message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Query,
    Body,
}

#[derive(Debug, Clone)]
pub(crate) struct PathRule {
    /// As the file has it.
    pub shown: String,
    pub method: Option<&'static str>,
    /// The path in lower case, without a slash at its end.
    pub pattern: String,
}

#[derive(Debug, Clone)]
pub(crate) struct FieldRule {
    pub shown: String,
    /// Names in lower case, all of which must be there.
    pub names: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct ValueRule {
    pub shown: String,
    pub name: String,
    pub value: String,
}

impl Rules {
    /// Checks what a file says.
    pub(crate) fn read(file: WithdrawalFile) -> Result<Self> {
        let paths = file
            .paths
            .into_iter()
            .map(PathRule::read)
            .collect::<Result<_>>()?;
        let field = |shown: String| FieldRule {
            names: shown.to_lowercase().split('+').map(str::to_owned).collect(),
            shown,
        };
        let mut values = Vec::new();
        for (name, hits) in &file.body {
            values.extend(hits.iter().map(|hit| ValueRule {
                shown: format!("{name}={hit}"),
                name: name.to_lowercase(),
                value: hit.to_lowercase(),
            }));
        }
        let need = |part: &String| match part.as_str() {
            "query" => Ok(Need::Query),
            "body" => Ok(Need::Body),
            other => Err(bad_input(format!("`needs` cannot be {other:?}")).fix("use \"query\" and \"body\"")),
        };
        Ok(Self {
            needs: file.needs.iter().map(need).collect::<Result<_>>()?,
            paths,
            fields: file.fields.into_iter().map(field).collect(),
            values,
            loose: false,
            strict: false,
        })
    }

    /// Takes note of what the file's plans sign.
    pub(crate) fn look_at(&mut self, plan: &Plan) {
        self.strict |= plan.facts.signs_path;
        self.loose |= !plan.facts.signs_path && (plan.facts.signs_query || plan.facts.signs_body);
    }

    /// Whether no message of this plan is a withdrawal's, since it lacks a part that the exchange wants signed in each.
    pub(crate) fn spare(&self, plan: &Plan) -> bool {
        self.needs.iter().any(|need| match need {
            Need::Query => !plan.facts.signs_query,
            Need::Body => !plan.facts.signs_body,
        })
    }

    /// Whether a rule, of whatever method, fits this path.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        self.paths.iter().any(|rule| fits(&rule.pattern, &path))
    }

    /// Whether a withdrawal can be known without its path.
    pub(crate) const fn knows_fields(&self) -> bool {
        !self.fields.is_empty() || !self.values.is_empty()
    }
}

impl PathRule {
    fn read(shown: String) -> Result<Self> {
        let (method, path) = match shown.split_once(' ') {
            None => (None, shown.as_str()),
            Some((method, path)) => {
                let known = METHODS.into_iter().find(|known| *known == method);
                let known = known.ok_or_else(|| {
                    bad_input(format!("`paths` has {shown:?}")).fix(format!(
                        "write one of {} in front of the path, or none",
                        METHODS.join(", ")
                    ))
                })?;
                (Some(known), path)
            }
        };
        if !path.starts_with('/') && !path.starts_with('*') {
            return Err(bad_input(format!("{path:?} does not begin with `/`")).within("paths"));
        }
        let mut pattern = path.to_lowercase();
        while pattern.len() > 1 && pattern.ends_with('/') {
            pattern.pop();
        }
        Ok(Self {
            method,
            pattern,
            shown,
        })
    }

    pub(super) fn says(&self) -> String {
        format!("the path {} moves money out", self.shown)
    }
}

/// The path that stands somewhere in a text, which is in lower case.
pub(super) fn shown_in<'r>(rules: &'r Rules, text: &str) -> Option<&'r PathRule> {
    let mut paths = rules.paths.iter();
    paths.find(|rule| fits(&format!("*{}*", rule.pattern), text))
}

/// The rule that one of these fields fits.
pub(super) fn named<'t>(
    rules: &Rules,
    fields: impl Iterator<Item = &'t (Cow<'t, str>, Cow<'t, str>)>,
) -> Option<String> {
    let fields: Vec<(Cow<'_, str>, &str)> = fields
        .flat_map(|(name, value)| {
            let names = [Some(folded(name)), underscored(name)].into_iter().flatten();
            names.map(move |name| (name, &**value))
        })
        .collect();
    let has = |wanted: &String| {
        // Digits in front may belong to a number that stands before the query in the message.
        let bare = |name: &str| name.bytes().take_while(u8::is_ascii_digit).count();
        fields
            .iter()
            .any(|(name, _)| name == wanted || name[bare(name)..] == **wanted)
    };
    if let Some(rule) = rules.fields.iter().find(|rule| rule.names.iter().all(has)) {
        return Some(if rule.names.len() == 1 {
            format!("the field {} moves money out", rule.shown)
        } else {
            let together = rule.shown.replace('+', " and ");
            format!("the fields {together} together move money out")
        });
    }
    let hit = rules.values.iter().find(|rule| {
        let mut same = fields.iter().filter(|(name, _)| *name == rule.name);
        same.any(|(_, value)| fits(&rule.value, &lowered(value)))
    });
    hit.map(|rule| format!("{} moves money out", rule.shown))
}

/// A name as servers may read it: without case, as Go and others have it, and spaces around, without the index of `name[0]`,
/// and up to a NUL.
fn folded(name: &str) -> Cow<'_, str> {
    if name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return name.into();
    }
    name.split(['[', '\0'])
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase()
        .replace('ſ', "s")
        .into()
}

/// A name as PHP reads it, where that is another: there dots, blanks and a bracket that nothing closes are underscores.
fn underscored(name: &str) -> Option<Cow<'_, str>> {
    let name = name.split('\0').next().unwrap_or_default();
    if !name.bytes().any(|byte| matches!(byte, b'.' | b' ' | b'[')) {
        return None;
    }
    let name = match name.contains(']') {
        true => name.split('[').next().unwrap_or_default(),
        false => name,
    };
    Some(name.trim().replace(['.', ' ', '['], "_").to_lowercase().into())
}
