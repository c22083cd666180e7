//! The fields of a request, and what other readings of it would find.

use std::{borrow::Cow, ops::Range};

use crate::{
    exchange::{
        bodies::Payload,
        endpoint::{Found, collect, inner},
        place::decoded,
    },
    json::Json,
    policy::{Field, folded, last_part},
};

/// What was read so far.
#[derive(Default)]
pub(super) struct Seen<'r> {
    /// In the order of the request.
    pub fields: Vec<Field<'r>>,
    /// For each object behind the first the one that it stands in.
    pub within: Vec<usize>,
    pub readings: Vec<(String, String)>,
    pub odd: Option<String>,
    /// The groups that names such as `orders[0][price]` stand in, by what is in front of the last part.
    named: Vec<(String, usize)>,
    /// How many fields were found, in all readings.
    found: usize,
}

/// How many fields rules look at: they are compared with each other, and no exchange takes a tenth of that.
const MOST: usize = 4096;

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

/// What a character may mean to some reader, beyond itself: a bit each.
const CLASSES: [u8; 256] = classes();
/// It is no part of a plain name.
const ODD: u8 = 1;
/// It parts a name.
const PARTS: u8 = 2;
/// It may be encoded, or begin something that is.
const ENCODED: u8 = 4;
/// It may end a value, or begin another within it.
const WITHIN: u8 = 8;
/// It may be read as another, or passed over.
const STRANGE: u8 = 16;

const fn classes() -> [u8; 256] {
    let mut all = [ODD | STRANGE; 256];
    let mut at = 0_u8;
    while at < 128 {
        let plain =
            at.is_ascii_alphanumeric() || matches!(at, b'_' | b'-' | b'.' | b'[' | b']' | b':' | b'$');
        let strange = if at.is_ascii_control() { STRANGE } else { 0 };
        let classes = if plain { 0 } else { ODD | strange };
        all[at as usize] = classes
            | match at {
                b'[' => PARTS | WITHIN,
                b']' | b'.' => PARTS,
                b'%' | b'+' | b'"' => ENCODED,
                b';' | b'&' | b'{' => WITHIN,
                _ => 0,
            };
        at += 1;
    }
    all
}

/// A name and its value as they stand in a query or form.
struct Piece<'r> {
    name: &'r str,
    value: &'r str,
    /// Whether both have one reading.
    plain: bool,
}

impl<'r> Piece<'r> {
    /// The first of a text, and what follows it; none where there is none. All that is asked of each character is asked at
    /// once.
    fn first(text: &'r str) -> Option<(Self, &'r str)> {
        let text = text.trim_start_matches('&');
        if text.is_empty() {
            return None;
        }
        let bytes = text.as_bytes();
        let (end, of_name) = until(bytes, |byte| matches!(byte, b'=' | b'&'));
        let begin = end + usize::from(bytes.get(end) == Some(&b'='));
        let (len, of_value) = until(&bytes[begin..], |byte| byte == b'&');
        let (name, value) = (&text[..end], &text[begin..begin + len]);
        let piece = Self {
            name,
            value,
            plain: is_name(name, of_name) && is_value(of_value),
        };
        Some((piece, text.get(begin + len + 1..).unwrap_or_default()))
    }
}

/// How many bytes stand in front of a mark, and all their classes.
fn until(bytes: &[u8], mark: impl Fn(u8) -> bool) -> (usize, u8) {
    let mut all = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if mark(byte) {
            return (at, all);
        }
        all |= CLASSES[usize::from(byte)];
    }
    (bytes.len(), all)
}

fn classes_of(text: &str) -> u8 {
    text.bytes().fold(0, |all, byte| all | CLASSES[usize::from(byte)])
}

/// Whether name and value have one reading, as they stand there.
fn is_plain(name: &str, value: &str) -> bool {
    is_name(name, classes_of(name)) && is_value(classes_of(value))
}

fn is_name(name: &str, classes: u8) -> bool {
    let begins = name.as_bytes().first().is_some_and(|byte| !byte.is_ascii_digit());
    begins && classes & (ODD | PARTS) == 0
}

const fn is_value(classes: u8) -> bool {
    classes & (ENCODED | WITHIN | STRANGE) == 0
}

impl<'r> Seen<'r> {
    pub fn new() -> Self {
        Self {
            fields: Vec::with_capacity(8),
            ..Self::default()
        }
    }

    /// The fields of a query or form.
    pub fn pieces(&mut self, text: &'r str) {
        let mut rest = text;
        while let Some((piece, after)) = Piece::first(rest) {
            rest = after;
            let Piece { name, value, plain } = piece;
            if plain {
                self.push(0, [name.into(), name.into()], Some(value.into()), false);
                continue;
            }
            if self.is_full(1) {
                break;
            }
            let (name, value) = (decoded(name), decoded(value));
            let (group, listed, part) = self.place_of(&name);
            let names = [cut(&name, part), name.clone()];
            if let Some(json) = inner(&value) {
                self.field(group, names, &json, listed, copied);
            } else {
                self.push(group, names, Some(value.clone()), listed);
            }
            self.as_php(&name, &value);
            self.look_closer(&name, &value);
        }
    }

    /// The members of the outermost JSON; where that is a list, of the objects in it.
    pub fn json(&mut self, body: &'r Payload) {
        match body.value() {
            Ok(Json::Object(members)) => self.members(0, members, Cow::Borrowed),
            Ok(Json::List(items)) => self.items(0, items, Cow::Borrowed),
            _ => {}
        }
    }

    fn members<'t>(&mut self, group: usize, members: &'t [(String, Json)], keep: Keep<'t, 'r>) {
        for (name, value) in members {
            if let Json::String(text) | Json::Number(text) = value
                && is_plain(name, text)
            {
                self.push(group, [keep(name), keep(name)], Some(keep(text)), false);
                continue;
            }
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
                self.listed(group, &names, items, keep);
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

    /// The values of a list, also of lists in it: as text, a list of one is that.
    fn listed<'t>(&mut self, group: usize, names: &Names<'r>, items: &'t [Json], keep: Keep<'t, 'r>) {
        for item in items {
            match item {
                Json::List(items) if !items.is_empty() => self.listed(group, names, items, keep),
                item => self.push(group, names.clone(), item.scalar().map(keep), true),
            }
            if let Json::String(text) = item {
                self.respell(&names[1], text);
            }
        }
    }

    fn push(&mut self, group: usize, names: Names<'r>, value: Option<Cow<'r, str>>, listed: bool) {
        if self.is_full(1) {
            return;
        }
        let [part, given] = names;
        let mut field = Field::new(part, given, value, listed);
        field.group = group;
        self.fields.push(field);
    }

    /// Whether that many more are more than rules look at, which is odd.
    fn is_full(&mut self, more: usize) -> bool {
        self.found = self.found.saturating_add(more);
        let full = self.found > MOST;
        if full && self.odd.is_none() {
            self.odd = Some(format!("there are more than {MOST} of them"));
        }
        full
    }

    fn group(&mut self, within: usize) -> usize {
        self.within.push(within);
        self.within.len()
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
        if self.odd.is_none() && (name.is_empty() || classes_of(name) & ODD != 0) {
            let shown: String = name.chars().take(40).collect();
            self.odd = Some(format!("{shown:?} is an odd name for one"));
        }
    }

    /// Other readings of a field: cut at `;`, without digits in front, as JSON that begins further on.
    fn look_closer(&mut self, name: &str, value: &str) {
        self.respell(name, value);
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
        let pieces = text.split(['&', ';']).filter(|piece| !piece.is_empty());
        let fields = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
        self.keep(fields.map(|(name, value)| (name.into(), value.into())).collect());
    }

    /// Another reading of the whole.
    pub fn reading(&mut self, text: &str) {
        let mut found = Vec::new();
        collect(text, &mut found);
        self.keep(found);
    }

    /// Keeps what the plain reading does not have just so.
    fn keep(&mut self, found: Found<'_>) {
        if self.is_full(found.len()) {
            return;
        }
        for (name, value) in found {
            let name = folded(last_part(&name));
            let mut plain = self.fields.iter();
            let known = plain.any(|field| field.name == name && field.value.as_ref() == Some(&value));
            if !known && !name.is_empty() {
                self.readings.push((name, value.into_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_form_is_cut_as_it_is_elsewhere(text in "[a=&%1é]{0,12}") {
            let mut found = Vec::new();
            let mut rest = text.as_str();
            while let Some((piece, after)) = Piece::first(rest) {
                prop_assert_eq!(piece.plain, is_plain(piece.name, piece.value));
                found.push((piece.name, piece.value));
                rest = after;
            }
            prop_assert_eq!(found, crate::exchange::place::pieces(&text).collect::<Vec<_>>());
        }

        /// What is taken as it stands has one name, one value and no other reading when it is looked at closely.
        #[test]
        fn a_plain_field_is_as_a_closer_look_finds_it(name in "[a-bA0_.$é%\\[ ]{0,3}", value in "[a0.%+\"{\\[;& é-]{0,4}") {
            let text = format!("{name}={value}");
            if is_plain(&name, &value) {
                let mut seen = Seen::new();
                let (group, listed, part) = seen.place_of(&name);
                seen.look_closer(&name, &value);
                prop_assert!(seen.odd.is_none() && seen.readings.is_empty() && seen.within.is_empty());
                prop_assert_eq!((group, listed, part), (0, false, 0..name.len()));
                prop_assert_eq!((&*decoded(&name), &*decoded(&value)), (&*name, &*value));
                prop_assert!(inner(&value).is_none() && !text.contains('&'));
            }
        }
    }
}
