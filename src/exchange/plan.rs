//! A plan: everything that composing one kind of request needs, checked and resolved. A file has one plan, one more for
//! each `[[form]]` and one for its WebSocket login.

use toml::{Table, Value};

use super::{
    analyse::Facts,
    file::{ParamsFile, PlacesFile, PlanFile, Signatures, WebSocketFile, text},
    functions::Function,
    stamps::{Clock, Series},
    template::{Expr, NAMES, Name, Scope, Template},
};
use crate::error::{Error, Result, bad_input};

/// The methods that are signed; a closed set, so that no method can run into what stands beside it in a message.
pub(crate) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// Everything that composing needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub clock: Option<Clock>,
    pub nonce: Option<Series>,
    pub nonce_optional: bool,
    pub options: Vec<(String, String)>,
    pub params: Option<Params>,
    pub add: Vec<Member>,
    pub add_at: AddAt,
    pub lets: Vec<(String, Template)>,
    pub jsons: Vec<(String, Node)>,
    pub signatures: Vec<Signature>,
    pub headers: Vec<(String, Template)>,
    pub attach: Vec<Member>,
    pub attach_before: Option<String>,
    pub body: Option<Template>,
    pub content_type: Option<String>,
    pub frame: Option<Node>,
    pub url: Option<Template>,
    /// Paths that may be signed; none: any.
    pub paths: Vec<String>,
    pub takes_challenge: bool,
    pub takes_form: bool,
    pub takes_json: bool,
    /// Whether a query may go along that is not signed.
    pub unsigned_query: bool,
    /// Whether a body may go along that is not signed.
    pub unsigned_body: bool,
    pub facts: Facts,
}

/// One signature of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub name: String,
    pub slot: String,
    pub message: Template,
}

/// A field that is added or attached.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub place: Place,
    pub name: String,
    pub value: Node,
}

/// Where a field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the request's parameters are.
    Params,
    Query,
    Form,
    Json,
}

impl Place {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Query => "query",
            Self::Form => "form",
            Self::Json => "json",
        }
    }
}

/// Where among the fields an added one stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AddAt {
    First,
    #[default]
    Last,
    Sorted,
}

/// A value of JSON whose strings are templates.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(Template),
    Bool(bool),
    Number(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Calls `visit` with every template in it.
    pub(crate) fn templates<'a>(&'a self, visit: &mut dyn FnMut(&'a Template)) {
        match self {
            Self::Text(template) => visit(template),
            Self::Bool(_) | Self::Number(_) => {}
            Self::List(items) => items.iter().for_each(|item| item.templates(visit)),
            Self::Object(members) => members.iter().for_each(|(_, value)| value.templates(visit)),
        }
    }

    /// Whether its only template is this one name.
    pub(crate) fn is_just(&self, name: Name) -> bool {
        matches!(self, Self::Text(template) if template.is_just(name))
    }
}

/// How calls by parts are laid out.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    methods: Vec<(&'static str, Vec<Place>)>,
    default: Vec<Place>,
    pub sorted: Vec<Place>,
    pub brackets: bool,
    pub plus_for_space: bool,
    pub empty: Option<String>,
    pub under: Option<String>,
    except: Vec<(Vec<String>, String, Vec<Place>)>,
}

impl Params {
    /// Where the parameters of this method and path go.
    pub(crate) fn places(&self, method: &str, path: &str) -> &[Place] {
        let except = self.except.iter().find(|(methods, pattern, _)| {
            (methods.is_empty() || methods.iter().any(|have| have == method))
                && super::glob::fits(pattern, path)
        });
        if let Some((_, _, places)) = except {
            return places;
        }
        let own = self.methods.iter().find(|(have, _)| *have == method);
        own.map_or(&self.default, |(_, places)| places)
    }

    fn read(file: ParamsFile) -> Result<Self> {
        let places = |text: &str| -> Result<Vec<Place>> { text.split('+').map(place).collect() };
        let mut methods = Vec::new();
        let given = [file.get, file.post, file.put, file.delete, file.patch];
        for (method, given) in METHODS.into_iter().zip(given) {
            if let Some(given) = given {
                methods.push((method, places(&given)?));
            }
        }
        let default = match &file.default {
            Some(default) => places(default)?,
            None if methods.len() == METHODS.len() => Vec::new(),
            None => {
                return Err(bad_input("`params` has no `default`")
                    .fix("add default = \"query\", \"form\" or \"json\""));
            }
        };
        let sorted = file
            .sorted
            .iter()
            .map(|name| place(name))
            .collect::<Result<_>>()?;
        let except = file
            .except
            .into_iter()
            .map(|except| Ok((except.method, except.path, places(&except.place)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            methods,
            default,
            sorted,
            brackets: choice("params.lists", file.lists.as_deref(), "repeat", "brackets")?,
            plus_for_space: choice("params.space", file.space.as_deref(), "%20", "+")?,
            empty: file.empty,
            under: file.under,
            except,
        })
    }

    fn can_be(&self, place: Place) -> bool {
        let all = self.methods.iter().map(|(_, places)| places);
        all.chain([&self.default])
            .chain(self.except.iter().map(|(_, _, places)| places))
            .any(|places| places.contains(&place))
    }
}

fn place(name: &str) -> Result<Place> {
    Ok(match name {
        "query" => Place::Query,
        "form" => Place::Form,
        "json" => Place::Json,
        _ => return Err(bad_input(format!("there is no place {name:?}")).fix("use query, form or json")),
    })
}

fn choice(key: &str, given: Option<&str>, usual: &str, other: &str) -> Result<bool> {
    match given {
        None => Ok(false),
        Some(given) if given == usual => Ok(false),
        Some(given) if given == other => Ok(true),
        Some(given) => {
            Err(bad_input(format!("`{key}` cannot be {given:?}")).fix(format!("use {usual:?} or {other:?}")))
        }
    }
}

/// The names of a file that its plans share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub credentials: Vec<String>,
    pub sets: Vec<String>,
    pub has_endpoints: bool,
}

/// What a template may name, for errors and for resolving.
struct Names<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    signatures: usize,
}

impl Scope for Names<'_> {
    fn resolve(&self, name: &str) -> Option<Name> {
        let at = |list: &[(String, Template)]| list.iter().position(|(have, _)| have == name);
        if let Some((_, known)) = NAMES.iter().find(|(have, _)| *have == name) {
            let there = match known {
                Name::Timestamp => self.plan.clock.is_some(),
                Name::Nonce => self.plan.nonce.is_some(),
                Name::Challenge => self.plan.takes_challenge,
                Name::Endpoint => self.shared.has_endpoints,
                _ => true,
            };
            return there.then_some(*known);
        }
        if let Some(json) = name.strip_prefix("json.") {
            return self
                .plan
                .jsons
                .iter()
                .position(|(have, _)| have == json)
                .map(Name::Json);
        }
        let signature = || {
            self.plan.signatures[..self.signatures]
                .iter()
                .position(|have| have.name == name)
        };
        at(&self.plan.lets)
            .map(Name::Let)
            .or_else(|| {
                self.plan
                    .options
                    .iter()
                    .position(|(have, _)| have == name)
                    .map(Name::Opt)
            })
            .or_else(|| {
                self.shared
                    .credentials
                    .iter()
                    .position(|have| have == name)
                    .map(Name::Credential)
            })
            .or_else(|| {
                self.shared
                    .sets
                    .iter()
                    .position(|have| have == name)
                    .map(Name::Set)
            })
            .or_else(|| signature().map(Name::Signature))
    }

    fn known(&self) -> Vec<String> {
        let own = NAMES.iter().map(|(name, _)| (*name).to_owned());
        let lets = self.plan.lets.iter().map(|(name, _)| name.clone());
        let jsons = self.plan.jsons.iter().map(|(name, _)| format!("json.{name}"));
        let options = self.plan.options.iter().map(|(name, _)| name.clone());
        let signatures = self.plan.signatures[..self.signatures]
            .iter()
            .map(|signature| signature.name.clone());
        own.filter(|name| self.resolve(name).is_some())
            .chain(lets)
            .chain(jsons)
            .chain(options)
            .chain(self.shared.credentials.iter().cloned())
            .chain(self.shared.sets.iter().cloned())
            .chain(signatures)
            .collect()
    }
}

impl Plan {
    /// Checks and resolves what a file says.
    pub(crate) fn read(file: PlanFile, shared: &Shared) -> Result<Self> {
        let mut plan = Self::default();
        plan.read_parts(file, shared)?;
        plan.finish()?;
        Ok(plan)
    }

    /// The plan of a WebSocket login: clock, nonce and options of the file's plan count where it has none of its own.
    pub(crate) fn read_websocket(mut file: WebSocketFile, base: &PlanFile, shared: &Shared) -> Result<Self> {
        let own = file.plan();
        let under = PlanFile {
            clock: base.clock.clone(),
            nonce: base.nonce.clone(),
            options: base.options.clone(),
            ..PlanFile::default()
        };
        let mut plan = Self::default();
        for input in &file.input {
            match input.as_str() {
                "challenge" => plan.takes_challenge = true,
                other => {
                    return Err(
                        bad_input(format!("`websocket.input` cannot be {other:?}")).fix("use \"challenge\"")
                    );
                }
            }
        }
        let mut own = own.over(&under);
        if let Some(message) = file.message.take() {
            let signature = super::file::SignatureFile {
                message,
                name: None,
                key: None,
            };
            own.signature = Some(Signatures::One(signature));
        }
        plan.read_parts(own, shared)?;
        plan.paths = file.paths;
        let names = Names {
            plan: &plan,
            shared,
            signatures: plan.signatures.len(),
        };
        let url = file
            .url
            .as_deref()
            .map(|url| Template::parse(url, &names))
            .transpose();
        let url = url.map_err(|error| error.within("url"))?;
        let frame = file.frame.as_ref().map(|frame| object(frame, &names)).transpose();
        let frame = frame.map_err(|error| error.within("frame"))?;
        (plan.url, plan.frame) = (url, frame);
        plan.finish()?;
        if plan.facts.signs_path && plan.paths.is_empty() {
            return Err(bad_input("its message has the path, and `paths` is missing")
                .fix("list the paths of the exchange's sockets, so that no other path can be signed here"));
        }
        Ok(plan)
    }

    fn read_parts(&mut self, file: PlanFile, shared: &Shared) -> Result<()> {
        let clock = file
            .clock
            .as_ref()
            .map(|clock| Clock::new(&clock.unit, clock.ahead))
            .transpose();
        self.clock = clock.map_err(|error| error.within("clock"))?;
        if let Some(nonce) = &file.nonce {
            let series = Series::new(
                nonce.unit.as_deref(),
                nonce.random.as_deref(),
                nonce.like.as_deref(),
            )
            .map_err(|error| error.within("nonce"))?;
            if series == Series::Timestamp && self.clock.is_none() {
                return Err(bad_input(
                    "`nonce` is like the timestamp, and there is no `clock`",
                ));
            }
            if nonce.increasing && !matches!(series, Series::Count(_)) {
                return Err(bad_input("`nonce` can be increasing only with a `unit`"));
            }
            self.nonce = Some(series);
            self.nonce_optional = nonce.optional;
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
        self.add_at = match file.add_at.as_deref() {
            None | Some("last") => AddAt::Last,
            Some("first") => AddAt::First,
            Some("sorted") => AddAt::Sorted,
            Some(other) => {
                return Err(
                    bad_input(format!("`add-at` cannot be {other:?}")).fix("use first, last or sorted")
                );
            }
        };
        self.attach_before = file.attach_before;
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
        let mut lets = Vec::new();
        for (name, value) in &file.lets {
            let value = template(value, &names(self, shared, 0))
                .map_err(|error| error.within(format_args!("let.{name}")))?;
            lets.push((name.clone(), value));
        }
        let mut jsons = Vec::new();
        for (name, value) in &file.json {
            let value = node(value, &names(self, shared, 0))
                .map_err(|error| error.within(format_args!("json.{name}")))?;
            jsons.push((name.clone(), value));
        }
        (self.lets, self.jsons) = (lets, jsons);
        self.add = members(file.add, &names(self, shared, 0)).map_err(|error| error.within("add"))?;
        for signature in match file.signature {
            None => Vec::new(),
            Some(Signatures::One(one)) => vec![one],
            Some(Signatures::Many(many)) => many,
        } {
            let message = Template::parse(&signature.message, &names(self, shared, self.signatures.len()))
                .map_err(|error| error.within("signature.message"))?;
            self.signatures.push(Signature {
                name: signature.name.unwrap_or_else(|| "signature".into()),
                slot: signature.key.unwrap_or_else(|| "secret".into()),
                message,
            });
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

    fn finish(&mut self) -> Result<()> {
        if self.signatures.is_empty() {
            return Err(bad_input("there is no message to sign").fix("add signature = { message = \"…\" }"));
        }
        for (index, signature) in self.signatures.iter().enumerate() {
            if self.signatures[..index]
                .iter()
                .any(|other| other.name == signature.name)
            {
                return Err(bad_input(format!(
                    "two signatures are named {:?}",
                    signature.name
                )));
            }
        }
        self.refuse_circles()?;
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

    /// Refuses a let or JSON table that leads back to itself.
    fn refuse_circles(&self) -> Result<()> {
        fn visit(plan: &Plan, name: Name, open: &mut Vec<Name>) -> Result<()> {
            if open.contains(&name) {
                return Err(bad_input("`let` and `json` tables lead back to themselves"));
            }
            let mut inner = Vec::new();
            match name {
                Name::Let(at) => plan.lets[at].1.names(&mut |name| inner.push(name)),
                Name::Json(at) => plan.jsons[at]
                    .1
                    .templates(&mut |template| template.names(&mut |name| inner.push(name))),
                _ => return Ok(()),
            }
            open.push(name);
            for name in inner {
                visit(plan, name, open)?;
            }
            open.pop();
            Ok(())
        }
        let lets = (0..self.lets.len()).map(Name::Let);
        let jsons = (0..self.jsons.len()).map(Name::Json);
        lets.chain(jsons)
            .try_for_each(|name| visit(self, name, &mut Vec::new()))
    }

    /// Calls `visit` with every template of the plan.
    pub(crate) fn templates<'a>(&'a self, visit: &mut dyn FnMut(&'a Template)) {
        self.lets.iter().for_each(|(_, template)| visit(template));
        self.jsons.iter().for_each(|(_, node)| node.templates(visit));
        self.add
            .iter()
            .chain(&self.attach)
            .for_each(|member| member.value.templates(visit));
        self.signatures
            .iter()
            .for_each(|signature| visit(&signature.message));
        self.headers.iter().for_each(|(_, template)| visit(template));
        self.body.iter().chain(&self.url).for_each(&mut *visit);
        self.frame.iter().for_each(|node| node.templates(visit));
    }
}

fn wrong(kind: &str) -> Error {
    bad_input(format!("it must be text, and is a TOML {kind}"))
        .fix("a key of the file's top level must stand before the first [table]")
}

fn template(value: &Value, names: &Names<'_>) -> Result<Template> {
    Template::parse(text(value).map_err(wrong)?, names)
}

/// A header's template. The file's own keys are no headers: one that stands here was written below `[headers]`.
fn header(name: &str, value: &Value, names: &Names<'_>) -> Result<Template> {
    const TOP: [&str; 8] = [
        "id",
        "name",
        "docs",
        "note",
        "body",
        "content-type",
        "add-at",
        "attach-before",
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

fn members(file: Option<PlacesFile>, names: &Names<'_>) -> Result<Vec<Member>> {
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

fn object(table: &Table, names: &Names<'_>) -> Result<Node> {
    let mut members = Vec::with_capacity(table.len());
    for (name, value) in table {
        let value = node(value, names).map_err(|error| error.within(name))?;
        members.push((name.clone(), value));
    }
    Ok(Node::Object(members))
}

fn node(value: &Value, names: &Names<'_>) -> Result<Node> {
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

/// Whether a part is the function `number`, so that its text stands in JSON without quotes.
pub(crate) fn is_number(template: &Template) -> bool {
    matches!(template.0.as_slice(), [Expr::Call(Function::Number, _)])
}
