//! A prepared request as a policy's rules see it.

use std::{borrow::Cow, ops::Range, time::Duration};

use super::{
    analyse::Seam,
    bodies::Payload,
    endpoint::{self, collect, inner},
    functions,
    glob::fits,
    place::{decoded, pieces},
    prepare::Prepared,
    withdrawal::{begins_as_it_is, could_be},
};
use crate::{
    json::Json,
    policy::{Bound, Field, Fields, Group, Subject, folded, last_part},
};

impl Subject for Prepared<'_> {
    fn method(&self) -> &str {
        &self.endpoint.method
    }

    fn stamp(&self) -> Option<Duration> {
        self.plan.clock?.read(self.timestamp.as_deref()?)
    }

    fn plain_path(&self) -> &str {
        &self.endpoint.plain_path
    }

    fn bound(&self) -> Bound {
        let facts = &self.plan.facts;
        let has_form = self.body.as_ref().is_some_and(|body| !body.json);
        let goes_on = |seam: &Seam| match seam {
            Seam::Query => !self.query.is_empty(),
            Seam::Body => has_form,
            Seam::Text | Seam::Before { .. } => true,
            Seam::Digits | Seam::Other => false,
        };
        let signs_params = facts.signs_query || facts.signs_body;
        let takes_body = self.plan.takes_form || self.plan.takes_json;
        Bound {
            login: self.endpoint.websocket && !signs_params && !facts.signs_path,
            method: (facts.signs_method
                || self.endpoint.websocket
                || facts.tells_endpoint
                    && self.told_like().all(|(method, _)| method == self.endpoint.method))
                && !self.named().another_method,
            path: facts.signs_path,
            bare: self.endpoint.method == "GET" && self.body.is_none() && facts.signs_body,
            path_goes_on: facts.seams.iter().any(goes_on),
            fields: match self.endpoint.method.as_str() {
                // A request without a body of its own may be given any body elsewhere.
                _ if self.scheme.lends_signatures && !facts.signs_path => false,
                "GET" | "WS" => signs_params,
                _ => facts.signs_body || facts.signs_query && !takes_body,
            },
        }
    }

    fn fits(&self, pattern: &str) -> bool {
        // A word that stands for the endpoint holds for every endpoint that has the same.
        fits(pattern, &self.endpoint.plain_path)
            && self.told_like().all(|(_, path)| fits(pattern, &path))
            && self.named().paths.iter().all(|path| fits(pattern, path))
    }

    fn could_be(&self, pattern: &str) -> bool {
        // Every rule asks, and hardly an exchange has words for endpoints.
        could_be(self, pattern)
            || self.plan.facts.tells_endpoint && self.told_like().any(|(_, path)| fits(pattern, &path))
            || self.named().paths.iter().any(|path| fits(pattern, path))
    }

    fn sole_path(&self) -> Option<&str> {
        let sole = begins_as_it_is(self) && !self.plan.facts.tells_endpoint && self.named().paths.is_empty();
        sole.then_some(self.endpoint.plain_path.as_str())
    }

    fn fields(&self) -> Fields<'_> {
        let mut seen = Seen::default();
        seen.groups.push(Group::default());
        seen.pieces(&self.query);
        match &self.body {
            Some(body) if body.json => seen.json(body),
            Some(body) => seen.pieces(body.text()),
            None => {}
        }
        if let Some(under) = &self.under {
            seen.json(under);
        }
        if let Some(body) = self.body.as_ref().filter(|body| !body.json)
            && !self.query.is_empty()
        {
            // They may stand side by side in the message: what is cut in two there is one field elsewhere.
            seen.reading(&[&self.query, body.text()].concat());
            seen.reading(&[body.text(), &self.query].concat());
        }
        // What the scheme adds is not the request's; where the request brings it, it must be what the scheme would add.
        let added = |field: &Field<'_>| self.plan.add.iter().any(|member| member.name == field.given);
        seen.groups[0].fields.retain(|field| !added(field));
        seen.readings
            .retain(|(name, _)| !self.plan.add.iter().any(|member| folded(&member.name) == *name));
        Fields::new(seen.groups, seen.readings, seen.odd, self.run_together())
    }

    fn moves_money(&self) -> Option<String> {
        Prepared::moves_money(self)
    }

    fn other_paths(&self) -> Vec<String> {
        let told = self.told_like().map(|(_, path)| path);
        told.chain(self.named().paths.iter().cloned()).collect()
    }

    fn only_looks(&self) -> bool {
        Prepared::only_looks(self)
    }

    fn fits_closing(&self, fields: &Fields<'_>) -> Option<&str> {
        Prepared::fits_closing(self, fields)
    }

    fn asked_by(&self) -> Option<&str> {
        self.scheme.caps.asked_by.as_deref()
    }

    fn opens_session(&self) -> bool {
        Prepared::opens_session(self)
    }
}

impl Prepared<'_> {
    /// Names and values as they stand in the message, where nothing keeps them apart there.
    fn run_together(&self) -> Option<String> {
        if !self.plan.facts.runs_together {
            return None;
        }
        let texts = [&self.body, &self.under].into_iter().flatten();
        Some(
            texts
                .map(|part| functions::json::run_together(part.text()))
                .collect(),
        )
    }

    /// The endpoints whose word is this one's, where the message says a word in place of method and path.
    fn told_like(&self) -> impl Iterator<Item = (&str, String)> {
        let (method, path) = (&self.endpoint.method, &self.endpoint.path);
        self.plan
            .facts
            .tells_endpoint
            .then(|| self.scheme.of_the_same_word(method, path))
            .into_iter()
            .flatten()
            .map(|(method, path)| (method, endpoint::plain(path)))
    }
}

#[derive(Default)]
struct Seen<'r> {
    groups: Vec<Group<'r>>,
    readings: Vec<(String, String)>,
    odd: Option<String>,
    /// The groups that names such as `orders[0][price]` stand in, by what is in front of the last part.
    named: Vec<(String, usize)>,
}

/// How text of a request is kept: as it lies there, or copied out of what was read of a text within.
type Keep<'t, 'r> = fn(&'t str) -> Cow<'r, str>;

fn copied<'r>(text: &str) -> Cow<'r, str> {
    Cow::Owned(text.to_owned())
}

fn cut<'r>(text: &Cow<'r, str>, part: Range<usize>) -> Cow<'r, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[part]),
        Cow::Owned(text) => copied(&text[part]),
    }
}

/// A field's name: the part that names it, and all of it.
type Names<'r> = [Cow<'r, str>; 2];

impl<'r> Seen<'r> {
    /// The fields of a query or form.
    fn pieces(&mut self, text: &'r str) {
        for (name, value) in pieces(text) {
            let (name, value) = (decoded(name), decoded(value));
            let (group, listed, part) = self.place_of(&name);
            let names = [cut(&name, part), name.clone()];
            if let Some(json) = inner(&value) {
                self.field(group, names, &json, listed, copied);
            } else {
                self.push(group, names, Some(value.clone()), listed);
            }
            self.look_closer(&name, &value);
        }
    }

    /// The members of the outermost JSON; where that is a list, of the objects in it.
    fn json(&mut self, body: &'r Payload) {
        match body.value() {
            Ok(Json::Object(members)) => self.members(0, members, Cow::Borrowed),
            Ok(Json::List(items)) => self.items(0, items, Cow::Borrowed),
            _ => {}
        }
    }

    fn members<'t>(&mut self, group: usize, members: &'t [(String, Json)], keep: Keep<'t, 'r>) {
        for (name, value) in members {
            self.look_at(name);
            let names = [keep(last_part(name)), keep(name)];
            self.field(group, names, value, false, keep);
            if let Some(text) = value.scalar() {
                self.look_closer(name, text);
            }
        }
    }

    fn items<'t>(&mut self, within: usize, items: &'t [Json], keep: Keep<'t, 'r>) {
        for item in items {
            match item {
                Json::Object(members) => {
                    let group = self.group(within);
                    self.members(group, members, keep);
                }
                Json::List(items) => self.items(within, items, keep),
                Json::String(text) => match inner(text) {
                    Some(Json::Object(members)) => {
                        let group = self.group(within);
                        self.members(group, &members, copied);
                    }
                    Some(Json::List(items)) => self.items(within, &items, copied),
                    // Where the message is a form, what stands in a list may be cut there.
                    _ => self.look_closer("", text),
                },
                _ => {}
            }
        }
    }

    fn field<'t>(
        &mut self,
        group: usize,
        names: Names<'r>,
        value: &'t Json,
        listed: bool,
        keep: Keep<'t, 'r>,
    ) {
        match value {
            Json::Object(members) => {
                self.push(group, names, None, listed);
                let inner = self.group(group);
                self.members(inner, members, keep);
            }
            Json::List(items) => {
                if items.is_empty() {
                    self.push(group, names.clone(), None, true);
                }
                for item in items {
                    self.push(group, names.clone(), item.scalar().map(keep), true);
                }
                self.items(group, items, keep);
            }
            Json::String(text) => {
                self.push(group, names, Some(keep(text)), listed);
                match inner(text) {
                    Some(Json::Object(members)) => {
                        let inner = self.group(group);
                        self.members(inner, &members, copied);
                    }
                    Some(Json::List(items)) => self.items(group, &items, copied),
                    _ => {}
                }
            }
            value => self.push(group, names, value.scalar().map(keep), listed),
        }
    }

    fn push(&mut self, group: usize, names: Names<'r>, value: Option<Cow<'r, str>>, listed: bool) {
        let [part, given] = names;
        self.groups[group]
            .fields
            .push(Field::new(part, given, value, listed));
    }

    fn group(&mut self, within: usize) -> usize {
        self.groups.push(Group {
            within: Some(within),
            fields: Vec::new(),
        });
        self.groups.len() - 1
    }

    /// The group of a form's name, whether it is one of a list, and where its last part stands that is no number.
    fn place_of(&mut self, name: &str) -> (usize, bool, Range<usize>) {
        self.look_at(name);
        let last = last_part(name);
        if last.len() == name.len() {
            return (0, false, 0..name.len());
        }
        let at = name.rfind(last).unwrap_or_default();
        let part = at..at + last.len();
        let (before, behind) = (&name[..at], &name[part.end..]);
        let listed = !behind.trim_matches(']').is_empty();
        if before.is_empty() {
            return (0, listed, part);
        }
        let known = self
            .named
            .iter()
            .find(|(known, _)| known == before)
            .map(|(_, group)| *group);
        let group = known.unwrap_or_else(|| {
            let group = self.group(0);
            self.named.push((before.to_owned(), group));
            group
        });
        (group, listed, part)
    }

    /// Takes note of a name that has more in it than names have.
    fn look_at(&mut self, name: &str) {
        let plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b':' | b'$')
        };
        if self.odd.is_none() && (name.is_empty() || !name.bytes().all(plain)) {
            let shown: String = name.chars().take(40).collect();
            self.odd = Some(format!("{shown:?} is an odd name for one"));
        }
    }

    /// Other readings of a field: cut at `;`, without digits in front, as JSON that begins further on.
    fn look_closer(&mut self, name: &str, value: &str) {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && digits < name.len() {
            self.readings.push((folded(&name[digits..]), value.to_owned()));
        }
        if value
            .bytes()
            .any(|byte| matches!(byte, b';' | b'&' | b'{' | b'['))
        {
            self.look_within(name, value);
        }
        // A name such as `volume[x]` may be read as the field in front of the bracket.
        if let Some(end) = name.bytes().position(|byte| matches!(byte, b'[' | b'.')) {
            let (first, rest) = name.split_at(end);
            if rest.bytes().any(|byte| byte.is_ascii_alphabetic()) {
                self.readings.push((folded(first), rest.to_owned()));
            }
        }
    }

    fn look_within(&mut self, name: &str, value: &str) {
        if value.bytes().any(|byte| matches!(byte, b';' | b'&')) {
            self.split(&[name, "=", value].concat());
        }
        let json = value.bytes().position(|byte| matches!(byte, b'{' | b'['));
        if let Some(at) = json.filter(|at| *at > 0) {
            self.reading(&value[at..]);
        }
    }

    fn split(&mut self, text: &str) {
        let mut found = Vec::new();
        for piece in text.split(['&', ';']).filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            found.push((name.to_owned(), value.to_owned()));
        }
        self.keep(found);
    }

    /// Another reading of the whole.
    fn reading(&mut self, text: &str) {
        let mut found = Vec::new();
        collect(text, &mut found);
        self.keep(found);
    }

    /// Keeps what the plain reading does not have just so.
    fn keep(&mut self, found: Vec<(String, String)>) {
        for (name, value) in found {
            let name = folded(last_part(&name));
            let mut plain = self.groups.iter().flat_map(|group| &group.fields);
            let known =
                plain.any(|field| field.name == name && field.value.as_deref() == Some(value.as_str()));
            if !known && !name.is_empty() {
                self.readings.push((name, value));
            }
        }
    }
}
