//! Puts fields into query and body: those that the scheme adds, and the signature.

use crate::{
    error::{Result, bad_input},
    exchange::{
        bodies::Payload,
        context::Context,
        place::{encode, insert, insert_json},
        plan::{AddAt, Member, Node, Place},
    },
};

/// Adds the fields that the scheme wants and the request does not carry, and compares those it carries.
pub(super) fn add(context: &mut Context<'_>) -> Result<()> {
    let plan = context.plan();
    let missing = std::mem::take(&mut context.prepared.missing);
    let members: Vec<(Place, &Member)> = missing
        .iter()
        .map(|(at, place)| (*place, &plan.add[*at]))
        .collect();
    put(context, &members, &plan.add_at)?;
    for (at, carried) in &context.prepared.expected {
        let member = &plan.add[*at];
        let Node::Text(template) = &member.value else {
            continue;
        };
        if context.text(template)? != *carried {
            return Err(bad_input(format!(
                "the request's own `{}` is not what this key and path want",
                member.name
            ))
            .fix(format!("leave `{}` out, and hsmsign adds it", member.name)));
        }
    }
    Ok(())
}

/// Evaluates members and puts them into query and body.
pub(super) fn put(context: &mut Context<'_>, members: &[(Place, &Member)], at: &AddAt) -> Result<()> {
    let rules = context.plan().params.as_ref();
    let plus = rules.is_some_and(|rules| rules.plus_for_space);
    let under = rules.and_then(|rules| rules.under.as_deref());
    for place in [Place::Query, Place::Form, Place::Json] {
        let mut added = Vec::new();
        for (_, member) in members.iter().filter(|(wanted, _)| *wanted == place) {
            let value = match (place, &member.value) {
                (Place::Json, _)
                    if under == Some(member.name.as_str()) && context.prepared.under.is_some() =>
                {
                    context
                        .prepared
                        .under
                        .as_ref()
                        .map(|under| under.text().to_owned())
                }
                (Place::Json, node) => context.node(node)?,
                (_, Node::Text(template)) => Some(context.text(template)?)
                    .filter(|text| !text.is_empty())
                    .map(|text| encode(text.as_bytes(), plus)),
                (_, node) => context.node(node)?,
            };
            if let Some(value) = value {
                let name = if place == Place::Json {
                    member.name.clone()
                } else {
                    encode(member.name.as_bytes(), plus)
                };
                added.push((name, value));
            }
        }
        if added.is_empty() {
            continue;
        }
        if place == Place::Query {
            context.prepared.query = insert(&context.prepared.query, &added, at);
            continue;
        }
        let json = place == Place::Json;
        let body = context.prepared.body.get_or_insert_with(|| {
            let empty = if json { "{}" } else { "" };
            Payload::new(json, empty.into())
        });
        if body.json != json {
            return Err(bad_input(format!(
                "this exchange wants the body as {}",
                if json { "JSON" } else { "a form" }
            )));
        }
        let text = if json {
            insert_json(body.text(), &added, at)?
        } else {
            insert(body.text(), &added, at)
        };
        *body = Payload::new(json, text);
    }
    Ok(())
}
