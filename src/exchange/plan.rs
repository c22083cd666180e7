//! A plan: everything that composing one kind of request needs, checked and resolved. A file has one plan, one more for
//! each `[[form]]` and one for its WebSocket login.

use super::{
    analyse::Facts,
    functions::Function,
    key::Encode,
    params::Params,
    stamps::{Clock, Series},
    template::{Expr, Name, Template},
};

/// The methods that are signed; a closed set, so that no method can run into what stands beside it in a message.
pub(crate) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// Everything that composing needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub clock: Option<Clock>,
    pub nonce: Option<Series>,
    pub nonce_optional: bool,
    pub nonce_max: Option<u64>,
    pub options: Vec<(String, String)>,
    pub params: Option<Params>,
    pub add: Vec<Member>,
    pub add_at: AddAt,
    pub lets: Vec<(String, Template)>,
    pub jsons: Vec<(String, Node)>,
    pub signatures: Vec<Signature>,
    /// How signatures become text here, where that is not as the kind of key says.
    pub encoding: Option<Vec<Encode>>,
    pub headers: Vec<(String, Template)>,
    pub attach: Vec<Member>,
    pub attach_at: AddAt,
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

impl Signature {
    /// Whether it is made of the passphrase and nothing else, so that it is always the same.
    pub(crate) fn is_of_passphrase(&self) -> bool {
        self.message.is_just(Name::Passphrase)
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum AddAt {
    First,
    #[default]
    Last,
    /// Last, and parted by `&` even where the text ends in one: what was signed stays as it was.
    Behind,
    Sorted,
    /// In front of the field of this name, or behind all.
    Before(String),
    /// Behind the field of this name, or behind all.
    After(String),
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

impl Plan {
    /// Which option is the receive window: the only one whose value is digits or empty.
    pub(crate) fn window(&self) -> Option<usize> {
        let is_window =
            |(_, (_, value)): &(usize, &(String, String))| value.bytes().all(|byte| byte.is_ascii_digit());
        let mut windows = self.options.iter().enumerate().filter(is_window);
        match (windows.next(), windows.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
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

/// Whether a part is the function `number`, so that its text stands in JSON without quotes.
pub(crate) fn is_number(template: &Template) -> bool {
    matches!(template.0.as_slice(), [Expr::Call(Function::Number, _)])
}
