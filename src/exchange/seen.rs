//! A prepared request as a policy's rules see it.

use std::time::Duration;

use super::{
    analyse::Seam,
    endpoint::{self, collect, inner},
    functions,
    glob::fits,
    place::{decoded, pieces},
    prepare::Prepared,
    withdrawal::could_be,
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
            bare: self.endpoint.method == "GET"
                && self.body.is_none()
                && facts.signs_body
                && !self.scheme.sending().acts(&self.endpoint.path),
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

    fn fields(&self) -> Fields {
        let mut seen = Seen::default();
        seen.groups.push(Group::default());
        seen.pieces(&self.query);
        match &self.body {
            Some(body) if body.json => seen.json(&body.text),
            Some(body) => seen.pieces(&body.text),
            None => {}
        }
        if let Some(under) = &self.under {
            seen.json(under);
        }
        if let Some(body) = self.body.as_ref().filter(|body| !body.json)
            && !self.query.is_empty()
        {
            // They may stand side by side in the message: what is cut in two there is one field elsewhere.
            seen.reading(&format!("{}{}", self.query, body.text));
            seen.reading(&format!("{}{}", body.text, self.query));
        }
        // What the scheme adds is not the request's; where the request brings it, it must be what the scheme would add.
        let added = |field: &Field| self.plan.add.iter().any(|member| member.name == field.given);
        seen.groups[0].fields.retain(|field| !added(field));
        seen.readings
            .retain(|(name, _)| !self.plan.add.iter().any(|member| folded(&member.name) == *name));
        Fields {
            groups: seen.groups,
            readings: seen.readings,
            odd: seen.odd,
            run: self.run_together(),
        }
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

    fn fits_closing(&self, fields: &Fields) -> Option<&str> {
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
        let given = self.body.as_ref().map(|body| body.text.as_str());
        let texts = [given, self.under.as_deref()].into_iter().flatten();
        Some(texts.map(functions::json::run_together).collect())
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
struct Seen {
    groups: Vec<Group>,
    readings: Vec<(String, String)>,
    odd: Option<String>,
    /// The groups that names such as `orders[0][price]` stand in, by what is in front of the last part.
    named: Vec<(String, usize)>,
}

impl Seen {
    /// The fields of a query or form.
    fn pieces(&mut self, text: &str) {
        for (name, value) in pieces(text) {
            let (name, value) = (decoded(name), decoded(value));
            let (group, listed, last) = self.place_of(&name);
            if let Some(json) = inner(&value) {
                self.field(group, &last, &name, &json, listed);
            } else {
                self.push(group, &last, &name, Some(value.clone().into_owned()), listed);
            }
            self.look_closer(&name, &value);
        }
    }

    /// The members of the outermost JSON; where that is a list, of the objects in it.
    fn json(&mut self, text: &str) {
        match Json::parse(text) {
            Ok(Json::Object(members)) => self.members(0, &members),
            Ok(Json::List(items)) => self.items(0, &items),
            _ => {}
        }
    }

    fn members(&mut self, group: usize, members: &[(String, Json)]) {
        for (name, value) in members {
            let last = self.last_part(name);
            self.field(group, &last, name, value, false);
            if let Some(text) = value.scalar() {
                self.look_closer(name, text);
            }
        }
    }

    fn items(&mut self, within: usize, items: &[Json]) {
        for item in items {
            match item {
                Json::Object(members) => {
                    let group = self.group(within);
                    self.members(group, members);
                }
                Json::List(items) => self.items(within, items),
                Json::String(text) => match inner(text) {
                    Some(Json::Object(members)) => {
                        let group = self.group(within);
                        self.members(group, &members);
                    }
                    Some(Json::List(items)) => self.items(within, &items),
                    // Where the message is a form, what stands in a list may be cut there.
                    _ => self.look_closer("", text),
                },
                _ => {}
            }
        }
    }

    fn field(&mut self, group: usize, name: &str, given: &str, value: &Json, listed: bool) {
        match value {
            Json::Object(members) => {
                self.push(group, name, given, None, listed);
                let inner = self.group(group);
                self.members(inner, members);
            }
            Json::List(items) => {
                if items.is_empty() {
                    self.push(group, name, given, None, true);
                }
                for item in items {
                    match item.scalar() {
                        Some(text) => self.push(group, name, given, Some(text.to_owned()), true),
                        None => self.push(group, name, given, None, true),
                    }
                }
                self.items(group, items);
            }
            Json::String(text) => {
                self.push(group, name, given, Some(text.clone()), listed);
                match inner(text) {
                    Some(Json::Object(members)) => {
                        let inner = self.group(group);
                        self.members(inner, &members);
                    }
                    Some(Json::List(items)) => self.items(group, &items),
                    _ => {}
                }
            }
            value => self.push(group, name, given, value.scalar().map(str::to_owned), listed),
        }
    }

    fn push(&mut self, group: usize, name: &str, given: &str, value: Option<String>, listed: bool) {
        self.groups[group].fields.push(Field {
            name: folded(name),
            given: given.to_owned(),
            value,
            listed,
        });
    }

    fn group(&mut self, within: usize) -> usize {
        self.groups.push(Group {
            within: Some(within),
            fields: Vec::new(),
        });
        self.groups.len() - 1
    }

    /// The group of a form's name, whether it is one of a list, and its last part that is no number.
    fn place_of(&mut self, name: &str) -> (usize, bool, String) {
        let last = self.last_part(name);
        if last.len() == name.len() {
            return (0, false, last);
        }
        let at = name.rfind(last.as_str()).unwrap_or_default();
        let (before, behind) = (&name[..at], &name[at + last.len()..]);
        let listed = !behind.trim_matches(']').is_empty();
        if before.is_empty() {
            return (0, listed, last);
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
        (group, listed, last)
    }

    /// The last part of a name, which is odd where it has more in it than names have.
    fn last_part(&mut self, name: &str) -> String {
        let plain = |char: char| {
            char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '[' | ']' | ':' | '$')
        };
        if self.odd.is_none() && (name.is_empty() || !name.chars().all(plain)) {
            let shown: String = name.chars().take(40).collect();
            self.odd = Some(format!("{shown:?} is an odd name for one"));
        }
        last_part(name).to_owned()
    }

    /// Other readings of a field: cut at `;`, without digits in front, as JSON that begins further on.
    fn look_closer(&mut self, name: &str, value: &str) {
        let bare = name.trim_start_matches(|char: char| char.is_ascii_digit());
        if bare.len() != name.len() && !bare.is_empty() {
            self.readings.push((folded(bare), value.to_owned()));
        }
        if value.bytes().any(|byte| matches!(byte, b';' | b'&')) {
            let text = format!("{name}={value}");
            self.split(&text);
        }
        let json = value.bytes().position(|byte| matches!(byte, b'{' | b'['));
        if let Some(at) = json.filter(|at| *at > 0) {
            let mut inner = Vec::new();
            collect(&value[at..], &mut inner);
            self.keep(inner);
        }
        // A name such as `volume[x]` may be read as the field in front of the bracket.
        let first = name.split(['[', '.']).next().unwrap_or_default();
        let rest = &name[first.len()..];
        if rest.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            self.readings.push((folded(first), rest.to_owned()));
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
            let known = plain.any(|field| field.name == name && field.value.as_ref() == Some(&value));
            if !known && !name.is_empty() {
                self.readings.push((name, value));
            }
        }
    }
}
