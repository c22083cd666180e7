//! Names and values as servers read them that are not strict about spelling.

use super::fields::Seen;
use crate::{
    exchange::lenient::respelled,
    policy::{folded, last_part},
};

impl Seen<'_> {
    /// A value that may be read as another.
    pub fn respell(&mut self, name: &str, value: &str) {
        if let Some(value) = respelled(value) {
            self.readings.push((folded(last_part(name)), value));
        }
    }

    /// A name in a query or form as PHP reads it: there a dot, and a bracket that nothing closes, is an underscore, so that
    /// `order.type` is `order_type`.
    pub fn as_php(&mut self, name: &str, value: &str) {
        let begun = name.split(']').next().unwrap_or_default();
        let whole = begun.len() == name.len();
        if name.contains('.') || whole && name.contains('[') {
            let name = if whole {
                name
            } else {
                begun.split('[').next().unwrap_or_default()
            };
            self.readings.push((folded(name), value.to_owned()));
        }
    }
}
