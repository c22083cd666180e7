//! Fields that a request has in its query and in its JSON.

use super::fields::Seen;
use crate::policy::Field;

/// How many fields of a query are looked for in the JSON beside it.
const MIRRORED: usize = 32;

impl Seen<'_> {
    /// Has a field be one that query and JSON both have, each once and with the same value, as in ccxt's PATCH for Gate:
    /// whichever of them the exchange reads, it reads that. The query's are the first fields.
    pub fn once(&mut self, of_query: usize) {
        for at in (0..of_query).take(MIRRORED) {
            let fields = &self.fields;
            let Some(field) = fields.get(at).filter(|field| field.group == 0) else {
                continue;
            };
            let same = |other: &Field<'_>| other.group == 0 && other.name == field.name;
            let mut named = (0..fields.len()).filter(|other| *other != at && same(&fields[*other]));
            let (Some(again), None) = (named.next(), named.next()) else {
                continue;
            };
            let other = &fields[again];
            if again >= of_query
                && !other.listed
                && other.given == field.given
                && field.value.is_some()
                && other.value == field.value
            {
                self.fields.remove(again);
            }
        }
    }
}
