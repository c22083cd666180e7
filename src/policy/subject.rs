//! A request as rules see it.

use std::{borrow::Cow, collections::BTreeSet, ops::Range, time::Duration};

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
    /// Where it goes, if nothing but that decides about all that is asked here of its endpoint: everything except
    /// [`Subject::holds`], [`Subject::fields`], [`Subject::moves_money`] and [`Subject::fits_closing`].
    fn spot(&self) -> Option<Spot<'_>>;
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

/// Where a request goes, and what kinds of parts it has: of two requests that are alike in it, rules that look into no
/// field say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'r> {
    /// A number that the exchange's scheme has in this process, and no other.
    pub exchange: u64,
    /// The method.
    pub method: &'r str,
    /// The path as it was given.
    pub path: &'r str,
    /// What is sent along.
    pub sent: Sent,
}

/// What kinds of parts a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Whether it has a query.
    pub query: bool,
    /// Whether it has a body, and then whether that is JSON.
    pub body: Option<bool>,
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
    all: Vec<Field<'r>>,
    /// How many of them the first object has.
    first: usize,
    /// The objects behind the first.
    inner: Vec<Group>,
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

/// An object that stands in another.
#[derive(Debug, Clone)]
struct Group {
    /// That other.
    within: usize,
    /// Where its fields lie.
    fields: Range<usize>,
}

/// A field.
#[derive(Debug, Clone)]
pub struct Field<'r> {
    /// The number of its object.
    pub group: usize,
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
    /// A field of a name that was given, by the part of it that names it, of the first object.
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
            group: 0,
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

/// Has fields lie object by object; how many the first has, and the others.
#[inline(never)]
fn objects(all: &mut [Field<'_>], within: &[usize]) -> (usize, Vec<Group>) {
    all.sort_by_key(|field| field.group);
    let end = |at: usize| all.partition_point(|field| field.group <= at);
    let group = |(at, within): (usize, &usize)| Group {
        within: *within,
        fields: end(at)..end(at + 1),
    };
    (end(0), within.iter().enumerate().map(group).collect())
}

/// How many fields an object has at most whose names are compared with each other at once.
const FEW: usize = 32;

impl<'r> Fields<'r> {
    /// The fields of a request that was read, and for each of its objects behind the first the one that it stands in. The
    /// first object holds query, form and the members of the outermost JSON object.
    pub fn new(
        mut all: Vec<Field<'r>>,
        within: &[usize],
        readings: Vec<(String, String)>,
        odd: Option<String>,
        run: Option<String>,
    ) -> Self {
        let (first, inner) = match within {
            [] => (all.len(), Vec::new()),
            within => objects(&mut all, within),
        };
        let once = |fields: &[Field<'_>]| {
            let twice =
                |(at, field): (usize, &Field<'_>)| fields[..at].iter().any(|other| other.name == field.name);
            fields.len() <= FEW && !fields.iter().enumerate().any(twice)
        };
        let mut plain = readings.is_empty() && run.is_none() && once(&all[..first]);
        if !inner.is_empty() {
            plain &= inner.iter().all(|group| once(&all[group.fields.clone()]));
        }
        Self {
            marks: all
                .iter()
                .fold(Marks::default(), |marks, field| marks.with(field.marks)),
            plain,
            all,
            first,
            inner,
            readings,
            odd,
            run,
        }
    }

    /// All of them, object by object.
    pub fn all(&self) -> std::slice::Iter<'_, Field<'r>> {
        self.all.iter()
    }

    /// Whether there is one object, in which each name stands once, and one reading of it all.
    pub(super) const fn are_plain(&self) -> bool {
        self.plain && self.odd.is_none() && self.inner.is_empty()
    }

    /// How many objects there are.
    pub const fn objects(&self) -> usize {
        1 + self.inner.len()
    }

    /// The fields of an object.
    pub fn group(&self, group: usize) -> &[Field<'r>] {
        match group {
            0 => &self.all[..self.first],
            inner => &self.all[self.inner[inner - 1].fields.clone()],
        }
    }

    /// The first of an object that says how much.
    pub(super) fn amount_of(&self, group: usize) -> Option<&Field<'r>> {
        self.group(group)
            .iter()
            .find(|field| field.marks.has(Marks::AMOUNT))
    }

    /// The object that one stands in.
    pub(super) fn within(&self, group: usize) -> Option<usize> {
        Some(self.inner[group.checked_sub(1)?].within)
    }

    /// Whether a field of this folded name is there, in any reading.
    pub fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some() || self.readings.iter().any(|(have, _)| have == name)
    }

    /// The fields of a folded name.
    pub fn of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Field<'r>> {
        self.all.iter().filter(move |field| field.name == name)
    }

    /// An object and those around it, from the inmost: the numbers.
    pub fn around(&self, group: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(group), |group| self.within(*group))
    }

    /// Their fields.
    pub fn fields_around(&self, group: usize) -> impl Iterator<Item = &Field<'r>> {
        self.around(group).flat_map(|group| self.group(group))
    }

    /// The field of a folded name in a group, or in the nearest one around it.
    pub fn near(&self, group: usize, name: &str) -> Option<&Field<'r>> {
        self.fields_around(group).find(|field| field.name == name)
    }

    /// Whether the name could be read in what is signed where no field has it: in a value, or across the end of one.
    pub fn runs_into(&self, name: &str) -> bool {
        let Some(run) = &self.run else { return false };
        let plain = |text: &str| text.replace(['_', '-'], "");
        // A list has its name once.
        let names = (0..self.objects()).flat_map(|group| {
            let given = self.group(group).iter().map(|field| &*field.given);
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
        for group in 0..self.objects() {
            let mut same = self.group(group).iter().filter(|field| field.name == name);
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
                    .any(|field| field.value.as_deref() == Some(value.as_str()))
        });
        other.map(|(_, value)| {
            let shown: String = value.chars().take(40).collect();
            format!("another reading of the request finds {name} with the value {shown:?}")
        })
    }
}
