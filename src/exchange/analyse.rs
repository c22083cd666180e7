//! What a plan's messages cover and where their parts run into each other, read off the templates.

use std::collections::HashSet;

use super::{
    functions::Function,
    plan::{Place, Plan},
    stamps::{Clock, Series},
    template::{Expr, Name},
};

/// What can be known of a plan without a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Every name that some template of the plan uses.
    pub uses: Vec<Name>,
    /// Whether a changed method changes the message.
    pub signs_method: bool,
    /// Whether a changed path changes the message.
    pub signs_path: bool,
    /// Whether what `[endpoints]` says of method and path stands in a message, apart from what stands beside it.
    pub tells_endpoint: bool,
    /// Whether a changed query changes the message.
    pub signs_query: bool,
    /// Whether a changed body changes the message.
    pub signs_body: bool,
    /// Whether names and values of JSON stand in a message without anything that keeps them apart.
    pub runs_together: bool,
    /// Where the path's end or beginning can shift against its neighbours without changing the message.
    pub seams: Vec<Seam>,
}

/// A place in a message where the path meets a neighbour without anything that keeps them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seam {
    /// Digits follow: `/withdrawal1` and a nonce of `700` reads as `/withdrawal` and `1700`.
    Digits,
    /// The query follows without `?`.
    Query,
    /// A form follows.
    Body,
    /// Something follows that the request does not choose, so only a longer path can read as a shorter one.
    Other,
    /// Text of the request follows, other than query and body, so that a path can go on in it.
    Text,
    /// Text that the request chooses stands in front, and the path without this prefix follows it.
    Before {
        /// What the file cuts from the path before it is signed.
        cut: String,
    },
}

/// One part of a message as a reader sees it.
enum Leaf {
    /// Text of the file, by its first and its last character.
    Text(char, char),
    Name(Name, String),
    Digits,
    /// Text of the request, in some other form.
    Chosen,
    /// Bytes of fixed length, or of an alphabet that reveals nothing.
    Closed,
    /// Parts that may be missing together.
    Maybe(Vec<Leaf>),
}

impl Facts {
    /// Reads them off a plan whose templates are resolved.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut facts = Self::default();
        plan.templates(&mut |template| {
            template.names(&mut |name| {
                if !facts.uses.contains(&name) {
                    facts.uses.push(name);
                }
            })
        });
        let mut signed = HashSet::new();
        for signature in &plan.signatures {
            reach(plan, &signature.message.0, &mut signed);
        }
        facts.signs_method = signed.contains(&Name::Method);
        plan.templates(&mut |template| facts.runs_together |= template.flattens());
        let mut messages = plan.signatures.iter().map(|signature| &signature.message.0);
        facts.tells_endpoint = messages.any(|parts| tells_endpoint(plan, parts));
        facts.signs_query = [Name::Query, Name::Target, Name::Url]
            .iter()
            .any(|name| signed.contains(name));
        facts.signs_body = [Name::Body, Name::GivenBody]
            .iter()
            .any(|name| signed.contains(name));
        let in_added = |place: Place| match place {
            Place::Query => facts.signs_query,
            Place::Form | Place::Json => facts.signs_body,
            Place::Params => facts.signs_query && facts.signs_body,
        };
        let added = plan.add.iter().any(|member| {
            let mut has_path = false;
            member
                .value
                .templates(&mut |template| template.names(&mut |name| has_path |= name == Name::Path));
            has_path && in_added(member.place)
        });
        facts.signs_path = added
            || [Name::Path, Name::Target, Name::Url, Name::Endpoint]
                .iter()
                .any(|name| signed.contains(name));
        for signature in &plan.signatures {
            seams(plan, &signature.message.0, &mut facts.seams);
        }
        facts
    }

    /// Whether the message tells one request from another by more than its method.
    pub(crate) const fn sign_something(&self) -> bool {
        self.signs_path || self.signs_query || self.signs_body
    }
}

/// All names that parts of a message depend on, through lets and JSON tables. What only digits or a word of a field
/// reach does not count: they cannot stand for the whole.
fn reach(plan: &Plan, parts: &[Expr], found: &mut HashSet<Name>) {
    for part in parts {
        match part {
            Expr::Text(_) | Expr::Call(Function::Digits | Function::Word, _) => {}
            Expr::Call(_, arguments) => reach(plan, arguments, found),
            Expr::Name(name) if found.insert(*name) => match name {
                Name::Let(at) => reach(plan, &plan.lets[*at].1.0, found),
                Name::Json(at) => plan.jsons[*at]
                    .1
                    .templates(&mut |inner| reach(plan, &inner.0, found)),
                _ => {}
            },
            Expr::Name(_) => {}
        }
    }
}

fn seams(plan: &Plan, parts: &[Expr], found: &mut Vec<Seam>) {
    let mut leaves = Vec::new();
    flatten(plan, parts, "", &mut leaves, found);
    for (at, leaf) in leaves.iter().enumerate() {
        let Leaf::Name(name @ (Name::Path | Name::Target | Name::Url), cut) = leaf else {
            continue;
        };
        if leaves[..at].iter().any(is_chosen) {
            note(found, Seam::Before { cut: cut.clone() });
        }
        follow(plan, *name, &leaves[at + 1..], found);
    }
}

/// Whether an endpoint's word stands in the message so that no other word and its neighbours read the same.
fn tells_endpoint(plan: &Plan, parts: &[Expr]) -> bool {
    fn parts_from(next: &[Leaf]) -> bool {
        match next.split_first() {
            None => true,
            Some((Leaf::Text(first, _), _)) => !first.is_alphanumeric(),
            Some((Leaf::Maybe(inner), rest)) => parts_from(inner) && parts_from(rest),
            Some(_) => false,
        }
    }
    let mut leaves = Vec::new();
    flatten(plan, parts, "", &mut leaves, &mut Vec::new());
    let is_word = |leaf: &Leaf| matches!(leaf, Leaf::Name(Name::Endpoint, _));
    let apart = |at: usize| {
        let before = at.checked_sub(1).map(|before| &leaves[before]);
        let begins = match before {
            None => true,
            Some(Leaf::Text(_, last)) => !last.is_alphanumeric(),
            Some(_) => false,
        };
        begins && parts_from(&leaves[at + 1..])
    };
    let mut words = (0..leaves.len()).filter(|at| is_word(&leaves[*at])).peekable();
    words.peek().is_some() && words.all(apart)
}

fn note(found: &mut Vec<Seam>, seam: Seam) {
    if !found.contains(&seam) {
        found.push(seam);
    }
}

/// Whether the request chooses what it says.
fn is_chosen(leaf: &Leaf) -> bool {
    match leaf {
        Leaf::Name(name, _) => matches!(name, Name::Query | Name::Body | Name::GivenBody | Name::Challenge),
        Leaf::Chosen => true,
        Leaf::Maybe(inner) => inner.iter().any(is_chosen),
        Leaf::Text(..) | Leaf::Digits | Leaf::Closed => false,
    }
}

/// Looks at what follows the path; answers whether something there always keeps the path and the rest apart.
fn follow(plan: &Plan, name: Name, leaves: &[Leaf], found: &mut Vec<Seam>) -> bool {
    for next in leaves {
        match next {
            Leaf::Maybe(inner) => {
                follow(plan, name, inner, found);
                continue;
            }
            Leaf::Text(char, _) if is_path_char(*char) => note(found, Seam::Other),
            Leaf::Text(..) | Leaf::Closed => {}
            Leaf::Digits => note(found, Seam::Digits),
            Leaf::Chosen => note(found, Seam::Text),
            Leaf::Name(Name::Nonce, _) if plan.nonce.is_some_and(is_counted) => note(found, Seam::Digits),
            Leaf::Name(Name::Nonce, _) if plan.nonce.is_some_and(Series::is_chosen) => {
                note(found, Seam::Text)
            }
            Leaf::Name(Name::Timestamp, _) if plan.clock.is_some_and(Clock::is_digits) => {
                note(found, Seam::Digits);
            }
            Leaf::Name(Name::Opt(_), _) => note(found, Seam::Digits),
            Leaf::Name(Name::Query, _) => {
                note(found, Seam::Query);
                if name == Name::Path {
                    // The query may be empty, so the part behind it counts too.
                    continue;
                }
            }
            Leaf::Name(Name::Body | Name::GivenBody, _) => {
                if plan.takes_form || plan.body.is_some() {
                    note(found, Seam::Body);
                }
                continue;
            }
            Leaf::Name(Name::ContentType, _) => {
                note(found, Seam::Other);
                continue;
            }
            Leaf::Name(..) => note(found, Seam::Other),
        }
        return true;
    }
    false
}

fn is_counted(series: Series) -> bool {
    matches!(series, Series::Count(_) | Series::Decimal(_) | Series::Timestamp)
}

/// Whether the character can stand in a path as it is signed.
pub(crate) fn is_path_char(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || matches!(
            char,
            '-' | '.' | '_' | '~' | ':' | '@' | ',' | '+' | '!' | '$' | '(' | ')' | '*' | '\'' | '/' | '%'
        )
}

/// The parts one after the other as the message shows them; what meets inside a hash is looked at on its own.
fn flatten(plan: &Plan, parts: &[Expr], cut: &str, leaves: &mut Vec<Leaf>, found: &mut Vec<Seam>) {
    for part in parts {
        match part {
            Expr::Text(text) => {
                let ends = text.chars().next().zip(text.chars().next_back());
                leaves.extend(ends.map(|(first, last)| Leaf::Text(first, last)));
            }
            Expr::Name(Name::Let(at)) => flatten(plan, &plan.lets[*at].1.0, cut, leaves, found),
            Expr::Name(name) => leaves.push(Leaf::Name(*name, cut.to_owned())),
            Expr::Call(Function::After, arguments) => {
                let prefix = match arguments.first() {
                    Some(Expr::Text(prefix)) => format!("{prefix}{cut}"),
                    _ => cut.to_owned(),
                };
                flatten(plan, &arguments[1..], &prefix, leaves, found);
            }
            Expr::Call(Function::When, arguments) => {
                let mut inner = Vec::new();
                flatten(plan, &arguments[1..], cut, &mut inner, found);
                let has_path =
                    |leaf: &Leaf| matches!(leaf, Leaf::Name(Name::Path | Name::Target | Name::Url, _));
                if inner.iter().any(has_path) {
                    leaves.extend(inner);
                } else {
                    leaves.push(Leaf::Maybe(inner));
                }
            }
            Expr::Call(
                Function::Sort
                | Function::EncodedFields
                | Function::RawForm
                | Function::Form
                | Function::Pairs,
                arguments,
            ) => {
                flatten(plan, arguments, cut, leaves, found);
            }
            Expr::Call(Function::Digits, _) => leaves.push(Leaf::Digits),
            Expr::Call(function, arguments) if function.is_transparent() => {
                flatten(plan, arguments, cut, leaves, found);
            }
            Expr::Call(function, arguments) if function.is_hash() => {
                seams(plan, arguments, found);
                leaves.push(Leaf::Closed);
            }
            Expr::Call(_, arguments) => leaves.push(if shows_choice(plan, arguments) {
                Leaf::Chosen
            } else {
                Leaf::Closed
            }),
        }
    }
}

/// Whether text of the request comes out again, in whatever form; not so behind a hash.
fn shows_choice(plan: &Plan, parts: &[Expr]) -> bool {
    parts.iter().any(|part| match part {
        Expr::Text(_) => false,
        Expr::Name(name) => match name {
            Name::Let(at) => shows_choice(plan, &plan.lets[*at].1.0),
            Name::Json(at) => {
                let mut shows = false;
                plan.jsons[*at]
                    .1
                    .templates(&mut |inner| shows |= shows_choice(plan, &inner.0));
                shows
            }
            Name::Path
            | Name::Query
            | Name::Body
            | Name::GivenBody
            | Name::Target
            | Name::Url
            | Name::Challenge => true,
            _ => false,
        },
        Expr::Call(function, arguments) => !function.is_hash() && shows_choice(plan, arguments),
    })
}
