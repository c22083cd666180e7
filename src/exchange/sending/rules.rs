//! By what an answer is an error: rules over its JSON.

use super::ErrorFile;
use crate::{
    error::{Result, bad_input},
    json::Json,
};

/// A place in JSON: names of members, numbers of list items, and `*` for every item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(pub(super) Vec<String>);

/// A field, and what of it makes an answer an error.
#[derive(Debug, Clone)]
pub(super) struct ErrorRule {
    pub field: Field,
    pub when: When,
    pub text: Option<Field>,
}

/// What of a field makes an answer an error. A field that is not there makes none.
#[derive(Debug, Clone)]
pub(super) enum When {
    NonEmpty,
    Negative,
    Is(Vec<String>),
    Not(Vec<String>),
}

impl Field {
    pub(super) fn read(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(
                bad_input(format!("the field {text:?} has an empty name in it")).fix(
                    "write it as \"result.time\", list items by their number, or \"\" for the whole answer",
                ),
            );
        }
        Ok(Self(names))
    }

    /// What stands there; of several the first.
    pub fn of<'j>(&self, json: &'j Json) -> Option<&'j Json> {
        self.all(json).into_iter().next().map(|(_, value)| value)
    }

    /// All that stands there, each with the numbers of the items that its stars stood for.
    fn all<'j>(&self, json: &'j Json) -> Vec<(Vec<usize>, &'j Json)> {
        self.0.iter().fold(vec![(Vec::new(), json)], |found, name| {
            found
                .into_iter()
                .flat_map(|(at, json)| step(name, at, json))
                .collect()
        })
    }

    /// The field with its stars replaced by numbers.
    fn at(&self, numbers: &[usize]) -> Self {
        let mut numbers = numbers.iter();
        let name = |name: &String| match name.as_str() {
            "*" => numbers.next().map_or_else(|| name.clone(), usize::to_string),
            _ => name.clone(),
        };
        Self(self.0.iter().map(name).collect())
    }
}

fn step<'j>(name: &str, at: Vec<usize>, json: &'j Json) -> Vec<(Vec<usize>, &'j Json)> {
    match json {
        Json::List(items) if name == "*" => {
            let item = |(index, item)| ([at.as_slice(), &[index]].concat(), item);
            items.iter().enumerate().map(item).collect()
        }
        Json::List(items) => {
            let item = name.parse().ok().and_then(|index: usize| items.get(index));
            item.map(|item| (at, item)).into_iter().collect()
        }
        json => json.get(name).map(|json| (at, json)).into_iter().collect(),
    }
}

impl ErrorRule {
    pub(super) fn read(file: ErrorFile) -> Result<Self> {
        let when = match (file.when.as_deref(), file.is, file.not) {
            (Some("non-empty"), None, None) => When::NonEmpty,
            (Some("negative"), None, None) => When::Negative,
            (Some(other), None, None) => {
                return Err(
                    bad_input(format!("`when` cannot be {other:?}")).fix("use \"non-empty\" or \"negative\"")
                );
            }
            (None, Some(values), None) if !values.is_empty() => When::Is(values),
            (None, None, Some(values)) if !values.is_empty() => When::Not(values),
            _ => {
                return Err(bad_input("a rule must have one of `when`, `is` and `not`").fix(
                    "write when = \"non-empty\" or \"negative\", or is or not with a list of values as text",
                ));
            }
        };
        Ok(Self {
            field: Field::read(&file.field)?,
            when,
            text: file.text.as_deref().map(Field::read).transpose()?,
        })
    }

    /// The words of the error, if the answer holds it.
    pub(super) fn find(&self, answer: &Json) -> Option<String> {
        let found = self.field.all(answer);
        let (at, value) = found.into_iter().find(|(_, value)| self.when.hits(value))?;
        let text = self.text.as_ref().map(|text| text.at(&at));
        let more = text
            .as_ref()
            .and_then(|text| text.of(answer))
            .filter(|text| !is_empty(text));
        Some(match more {
            Some(more) => format!("{} ({})", words(more), words(value)),
            None => words(value),
        })
    }
}

impl When {
    fn hits(&self, value: &Json) -> bool {
        let among = |values: &[String]| {
            value
                .scalar()
                .is_some_and(|text| values.iter().any(|value| value == text))
        };
        match self {
            Self::NonEmpty => !is_empty(value),
            Self::Negative => value.scalar().is_some_and(|text| text.starts_with('-')),
            Self::Is(values) => among(values),
            Self::Not(values) => !among(values),
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::List(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
    }
}

/// A value for people: a text as it is, a list of texts with commas, anything else as JSON.
fn words(value: &Json) -> String {
    match value {
        Json::List(items) if items.iter().all(|item| item.scalar().is_some()) => items
            .iter()
            .filter_map(Json::scalar)
            .collect::<Vec<_>>()
            .join(", "),
        value => value.scalar().map_or_else(|| value.to_compact(), str::to_owned),
    }
}
