//! Reading the values of a file that are templates: headers, fields and JSON.

use toml::{Table, Value};

use super::{
    file::{PlacesFile, text},
    names::Names,
    plan::{Member, Node, Place},
    template::Template,
};
use crate::error::{Error, Result, bad_input};

fn wrong(kind: &str) -> Error {
    bad_input(format!("it must be text, and is a TOML {kind}"))
        .fix("a key of the file's top level must stand before the first [table]")
}

/// A template.
pub(crate) fn template(value: &Value, names: &Names<'_>) -> Result<Template> {
    Template::parse(text(value).map_err(wrong)?, names)
}

/// A header's template. The file's own keys are no headers: one that stands here was written below `[headers]`.
pub(crate) fn header(name: &str, value: &Value, names: &Names<'_>) -> Result<Template> {
    const TOP: [&str; 12] = [
        "id",
        "name",
        "docs",
        "note",
        "body",
        "content-type",
        "encoding",
        "add-at",
        "add-after",
        "attach-at",
        "attach-before",
        "attach-after",
    ];
    if TOP.contains(&name) {
        return Err(bad_input("this is a key of the file, and stands below [headers]")
            .fix("write keys of the top level before the first [table]"));
    }
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        return Err(bad_input("this cannot be a header's name").fix("use letters, digits, `-` and `_`"));
    }
    template(value, names)
}

/// The fields of `add` or `attach`.
pub(crate) fn members(file: Option<PlacesFile>, names: &Names<'_>) -> Result<Vec<Member>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let places = [
        (Place::Params, file.params),
        (Place::Query, file.query),
        (Place::Form, file.form),
        (Place::Json, file.json),
    ];
    let mut members = Vec::new();
    for (place, table) in places {
        for (name, value) in table.iter().flatten() {
            let at = |error: Error| error.within(format_args!("{}.{name}", place.name()));
            let value = node(value, names).map_err(at)?;
            if place != Place::Json && matches!(value, Node::Object(_) | Node::List(_)) {
                return Err(at(bad_input("only JSON can hold lists and tables")));
            }
            members.push(Member {
                place,
                name: name.clone(),
                value,
            });
        }
    }
    Ok(members)
}

/// A table as a JSON object.
pub(crate) fn object(table: &Table, names: &Names<'_>) -> Result<Node> {
    let mut members = Vec::with_capacity(table.len());
    for (name, value) in table {
        let value = node(value, names).map_err(|error| error.within(name))?;
        members.push((name.clone(), value));
    }
    Ok(Node::Object(members))
}

/// A value as JSON.
pub(crate) fn node(value: &Value, names: &Names<'_>) -> Result<Node> {
    Ok(match value {
        Value::String(text) => Node::Text(Template::parse(text, names)?),
        Value::Boolean(value) => Node::Bool(*value),
        Value::Integer(value) => Node::Number(value.to_string()),
        Value::Array(items) => Node::List(
            items
                .iter()
                .map(|item| node(item, names))
                .collect::<Result<_>>()?,
        ),
        Value::Table(table) => object(table, names)?,
        Value::Float(_) | Value::Datetime(_) => {
            return Err(
                bad_input(format!("a TOML {} has no one spelling in JSON", value.type_str()))
                    .fix("write it as text, with number(…) for a number"),
            );
        }
    })
}
