//! Reading a plan: the file's keys checked, its templates resolved, and what cannot work refused.

use std::collections::HashMap;

use super::{
    analyse::Facts,
    file::{PlanFile, Signatures},
    key::Encode,
    names::{Names, Shared},
    nodes::{header, members, node, template},
    params::Params,
    plan::{AddAt, Member, Node, Place, Plan, Signature},
    stamps::{Clock, Series},
    template::{NAMES, Name, Template},
};
use crate::error::{Result, bad_input};

/// How many names a let may stand for, through those that it names.
const MOST_NAMES: usize = 1000;

impl Plan {
    /// Checks and resolves what a file says.
    pub(crate) fn read(file: PlanFile, shared: &Shared) -> Result<Self> {
        let mut plan = Self::default();
        plan.read_parts(file, shared)?;
        plan.finish()?;
        Ok(plan)
    }

    /// Checks and resolves the keys that every plan has.
    pub(crate) fn read_parts(&mut self, file: PlanFile, shared: &Shared) -> Result<()> {
        let clock = file
            .clock
            .as_ref()
            .map(|clock| Clock::new(&clock.unit, clock.also.as_deref(), clock.ahead))
            .transpose();
        self.clock = clock.map_err(|error| error.within("clock"))?;
        if let Some(nonce) = &file.nonce {
            let series = Series::new(nonce).map_err(|error| error.within("nonce"))?;
            if matches!(series, Series::Timestamp | Series::Word) && self.clock.is_none() {
                return Err(bad_input(
                    "`nonce` is like the timestamp, and there is no `clock`",
                ));
            }
            self.nonce = Some(series);
            self.nonce_optional = nonce.optional;
            self.nonce_max = nonce.max;
        }
        self.options = file.options.unwrap_or_default().into_iter().collect();
        for part in file.unsigned.iter().flatten() {
            match part.as_str() {
                "query" => self.unsigned_query = true,
                "body" => self.unsigned_body = true,
                other => {
                    return Err(bad_input(format!("`unsigned` cannot be {other:?}"))
                        .fix("use \"query\" and \"body\""));
                }
            }
        }
        self.add_at = match (file.add_at, file.add_after) {
            (None, Some(name)) => AddAt::After(name),
            (at, None) => spot("add-at", at.as_deref(), AddAt::Last)?,
            _ => {
                return Err(
                    bad_input("there are both `add-at` and `add-after`").fix("say once where the fields go")
                );
            }
        };
        self.attach_at = match (file.attach_at, file.attach_before, file.attach_after) {
            (None, Some(name), None) => AddAt::Before(name),
            (None, None, Some(name)) => AddAt::After(name),
            (at, None, None) => spot("attach-at", at.as_deref(), AddAt::Behind)?,
            _ => {
                return Err(bad_input(
                    "there is more than one of `attach-at`, `attach-before` and `attach-after`",
                )
                .fix("say once where the signature goes"));
            }
        };
        let encoding = file.encoding.as_deref().map(Encode::chain).transpose();
        self.encoding = encoding.map_err(|error| error.within("encoding"))?;
        self.content_type = file.content_type;
        self.params = file.params.map(Params::read).transpose()?;
        // The names of lets and JSON tables must stand before any template is read, since they may name each other.
        self.lets = file
            .lets
            .keys()
            .map(|name| (name.clone(), Template::default()))
            .collect();
        self.jsons = file
            .json
            .keys()
            .map(|name| (name.clone(), Node::Bool(false)))
            .collect();
        for (name, _) in &self.lets {
            if NAMES.iter().any(|(known, _)| known == name) {
                return Err(bad_input(format!(
                    "`let.{name}` has a name that the language uses"
                )));
            }
        }
        fn names<'a>(plan: &'a Plan, shared: &'a Shared, signatures: usize) -> Names<'a> {
            Names {
                plan,
                shared,
                signatures,
            }
        }
        // So must those of the signatures, which a table may hold that stands in no message.
        let given = match file.signature {
            None => Vec::new(),
            Some(Signatures::One(one)) => vec![one],
            Some(Signatures::Many(many)) => many,
        };
        self.signatures = given
            .iter()
            .map(|signature| Signature {
                name: signature.name.clone().unwrap_or_else(|| "signature".into()),
                slot: signature.key.clone().unwrap_or_else(|| "secret".into()),
                message: Template::default(),
            })
            .collect();
        let mut lets = Vec::new();
        for (name, value) in &file.lets {
            let value = template(value, &names(self, shared, given.len()))
                .map_err(|error| error.within(format_args!("let.{name}")))?;
            lets.push((name.clone(), value));
        }
        let mut jsons = Vec::new();
        for (name, value) in &file.json {
            let value = node(value, &names(self, shared, given.len()))
                .map_err(|error| error.within(format_args!("json.{name}")))?;
            jsons.push((name.clone(), value));
        }
        (self.lets, self.jsons) = (lets, jsons);
        self.add = members(file.add, &names(self, shared, 0)).map_err(|error| error.within("add"))?;
        for (at, signature) in given.iter().enumerate() {
            self.signatures[at].message = Template::parse(&signature.message, &names(self, shared, at))
                .map_err(|error| error.within("signature.message"))?;
        }
        let all = names(self, shared, self.signatures.len());
        let mut headers = Vec::new();
        for (name, value) in file.headers.iter().flatten() {
            let value =
                header(name, value, &all).map_err(|error| error.within(format_args!("headers.{name}")))?;
            headers.push((name.clone(), value));
        }
        let attach = members(file.attach, &all).map_err(|error| error.within("attach"))?;
        let body = file
            .body
            .as_deref()
            .map(|body| Template::parse(body, &all))
            .transpose();
        let body = body.map_err(|error| error.within("body"))?;
        (self.headers, self.attach, self.body) = (headers, attach, body);
        self.read_bodies(file.bodies)
    }

    fn read_bodies(&mut self, bodies: Option<Vec<String>>) -> Result<()> {
        let Some(bodies) = bodies else {
            let added = |place| {
                self.add
                    .iter()
                    .chain(&self.attach)
                    .any(|member| member.place == place)
            };
            let from_params = |place| self.params.as_ref().is_none_or(|params| params.can_be(place));
            (self.takes_form, self.takes_json) = (
                from_params(Place::Form) || added(Place::Form),
                from_params(Place::Json) || added(Place::Json),
            );
            return Ok(());
        };
        for kind in bodies {
            match kind.as_str() {
                "form" => self.takes_form = true,
                "json" => self.takes_json = true,
                other => {
                    return Err(
                        bad_input(format!("`bodies` cannot be {other:?}")).fix("use \"form\" and \"json\"")
                    );
                }
            }
        }
        Ok(())
    }

    /// Looks at the plan as a whole, once all its templates stand.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.signatures.is_empty() {
            return Err(bad_input("there is no message to sign").fix("add signature = { message = \"…\" }"));
        }
        for (index, signature) in self.signatures.iter().enumerate() {
            if self.signatures[..index]
                .iter()
                .any(|other| other.name == signature.name)
            {
                return Err(
                    bad_input(format!("two signatures are named {:?}", signature.name)).within("signature"),
                );
            }
        }
        self.refuse_twice()?;
        self.refuse_circles()?;
        self.refuse_late_signatures()?;
        let early = |template: &Template| {
            let mut early = true;
            template.names(&mut |name| {
                early &= !matches!(
                    name,
                    Name::Query | Name::Body | Name::Target | Name::Url | Name::Let(_) | Name::Json(_)
                );
            });
            early
        };
        for member in &self.add {
            let mut fine = true;
            member.value.templates(&mut |template| fine &= early(template));
            if !fine {
                return Err(bad_input(format!("`add.{}.{}` depends on what it is added to", member.place.name(), member.name))
                    .fix("added fields can use method, host, path, timestamp, nonce, api_key, options and credentials"));
            }
        }
        self.facts = Facts::of(self);
        Ok(())
    }

    /// Refuses a message that holds, through a let or JSON table, a signature that is not made yet.
    fn refuse_late_signatures(&self) -> Result<()> {
        fn latest(plan: &Plan, name: Name) -> Option<usize> {
            let mut found = None;
            let mut look = |name| found = found.max(latest(plan, name));
            match name {
                Name::Signature(at) => return Some(at),
                Name::Let(at) => plan.lets[at].1.names(&mut look),
                Name::Json(at) => plan.jsons[at].1.templates(&mut |inner| inner.names(&mut look)),
                _ => {}
            }
            found
        }
        for (at, signature) in self.signatures.iter().enumerate() {
            let mut found = None;
            signature
                .message
                .names(&mut |name| found = found.max(latest(self, name)));
            if found.is_some_and(|found| found >= at) {
                return Err(bad_input("a message holds its own signature, or a later one")
                    .within("signature.message"));
            }
        }
        Ok(())
    }

    /// Refuses a field or header that would stand twice.
    fn refuse_twice(&self) -> Result<()> {
        let fields: Vec<_> = self.add.iter().chain(&self.attach).collect();
        for (index, field) in fields.iter().enumerate() {
            let meets = |other: &&&Member| {
                let params = [field.place, other.place].contains(&Place::Params);
                other.name == field.name && (params || other.place == field.place)
            };
            if fields[..index].iter().any(|other| meets(&other)) {
                return Err(bad_input(format!(
                    "`add` and `attach` have the field `{}` twice",
                    field.name
                )));
            }
        }
        for (index, (name, _)) in self.headers.iter().enumerate() {
            let mut before = self.headers[..index].iter();
            if before.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(bad_input(format!("`headers` has {name} twice")));
            }
        }
        Ok(())
    }

    /// Refuses a let or JSON table that leads back to itself, or that names others so often that it grows without measure.
    fn refuse_circles(&self) -> Result<()> {
        let mut open = Vec::new();
        let mut known = HashMap::new();
        let lets = (0..self.lets.len()).map(Name::Let);
        let jsons = (0..self.jsons.len()).map(Name::Json);
        for name in lets.chain(jsons) {
            if self.names_in(name, &mut open, &mut known)? > MOST_NAMES {
                return Err(bad_input(format!(
                    "`let` and `json` tables name each other more than {MOST_NAMES} times"
                )));
            }
        }
        Ok(())
    }

    /// How many names stand in a let or JSON table, with those in what it names.
    fn names_in(&self, name: Name, open: &mut Vec<Name>, known: &mut HashMap<Name, usize>) -> Result<usize> {
        if open.contains(&name) {
            return Err(bad_input("`let` and `json` tables lead back to themselves"));
        }
        if let Some(count) = known.get(&name) {
            return Ok(*count);
        }
        let mut inner = Vec::new();
        match name {
            Name::Let(at) => self.lets[at].1.names(&mut |name| inner.push(name)),
            Name::Json(at) => self.jsons[at]
                .1
                .templates(&mut |template| template.names(&mut |name| inner.push(name))),
            _ => return Ok(1),
        }
        open.push(name);
        let mut count = 1_usize;
        for name in inner {
            count = count.saturating_add(self.names_in(name, open, known)?);
        }
        open.pop();
        known.insert(name, count);
        Ok(count)
    }
}

/// Where fields go among the others; `last` is what that word stands for.
fn spot(key: &str, given: Option<&str>, last: AddAt) -> Result<AddAt> {
    match given {
        None | Some("last") => Ok(last),
        Some("first") => Ok(AddAt::First),
        Some("sorted") => Ok(AddAt::Sorted),
        Some(other) => {
            Err(bad_input(format!("`{key}` cannot be {other:?}")).fix("use first, last or sorted"))
        }
    }
}
