//! A request as rules see it.

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use super::known::Marks;

/// What rules ask of a request that is about to be signed.
pub trait Subject {
    /// The method; `WS` for a WebSocket login.
    fn method(&self) -> &str;
    /// From when until when, since 1970, the exchange takes a request that is signed now, as far as the request says: it may
    /// bring a time of its own, an expiry, or a window.
    fn holds(&self, now: Duration) -> (Duration, Duration);
    /// The path, decoded, in lower case, without slashes at its end; empty for a WebSocket login that has none.
    fn plain_path(&self) -> &str;
    /// What the signature binds.
    fn bound(&self) -> Bound;
    /// Whether the path could be read as one that fits the pattern, which is in lower case; `*` stands for any characters:
    /// without an ending, or cut apart from its neighbours elsewhere.
    fn could_be(&self, pattern: &str) -> bool;
    /// The path of [`Subject::plain_path`], where it could be read as no other that begins otherwise: what parts from it before
    /// its first star is a pattern that it could not be. None where that cannot be said.
    fn sole_path(&self) -> Option<&str>;
    /// The fields.
    fn fields(&self) -> Fields<'_>;
    /// The rule of the exchange by which the request moves money out, in words; none if no rule says so.
    fn moves_money(&self) -> Option<String>;
    /// Further paths that it may go to, as [`Subject::plain_path`]: those that its body or its endpoint's word names.
    fn other_paths(&self) -> Vec<String>;
    /// Whether the exchange's file says that the signature is good for nothing but a look.
    fn only_looks(&self) -> bool;
    /// The path of an endpoint that the signature fits as well, since the path is not signed, and that closes or trades what
    /// no amount says.
    fn fits_closing(&self, fields: &Fields<'_>) -> Option<&str>;
    /// The folded name of the field that says what is asked, where the exchange has one path for all.
    fn asked_by(&self) -> Option<&str>;
    /// The folded names of the fields that name what is traded, where the exchange's file says; none of them where the path
    /// does.
    fn traded(&self) -> Option<&[String]>;
    /// The field, as the exchange spells it, without which it takes an order for one at the market's price; none where it does
    /// not.
    fn market_without(&self) -> Option<&str>;
    /// Whether the signature may log in to a socket, where nothing more is signed.
    fn logs_in(&self) -> bool;
    /// Whether the answer opens a session in which nothing is signed.
    fn opens_session(&self) -> bool;
}

/// What of a request its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Whether it is a WebSocket login, behind which nothing is signed.
    pub login: bool,
    /// Whether the signature holds for this method only.
    pub method: bool,
    /// Whether it holds for this path only.
    pub path: bool,
    /// Whether the path runs into text of the request, so that another path may begin like it.
    pub path_goes_on: bool,
    /// Whether it ends there all the same, so that only what stands before its last part could be another.
    pub path_ends: bool,
    /// Whether it covers that there is no body, and so none of an order's fields.
    pub bare: bool,
    /// Whether it covers the fields: a query that goes along unsigned can be changed on its way.
    pub fields: bool,
}

/// The fields of a request, object by object.
#[derive(Debug, Clone, Default)]
pub struct Fields<'r> {
    /// The objects; the first holds query, form and the members of the outermost JSON object.
    pub groups: Vec<Group<'r>>,
    /// Names and values as they stand in any other reading: split elsewhere, or with digits in front.
    pub readings: Vec<(String, String)>,
    /// A name that could be read in more than one way, with why.
    pub odd: Option<String>,
    /// All names and values, as one text, where nothing keeps them apart in what is signed.
    pub run: Option<String>,
    /// The marks of all names together.
    pub(super) marks: Marks,
    /// Whether there is but one reading, and no object of it has a name twice, so that no name needs a closer look.
    plain: bool,
}

/// An object of a request.
#[derive(Debug, Clone, Default)]
pub struct Group<'r> {
    /// The object that it stands in.
    pub within: Option<usize>,
    /// Its fields.
    pub fields: Vec<Field<'r>>,
}

/// A field.
#[derive(Debug, Clone)]
pub struct Field<'r> {
    /// Its name as rules compare it: [`folded`].
    pub name: Cow<'r, str>,
    /// Its name as it was given, decoded.
    pub given: Cow<'r, str>,
    /// Its value, decoded; none where that is null or an object.
    pub value: Option<Cow<'r, str>>,
    /// Whether it is one of a list, which names its field more than once.
    pub listed: bool,
    /// What is known of its name.
    pub(super) marks: Marks,
}

impl<'r> Field<'r> {
    /// A field of a name that was given, by the part of it that names it.
    pub fn new(part: Cow<'r, str>, given: Cow<'r, str>, value: Option<Cow<'r, str>>, listed: bool) -> Self {
        let (name, marks) = match Marks::of_folded(&part) {
            Some(marks) => (part, marks),
            None => {
                let name = folded(&part);
                let marks = Marks::of_folded(&name).unwrap_or_default();
                (name.into(), marks)
            }
        };
        Self {
            name,
            given,
            value,
            listed,
            marks,
        }
    }
}

/// A name as rules compare it: letters and digits alone, in lower case, so that `orderQty`, `order_qty` and `OrderQty`
/// are the same.
pub fn folded(name: &str) -> String {
    name.chars()
        .filter(|char| char.is_ascii_alphanumeric())
        .map(|char| char.to_ascii_lowercase())
        .collect()
}

/// The last part of a name such as `orders[0][price]` or `orders.0.price` that is no number.
pub fn last_part(name: &str) -> &str {
    if !name.bytes().any(|byte| matches!(byte, b'[' | b']' | b'.')) {
        return name;
    }
    let parts = name.split(['[', ']', '.']).filter(|part| !part.is_empty());
    let mut words = parts.filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()));
    words.next_back().unwrap_or(name)
}

/// How many fields an object has at most whose names are compared with each other at once.
const FEW: usize = 32;

impl<'r> Fields<'r> {
    /// The fields of a request that was read.
    pub fn new(
        groups: Vec<Group<'r>>,
        readings: Vec<(String, String)>,
        odd: Option<String>,
        run: Option<String>,
    ) -> Self {
        let once = |group: &Group<'_>| {
            let fields = &group.fields;
            let twice =
                |(at, field): (usize, &Field<'_>)| fields[..at].iter().any(|other| other.name == field.name);
            fields.len() <= FEW && !fields.iter().enumerate().any(twice)
        };
        let all = groups.iter().flat_map(|group| &group.fields);
        Self {
            marks: all.fold(Marks::default(), |marks, field| marks.with(field.marks)),
            plain: readings.is_empty() && run.is_none() && groups.iter().all(once),
            groups,
            readings,
            odd,
            run,
        }
    }

    /// All of them, object by object.
    pub fn all(&self) -> impl Iterator<Item = &Field<'r>> {
        self.groups.iter().flat_map(|group| &group.fields)
    }

    /// Whether a field of this folded name is there, in any reading.
    pub fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some() || self.readings.iter().any(|(have, _)| have == name)
    }

    /// The fields of a folded name, each with its group's number.
    pub fn of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = (usize, &'f Field<'r>)> {
        self.groups.iter().enumerate().flat_map(move |(at, group)| {
            let named = group.fields.iter().filter(move |field| field.name == name);
            named.map(move |field| (at, field))
        })
    }

    /// An object and those around it, from the inmost.
    pub fn around(&self, group: usize) -> impl Iterator<Item = &Group<'r>> {
        std::iter::successors(self.groups.get(group), |group| self.groups.get(group.within?))
    }

    /// The field of a folded name in a group, or in the nearest one around it.
    pub fn near(&self, group: usize, name: &str) -> Option<&Field<'r>> {
        let mut fields = self.around(group).flat_map(|group| &group.fields);
        fields.find(|field| field.name == name)
    }

    /// Whether the name could be read in what is signed where no field has it: in a value, or across the end of one.
    pub fn runs_into(&self, name: &str) -> bool {
        let Some(run) = &self.run else { return false };
        let plain = |text: &str| text.replace(['_', '-'], "");
        // A list has its name once.
        let names = self.groups.iter().flat_map(|group| {
            let given = group.fields.iter().map(|field| &*field.given);
            given.collect::<BTreeSet<_>>()
        });
        let own: usize = names.map(|given| plain(given).matches(name).count()).sum();
        plain(run).matches(name).count() > own
    }

    /// Why the fields of this folded name cannot be relied on, if so: two in one object, or another value in another
    /// reading.
    pub fn doubt(&self, name: &str) -> Option<String> {
        if self.plain {
            return None;
        }
        if self.runs_into(name) {
            return Some(format!(
                "{name} could be read elsewhere too, since nothing keeps names and values apart in what is signed"
            ));
        }
        for group in &self.groups {
            let mut same = group.fields.iter().filter(|field| field.name == name);
            if let (Some(first), Some(second)) = (same.next(), same.next())
                && !(first.listed && second.listed && first.given == second.given)
            {
                return Some(if first.given == second.given {
                    format!("{:?} is there twice", first.given)
                } else {
                    format!(
                        "{:?} and {:?} are there, which can be the same field",
                        first.given, second.given
                    )
                });
            }
        }
        let other = self.readings.iter().find(|(have, value)| {
            have == name
                && !self
                    .of(name)
                    .any(|(_, field)| field.value.as_deref() == Some(value.as_str()))
        });
        other.map(|(_, value)| {
            let shown: String = value.chars().take(40).collect();
            format!("another reading of the request finds {name} with the value {shown:?}")
        })
    }
}
